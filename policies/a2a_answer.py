"""An A2A agent's answer, told as a Responses agent would have told it, result by result, in any version.

    task                  its artifacts as they are now, and its status
    artifact-update       text, appended or replaced; of what comes twice only what was not told yet
    status-update         `working`: what the agent says of its work; else how the task ended, or what it asks
    message               the whole answer

How it ends: completed → `response.completed`; input-required and canceled → `response.incomplete` with that
reason; failed and rejected → Refusal 502 `agent_error`, auth-required → `agent_auth_required`.
"""

from typing import Any

from policies import a2a_parts as parts
from policies.a2a import INTERRUPTED, OVER, RUNNING, TERMINAL, field, heard, says, state
from policies.a2a_message import Place
from policies.a2a_output import Output
from policies.loose import Value, dicts, member, word
from policies.outcome import status as status_of
from policies.refusal import Refusal

REASONS = {"input-required": "input_required", "canceled": "cancelled"}
FAILURES = {"failed": "agent_error", "rejected": "agent_error", "auth-required": "agent_auth_required"}


class Answer:
    """Takes the results of one question in order; each gives the events to tell, `end` the last ones.

    `place`  the context and the task, as the agent has named them so far
    `over`   nothing more is to come: the task has ended, or it is the caller's turn
    """

    def __init__(self, ident: str, at: int) -> None:
        self._output = Output(ident, at)
        self._names: dict[str, str] = {}  # of artifacts with files, so that each file is shown once
        self._thought: Value = {}  # the last that was said of the work
        self._last: Value = {}  # what was said at the end of it
        self._history: list[Value] = []
        self._gap = False
        self._sure: set[str] = set()  # artifacts that were told whole since the gap
        self.place = Place()
        self.state = ""
        self.over = False

    @property
    def whole(self) -> bool:
        """Whether all there is was heard: it is over, and nothing is missing from before a gap."""
        return self.over and not self._gap

    @property
    def blank(self) -> bool:
        """Whether it has ended well and said nothing: the answer may stand in the task's history."""
        said = self.text or self._names or parts.text(self._last.get("parts"))
        return self.whole and self.state == "completed" and not said

    @property
    def text(self) -> str:
        """What was answered, as it holds now."""
        return self._output.text

    @property
    def waits(self) -> Place:
        """Where the conversation goes on: in the same task only if that asked for something."""
        return self.place if self.state == "input-required" else self.place._replace(task="")

    @property
    def cancelable(self) -> bool:
        """Whether the agent still works on a task of which it has told."""
        return bool(self.place.task) and self.state not in TERMINAL

    def cut(self) -> None:
        """Something may be missing from here on, until a task is heard whole: what is appended is not trusted."""
        self._gap = True
        self._sure.clear()

    def hear(self, result: Any, *, last: bool = True) -> list[Value]:
        """The events of one result; not `last` where others may follow: then a task that waits may be as it was
        before this question answered it.
        """
        kind, value = heard(result)
        if not kind:
            raise Refusal(
                502, "agent_protocol_error", detail="The agent's result is neither a task nor a message."
            )
        self._locate(kind, value)
        told = self._output.begin()
        match kind:
            case "message":
                self.state, self.over = "completed", True
                self._gap = False
                told += self._output.say(
                    f"message {word(field(value, 'messageId'))}", parts.text(value.get("parts"))
                )
                told += self._files("", value.get("parts"))
            case "task":
                self._history = dicts(value.get("history"))
                self._gap = False
                for index, artifact in enumerate(dicts(value.get("artifacts"))):
                    told += self._artifact(artifact, index, snapshot=True)
                told += self._status(value.get("status"), ends=OVER if last else TERMINAL)
            case "artifact-update":
                artifact = member(value, "artifact")
                told += self._artifact(artifact, 0, append=value.get("append") is True)
            case "status-update":
                told += self._status(value.get("status"))
                if value.get("final") is True and self.state not in RUNNING:
                    self.over = True
        return told

    def rest(self) -> None:
        """No other result follows: if it waits for somebody, it does so still."""
        self.over = self.over or self.state in INTERRUPTED

    def end(self) -> list[Value]:
        """The events that close the answer. Refusal where it failed, or never came to an end."""
        said = parts.text(self._last.get("parts"))
        if code := FAILURES.get(self.state):
            why = said[:1000] or f"The agent's task is {self.state}, and it gave no reason."
            raise Refusal(status_of(code), code, detail=why, quotes=bool(said))
        if not self.over:
            raise Refusal(502, "truncated", detail=f"The agent's task was left {self.state or 'untold'}.")
        told = []
        if not said and not self._output.text:
            said = next((parts.text(m.get("parts")) for m in reversed(self._history) if says(m)), "")
        if said and said not in self._output.text:
            told += self._output.say("status", said)
        told += self._files("", self._last.get("parts"))
        reason = REASONS.get(self.state)
        beside: Value = {"incomplete_details": {"reason": reason}} if reason else {}
        return told + self._output.end("incomplete" if reason else "completed", beside)

    def _locate(self, kind: str, value: Value) -> None:
        task = word(value.get("id")) if kind == "task" else word(field(value, "taskId"))
        context = word(field(value, "contextId"))
        self.place = Place(context or self.place.context, task or self.place.task)

    def _status(self, status: Any, ends: frozenset[str] = OVER) -> list[Value]:
        self.state = state(status) or self.state
        self.over = self.over or self.state in ends
        said = member(status, "message")
        if self.state in OVER:
            self._last = said
            return []
        if said == self._thought or not (text := parts.text(said.get("parts")).strip()):
            return []
        self._thought = said
        return self._output.think(text)

    def _artifact(
        self, artifact: Value, index: int, *, append: bool = False, snapshot: bool = False
    ) -> list[Value]:
        key = word(field(artifact, "artifactId")) or word(artifact.get("name")) or f"#{index}"
        if append and self._gap and key not in self._sure:
            return []
        if not append:
            self._sure.add(key)
        said = parts.text(artifact.get("parts"))
        if append:
            told = self._output.add(key, said)
        elif snapshot and self._output.said(key).startswith(said):
            told = []  # the store lags behind what was streamed
        else:
            told = self._output.say(key, said)
        return told + self._files(key, artifact.get("parts"))

    def _files(self, key: str, given: Any) -> list[Value]:
        """Files that come with their content: items of their own, each once."""
        told = []
        for one in parts.files(given):
            mark = f"{key} {one.name} {one.media} {len(one.raw)} {one.raw[:64]}"
            if mark not in self._names:
                self._names[mark] = key
                about = {"artifact_id": key, "filename": one.name, "media_type": one.media}
                told += self._output.show({"type": "file", **about, "data": one.raw})
        return told
