"""A request that asks for a WebSocket: a 101 is its answer only where it was asked for, and is handed over."""

from typing import Final

from middleware.exchange import Call, Headers, Near, Reply
from middleware.watch import Watch
from policies.agent import FRONTEND
from policies.outcome import Ending
from sidecar.tunnel import Passage
from sidecar.wire.arriving import NEVER, Arriving
from sidecar.wire.connection import Connection
from sidecar.wire.exchange import Exchange, Setting
from sidecar.wire.faults import OF_THE_FRONTEND, Fault, Malformed, told
from sidecar.wire.pool import Pool
from sidecar.wire.reading import Reading

PROTOCOL: Final = "websocket"
ASKED: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def upgrading(head: bytes) -> bytes:
    """The head of a request without a body, which asks for it too."""
    return head[:-2] + ASKED


class Upgraded(Reading):
    """An answer that may be a 101, if it agrees to what was asked for. What follows it is read until the end."""

    __slots__ = ()

    def _switched(self, headers: Headers) -> bool:
        agreed = [value.strip().lower() for value in ",".join(headers.getall("Upgrade", ())).split(",")]
        if agreed != [PROTOCOL]:
            raise Malformed("101 to another protocol than was asked for")
        self.headers, self.kind, self.status = headers, "eof", 101
        return True


def of_the_frontend(ending: Ending) -> Ending:
    return OF_THE_FRONTEND[ending][0] if ending in OF_THE_FRONTEND else ending


class Opening(Arriving):
    """Satisfies `Tunnel`: the agent's side, from which nothing more is read until the caller's side is joined."""

    __slots__ = ("_exchange", "_passage", "_setting")

    def __init__(self, exchange: "Upgrading", setting: Setting) -> None:
        super().__init__(exchange, Watch())
        self._exchange, self._setting = exchange, setting
        self._passage: Passage | None = None

    @property
    def taken(self) -> int:
        return 0 if self._passage is None else self._passage.near.passed

    @property
    def given(self) -> int:
        return 0 if self._passage is None else self._passage.far.passed

    async def join(self, near: Near, head: bytes) -> Ending:
        connection = self._exchange.handed_over()
        if connection is None:
            raise self._error or told(Fault("agent_broke_off"), self._exchange.agent, "full")
        setting = self._setting
        self._passage = Passage(setting.tunnels, setting.sweep, near, connection.transport, connection)
        ending = await self._passage.run(head, self._held)
        return of_the_frontend(ending) if self._exchange.agent.kind == FRONTEND else ending

    def drain(self) -> None:
        if self._passage is not None:
            self._passage.drain()


class Upgrading(Exchange):
    """Any other answer than 101 is handed on like every relay's."""

    __slots__ = ()

    def __init__(self, setting: Setting, call: Call, pool: Pool) -> None:
        super().__init__(setting, call, pool)
        self._reading = Upgraded(call.method)

    def _began(self) -> None:
        head = self._reading
        if head.status != 101 or self._connection is None:
            super()._began()
            return
        self._connection.flow(False)
        self.at = NEVER
        self._arriving = opening = Opening(self, self._setting)
        self._answer(Reply(101, head.headers, opening, self.close))

    def handed_over(self) -> Connection | None:
        """The connection, which is no longer ours; None where it is gone."""
        self._arriving = None
        return self._release()
