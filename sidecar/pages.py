"""What the front shows a browser of ours: the chat page, the agents to ask, and what became of its calls."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

from policies import errors, outcome
from policies.agent import Agent, Caller
from policies.refusal import Refusal
from sidecar.admin import READS, as_json
from sidecar.doors import Request
from sidecar.settings import Settings
from sidecar.telemetry import Telemetry, owner
from sidecar.whole import Page, Whole

UI: Final = Path(__file__).parent / "ui"
OURS: Final = "/_sidecar/"
CALLS: Final = f"{OURS}calls/"
TYPES: Final[Mapping[str, str]] = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "trusted-types 'none'",
        "require-trusted-types-for 'script'",  # not even by mistake is an agent's text read as markup
    )
)
ALWAYS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guide(NamedTuple):
    """What a demo can tell of itself. Given by the demo alone: nothing else knows of stand-ins."""

    does: Mapping[str, str] = {}  # agent → one sentence
    words: Sequence[Mapping[str, str]] = ()  # what directs them: {"say", "does"}


NO_GUIDE: Final = Guide()


def pages(
    settings: Settings, agents: Iterable[Agent], telemetry: Telemetry, guide: Guide = NO_GUIDE
) -> Callable[[str], Page | None]:
    """Path → what answers it at the front, or None.

    `/`, `/_sidecar/page/…`    the chat page, with SIDECAR_PAGE and never over a frontend
    `/_sidecar/agents`         `{"agents": [{"name", "kind", "does"?}, …]}`, for the page
    `/_sidecar/words`          `{"words": [{"say", "does"}, …]}`: what directs a demo's agents
    `/_sidecar/calls/<id>`     with SIDECAR_INSPECT: what was done with a call, to whoever made it

    All files are read here, once.
    """
    known: dict[str, Page] = {}

    async def offered(request: Request, _: Caller) -> Whole:
        return told(request, {"agents": [shown(agent, guide.does) for agent in agents]})

    async def words(request: Request, _: Caller) -> Whole:
        return told(request, {"words": list(guide.words)})

    async def call(request: Request, caller: Caller) -> Whole:
        request_id = request.raw_path.partition("?")[0].removeprefix(CALLS)
        found = telemetry.tap.get(request_id, owner(caller.email or "", request.remote or ""))
        if found is None:
            return refused("no_such_call")
        return told(request, inspected(found, full=settings.errors == "full"))

    if settings.page and not settings.frontend_url:
        known |= files(calls_shown=settings.inspect)
        known |= {f"{OURS}agents": offered, f"{OURS}words": words}

    def page(path: str) -> Page | None:
        found = known.get(path)
        return call if found is None and settings.inspect and path.startswith(CALLS) else found

    return page


def files(*, calls_shown: bool) -> dict[str, Page]:
    """The chat page and what it is made of, by path."""
    found = {}
    for path in sorted(UI.iterdir()):
        if path.suffix in TYPES:
            body = path.read_bytes()
            if path.name == "index.html" and calls_shown:
                body = body.replace(b'data-calls="hidden"', b'data-calls="shown"', 1)
            found[f"{OURS}page/{path.name}"] = file(body, TYPES[path.suffix])
    found["/"] = found.pop(f"{OURS}page/index.html")
    return found


def file(body: bytes, kind: str) -> Page:
    """One file that a browser may keep, and asks about each time."""
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {**ALWAYS, "Content-Type": f"{kind}; charset=utf-8", "ETag": tag}

    async def page(request: Request, _: Caller) -> Whole:
        if request.method not in READS:
            return refused("method_not_allowed", Allow="GET, HEAD")
        if tag in request.headers.get("If-None-Match", ""):
            return Whole(status=304, headers=headers)
        return Whole(body=body, headers=headers)

    return page


def shown(agent: Agent, does: Mapping[str, str]) -> dict[str, str]:
    """An agent as a browser may know it: no address."""
    about = {"name": agent.name, "kind": agent.kind}
    return about | {"does": does[agent.name]} if agent.name in does else about


def inspected(call: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """A call as its caller may know it, with a sentence on its outcome. `full`: what names hosts and settings."""
    told = call | {"sentence": outcome.sentence(call["outcome"]) if call["outcome"] else None}
    if call["refusal"] and not full:
        told["refusal"] = call["refusal"] | {
            "detail": outcome.sentence(call["refusal"]["code"]),
            "hint": None,
        }
    return told


def told(request: Request, value: Any) -> Whole:
    if request.method not in READS:
        return refused("method_not_allowed", Allow="GET, HEAD")
    return as_json(value)


def refused(code: str, **more: str) -> Whole:
    refusal = Refusal(outcome.status(code), code)
    return as_json(errors.body(refusal, full=False), status=refusal.status, **more)
