"""Words by which somebody in front of an agent is understood: S10, S11."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import ANYTHING

from policies.signatures import not_started, streaming_refused

REFUSED = [
    (400, {"error_code": "BAD_REQUEST", "message": "Streaming is not supported when output guardrails are enabled."}),
    (400, {"error_code": "BAD_REQUEST", "message": "Output guardrail is not supported for streaming requests."}),
    (400, {"message": "Output guardrails are enabled on this endpoint and do not support streaming responses."}),
    (400, {"detail": "This provider does not support streaming."}),
    (400, {"detail": "Streaming is not yet supported for this kind of authentication."}),
    (400, {"error": {"message": "Unsupported value: 'stream' does not support true with this model."}}),
    (405, {"error": "streaming is disabled"}),
    (422, {"detail": [{"loc": ["body", "stream"], "msg": "streaming isn't allowed here", "type": "value_error"}]}),
    (500, {"detail": "No stream function registered"}),
    (500, {"detail": "Error code: 400 - {'message': 'Output guardrails cannot be used with streaming'}"}),
    (500, {"detail": "This model does not support predict_stream method."}),
    (501, {"error": {"message": "stream=true is not implemented"}}),
]  # fmt: skip

OTHERS = [
    (200, {"error": {"message": "Streaming is not supported."}}),
    (401, {"message": "Streaming is not supported."}),
    (429, {"message": "Streaming is not supported."}),
    (503, {"message": "Streaming is not supported."}),
    (400, {"output": [{"content": [{"type": "output_text", "text": "Streaming is not supported."}]}]}),
    (400, {"choices": [{"message": {"content": "Streaming is not supported."}}]}),
    (400, {"detail": "Invalid parameters: input_value='why is streaming not supported?', input_type=str"}),
    (400, {"detail": [{"msg": "Field required", "input": "streaming is not supported"}]}),
    (500, {"detail": "The stream was not found. Support has been told."}),
    (500, {"detail": "The model endpoint did not answer."}),
    (400, {"error": "downstream service not available"}),
    (400, ["Streaming is not supported."]),
    (400, {"error": None, "detail": 7}),
]


@pytest.mark.parametrize(("status", "body"), REFUSED)
def test_s10_a_refusal_to_stream_is_known_by_its_status_and_its_words(status: int, body: object) -> None:
    assert streaming_refused(status, json.dumps(body).encode())


@pytest.mark.parametrize(("status", "body"), OTHERS)
def test_s11_words_elsewhere_are_no_refusal_to_stream(status: int, body: object) -> None:
    assert not streaming_refused(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    "body", [b"", b"Streaming is not supported.", b"<p>Streaming is not supported</p>", b"{"]
)
def test_s11_what_is_not_json_says_nothing(body: bytes) -> None:
    assert not streaming_refused(400, body)


def test_an_error_that_is_nested_for_ever_is_not_followed() -> None:
    assert not streaming_refused(400, b'{"error":' * 900 + b'"streaming is not supported"' + b"}" * 900)


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from([200, 302, 400, 404, 429, 500, 503]), ANYTHING, st.sampled_from(["error", "detail", "x"])
)
def test_any_answer_is_judged_and_only_an_error_may_be_a_refusal(
    status: int, value: object, key: str
) -> None:
    assert not streaming_refused(status, json.dumps(value).encode())
    said = json.dumps({"beside": value, key: "Streaming is not supported"}).encode()
    assert streaming_refused(status, said) is (status in (400, 404, 500) and key != "x")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, b"no healthy upstream", True),
        (503, b"upstream connect error, reset reason: connection timeout", True),
        (502, b"<h1>App is not running</h1>", True),
        (503, b"The application is starting, try again", True),
        (500, b"no healthy upstream", False),
        (503, b"upstream reset: connection termination", False),
        (503, b"Service busy", False),
    ],
)
def test_who_found_no_agent_to_hand_the_request_to_says_so(status: int, body: bytes, expected: bool) -> None:
    assert not_started(status, body) is expected
