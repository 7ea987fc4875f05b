"""The innermost handler: one HTTP exchange with an agent over connections of our own, never repeated here."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final

from middleware.exchange import Body, Call, Reply
from middleware.observe import Recorder
from policies.outcome import of_leaving
from policies.refusal import Refusal
from sidecar import trust
from sidecar.sweep import Sweep
from sidecar.wire import request, upload
from sidecar.wire.connect import Way
from sidecar.wire.exchange import Exchange, Limits, Setting
from sidecar.wire.faults import Fault, told
from sidecar.wire.origin import Origin, place
from sidecar.wire.pool import Pool
from sidecar.wire.upgrade import Upgrading, upgrading

PLACES: Final = 1024  # that are remembered of agents which nobody here has configured
Place = tuple[Pool, str, str]  # connections, base path, Host


class Wire:
    """Satisfies `Handler`. Of every attempt is told what was sent, and what became of it.

    `terminals`: what proves a stream whole, by the agent's kind. `tls`: whom https agents are believed by.
    `proxied`: whether the environment names a proxy, which is not used here and said where that may be why.
    `public`: only addresses that everybody can reach are connected to, since somebody else named them.
    """

    def __init__(
        self,
        limits: Limits,
        sweep: Sweep,
        terminals: Mapping[str, tuple[bytes, ...]],
        recorder: Recorder,
        *,
        tls: Callable[[], ssl.SSLContext] = trust.context,
        proxied: bool = False,
        public: bool = False,
    ) -> None:
        self.pools: dict[Origin, Pool] = {}
        self._setting: Final = Setting(limits, sweep, terminals, proxied=proxied)
        self._recorder, self._tls, self._public = recorder, tls, public
        self._places: dict[str, Place] = {}

    async def __call__(self, call: Call) -> Reply:
        agent, _, _, method, target, headers, body, wants_stream, _ = call
        pool, path, authority = self._places.get(agent.url) or self._place(call)
        framing = request.length(method, len(body.raw)) if isinstance(body, Body) else upload.framing(body)
        head = request.head(method, path + target, authority, headers, framing)
        if wants_stream is None and "upgrade" in headers and not framing:
            exchange: Exchange = Upgrading(self._setting, call, pool)
            head = upgrading(head)
        else:
            exchange = Exchange(self._setting, call, pool)
        result = "internal_error"
        try:
            connection = pool.ready()
            reused = connection is not None
            if connection is None:
                connection = await pool.opened()
            reply = await exchange.ask(connection, head, reused=reused)
            result = "answered"
            return reply
        except Fault as fault:
            refused = told(fault, agent, "none", proxied=self._setting.proxied)
            result = refused.code
            raise refused from fault
        except Refusal as refusal:
            result = refusal.code
            raise
        except BaseException as error:
            exchange.abort()
            if isinstance(error, asyncio.CancelledError):
                result = of_leaving(error)
            raise
        finally:
            self._recorder.attempted(call, exchange.sent, result)

    def _place(self, call: Call) -> Place:
        """Where this agent is, and its connections: agents at one origin share them."""
        try:
            origin, path = place(call.agent.url)
        except ValueError as error:
            raise told(Fault("agent_unreachable", str(error)), call.agent, "none") from None
        if (pool := self.pools.get(origin)) is None:
            if self._public:
                self._forget()
            pool = self.pools[origin] = Pool(
                Way(origin, self._tls, public=self._public), self._setting.limits.connect
            )
            self._setting.sweep.items.add(pool)
        found = self._places[call.agent.url] = (pool, path, origin.authority)
        return found

    def _forget(self) -> None:
        """Of too many places that somebody else named, those where nothing is open: nobody can fill the process."""
        if len(self._places) >= PLACES:
            self._places.clear()
            for origin in [origin for origin, pool in self.pools.items() if not pool.open]:
                self._setting.sweep.items.discard(self.pools.pop(origin))

    async def close(self) -> None:
        """Abort every connection; returns when their sockets are closed."""
        for pool in self.pools.values():
            self._setting.sweep.items.discard(pool)
            await pool.close()
