"""The agents that `sidecar demo` has behind it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import cycle
from typing import Any, Final, NamedTuple

from middleware.dialects.spoken import KINDS
from sidecar.pages import Guide
from sidecar.settings import AgentBlock, Settings
from sidecar.sim import mcp
from sidecar.sim.a2a import a2a
from sidecar.sim.agent import agent
from sidecar.sim.builder import builder
from sidecar.sim.script import spoken

PACE: Final = "slow 0.2 drip 0.02"  # so that one sees it stream

TROUBLES: Final = (
    "fail",
    "fail mid-stream",
    "hang up",
    "truncate mid-stream",
    "refuse streaming",
    "html",
    "status 500",
    "die",
    "unauthorized",
)


class Offer(NamedTuple):
    """One agent of the demo: what settings want to know (`…__URL`, `…__KIND`), and what people do."""

    url: str
    kind: str
    does: str


SHOWN: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "default": ("Speaks Responses, as mlflow's AgentServer does", {"always": PACE}),
    "chat": ("Streams chat completion chunks, and takes either shape", {"kind": "chat", "always": PACE}),
    "unary": ("Never streams: the sidecar makes a stream of its answer", {"always": "slow 1 unary"}),
    "guarded": (
        "A guardrail refuses its streams: the sidecar asks again",
        {"always": "slow 0.5 refuse streaming"},
    ),
    "sleepy": (
        "Sleeps until it is asked, then takes five seconds to start",
        {"always": f"cold start 5 {PACE}"},
    ),
    "apx": ("Made with apx, whose streams are told as Responses", {"kind": "apx", "always": PACE}),
    "builder": ("A builder app, whose windows of two seconds come as one stream", {"kind": "builder"}),
    "calculator": ("Speaks A2A 1.0: `Add 15 and 27`", {"kind": "a2a"}),
    "tools": ("An MCP server, for MCP clients: /agents/tools/mcp at egress; takes no chats", {"kind": "mcp"}),
    "whoami": ("Tells which identity headers reach an agent", {"always": f"whoami {PACE}"}),
    "troubled": ("Goes wrong each time in another way", {"always": PACE, "turns": cycle(TROUBLES)}),
}


OTHERS: Final[dict[str, Callable[[], AbstractAsyncContextManager[Any]]]] = {
    "mcp": mcp.server,
    "a2a": partial(a2a, "1.0", "calculator"),
    "builder": partial(builder, window=2.0, pace=0.4),
}


@asynccontextmanager
async def agents() -> AsyncIterator[dict[str, Offer]]:
    """Starts them in the running loop; name → offer, `default` first. They end with the block."""
    async with AsyncExitStack() as stack:
        offers = {}
        for name, (does, how) in SHOWN.items():
            kind = how.get("kind", "responses")
            started = OTHERS[kind]() if kind in OTHERS else agent(**how)
            one = await stack.enter_async_context(started)
            offers[name] = Offer(one.url, kind if kind in KINDS else "responses", does)
        yield offers


@asynccontextmanager
async def staged(settings: Settings) -> AsyncIterator[Settings]:
    """These settings with the demo's agents beside those that they name; what they name wins."""
    async with agents() as offers:
        shown = {
            name: AgentBlock(url=offer.url, kind=offer.kind, auth="none") for name, offer in offers.items()
        }
        yield settings.model_copy(update={"agents": shown | settings.agents})


def guide(settings: Settings) -> Guide:
    """What the chat page tells of them; an agent that the settings name is somebody else's."""
    return Guide({name: does for name, (does, _) in SHOWN.items() if name not in settings.agents}, spoken())
