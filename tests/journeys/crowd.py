"""A crowd before one sidecar: 200 users, each with an identity of its own, and agents that go wrong in every way.

Each question carries a number in its text and in its id, so that whatever reaches an agent (a second try, a
question whether it is awake) and whatever comes back tells whose it must be. All dice have one seed.
"""

import asyncio
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch
from uuid import UUID

import aiohttp

from policies.credentials import Grant
from policies.faults import Fault
from policies.header_table import IDENTITY
from policies.secret import Secret
from sidecar import settings, sim
from sidecar.app import Sidecar
from sidecar.sim.visits import Series, Visit
from sidecar.tokens import helper
from sidecar.tokens.credential import Credential
from sidecar.tokens.keeper import Clock
from sidecar.tokens.source import Tokens

Asking = AbstractAsyncContextManager[aiohttp.ClientResponse]

USERS: Final = 200
FASTER: Final = 50  # how much faster than time the life of a bearer passes

# What becomes of a question, and how many of a hundred it befalls; the words are the stand-in agents'.
FATES: Final = {
    "": 50,
    "slow 0.01": 12,
    "slow 0.04": 4,
    "drip 0.002": 4,
    "unary": 4,
    "refuse streaming": 6,
    "unauthorized": 4,
    "fail mid-stream": 3,
    "die": 3,
    "die mid-stream": 3,
    "truncate mid-stream": 3,
    "status 429": 4,
}
LEAVES: Final = 0.06  # the part of all callers who do not wait for the end
# agent: how it is called
AGENTS: Final = {
    "default": {"AUTH": "app"},
    "filed": {"AUTH": "static"},
    "own": {"AUTH": "user"},
    "stranger": {"AUTH": "app", "TRUSTED": "false"},
    "sleepy": {"AUTH": "app"},
}
SECRETS: Final = ("Bearer ", "app-", "filed-", "eyJ.", "session=", "never-used-here")
MARK: Final = re.compile(r"\bu\d+q\d+\b")


class User(NamedTuple):
    """Every tenth has no token, and every tenth is nobody at all."""

    number: int

    @property
    def email(self) -> str | None:
        return f"user-{self.number}@example.org" if self.number % 10 != 1 else None

    @property
    def token(self) -> str | None:
        return f"eyJ.user-{self.number}.{self.number * 7919:x}_-~" if self.number % 10 > 1 else None

    @property
    def headers(self) -> dict[str, str]:
        """As the platform's proxy says who calls, and what the browser brought along besides."""
        told = {"x-forwarded-access-token": self.token, "x-forwarded-email": self.email}
        own = {"Cookie": f"session={self.number}", "Authorization": f"Bearer own-{self.number}"}
        return {name: value for name, value in told.items() if value} | own


class Question(NamedTuple):
    user: User
    number: int
    agent: str

    @property
    def mark(self) -> str:
        return f"u{self.user.number}q{self.number}"

    @property
    def id(self) -> str:
        return str(UUID(int=self.number))

    def identity(self) -> dict[str, list[str]]:
        """What of the user its agent has to be told: exactly this."""
        user, told = self.user, self.agent != "stranger"
        right = {"x-forwarded-access-token": user.token, "x-app-user-email": user.email}
        return {name: [value] for name, value in right.items() if value and told}


class Issuer:
    """Gives out the app's bearers: numbered; slowly, failing now and then, and good until it is revoked."""

    def __init__(self, dice: random.Random, file: Path) -> None:
        self.dice, self.file = dice, file
        self.issued: list[str] = []
        self.dead = 0
        self.turns = 0
        self.turn()

    async def fetch(self, credential: Credential) -> Grant | Fault:
        if credential.static:
            return await helper.fetch(credential, 1.0)
        await asyncio.sleep(self.dice.uniform(0, 0.02))
        if self.dice.random() < 0.1:
            return Fault("timeout")
        self.issued.append(f"app-{len(self.issued)}")
        return Grant(Secret(f"Bearer {self.issued[-1]}"), self.dice.uniform(20, 120))

    @property
    def given(self) -> int:
        """Bearers, of both kinds, in all."""
        return len(self.issued) + self.turns

    def accepts(self, token: str) -> bool:
        return token in self.issued[self.dead :]

    def revoke(self) -> None:
        self.dead = len(self.issued)

    def turn(self) -> None:
        """Another token is in the file now, and the old one is not accepted any longer."""
        self.turns += 1
        self.file.write_text(f"filed-{self.turns}")

    def accepts_filed(self, token: str) -> bool:
        return token == f"filed-{self.turns}"


class Crowd:
    """What was asked, and what came of it."""

    def __init__(
        self, app: Sidecar, agents: dict[str, sim.Agent], issuer: Issuer, dice: random.Random
    ) -> None:
        self.app, self.agents, self.issuer, self.dice = app, agents, issuer, dice
        self.questions: dict[str, Question] = {}  # by id
        self.asked = 0
        self.before = 0  # bearers that were given out before what is being looked at
        self.ends: Counter[str] = Counter()  # statuses, `left`

    async def asks(self, questions: int) -> None:
        """All users at once, each one question after the other, while bearers die and an agent falls asleep."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            unrest = asyncio.create_task(self._unrest())
            try:
                async with asyncio.TaskGroup() as users:
                    for number in range(USERS):
                        users.create_task(self._user(http, User(number), questions // USERS))
            finally:
                unrest.cancel()
                with suppress(asyncio.CancelledError):
                    await unrest
        async with asyncio.timeout(10):
            await self.app.edge.idle.wait()

    async def _user(self, http: aiohttp.ClientSession, user: User, questions: int) -> None:
        for _ in range(questions):
            self.asked += 1
            question = Question(user, self.asked, self.dice.choice(list(AGENTS)))
            self.questions[question.id] = question
            patience = self.dice.uniform(0, 0.03) if self.dice.random() < LEAVES else 30
            try:
                async with asyncio.timeout(patience):
                    await self._ask(http, question)
            except TimeoutError:
                assert patience < 30, f"{question} was never answered"
                self.ends["left"] += 1

    async def _ask(self, http: aiohttp.ClientSession, question: Question) -> None:
        async with self._asking(http, question) as answer:
            assert answer.headers["x-request-id"].removesuffix(".2") == question.id
            self.ends[str(answer.status)] += 1
            with suppress(aiohttp.ClientPayloadError):  # broken off, as it has to be
                text = (await answer.read()).decode()
                strays = set(MARK.findall(text)) - {question.mark}
                assert not strays, f"{question} was answered with {strays}"
                found = [secret for secret in SECRETS if secret in text]
                assert not found, f"{question} was answered with {found}"

    def _asking(self, http: aiohttp.ClientSession, question: Question) -> Asking:
        dice, agent = self.dice, question.agent
        front, egress = (self.app.listeners[door].address for door in ("front", "egress"))
        headers = question.user.headers | {"x-request-id": question.id}
        if (what := dice.random()) < 0.08:
            return http.get(f"{egress}/agents/{agent}/health", headers=headers)
        if what < 0.12:
            return http.post(f"{egress}/agents/{agent}/feedback", headers=headers, json={"on": question.mark})
        path = dice.choice([f"{front}/api/chat/{agent}", f"{egress}/agents/{agent}/invocations"])
        fate = dice.choices(list(FATES), list(FATES.values()))[0]
        said = [{"role": "user", "content": f"{question.mark} {fate}"}]
        return http.post(path, headers=headers, json={"input": said, "stream": dice.random() < 0.6})

    async def _unrest(self) -> None:
        sleepy = self.agents["sleepy"]
        while True:
            for trouble in (self.issuer.revoke, self.issuer.turn, partial(sleepy.sleep, 0.2), self._restart):
                await asyncio.sleep(self.dice.uniform(0.05, 0.25))
                if (lasting := trouble()) is not None:
                    await lasting

    async def _restart(self) -> None:
        port = self.agents["sleepy"].port
        await port.close()
        try:
            await asyncio.sleep(0.2)
        finally:
            await port.open()

    # --- what has to be true ------------------------------------------------------------------------------

    @property
    def visits(self) -> Iterator[tuple[str, Visit]]:
        """Whatever reached an agent, with the agent's name."""
        return ((name, visit) for name, agent in self.agents.items() for visit in agent.visits)

    def strays(self) -> list[str]:
        """Every request that reached an agent and was not exactly its own user's; empty is good."""
        return [
            f"{name}: {visit.method} {visit.target} {why}"
            for name, visit in self.visits
            if (why := self._stray(name, visit))
        ]

    def _stray(self, name: str, visit: Visit) -> str:
        question = self.questions.get(visit.headers["x-request-id"])
        if question is None or question.agent != name:
            return f"is nobody's here: {question}"
        if marks := set(MARK.findall(visit.body.decode())) - {question.mark}:
            return f"of {question.mark} brought the words of {marks}"
        sent = {key: visit.headers.getall(key) for key in (*IDENTITY, "cookie") if key in visit.headers}
        if sent != question.identity():
            return f"of {question.user} brought {sent}"
        match visit.headers.getall("authorization", []):
            case [bearer] if self._right(question, bearer):
                return ""
            case bearers:
                return f"of {question.user} brought {bearers}"

    def _right(self, question: Question, bearer: str) -> bool:
        match AGENTS[question.agent]["AUTH"]:
            case "user":
                return question.user.token is not None and bearer == f"Bearer {question.user.token}"
            case "static":
                return re.fullmatch(r"Bearer filed-\d+", bearer) is not None
        return bearer.removeprefix("Bearer ") in self.issuer.issued

    def twice(self) -> list[str]:
        """Every question on which an agent worked more than once; empty is good."""
        ran = Counter(visit.headers["x-request-id"] for _, visit in self.visits if visit.ran)
        return [f"{self.questions[id].mark}: {times} times" for id, times in ran.items() if times > 1]

    def happened(self) -> Counter[str]:
        """How often each thing happened at which identities could be mixed up."""
        bearers: dict[str, set[str]] = defaultdict(set)
        for _, visit in self.visits:
            bearers[visit.headers["x-request-id"]].add(visit.headers["authorization"])
        return self.ends + Counter(
            visits=sum(1 for _ in self.visits),
            guarded=sum(b"refuse streaming" in visit.body for _, visit in self.visits),
            replayed=sum(len(several) > 1 for several in bearers.values()),
            awaited=sum(visit.target == "/agent/info" for _, visit in self.visits),
            refreshed=self.issuer.given - self.before,
        )

    def forget(self) -> None:
        """Let go of what happened so far, once it has been looked at."""
        self.questions.clear()
        self.ends.clear()
        self.before = self.issuer.given
        for agent in self.agents.values():
            agent.visits = Series()
            agent.leavings = Series()


@asynccontextmanager
async def crowd(folder: Path, seed: int) -> AsyncIterator[Crowd]:
    """A sidecar on the platform with five agents behind it; a crowd is before it."""
    dice = random.Random(seed)
    issuer = Issuer(dice, folder / "token")
    clock = Clock(
        lambda: time.monotonic() * FASTER, time.time, lambda seconds: asyncio.sleep(seconds / FASTER)
    )
    accepts: dict[str, Callable[[str], bool]] = {
        "filed": issuer.accepts_filed,
        "own": lambda token: token.startswith("eyJ.user-"),
    }
    async with AsyncExitStack() as stack:
        agents = {
            name: await stack.enter_async_context(sim.agent(bearer=accepts.get(name, issuer.accepts)))
            for name in AGENTS
        }
        environ = {f"SIDECAR_{door}PORT": "0" for door in ("", "EGRESS_", "ADMIN_")} | {
            "DATABRICKS_HOST": "https://workspace.example.org",
            "DATABRICKS_CLIENT_ID": "app",
            "DATABRICKS_CLIENT_SECRET": "never-used-here",
            "SIDECAR_PLATFORM": "on",
            "SIDECAR_HOST": "127.0.0.1",
            "SIDECAR_LOG": "warning",
            "SIDECAR_WAITING": "1000",
            "SIDECAR_AGENTS__FILED__TOKEN_FILE": str(issuer.file),
        }
        for name, how in AGENTS.items():
            block = {"URL": agents[name].url, **how}
            environ |= {f"SIDECAR_AGENTS__{name.upper()}__{key}": value for key, value in block.items()}
        stack.enter_context(patch("sidecar.app.Tokens", partial(Tokens, fetch=issuer.fetch, clock=clock)))
        stack.enter_context(patch("policies.retry.EVERY", 0.05))
        app = Sidecar(settings.load(environ))
        await app.start()
        stack.push_async_callback(app.stack.aclose)
        yield Crowd(app, agents, issuer, dice)
