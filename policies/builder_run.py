"""What a builder's answers mean for a run that is under way: its window, what is kept of it, and where it is."""

from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from policies import answers, hints
from policies.agent import Agent
from policies.builder_answer import ENDED
from policies.builder_cursor import tells
from policies.decoding import is_plain
from policies.loose import Value, dicts, member, text, word
from policies.refusal import Refusal

# Of a window: it may be had again. Where the agent has been waited for in vain already, it may not.
LOST: Final = frozenset(
    {
        *("agent_broke_off", "agent_gap_timeout", "agent_first_byte_timeout", "agent_connect_timeout"),
        *("agent_unreachable", "agent_protocol_error", "credential_unavailable"),
    }
)
PASSING: Final = frozenset({401, 408, 429})  # and every 5xx: statuses that the next try may not meet
UNTOLD: Final = frozenset({"agent_broke_off", "agent_first_byte_timeout", "agent_gap_timeout"})
GATEWAYS: Final = frozenset({502, 503, 504})
SECRET: Final = frozenset({"invoke_agent", "stream_progress", "stop_stream", "executions"})


class Kept(NamedTuple):
    """What the agent has kept of a run: its events from the first on, and how it ended (`running`: not yet)."""

    status: str
    events: list[Value]
    error: str = ""
    size: int = 0  # of all events, signs of life among them

    @property
    def end(self) -> Value | None:
        ended = ENDED.get(self.status)
        if ended is None:
            return None
        return {"type": "stream.completed", "error": self.error if self.status == "error" else None} | ended


def path(*parts: str) -> str:
    """A path below `/api`, of parts that the agent named."""
    return "/".join(["/api", *(quote(part, safe="") for part in parts)])


def project(listed: Any, name: str) -> str:
    """The id of the oldest project of this name; empty where there is none. The newest stands first."""
    named = [one for one in dicts(listed) if one.get("name") == name]
    return word(named[-1].get("id")) if named else ""


def again(refusal: Refusal) -> bool:
    """Whether a window that ended so is asked for once more."""
    return refusal.code in LOST or refusal.agent_status in PASSING or (refusal.agent_status or 0) >= 500


def judged(agent: Agent, status: int, content_type: str, coding: str, said: str) -> Refusal | None:
    """What an answer to `stream_progress` is instead of a window; None where it is one."""
    if status == 200 and answers.is_sse(content_type):
        detail = "The agent compresses its event stream, although it was asked not to."
        return None if is_plain(coding) else Refusal(502, "agent_protocol_error", detail=detail)
    told = answers.refused(agent, status, content_type, said)
    if told:
        return told
    detail = f"Agent {agent.name!r} answered {status} where the events of a run are due."
    return Refusal(
        502, "agent_failed" if status >= 300 else "agent_protocol_error", detail=detail, agent_status=status
    )


def lost(agent: Agent) -> Refusal:
    detail, hint = hints.explain("agent_run_lost", agent=agent, status=404)
    return Refusal(502, "agent_run_lost", detail=detail, hint=hint, agent_status=404)


def execution(told: Any, ident: str) -> Kept | None:
    """This run among the executions of its conversation."""
    known = [member(told, "active"), *dicts(told.get("recent") if isinstance(told, dict) else None)]
    found = next((one for one in known if one.get("id") == ident), None)
    if found is None:
        return None
    stored = dicts(found.get("events"))
    events = [event for event in stored if tells(event)]
    return Kept(word(found.get("status")), events, word(found.get("error")), len(stored))


def begun(told: Any, *, fresh: bool) -> str:
    """The run that a conversation is working on; empty where there is none. In a fresh one it may have ended."""
    running = word(member(told, "active").get("id"))
    ended = dicts(told.get("recent"))[:1] if fresh and isinstance(told, dict) else []
    return running or "".join(word(one.get("id")) for one in ended)


def last_answer(told: Any, question: str) -> tuple[str, bool] | None:
    """A conversation's answer to this question, and whether that is an error; None where it has none."""
    messages = dicts(told.get("messages") if isinstance(told, dict) else None)
    if len(messages) < 2 or [one.get("role") for one in messages[-2:]] != ["user", "assistant"]:
        return None
    asked, answered = messages[-2:]
    if text(asked.get("content")).strip() != question.strip():
        return None
    return text(answered.get("content")), answered.get("is_error") is True


def secret(target: str) -> bool:
    """Whether a path deals in execution ids: whoever has one can read and stop a run, whosever it is."""
    return not SECRET.isdisjoint(unquote(unquote(target.partition("?")[0])).lower().split("/"))
