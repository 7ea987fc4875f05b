"""An agent made with apx, on the wire, in each of its generations:

    apx-typed  POST /responses    today's: Responses events without `[DONE]`; believes what a body says of the user
    apx        POST /responses    read by hand; whole answers without custom outputs; traces as they happen
    apx-older  POST /invocations  a typed body, 422 for any other; text in pieces of 20, the trace at the end

All have an open card, tool routes, and development pages that ought to be nobody's.
"""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from sidecar.sim import apx_tells, pages
from sidecar.sim.apps import App
from sidecar.sim.asks import Ask, Kind, Refused, last
from sidecar.sim.plays import play
from sidecar.sim.says import Item, items, spoken
from sidecar.sim.script import Scene
from sidecar.sim.visits import Visit

PATH: Final = {"apx-typed": "/responses", "apx": "/responses", "apx-older": "/invocations"}
CARD: Final = "/.well-known/agent.json"
DEV: Final = ("/_apx/agent", "/_apx/tools", "/_apx/probe", "/_apx/openapi.json")
TOOL: Final = "/api/tools/weather"


class Message(BaseModel):
    role: str
    content: str


class InvocationRequest(BaseModel):
    """Named as apx names it."""

    input: list[Message] | str
    stream: bool = False
    custom_inputs: dict[str, Any] = {}


def takes_questions(kind: Kind, path: str) -> bool:
    return path == PATH[kind]


def read(raw: bytes, kind: Kind) -> Ask:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refused(422, f"JSON decode error: {error}") from None
    if not isinstance(body, dict):
        raise Refused(422, "Input should be a valid dictionary")
    if kind != "apx":
        if kind == "apx-typed" and isinstance(body.get("input"), str):
            raise Refused(400, "Invalid input: Input should be a valid list")
        try:
            InvocationRequest(**body)
        except ValidationError as error:
            raise Refused(422, str(error)) from None
    custom = body.get("custom_inputs") or {}
    return Ask(_asked(body.get("input"), custom), "input", bool(body.get("stream")), custom=custom)


def _asked(turns: Any, custom: dict[str, Any]) -> str:
    """The last turn; its parts with a space between, and what is no input text as Python would print it."""
    text = last(turns)
    if isinstance(turns, list) and turns and isinstance(parts := turns[-1].get("content"), list):
        text = " ".join(
            part["text"] if part.get("type") in ("input_text", "text") else str(part) for part in parts
        )
    told = custom.get("instructions")
    return f"{text} (as instructed: {told})" if told else text


def beside(kind: Kind, request: web.BaseRequest) -> web.Response:
    path = request.path
    if path == "/health":
        return pages.json_of_agent(200, {"status": "ok"})
    if path == CARD:
        return pages.json_of_agent(200, card(kind, request.host))
    if path in DEV:
        return web.Response(text="<h1>apx</h1>", content_type="text/html", headers=pages.AGENT)
    if path == TOOL and request.method == "POST":
        return pages.json_of_agent(200, {"celsius": 21})
    if path == PATH[kind]:
        return pages.json_of_agent(405, {"detail": "Method Not Allowed"}, Allow="POST")
    return pages.json_of_agent(404, {"detail": "Not Found"})


def card(kind: Kind, host: str) -> dict[str, Any]:
    """What is served as a card, and is none that an A2A client could use."""
    return {
        "schemaVersion": "1.0",
        "name": kind,
        "description": "Tells the weather.",
        "url": f"http://{host}",
        "protocolVersion": "0.3.0",
        "capabilities": {"a2aVersion": "0.3.0", "streaming": True, "multiTurn": True},
        "authSchemes": [{"type": "bearer", "name": "Databricks OAuth"}],
        "skills": [{"id": "weather", "name": "weather", "description": "", "inputSchema": {}}],
        "mcpEndpoint": None,
    }


def refusal(refused: Refused) -> web.Response:
    return pages.json_of_agent(refused.status, {"detail": refused.detail})


async def answer(
    request: web.BaseRequest, visit: Visit, kind: Kind, ask: Ask, scene: Scene
) -> web.StreamResponse:
    said = items(scene, ask.text, visit.headers)
    response = web.StreamResponse()
    if ask.stream and not scene.unary:
        response.headers["Content-Type"] = "text/event-stream; charset=utf-8"
        return await play(request, visit, scene, response, stream(kind, ask, scene, said))
    if scene.breaks in ("error", "typed"):
        return web.Response(status=500, text="Internal Server Error", headers=pages.AGENT)
    response.headers["Content-Type"] = "application/json"
    raw = pages.compact(whole(kind, ask, said))
    response.content_length = len(raw)
    return await play(request, visit, scene, response, [raw])


def whole(kind: Kind, ask: Ask, said: list[Item]) -> dict[str, Any]:
    message = [apx_tells.finished(item) for item in said if item["type"] == "message"]
    if kind == "apx-older":
        return {"output": message, "custom_outputs": custom_outputs(ask)}
    about = {"id": f"resp_{int(time.time())}", "object": "response", "status": "completed"}
    if kind == "apx-typed":
        return about | {"output": said, "custom_outputs": custom_outputs(ask)}
    return about | {"output": message, "output_text": "".join(map(spoken, said))}


def custom_outputs(ask: Ask) -> dict[str, Any]:
    return {"asked_with": ask.custom} if ask.custom else {}


def stream(kind: Kind, ask: Ask, scene: Scene, said: list[Item]) -> Iterator[bytes]:
    """The frames, up to where the scene breaks."""
    if kind == "apx-typed":
        yield from apx_tells.typed(said, custom_outputs(ask), scene)
        return
    events = list(apx_tells.events(said, custom_outputs(ask), older=kind == "apx-older"))
    if scene.breaks == "endless":
        events = list(itertools.takewhile(lambda event: event[0] != apx_tells.DONE, events))
        yield from itertools.chain(apx_tells.framed(events), itertools.cycle(apx_tells.framed(events[-1:])))
    if scene.breaks in ("error", "typed"):
        events = [*events[: scene.after], ("error", {"item_id": "msg_001", "error": scene.failure})]
    elif scene.breaks == "truncate" and scene.after is None:
        events = [event for event in events if event[0] != apx_tells.DONE]
    elif scene.after is not None:
        frames = list(apx_tells.framed(events, scene.framing))
        yield from frames[: max(scene.after, 0)]
        if scene.within:
            yield frames[scene.after][: len(frames[scene.after]) // 2]
        return
    yield from apx_tells.framed(events, scene.framing)


APP: Final = App(takes_questions, read, beside, refusal, answer)
