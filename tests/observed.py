"""A telemetry whose clock stands still, whose log is a pipe, and calls to tell it of."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from middleware.exchange import Body, Call, Headers, Reply, headers
from policies.agent import Agent, Caller
from policies.secret import Secret
from sidecar.telemetry import Log, Record, Telemetry

WEATHER = Agent(
    "weather", "http://127.0.0.1:9100", auth="app", trusted=True, why_trusted="It is on loopback."
)
BOB = Caller("egress", True, "bob", "bob@example.org", Secret("bobs-own-token"))
CARRIED = headers(
    ("authorization", "Bearer canary-bearer"),
    ("x-forwarded-access-token", "canary-token"),
    ("x-app-user-email", "bob@example.org"),
    ("x-request-id", "canary-not-really"),
)


class Agents(dict[str, Agent]):
    def __init__(self, *agents: Agent) -> None:
        super().__init__((agent.name, agent) for agent in agents)

    def __iter__(self) -> Iterator[Agent]:  # type: ignore[override]
        return iter(self.values())


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Observed:
    """`telemetry`, and what it has written so far."""

    def __init__(self, reader: int, writer: int, level: str, plain: bool, *agents: Agent) -> None:
        self.reader = reader
        self.clock = Clock()
        self.log = Log(level, fd=writer, plain=plain, now=lambda: 1_700_000_000.0625)
        self.agents = Agents(*agents)
        self.telemetry = Telemetry(self.log, self.agents, clock=self.clock, now=lambda: 1_700_000_000.0625)

    def begin(self, request_id: str = "id-1", door: str = "egress", route: str = "/api/chat") -> Record:
        return self.telemetry.begin(request_id, door, route, "POST")

    def written(self) -> bytes:
        """What was written since the last look."""
        self.telemetry.flush()
        parts = []
        while True:
            try:
                parts.append(os.read(self.reader, 1 << 16))
            except BlockingIOError:
                return b"".join(parts)

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.written().splitlines()]

    async def samples(self) -> dict[str, float]:
        """Every series of the exposition: `name{labels}` → value."""
        body, _ = await self.telemetry.metrics()
        rows = (line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}


@contextmanager
def observed(
    level: str = "info", *, plain: bool = False, agents: tuple[Agent, ...] = (WEATHER,)
) -> Iterator[Observed]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        yield Observed(reader, writer, level, plain, *agents)
    finally:
        os.close(reader)
        os.close(writer)


def a_call(request_id: str = "id-1", **more: Any) -> Call:
    """Bob asks the weather agent something, with everything on him that must not be told."""
    facts = {
        "agent": WEATHER,
        "caller": BOB,
        "dialect": "chat",
        "method": "POST",
        "target": "/invocations?key=canary-query",
        "headers": CARRIED,
        "body": Body(b'{"input":"canary-words"}'),
        "wants_stream": True,
        "request_id": request_id,
    }
    return Call(**(facts | more))


def a_reply(status: int = 200, **more: Headers) -> Reply:
    return Reply(status, more.get("headers", headers()), Body(b'{"output":"canary-answer"}'))
