"""A chat's answer, told to an A2A caller as a task: whole, or update by update; in the caller's version.

response.output_text.delta, chunks        →  artifact-update, one artifact for each message, appended to
an item that is neither text nor a tool's  →  artifact-update with a data part
response.completed                        →  status-update completed; input_required and cancelled as they are
an error inside the stream, or no end     →  Refusal, of which `failed` makes the status-update
"""

from typing import Any, Final

from policies import a2a_parts as parts
from policies.a2a import OLD, Tongue, result, said_state
from policies.collection import Collected
from policies.legible import DELTAS, Legible
from policies.loose import Value, dicts, member, text, word

SILENT: Final = frozenset({"message", "reasoning", "function_call", "function_call_output"})
STATES: Final = {"input_required": "input-required", "cancelled": "canceled"}


class Task:
    """One task that there is for as long as it is answered: nobody can ask for it later."""

    def __init__(self, task: str, context: str, tongue: Tongue) -> None:
        self._ident, self._tongue = task, tongue
        self._named: Value = {"taskId": task, "contextId": context}
        self._collected, self._legible = Collected(), Legible()
        self._artifacts: list[str] = []  # the message that each tells, by number

    def begin(self) -> Value:
        return self._task("submitted", [])

    def hear(self, value: Any, name: str | None = None) -> list[Value]:
        """The updates of one event. Refusal 502 `agent_error` where it is an error."""
        self._collected.add(value, name)
        if not isinstance(value, dict):
            return []
        told = [self._delta(event) for event in self._legible.missing(value)]
        if word(value.get("type")) in DELTAS:
            told.append(self._delta(value))
        elif value.get("type") == "response.output_item.done":
            told += self._shown(member(value, "item"))
        for choice in dicts(value.get("choices"))[:1]:
            if said := text(member(choice, "delta").get("content")):
                told.append(self._delta({"item_id": "choice", "delta": said}))
        return told

    def done(self) -> None:
        """`[DONE]` was met."""
        self._collected.done()

    def end(self) -> Value:
        """The last update. Refusal 502 `truncated` where the stream said no end."""
        return self._status(_state(self._collected.value()))

    def failed(self, sentence: str) -> Value:
        message: Value = {"messageId": f"{self._ident}-failed", "parts": [parts.said(sentence, self._tongue)]}
        old = self._tongue is OLD
        message |= {"role": "agent", "kind": "message"} if old else {"role": "ROLE_AGENT"}
        return self._status("failed", message)

    def whole(self, value: Any) -> Value:
        """The whole answer as a task that is over."""
        artifacts: list[Value] = []
        for item in _items(value):
            if said := text(item.get("content")):
                artifacts.append(self._artifact(parts.said(said, self._tongue), len(artifacts)))
            elif word(item.get("type", "message")) not in SILENT:
                artifacts.append(self._artifact(self._data(item), len(artifacts)))
        return self._task(_state(value), artifacts)

    def _delta(self, event: Value) -> Value:
        key = word(event.get("item_id"))
        known = bool(self._artifacts) and self._artifacts[-1] == key
        if not known:
            self._artifacts.append(key)
        part = parts.said(word(event.get("delta")), self._tongue)
        artifact = self._artifact(part, len(self._artifacts) - 1)
        return self._update("artifact-update", {"artifact": artifact, "append": known, "lastChunk": False})

    def _shown(self, item: Value) -> list[Value]:
        if word(item.get("type")) in SILENT:
            return []
        self._artifacts.append("")
        artifact = self._artifact(self._data(item), len(self._artifacts) - 1)
        return [self._update("artifact-update", {"artifact": artifact, "append": False, "lastChunk": True})]

    def _data(self, item: Value) -> Value:
        return {"data": item} | ({"kind": "data"} if self._tongue is OLD else {})

    def _artifact(self, part: Value, number: int) -> Value:
        return {"artifactId": f"{self._ident}-{number}", "parts": [part]}

    def _status(self, state: str, message: Value | None = None) -> Value:
        status: Value = {"state": said_state(state, self._tongue)}
        if message:
            status["message"] = message
        return self._update("status-update", {"status": status, "final": True})

    def _task(self, state: str, artifacts: list[Value]) -> Value:
        about = {"id": self._ident, "contextId": self._named["contextId"]}
        status = {"state": said_state(state, self._tongue)}
        return result("task", about | {"status": status, "artifacts": artifacts}, self._tongue)

    def _update(self, kind: str, value: Value) -> Value:
        return result(kind, self._named | value, self._tongue)


def _items(value: Any) -> list[Value]:
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        return [member(choice, "message") for choice in dicts(value["choices"])[:1]]
    return dicts(value.get("output")) if isinstance(value, dict) else []


def _state(value: Any) -> str:
    return STATES.get(word(member(value, "incomplete_details").get("reason")), "completed")
