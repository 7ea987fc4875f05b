"""mlflow's AgentServer on the wire: its routes, its refusals, its answers streamed or whole."""

import itertools
import uuid
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from sidecar.sim import asks, pages, says, tells
from sidecar.sim.apps import App
from sidecar.sim.asks import Ask, Kind, Refused
from sidecar.sim.plays import play
from sidecar.sim.script import Scene
from sidecar.sim.visits import Visit

VERSION: Final = "3.17.2"
GETS: Final = ("/health", "/agent/info")


def takes_questions(kind: Kind, path: str) -> bool:
    return path == "/invocations" or (path == "/responses" and kind == "responses")


def beside(kind: Kind, request: web.BaseRequest) -> web.Response:
    """The answer to everything that is no question, as FastAPI gives it."""
    path, asked = request.path, takes_questions(kind, request.path)
    if path in GETS and request.method == "GET":
        return pages.json_of_agent(200, {"status": "healthy"} if path == "/health" else info(kind))
    if path in GETS or asked:
        return pages.json_of_agent(405, {"detail": "Method Not Allowed"}, Allow="POST" if asked else "GET")
    bare = path.removesuffix("/")
    if bare != path and (bare in GETS or takes_questions(kind, bare)):
        return web.Response(status=307, headers={**pages.AGENT, "Location": f"http://{request.host}{bare}"})
    return pages.json_of_agent(404, {"detail": "Not Found"})


def info(kind: Kind) -> dict[str, Any]:
    about = {"name": "mlflow_agent_server", "use_case": "agent", "mlflow_version": VERSION}
    return about | {"agent_api": "responses"} if kind == "responses" else about


def refusal(refused: Refused) -> web.Response:
    if refused.detail is None:
        return web.Response(status=refused.status, text="Internal Server Error", headers=pages.AGENT)
    return pages.json_of_agent(refused.status, {"detail": refused.detail})


async def answer(
    request: web.BaseRequest, visit: Visit, kind: Kind, ask: Ask, scene: Scene
) -> web.StreamResponse:
    """Works on one question as the scene directs, and tells the result."""
    if ask.fault:
        scene = scene._replace(breaks="error", after=0, failure=ask.fault)
    items = says.items(scene, ask.text, visit.headers)
    tongue = tells.TONGUES["chat" if kind == "chat" or ask.shape == "messages" else "responses"]
    traced = kind == "responses" and visit.headers.get("x-mlflow-return-trace-id", "").lower() == "true"
    trace_id = f"tr-{uuid.uuid4().hex}" if traced else None
    response = web.StreamResponse()
    if ask.stream and not scene.unary:
        response.headers["Content-Type"] = "text/event-stream; charset=utf-8"
        return await play(request, visit, scene, response, tells.stream(tongue, scene, items, trace_id))
    if scene.breaks in ("error", "typed"):
        return pages.json_of_agent(500, {"detail": scene.failure})
    response.headers["Content-Type"] = "application/json"
    if scene.breaks == "endless":
        return await play(request, visit, scene, response, tells.endless())
    raw = tells.whole(tongue, items, trace_id)
    response.content_length = len(raw)
    return await play(request, visit, scene, response, halves(raw, broken=bool(scene.breaks)))


def halves(raw: bytes, *, broken: bool) -> Iterable[bytes]:
    """A body with a middle, in which it can break."""
    middle = len(raw) // 2
    return itertools.islice((raw[:middle], raw[middle:]), 1 if broken else 2)


APP: Final = App(takes_questions, asks.read, beside, refusal, answer)
