"""A builder's run, told as a Responses answer.

text_delta, text           →  response.output_text.delta; what follows a tool is a message of its own
thinking                   →  a reasoning item
tool_use, tool_result      →  function_call, function_call_output
result                     →  `metadata`: cost, turns and time; conversation.created: its id there
error                      →  Refusal 502 `agent_error` at the end, whatever `stream.completed` says of it
cancelled                  →  response.incomplete, reason `cancelled`
stream.completed           →  response.completed
todos, system, keepalive   →  nothing: the tool's call has the todos, the rest is the run's own
"""

from collections.abc import Callable
from typing import Any, Final

from policies.a2a_output import Output
from policies.json_exact import dumps
from policies.loose import Value, word
from policies.refusal import Refusal

FACTS: Final = ("duration_ms", "num_turns", "total_cost_usd")  # of `result`, for whoever pays
ENDED: Final = {"completed": {}, "cancelled": {"is_cancelled": True}, "error": {"is_error": True}}


class Answer:
    """Takes a run's events in order, each once; gives what is to be told. `over`: the run has said its end.

    `ident` makes ids unique, `at` is when it was asked (seconds since 1970).
    """

    def __init__(self, ident: str, at: int) -> None:
        self._output = Output(ident, at)
        self._ident = ident
        self._part = 0  # the message that is being said
        self._pieces = False  # text came in deltas
        self._failure: str | None = None
        self._failed = self._cancelled = self._ill = self._shown = False
        self._metadata: dict[str, str] = {}
        self.over = False

    @property
    def text(self) -> str:
        return self._output.text

    def hear(self, event: Value) -> list[Value]:
        """The events to tell of this one."""
        hears = HEARD.get(word(event.get("type")))
        return hears(self, event) if hears else []

    def recalled(self, text: str) -> list[Value]:
        """The run was lost, and this is the answer that its conversation has kept: what of it was not told."""
        said = self.text
        self.over = True
        if text in said:
            return []
        if text.startswith(said):
            return self._say(text[len(said) :])
        self._part += 1
        return self._say(text)

    def end(self) -> list[Value]:
        """The events that close the answer. Refusal 502 `agent_error` where the run has failed."""
        beside: Value = {"metadata": self._metadata} if self._metadata else {}
        if self._cancelled:
            reason = {"incomplete_details": {"reason": "cancelled"}}
            return self._output.end("incomplete", reason | beside)
        silent = not (self._shown or self.text)
        if self._failed or self._failure is not None or (self._ill and silent):
            why = self._failure or "The agent gave no reason."
            raise Refusal(502, "agent_error", detail=why[:1000], quotes=True)
        return self._output.end("completed", beside)

    # --- what is heard ---------------------------------------------------------------------------------------

    def _say(self, text: str) -> list[Value]:
        return self._output.add(str(self._part), text)

    def _delta(self, event: Value) -> list[Value]:
        self._pieces = True
        return self._say(word(event.get("text")))

    def _block(self, event: Value) -> list[Value]:
        return [] if self._pieces else self._say(word(event.get("text")))

    def _thought(self, event: Value) -> list[Value]:
        thought = word(event.get("thinking"))
        self._part += 1
        return self._output.think(thought) if thought else []

    def _called(self, event: Value) -> list[Value]:
        made = {
            "call_id": word(event.get("tool_id"), f"call_{self._ident}"),
            "name": word(event.get("tool_name"), "tool"),
            "arguments": _as_text(event.get("tool_input")),
        }
        return self._item({"type": "function_call", "status": "completed", **made})

    def _returned(self, event: Value) -> list[Value]:
        failed = {"is_error": True} if event.get("is_error") is True else {}
        call = word(event.get("tool_use_id"), f"call_{self._ident}")
        output = {"call_id": call, "output": _as_text(event.get("content"))}
        return self._item({"type": "function_call_output", **output, **failed})

    def _item(self, item: Value) -> list[Value]:
        self._part += 1
        self._shown = True
        return self._output.show(item)

    def _summed(self, event: Value) -> list[Value]:
        self._ill = event.get("is_error") is True
        facts = {name: event[name] for name in FACTS if isinstance(event.get(name), int | float)}
        self._metadata |= {name: str(value) for name, value in facts.items()}
        return []

    def _placed(self, event: Value) -> list[Value]:
        if conversation := word(event.get("conversation_id")):
            self._metadata["conversation_id"] = conversation
        return []

    def _went_wrong(self, event: Value) -> list[Value]:
        self._failure = self._failure or word(event.get("error"), "The agent gave no reason.")
        return []

    def _stopped(self, event: Value) -> list[Value]:
        self._cancelled = True
        return []

    def _ended(self, event: Value) -> list[Value]:
        self.over = True
        self._failed = self._failed or event.get("is_error") is True
        self._cancelled = self._cancelled or event.get("is_cancelled") is True
        if said := word(event.get("error")):
            self._failure = self._failure or said
        return []


HEARD: Final[dict[str, Callable[[Answer, Value], list[Value]]]] = {
    "text_delta": Answer._delta,
    "text": Answer._block,
    "thinking": Answer._thought,
    "tool_use": Answer._called,
    "tool_result": Answer._returned,
    "result": Answer._summed,
    "conversation.created": Answer._placed,
    "error": Answer._went_wrong,
    "cancelled": Answer._stopped,
    "stream.cancelled": Answer._stopped,
    "stream.completed": Answer._ended,
}


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return dumps({} if value is None else value).decode()
    except ValueError:
        detail = "The agent's event is nested too deeply."
        raise Refusal(502, "agent_protocol_error", detail=detail) from None
