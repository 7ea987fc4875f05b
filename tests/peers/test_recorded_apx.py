"""What a real agent made with apx answered: how it is told, at every cut, and that the stand-in answers so."""

import json
from typing import Any

import aiohttp
import pytest
from peers.record_apx import QUESTIONS, RECORDED

from middleware.sse import Reader
from policies.apx import question
from policies.apx_events import Answer
from sidecar import sim

SAID = {"streamed": "You said: hello there ", "tool-streamed": "It is 21 degrees in Zürich "}


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((RECORDED / f"{name}.json").read_text()))


def events(body: str) -> list[Any]:
    return [event.value() for event in Reader().feed(body.encode())]


def test_every_recording_belongs_to_a_question() -> None:
    assert {file.stem for file in RECORDED.glob("*.json")} == set(QUESTIONS)
    assert all(recorded(name)["question"] == asked for name, asked in QUESTIONS.items())


@pytest.mark.parametrize("name", SAID)
def test_its_words_are_told_and_what_its_tool_gave_back_is_not(name: str) -> None:
    raw = recorded(name)["answer"]["body"].encode()
    for cut in range(0, len(raw) + 1, 7):
        reader, answer = Reader(), Answer("r1", 7)
        came = [*reader.feed(raw[:cut]), *reader.feed(raw[cut:]), *reader.end()]
        told = [one for event in came for one in answer.hear(event.value(), event.event)] + answer.end()
        deltas = [one["delta"] for one in told if one["type"] == "response.output_text.delta"]
        assert "".join(deltas) == SAID[name]
        assert told[-1]["type"] == "response.completed"


def test_it_takes_no_text_and_takes_messages_for_nothing_so_it_is_told_turns() -> None:
    """Its own words: 400 for a text; for `messages` an answer to an empty conversation."""
    assert recorded("string-input")["answer"]["status"] == 400
    empty = json.loads(recorded("messages")["answer"]["body"])
    assert empty["output"][0]["content"][0]["text"].strip() == "You said:"
    for name in ("string-input", "messages"):
        assert question(QUESTIONS[name])["input"] == QUESTIONS["whole"]["input"]


def makes(told: list[Any]) -> dict[str, set[str]]:
    """Event type → members, in the order in which the types first came."""
    return {event["type"]: set(event) for event in told}


@pytest.mark.parametrize(("name", "word"), [("streamed", "hello there"), ("tool-streamed", "tool")])
async def test_the_stand_in_sends_events_of_the_same_make(name: str, word: str) -> None:
    body = {"input": [{"role": "user", "content": word}], "stream": True}
    async with (
        sim.agent("apx-typed") as agent,
        aiohttp.ClientSession() as http,
        http.post(f"{agent.url}/responses", json=body) as answer,
    ):
        assert answer.headers["Content-Type"] == recorded(name)["answer"]["type"]
        ours, theirs = makes(events(await answer.text())), makes(events(recorded(name)["answer"]["body"]))
        assert list(ours.items()) == list(theirs.items())
