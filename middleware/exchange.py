"""The five nouns of the chain: a call goes in, a reply comes out, and whoever does not hand it on closes it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple, Protocol, cast, runtime_checkable

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.body import EMPTY as EMPTY
from middleware.body import Body as Body
from middleware.sse import Event
from middleware.watch import Watch
from policies.agent import Agent, Caller
from policies.outcome import Ending

Headers = CIMultiDictProxy[str]
Pairs = list[tuple[str, str]]
Close = Callable[[Ending], Awaitable[None]]


def headers(*pairs: tuple[str, str]) -> Headers:
    """An immutable multi-map of header names (any case) to values."""
    return CIMultiDictProxy(CIMultiDict(pairs))


NO_HEADERS: Headers = headers()


@runtime_checkable
class Upload(Protocol):
    """A request body that is read once and never sent twice. Only relays carry it."""

    length: int | None

    def chunks(self) -> AsyncIterator[bytes]: ...


class Sink(Protocol):
    """Where the bytes of an answer go: the edge's side of one connection."""

    def feed(self, chunk: bytes) -> bool:
        """Take them now; whether there is room for more. ConnectionError where the caller is gone."""

    async def room(self) -> None:
        """Wait until there is room."""

    async def write(self, chunk: bytes) -> None:
        """Feed, and wait for room."""


@runtime_checkable
class Stream(Protocol):
    """An answer that is still arriving. Read once, by one of the last three."""

    watch: Watch

    async def head(self) -> bytes:
        """The first frame (or 4 KiB, or all there is), held, not consumed."""

    def events(self) -> AsyncIterator[Event]: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def pump(self, sink: Sink) -> None:
        """Write everything to the sink as it arrives. Only the edge calls this, if nobody touched the stream."""


class Near(Protocol):
    """The caller's side of a connection that changes its protocol."""

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The transport itself, and what came behind the request. ConnectionError where the caller is gone."""

    def connection_lost(self, error: Exception | None) -> None:
        """To be told when that transport is gone."""


@runtime_checkable
class Tunnel(Stream, Protocol):
    """An answer 101 that was asked for: bytes pass both ways until one side ends. Only relays have one.

    It is a stream of what the agent sends, too; whoever reads it as one cannot join it any more.
    """

    taken: int  # bytes from the caller so far
    given: int  # bytes to the caller so far, the head aside

    async def join(self, near: Near, head: bytes) -> Ending:
        """Tell the caller this head, then pass bytes on until both sides are closed; how it ended.

        Once, and only by the edge. Refusal where the agent is gone before the head was told; where the task
        is cancelled both sides are cut.
        """

    def drain(self) -> None:
        """Say to both sides that the service restarts, and close. Returns at once; `join` does when it is done."""


class Call(NamedTuple):
    """One question on its way to an agent. Immutable, compared by value.

    `target` is the raw path and query behind the agent's prefix; `wants_stream` is None for a relay, whose
    shape is not ours to say.
    """

    agent: Agent
    caller: Caller
    dialect: str
    method: str
    target: str
    headers: Headers
    body: Body | Upload
    wants_stream: bool | None
    request_id: str


async def nothing(_: Ending) -> None:
    """The close of a reply that holds nothing."""


class Reply(NamedTuple):
    """One answer. Whoever does not hand it on must close it; `_replace` keeps the close."""

    status: int
    headers: Headers
    body: Body | Stream | Tunnel
    close: Close = nothing


# The same from all values in a tuple, for what every call passes: a NamedTuple's own constructor is Python.
as_call: Final = cast(
    "Callable[[tuple[Agent, Caller, str, str, str, Headers, Body | Upload, bool | None, str]], Call]",
    partial(tuple.__new__, Call),
)
as_reply: Final = cast(
    "Callable[[tuple[int, Headers, Body | Stream | Tunnel, Close]], Reply]", partial(tuple.__new__, Reply)
)

Handler = Callable[[Call], Awaitable[Reply]]


class Middleware(Protocol):
    """`async def name(call, forward)`: look at the call, `await forward(call)`, look at the reply.

    What looks at the call alone may be a plain function that returns `forward(call)`: it costs no coroutine.
    """

    def __call__(self, call: Call, forward: Handler, /) -> Awaitable[Reply]: ...
