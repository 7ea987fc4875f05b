"""JSON-RPC as A2A callers send it: ids of every legal type, batches, notifications, and what is none of it. B09."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import jsonrpc
from policies.jsonrpc import Wrong


def asked(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "message/send"} | members).encode()


@pytest.mark.parametrize("ident", ["1", "", 1, -1, 2**80, 1.5, None])
def test_2_9_10_an_id_of_any_legal_type_goes_back_as_it_came(ident: Any) -> None:
    request = jsonrpc.request(jsonrpc.document(asked(id=ident)))
    assert (request.ident, type(request.ident), request.notification) == (ident, type(ident), False)
    assert jsonrpc.result(request.ident, {}) == {"jsonrpc": "2.0", "id": ident, "result": {}}


def test_b09_a_request_without_an_id_is_a_notification() -> None:
    assert jsonrpc.request({"jsonrpc": "2.0", "method": "message/send"}).notification


def test_who_leaves_out_the_version_means_2_0() -> None:
    assert jsonrpc.request({"id": 1, "method": "x"}).method == "x"


@pytest.mark.parametrize(
    ("value", "ident"),
    [
        ([], None),
        (1, None),
        ("x", None),
        ({}, None),
        ({"id": {}, "method": "x"}, None),
        ({"id": True, "method": "x"}, None),
        ({"id": 7, "method": 1}, 7),
        ({"id": "a", "method": "x", "jsonrpc": "1.0"}, "a"),
    ],
)
def test_what_is_no_request_is_32600_with_its_id_where_it_has_one(value: Any, ident: Any) -> None:
    with pytest.raises(Wrong) as wrong:
        jsonrpc.request(value)
    assert (wrong.value.code, jsonrpc.error(wrong.value)["id"]) == (-32600, ident)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"{'a': 1}", b'{"a": NaN}'])
def test_what_is_no_json_is_32700(raw: bytes) -> None:
    with pytest.raises(Wrong) as wrong:
        jsonrpc.document(raw)
    assert wrong.value.code == -32700
    assert jsonrpc.error(wrong.value)["error"]["message"] == "Invalid JSON payload"


def test_what_is_too_large_to_look_at_is_32600() -> None:
    with pytest.raises(Wrong) as wrong:
        jsonrpc.document(b"[" * 300 + b"]" * 300)
    assert wrong.value.code == -32600


@pytest.mark.parametrize(("size", "fits"), [(0, False), (1, True), (20, True), (21, False)])
def test_b09_a_batch_has_a_size(size: int, fits: bool) -> None:
    if fits:
        assert len(jsonrpc.batch([{}] * size) or []) == size
    else:
        with pytest.raises(Wrong):
            jsonrpc.batch([{}] * size)


@pytest.mark.parametrize(
    ("method", "target", "kind", "wants"),
    [
        ("message/send", "/", "responses", False),
        ("message/stream", "/", "responses", True),
        ("message/send", "/stream", "responses", True),
        ("SendMessage", "/stream?x=1", "builder", True),
        ("SendStreamingMessage", "/", "apx", True),
        ("tasks/get", "/stream", "responses", False),
        ("tasks/resubscribe", "/", "responses", False),
        ("message/stream", "/", "a2a", None),
        ("message/send", "/stream", "a2a", None),
    ],
)
def test_who_wants_a_stream_says_so_by_method_or_path(
    method: str, target: str, kind: str, wants: bool | None
) -> None:
    assert jsonrpc.wants_stream(asked(method=method), target, kind) is wants


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b'{"method": {}}'])
def test_what_cannot_be_read_wants_none(raw: bytes) -> None:
    assert jsonrpc.wants_stream(raw, "/stream", "responses") is False


def test_at_stream_a_message_is_streamed_and_every_other_byte_stays() -> None:
    raw = b'{"id" : 123456789012345678901234567890,\n "method": "message/send", "params": {"method": "message/send"}}'
    told = raw.replace(b'"method": "message/send", ', b'"method": "message/stream", ')
    assert jsonrpc.streamed(raw) == told
    assert jsonrpc.streamed(told) == told
    assert jsonrpc.streamed(asked(method="SendMessage")) == asked(method="SendStreamingMessage")


@given(
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4),
    st.binary(max_size=40),
)
@settings(max_examples=1000, deadline=None)
def test_nothing_else_is_ever_renamed(members: dict[str, Any], junk: bytes) -> None:
    raw = json.dumps(members | {"method": "message/send"}, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    assert json.loads(jsonrpc.streamed(raw)) == members | {"method": "message/stream"}
    others = json.dumps({name: part for name, part in members.items() if name != "method"}).encode()
    assert jsonrpc.streamed(others) == others
    assert jsonrpc.streamed(junk) == junk


def test_who_asks_for_an_extended_card_is_known() -> None:
    assert jsonrpc.asks_for_card(asked(method="agent/getAuthenticatedExtendedCard"))
    assert jsonrpc.asks_for_card(asked(method="GetExtendedAgentCard"))
    assert not jsonrpc.asks_for_card(asked(params={"text": "GetExtendedAgentCard"}))
