"""Reads a question as mlflow's AgentServer reads it; what it refuses, it refuses in the same words."""

import json
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

Kind = Literal["responses", "plain", "chat", "apx", "apx-typed", "apx-older"]
"""`AgentServer("ResponsesAgent")`, `AgentServer(None)` that takes either shape, one that tells chat only; apx."""


class Ask(NamedTuple):
    """A question that is well formed."""

    text: str  # the last message's
    shape: str  # input | messages
    stream: bool
    fault: str = ""  # what an author's handler stumbles over, where nobody validated
    custom: dict[str, Any] = {}  # noqa: RUF012 - what came beside the question, never changed


class Refused(Exception):
    """The server's own answer to a request that never reached the agent."""

    def __init__(self, status: int, detail: str | None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail  # None: the framework broke, and answers in plain text


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")
    role: str
    content: Any


class OutputItem(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: str


class ResponsesAgentRequest(BaseModel):
    """Named as mlflow names it, because pydantic puts the name into the message that a caller gets."""

    model_config = ConfigDict(extra="allow")
    input: list[Message | OutputItem]


def read(raw: bytes, kind: Kind) -> Ask:
    """The question in a request body. Raises Refused."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refused(400, f"Invalid JSON in request body: {error}") from None
    if not isinstance(body, dict):
        raise Refused(500, None)
    stream = bool(body.pop("stream", False))  # truthy is enough: "false" streams
    if kind == "responses":
        try:
            ResponsesAgentRequest(**body)
        except ValidationError as error:
            invalid = f"Invalid data for ResponsesAgentRequest: {error}"
            raise Refused(400, f"Invalid parameters for ResponsesAgent: {invalid}") from None
    shape = "input" if kind == "responses" or "messages" not in body else "messages"
    return Ask(last(body.get(shape)), shape, stream, "" if shape in body else str(KeyError(shape)))


def last(turns: Any) -> str:
    """The text of the newest message, in any of the shapes in which one may come."""
    if isinstance(turns, str):
        return turns
    for turn in reversed(turns if isinstance(turns, list) else []):
        content = turn.get("content") if isinstance(turn, dict) else None
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""
