"""A plug-in is kept to what it asked for, and blamed for what it did and nothing else."""

from typing import Any

import pytest

from middleware.exchange import EMPTY, Body, Call, Handler, Reply, headers
from middleware.isolated import isolated
from policies.agent import Agent, Caller
from policies.refusal import Refusal
from policies.secret import Secret

TOKEN = Secret("the user's own")
CALL = Call(
    Agent("default", "http://127.0.0.1:1"),
    Caller("front", True, "ann", "ann@example.org", TOKEN),
    "chat",
    "POST",
    "/invocations",
    headers(),
    EMPTY,
    True,
    "r1",
)


class Notes:
    def __init__(self) -> None:
        self.kept: list[tuple[str, Any]] = []

    def note(self, call: Call, what: str, value: Any) -> None:
        self.kept.append((what, value))


async def agent(call: Call) -> Reply:
    return Reply(200, headers(("x-token-seen", str(call.caller.token is TOKEN))), Body(b"{}"))


async def unreachable(call: Call) -> Reply:
    raise Refusal(502, "agent_unreachable", sent="none")


async def broken(call: Call) -> Reply:
    raise LookupError("a fault further in")


async def test_a_plugin_sees_name_and_email_but_no_token_and_the_agent_still_gets_it() -> None:
    seen: list[Caller] = []

    async def plugin(call: Call, forward: Handler) -> Reply:
        seen.append(call.caller)
        return await forward(call._replace(caller=call.caller._replace(token=Secret("forged"))))

    reply = await isolated("spy", plugin, Notes())(CALL, agent)
    assert seen == [Caller("front", True, "ann", "ann@example.org", None)]
    assert reply.headers["x-token-seen"] == "True"


async def test_a_plugin_that_needs_the_users_token_sees_it() -> None:
    async def plugin(call: Call, forward: Handler) -> Reply:
        assert call.caller.token is TOKEN
        return await forward(call)

    reply = await isolated("courier", plugin, Notes(), sees_token=True)(CALL, agent)
    assert reply.headers["x-token-seen"] == "True"


async def test_what_a_plugin_raises_is_raised_and_counted_under_its_name() -> None:
    async def plugin(call: Call, forward: Handler) -> Reply:
        await forward(call)
        raise ZeroDivisionError

    notes = Notes()
    with pytest.raises(ZeroDivisionError):
        await isolated("clumsy", plugin, notes)(CALL, agent)
    assert notes.kept == [("plugin_failed", "clumsy")]


async def test_a_plugin_may_refuse_in_its_own_name() -> None:
    async def plugin(call: Call, forward: Handler) -> Reply:
        raise Refusal(403, "cross_site")

    notes = Notes()
    with pytest.raises(Refusal):
        await isolated("strict", plugin, notes)(CALL, agent)
    assert notes.kept == [("refused_by", "strict")]


@pytest.mark.parametrize(("inner", "error"), [(unreachable, Refusal), (broken, LookupError)])
async def test_a_failure_further_in_is_not_blamed_on_the_plugin(
    inner: Handler, error: type[Exception]
) -> None:
    async def plugin(call: Call, forward: Handler) -> Reply:
        return await forward(call)

    notes = Notes()
    with pytest.raises(error):
        await isolated("innocent", plugin, notes)(CALL, inner)
    assert notes.kept == []


async def test_a_plugin_may_answer_what_failed_further_in() -> None:
    async def plugin(call: Call, forward: Handler) -> Reply:
        try:
            return await forward(call)
        except Refusal:
            return Reply(200, headers(), Body(b'{"output": []}'))

    reply = await isolated("fallback", plugin, Notes())(CALL, unreachable)
    assert reply.status == 200


async def test_a_plugin_that_forgets_to_answer_fails_closed() -> None:
    async def plugin(call: Call, forward: Handler) -> Any:
        await forward(call)

    notes = Notes()
    with pytest.raises(TypeError, match="plug-in 'mute' answered with NoneType"):
        await isolated("mute", plugin, notes)(CALL, agent)
    assert notes.kept == [("plugin_failed", "mute")]
