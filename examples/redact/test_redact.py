"""What a user writes leaves masked; what nobody has to mask leaves as it came."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from sidecar_redact import redact

from sidecar.api import Agent, Body, Call, Caller, Kit, Refusal, Reply, headers


class Notes:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, Any]] = []

    def note(self, call: Call, what: str, value: Any) -> None:
        self.kept.append((what, value))


async def sent(body: Body, **env: str) -> tuple[Body, list[tuple[str, Any]]]:
    """What reaches the agent of this body, and what was noted."""
    notes = Notes()
    reached: list[Any] = []

    async def agent(call: Call) -> Reply:
        reached.append(call.body)
        return Reply(200, headers(), Body(b"{}"))

    async with AsyncExitStack() as stack:
        kit = Kit(env=env, agents={}, recorder=notes, headers=lambda _: headers(), stack=stack)
        call = Call(
            Agent("default", "http://127.0.0.1:1"),
            Caller(),
            "chat",
            "POST",
            "/invocations",
            headers(),
            body,
            True,
            "r1",
        )
        await redact(kit)(call, agent)
    return reached[0], notes.kept


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({"input": "I am ann@example.org"}, {"input": "I am [email]"}),
        (
            {"messages": [{"role": "user", "content": "key dapi0123456789abcdef0123456789abcdef"}]},
            {"messages": [{"role": "user", "content": "key [key]"}]},
        ),
        (
            {
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "b@example.org"}]}],
                "stream": True,
            },
            {
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "[email]"}]}],
                "stream": True,
            },
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url"}, 7]},
                    "odd",
                    {"role": "user"},
                ],
                "input": "a@b.co",
            },
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url"}, 7]},
                    "odd",
                    {"role": "user"},
                ],
                "input": "[email]",
            },
        ),
    ],
)
async def test_addresses_and_keys_in_what_a_user_writes_are_masked(said: Any, left: Any) -> None:
    body, notes = await sent(Body(value=said))
    assert body.value == left
    assert notes == [("redacted", True)]


async def test_an_assistants_words_and_a_clean_chat_leave_as_the_very_bytes_that_came() -> None:
    raw = b'{ "messages": [{"role": "assistant", "content": "a@b.co"}, {"role": "user", "content": "hi"}] }'
    body, notes = await sent(Body(raw))
    assert body.raw == raw
    assert notes == []


async def test_a_pattern_of_ones_own_is_masked_too() -> None:
    body, _ = await sent(Body(value={"input": "ticket ACME-1234"}), PATTERN=r"ACME-\d+")
    assert body.value == {"input": "ticket [masked]"}


async def test_a_body_that_cannot_be_read_does_not_leave() -> None:
    with pytest.raises(Refusal) as refused:
        await sent(Body(b"{not json"))
    assert refused.value.code == "invalid_json"


async def test_a_body_that_is_no_object_is_left_to_the_contract() -> None:
    body, _ = await sent(Body(b"[1, 2]"))
    assert body.raw == b"[1, 2]"
