"""What an agent's answer means to whoever was promised JSON or an event stream."""

import pytest

from policies.agent import Agent
from policies.answers import login_page, refused

AGENT = Agent("weather", "https://weather.example.org")
JSON, SSE, PAGE = "application/json", "text/event-stream; charset=utf-8", "text/html; charset=utf-8"


@pytest.mark.parametrize("kind", [JSON, "Application/JSON; charset=utf-8", "application/problem+json"])
@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 413, 422, 429])
def test_what_a_caller_can_act_on_passes_as_it_is(status: int, kind: str) -> None:
    assert refused(AGENT, status, kind) is None


def test_a_stream_passes() -> None:
    assert refused(AGENT, 200, SSE) is None


@pytest.mark.parametrize(
    ("status", "kind", "told", "code"),
    [
        (200, PAGE, 502, "agent_login_page"),
        (200, "text/plain", 502, "agent_protocol_error"),
        (200, "", 502, "agent_protocol_error"),
        (301, JSON, 502, "agent_login_page"),
        (302, PAGE, 502, "agent_login_page"),
        (401, JSON, 502, "agent_unauthorized"),
        (403, JSON, 403, "agent_forbidden"),
        (403, PAGE, 403, "agent_forbidden"),
        *((status, PAGE, 502, "agent_failed") for status in (400, 404, 409, 413, 422, 429)),
        (402, JSON, 502, "agent_failed"),
        (405, JSON, 502, "agent_failed"),
        (500, JSON, 502, "agent_failed"),
        (503, JSON, 502, "agent_failed"),
        (508, JSON, 508, "loop_detected"),
    ],
)
def test_everything_else_becomes_ours(status: int, kind: str, told: int, code: str) -> None:
    refusal = refused(AGENT, status, kind)
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.agent_status) == (told, code, status)


@pytest.mark.parametrize(("status", "kind"), [(404, PAGE), (302, PAGE), (200, JSON), (200, "text/plain")])
def test_on_agent_paths_a_page_in_the_place_of_an_answer_is_all_that_is_judged(
    status: int, kind: str
) -> None:
    assert login_page(AGENT, status, kind) is None
    page = login_page(AGENT, 200, PAGE)
    assert page is not None
    assert page.code == "agent_login_page"
