"""The process: puts the owners, the chains and the doors together, opens them in order and closes them in order."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from middleware.credentials import OURS
from middleware.dialects.dialect import Dialect
from middleware.dialects.spoken import spoken
from middleware.exchange import Handler, Headers, headers
from middleware.kit import Kit
from policies.agent import Agent, Door
from policies.headers import outbound
from policies.secret import Secret
from sidecar import memory, plugins, trust
from sidecar.admin import Admin, nothing
from sidecar.agents import Snapshot, notices, snapshot
from sidecar.answer import Patience
from sidecar.asking import Asking
from sidecar.behind import Frontend
from sidecar.chains import BUILT_IN, chains
from sidecar.child.beside import Beside
from sidecar.doors import Listener
from sidecar.edge import Edge
from sidecar.finding import by_reach, registry
from sidecar.frontend import Relays, relays
from sidecar.keepers import belief, is_loopback, keepers, places
from sidecar.lifetime import Lifetime
from sidecar.pages import NO_GUIDE, Guide, pages
from sidecar.played import player
from sidecar.settings import Settings
from sidecar.start import block
from sidecar.sweep import Sweep
from sidecar.telemetry import Log, Telemetry
from sidecar.tokens import configured
from sidecar.tokens.source import Tokens
from sidecar.wire import Limits, Wire

# By which doors and paths agents are called as a rule: these series are there before the first call.
USUAL: Final = (("front", "/api/chat"), ("egress", "/agents/{agent}/invocations"))


class Sidecar:
    """One process. `await start()` returns when every door accepts; `await stop()` when every socket is closed."""

    def __init__(
        self, settings: Settings, *, guide: Guide = NO_GUIDE, reach: int = 0, beside: Sequence[str] = ()
    ) -> None:
        """What the chat page tells of the demo, how many ports further a door may go, and the command of `run`."""
        self.settings = settings
        trust.believe(settings.authorities)
        self.guide, self.reach = guide, reach
        self.lifetime = Lifetime()
        self.agents: Snapshot = snapshot(settings)
        self.sweep = Sweep()
        self.tokens = Tokens(configured.credentials(settings, self.agents))
        self.frontend: Frontend | None = None
        if beside:
            self.frontend = Frontend("", "starting")
        elif settings.frontend_url:
            self.frontend = Frontend(settings.frontend_url)
        self.telemetry = Telemetry(Log(settings.log), self.agents, tokens=self.tokens, frontend=self.frontend)
        self.stack = AsyncExitStack()
        self.listeners: dict[Door, Listener] = {}
        self.relays: Relays | None = None
        self.player = player(settings, self.tokens)
        self.beside: Beside | None = None
        if beside and self.frontend:
            self.beside = Beside(beside, settings, self.frontend, self.lifetime, self.telemetry)

    async def start(self) -> None:
        """Doors open in the order admin, egress, front: a front that accepts means that all do."""
        settings, telemetry = self.settings, self.telemetry
        try:
            self.stack.callback(telemetry.close)
            telemetry.hide(*secrets(settings))
            telemetry.expect([agent.name for agent in self.agents], USUAL)
            self.sweep.items.add(Flushing(telemetry))
            self.sweep.start()
            self.stack.callback(self.sweep.stop)
            self.stack.push_async_callback(self.tokens.aclose)
            dialects = spoken(settings.errors, origins=settings.uc_origins, recorder=telemetry)
            terminals = {name: dialect.terminal for name, dialect in dialects.items()}
            wire = Wire(limits(settings), self.sweep, terminals, telemetry, proxied=proxied())
            self.stack.push_async_callback(wire.close)
            handler: Handler = wire
            if settings.uc_discovery:
                outside = Wire(
                    limits(settings), self.sweep, terminals, telemetry, proxied=proxied(), public=True
                )
                self.stack.push_async_callback(outside.close)
                handler = by_reach(wire, outside)
            self.registry = registry(
                settings, self.agents, self.tokens, handler, telemetry, self.warn, self.stack
            )
            self.edge = self._edge(handler, dialects)
            if self.frontend:
                self.relays = self._relays(self.frontend)
            await self._open()
            self.tokens.start()
            if self.beside:
                egress, front = self.listeners["egress"], self.listeners["front"]
                await self.beside.start(egress.from_here, front.port, self.agents, self.sweep)
        except BaseException:
            await self.stack.aclose()
            raise
        memory.settle()

    def _edge(self, wire: Handler, dialects: Mapping[str, Dialect]) -> Edge:
        settings = self.settings
        found, _ = plugins.plugins(settings.middleware, BUILT_IN)

        def kit(plugin: plugins.Plugin) -> Kit:
            env = plugins.own(plugin.name, settings.plugin_env)
            return Kit(env, self.registry, self.telemetry, sent_to, self.stack)

        for_chats, for_relays = chains(
            settings,
            wire,
            recorder=self.telemetry,
            tokens=self.tokens,
            dialects=dialects,
            plugins=found,
            kit=kit,
        )
        return Edge(
            chat=for_chats,
            relay=for_relays,
            asking=Asking(
                self.registry, self.sweep, max_body=settings.max_body, body_timeout=settings.body_timeout
            ),
            dialects=dialects,
            telemetry=self.telemetry,
            sweep=self.sweep,
            patience=Patience(settings.commit_after, settings.keepalive, settings.write_timeout),
            in_hand=self.in_hand,
            inspected=settings.inspect,
        )

    def _relays(self, frontend: Frontend) -> Relays:
        settings = self.settings
        patient = limits(settings)._replace(
            first_byte=settings.frontend_timeout, gap=settings.frontend_timeout
        )
        wire = Wire(patient, self.sweep, {}, self.telemetry)
        self.stack.push_async_callback(wire.close)
        return relays(
            frontend,
            wire,
            self.edge,
            Asking(self.registry, self.sweep, max_body=settings.max_body, body_timeout=settings.body_timeout),
            errors=settings.errors,
            draining=lambda: self.lifetime.draining,
            played=self.player is not None,
            workspace=settings.workspace_id,
        )

    def in_hand(self, agent: Agent) -> bool:
        """Whether this agent's credential is at hand, or it needs none of ours."""
        return agent.auth not in OURS or self.tokens.ready(agent) is not None

    async def _open(self) -> None:
        settings = self.settings
        admin = Admin(
            self.telemetry,
            self.registry,
            self.troubles,
            look=self.frontend.look if self.frontend else nothing,
            public=not is_loopback(settings.admin_host),
        )
        kept = keepers(
            settings,
            self.edge,
            self.telemetry,
            self.registry,
            admin=admin,
            address=lambda door: self.listeners[door].address,
            pages=pages(settings, self.registry, self.telemetry, self.guide),
            app=self.relays,
            player=self.player,
        )
        for door, (host, port) in places(settings).items():
            listener = Listener(
                door,
                host,
                port,
                kept[door],
                malformed=self.malformed,
                sweep=self.sweep,
                head_timeout=settings.head_timeout,
                warn=self.warn,
                reach=self.reach,
            )
            await listener.open()
            self.stack.push_async_callback(listener.close)
            self.listeners[door] = listener

    def malformed(self, door: Door, code: str, error: BaseException | None) -> None:
        """Somebody sent what is no HTTP (counted; one log line a second), or a handler of ours broke."""
        if error is not None:
            self.telemetry.broke(error)
        else:
            self.telemetry.malformed(door, code)

    def warn(self, sentence: str) -> None:
        self.telemetry.say("warning", sentence)

    def troubles(self) -> list[str]:
        """Why we are not ready, a sentence each; empty is ready."""
        found = ["draining: the process has been asked to stop"] if self.lifetime.draining else []
        if not len(self.agents) and not self.settings.uc_discovery:
            found.append("no agent is configured: AGENT_APP_URL is not set")
        if self.frontend and (trouble := self.frontend.trouble()):
            found.append(trouble)
        return found + self.tokens.troubles()

    def announcement(self, command: str) -> str:
        """The block that is printed at start."""
        doors: tuple[Door, ...] = ("front", "egress")
        beliefs = {door: belief(self.settings, door) for door in doors}
        moved = (
            f"port {listener.moved_from} is taken: the {door} door listens on {listener.port}"
            for door, listener in self.listeners.items()
            if listener.moved_from
        )
        changed = self.beside.notices if self.beside else ()
        notes = (*moved, *changed, *self.settings.notices, *notices(self.agents))
        addresses = {door: listener.address for door, listener in self.listeners.items()}
        frontend = ""
        if self.frontend:
            frontend = f"{self.beside.name if self.beside else 'the app'} at {self.frontend.url}"
        return block(command, self.settings, addresses, beliefs, self.agents, notes, frontend)

    async def stop(self) -> int:
        """In order, as after a signal; then everything that was opened is closed, the last first: the exit code."""
        self.lifetime.draining = True
        alone = self.beside is not None and self.beside.hopeless
        await self.lifetime.end(self.listeners["front"], self.edge, self.relays, alone=alone)
        code = await self.beside.stop() if self.beside else 0
        await self.stack.aclose()
        return code

    async def serve(self) -> int:
        """Until a signal asks us to stop, or the app beside us ends."""
        await self.lifetime.asked()
        self.telemetry.say("info", "draining")
        code = await self.stop()
        self.telemetry.say("info", "stopped")
        self.telemetry.close()
        return code


class Flushing:
    """Writes the log lines that wait, with the sweep."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry

    def tick(self, now: float) -> None:
        self.telemetry.flush()


def sent_to(agent: Agent) -> Headers:
    """The headers with which a call to this agent would leave, credentials and identity aside."""
    return headers(*outbound(headers(("content-type", "application/json")), agent.headers))


def secrets(settings: Settings) -> list[Secret]:
    """Every secret that was given in a variable: none of them may come out, whatever breaks."""
    blocks = (secret for block in settings.agents.values() for secret in (block.token, block.client_secret))
    keys = plugins.secrets(settings.plugin_env)
    given = (settings.client_secret, settings.workspace_token, settings.egress_secret, *blocks, *keys)
    return [secret for secret in given if secret]


def limits(settings: Settings) -> Limits:
    times = settings.timeouts
    return Limits(
        *(times.connect, times.first_byte, times.gap, times.total, settings.max_answer),
        stall=settings.write_timeout,
        ping=settings.websocket_ping,
    )


def proxied() -> bool:
    """Whether the environment names a proxy for https; agents are reached without it."""
    return any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy"))
