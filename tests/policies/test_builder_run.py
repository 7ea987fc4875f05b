"""What a builder's answers mean for a run that is under way."""

from typing import Any

import pytest

from policies import builder_run as policy
from policies.agent import Agent
from policies.refusal import Refusal

AGENT = Agent("builder", "http://127.0.0.1:1", "builder")
SSE = "text/event-stream"


@pytest.mark.parametrize(
    ("status", "kind", "code", "again"),
    [
        (401, "text/html", "agent_unauthorized", True),
        (429, "application/json", "agent_failed", True),
        (500, "application/json", "agent_failed", True),
        (503, "text/html", "agent_failed", True),
        (403, "text/html", "agent_forbidden", False),
        (422, "application/json", "agent_failed", False),
        (302, "text/html", "agent_login_page", False),
        (200, "text/html", "agent_login_page", False),
        (200, "application/json", "agent_protocol_error", True),
    ],
)
def test_what_stands_in_a_windows_place(status: int, kind: str, code: str, again: bool) -> None:
    refusal = policy.judged(AGENT, status, kind, "", "")
    assert refusal is not None
    assert (refusal.code, policy.again(refusal)) == (code, again)


def test_an_event_stream_is_a_window() -> None:
    assert policy.judged(AGENT, 200, f"{SSE}; charset=utf-8", "identity", "") is None
    compressed = policy.judged(AGENT, 200, SSE, "gzip", "")
    assert compressed is not None
    assert compressed.code == "agent_protocol_error"


@pytest.mark.parametrize(
    "code", ["agent_unavailable", "overloaded", "agent_tls_error", "agent_too_large", "draining"]
)
def test_what_another_try_would_meet_again_is_not_tried(code: str) -> None:
    assert not policy.again(Refusal(502, code))


def test_the_oldest_project_of_a_name_is_the_one() -> None:
    listed = [{"id": "3", "name": "b"}, {"id": "2", "name": "a"}, {"id": "1", "name": "a"}, "x"]
    assert policy.project(listed, "a") == "1"
    assert (
        policy.project(listed, "c") == policy.project({"error": "x"}, "a") == policy.project(None, "a") == ""
    )


def test_ids_that_an_agent_names_stay_inside_their_path() -> None:
    assert (
        policy.path("projects", "../../a?b=1", "conversations")
        == "/api/projects/..%2F..%2Fa%3Fb%3D1/conversations"
    )


def test_a_run_is_found_among_the_active_and_the_recent_ones() -> None:
    event = {"type": "text", "text": "a"}
    run = {"id": "e1", "status": "running", "events": [event, {"type": "keepalive"}, 7]}
    found = policy.execution({"active": run, "recent": []}, "e1")
    assert found is not None
    assert (found.events, found.size, found.end) == ([event], 2, None)
    ended = policy.execution({"active": None, "recent": [run | {"status": "error", "error": "No."}]}, "e1")
    assert ended is not None
    assert ended.end == {"type": "stream.completed", "is_error": True, "error": "No."}
    assert policy.execution({"active": run}, "e2") is None
    assert policy.execution(None, "e1") is None


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([("user", "q"), ("assistant", "a")], ("a", False)),
        ([("user", "other"), ("assistant", "b")], None),
        ([("user", "q"), ("assistant", "a"), ("user", "later")], None),
        ([("assistant", "a")], None),
        ([], None),
    ],
)
def test_a_conversations_last_answer_counts_for_its_own_question(messages: Any, found: Any) -> None:
    told = {"messages": [{"role": role, "content": content} for role, content in messages]}
    assert policy.last_answer(told, "q") == found


@pytest.mark.parametrize("told", [None, [], {"messages": 7}, {"messages": [1, 2]}])
def test_what_is_no_conversation_has_no_answer(told: Any) -> None:
    assert policy.last_answer(told, "q") is None


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("/api/stream_progress/e1", True),
        ("/api//stop_stream/e1?x=1", True),
        ("/api/%73top_stream/e1", True),
        ("/api/%2573top_stream/e1", True),
        ("/api/invoke_agent", True),
        ("/api/projects/p/conversations/c/executions", True),
        ("/api/projects/p/conversations/c", False),
        ("/api/config/health", False),
        ("/api/projects?next=stop_stream", False),
    ],
)
def test_paths_that_deal_in_execution_ids_are_known_in_any_spelling(path: str, closed: bool) -> None:
    assert policy.secret(path) is closed
