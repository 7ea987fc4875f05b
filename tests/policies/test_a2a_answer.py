"""What an A2A agent's results are told as, in three versions; and that no text is told twice, lost or mixed up."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import among, scattered

from policies import a2a_output
from policies.a2a_answer import Answer
from policies.a2a_message import Place
from policies.collection import Collected
from policies.legible import DELTAS
from policies.refusal import Refusal

Json = dict[str, Any]


def task(state: str = "working", *artifacts: Json, said: str = "", **more: Any) -> Json:
    status: Json = {"state": state}
    if said:
        status["message"] = {"role": "agent", "messageId": "m", "parts": [{"kind": "text", "text": said}]}
    return {
        "kind": "task",
        "id": "t1",
        "contextId": "c1",
        "status": status,
        "artifacts": list(artifacts),
        **more,
    }


def status(state: str, said: str = "", **more: Any) -> Json:
    return {
        "kind": "status-update",
        "taskId": "t1",
        "contextId": "c1",
        "status": task(state, said=said)["status"],
        **more,
    }


def artifact(text: str, ident: str = "a1") -> Json:
    return {"artifactId": ident, "parts": [{"kind": "text", "text": text}]}


def update(text: str, *, append: bool = False, ident: str = "a1") -> Json:
    about = {"kind": "artifact-update", "taskId": "t1", "contextId": "c1"}
    return about | {"artifact": artifact(text, ident), "append": append}


def told(*results: Any, cut_before: int | None = None) -> tuple[Answer, list[Json]]:
    """The events of an answer that consists of these results."""
    answer, events = Answer("1", 0), []
    for number, result in enumerate(results):
        if number == cut_before:
            answer.cut()
        events += answer.hear(result)
    return answer, events


def seen(events: list[Json]) -> str:
    """What a reader who knows nothing but deltas has on the screen."""
    return "".join(event["delta"] for event in events if event["type"] in DELTAS)


def whole(events: list[Json]) -> Json:
    collected = Collected()
    for event in events:
        collected.add(event)
    return collected.value()


def words(answer: Json) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item.get("content", []))


def test_chunks_of_an_artifact_are_told_as_they_come_and_once_more_when_it_is_over() -> None:
    answer, events = told(
        task("submitted"), update("Hel"), update("lo", append=True), status("completed", final=True)
    )
    assert [event["delta"] for event in events if event["type"] in DELTAS] == ["Hel", "lo"]
    end = answer.end()
    assert seen(end) == ""
    assert words(whole(events + end)) == "Hello"
    assert [event["type"] for event in end] == ["response.output_item.done", "response.completed"]


def test_the_same_artifact_again_tells_only_what_is_new_of_it() -> None:
    answer, events = told(update("Hel"), update("Hello"), task("completed", artifact("Hello you")))
    assert seen(events) == "Hello you"
    assert words(whole(events + answer.end())) == "Hello you"


def test_an_artifact_that_is_replaced_is_the_new_one_and_who_saw_the_old_sees_both() -> None:
    answer, events = told(update("Paris"), update("London"), status("completed"))
    assert seen(events) == "Paris\n\nLondon"
    assert words(whole(events + answer.end())) == "London"


def test_artifacts_beside_each_other_do_not_mix() -> None:
    results = [update("a", ident="x"), update("1", ident="y"), update("b", ident="x", append=True)]
    answer, events = told(*results, status("completed"))
    assert words(whole(events + answer.end())) == "ab1"


def test_a_message_is_the_whole_answer() -> None:
    answer, events = told(
        {"kind": "message", "messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}
    )
    assert (seen(events), answer.over) == ("hi", True)
    assert whole(events + answer.end())["status"] == "completed"


def test_what_the_agent_says_of_its_work_is_a_thought_and_no_answer() -> None:
    answer, events = told(
        status("working", "Looking"), status("working", "Looking"), update("Found"), status("completed")
    )
    thoughts = [
        event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta"
    ]
    assert (thoughts, seen(events + answer.end())) == (["Looking"], "Found")


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (task("completed", said="From the status"), "From the status"),
        (task("completed", history=[{"role": "agent", "parts": [{"text": "From the past"}]}]), "From the past"),
        (task("completed", artifact("Here"), said="Done, too"), "HereDone, too"),
        (task("completed", artifact("Here"), said="Here"), "Here"),
        ({"artifacts": [{"parts": [{"kind": "text", "text": "Echo"}]}], "status": "completed"}, "Echo"),
    ],
    ids=["status", "history", "both", "the same twice", "a bare status, no ids: 2.8"],
)  # fmt: skip
def test_the_answer_is_found_wherever_the_agent_put_it(end: Json, text: str) -> None:
    answer, events = told(end)
    assert seen(events + answer.end()) == text


def test_a_question_back_is_told_and_the_conversation_goes_on_in_its_task() -> None:
    answer, events = told(task("submitted"), status("input-required", "Which city?", final=True))
    end = answer.end()
    assert seen(events + end) == "Which city?"
    response = whole(events + end)
    assert (response["status"], response["incomplete_details"]) == (
        "incomplete",
        {"reason": "input_required"},
    )
    assert answer.waits == Place("c1", "t1")


def test_after_any_other_end_the_conversation_goes_on_in_the_context_alone() -> None:
    answer, _ = told(task("completed", artifact("x")))
    assert answer.waits == Place("c1", "")


def test_a_task_that_was_canceled_is_incomplete() -> None:
    answer, events = told(update("Hal"), status("canceled"))
    assert whole(events + answer.end())["incomplete_details"] == {"reason": "cancelled"}


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("failed", "agent_error"),
        ("rejected", "agent_error"),
        ("auth-required", "agent_auth_required"),
        ("TASK_STATE_FAILED", "agent_error"),
    ],
)
def test_a_failure_is_one_with_the_agents_reason(state: str, code: str) -> None:
    answer, _ = told(status(state, "No such account", final=True))
    with pytest.raises(Refusal) as refused:
        answer.end()
    refusal = refused.value
    assert (refusal.status, refusal.code, refusal.detail, refusal.quotes) == (
        502,
        code,
        "No such account",
        True,
    )


def test_an_answer_that_was_left_in_the_middle_is_truncated() -> None:
    answer, _ = told(task("working"), update("Hal"))
    with pytest.raises(Refusal, match="truncated"):
        answer.end()


def test_of_files_the_address_is_told_and_content_comes_as_an_item_once() -> None:
    held = {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "image/png", "name": "a.png"}}
    linked = {"kind": "file", "file": {"uri": "https://x.example/b.pdf", "name": "b.pdf"}}
    given = {"artifactId": "f", "parts": [held, linked, {"kind": "data", "data": {"n": 1}}]}
    answer, events = told(task("working", given), task("completed", given))
    output = whole(events + answer.end())["output"]
    assert [(item["type"], item.get("data")) for item in output] == [("message", None), ("file", "aGk=")]
    assert words({"output": output}) == '[a.png][b.pdf](https://x.example/b.pdf)\n```json\n{"n":1}\n```\n'


def test_an_address_of_a_file_that_is_no_web_address_is_no_link() -> None:
    answer, events = told(task("completed", {"artifactId": "f", "parts": [{"url": "javascript:alert(1)"}]}))
    assert seen(events + answer.end()) == "[file]"


def test_an_answer_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(a2a_output, "LARGEST", 100)
    answer, _ = told(update("x" * 60))
    with pytest.raises(Refusal, match="agent_too_large"):
        answer.hear(update("x" * 60, append=True))


# --- after a cut -------------------------------------------------------------------------------------------


def test_what_is_appended_after_a_cut_waits_until_the_task_is_known_whole() -> None:
    """Between the cut and the new stream a piece may have passed unseen."""
    answer, events = told(
        update("A"), update("C", append=True), status("completed", final=True), cut_before=1
    )
    assert (seen(events), answer.over, answer.whole) == ("A", True, False)
    more = answer.hear(task("completed", artifact("ABC")))
    assert (seen(more), answer.whole) == ("BC", True)


def test_after_a_snapshot_what_is_appended_is_told_at_once() -> None:
    answer, events = told(
        update("A"), task("working", artifact("AB")), update("C", append=True), cut_before=1
    )
    assert (seen(events), answer.place) == ("ABC", Place("c1", "t1"))


def test_a_store_that_lags_behind_takes_nothing_back() -> None:
    answer, events = told(update("ABC"), task("completed", artifact("AB")))
    assert seen(events + answer.end()) == "ABC"


def test_an_agent_is_canceled_only_while_it_works_on_a_task_it_named() -> None:
    assert not told(status("working") | {"taskId": None})[0].cancelable
    assert told(task("working"))[0].cancelable
    assert not told(task("completed"))[0].cancelable


# --- any agent, any version, any words ---------------------------------------------------------------------

texts = st.text(max_size=12)
states = st.sampled_from(["submitted", "working", "completed", "failed", "input-required", "", "unheard-of"])
names = (
    "kind task message status state parts text artifact artifactId artifacts id statusUpdate artifact_update "
    "file data raw url history role append final"
)
json_values = scattered(among(), [*names.split(), "", "é"])


@given(st.lists(json_values | st.builds(task, states) | st.builds(update, texts), max_size=3))
@settings(max_examples=1000, deadline=None)
def test_whatever_an_agent_says_is_told_or_refused(results: list[Any]) -> None:
    answer = Answer("1", 0)
    try:
        events = [event for result in results for event in answer.hear(result)] + answer.end()
    except Refusal as refusal:
        status = refusal.status
    else:
        status = 502
        whole(events)
        json.dumps(events)
    assert status == 502


def spoken_new(result: Json) -> Json:
    """The same result as 1.0 says it."""
    inner = json.loads(json.dumps(result).replace('"kind": "text", ', ""))
    name = {"task": "task", "artifact-update": "artifactUpdate", "status-update": "statusUpdate"}[
        inner.pop("kind")
    ]
    inner.pop("final", None)
    if "status" in inner:
        inner["status"]["state"] = f"TASK_STATE_{inner['status']['state'].upper().replace('-', '_')}"
    return {name: inner}


pieces = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6)


@given(pieces, st.booleans())
@settings(max_examples=1000, deadline=None)
def test_every_version_is_told_alike(said: list[str], asks: bool) -> None:
    end = status("input-required" if asks else "completed", "And?" if asks else "", final=True)
    results = [task("submitted"), *(update(text, append=bool(n)) for n, text in enumerate(said)), end]
    old, events = told(*results)
    new, others = told(*map(spoken_new, results))
    assert events + old.end() == others + new.end()


@given(pieces, st.data())
@settings(max_examples=1000, deadline=None)
def test_wherever_a_stream_is_cut_every_word_is_told_once(said: list[str], data: st.DataObject) -> None:
    """The agent goes on unheard for a while; then either kind of server tells the rest, and `tasks/get` what it is."""
    cut = data.draw(st.integers(1, len(said)), "heard before the cut")
    missed = data.draw(st.integers(cut, len(said)), "happened before the new stream")
    snapshot = data.draw(st.booleans(), "the new stream begins with the task as it is")
    before = [task("submitted"), *(update(text, append=bool(n)) for n, text in enumerate(said[:cut]))]
    answer, events = told(*before)
    answer.cut()
    if snapshot:
        events += answer.hear(task("working", artifact("".join(said[:missed]))))
    for text in said[missed:]:
        events += answer.hear(update(text, append=True))
    events += answer.hear(status("completed", final=True))
    if not answer.whole:
        events += answer.hear(task("completed", artifact("".join(said))))
    assert seen(events) == "".join(said)
    assert answer.whole
    assert words(whole(events + answer.end())) == "".join(said)
