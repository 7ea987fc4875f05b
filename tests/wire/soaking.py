"""Minutes of everything that a connection can go through, on one real sidecar, whose memory is watched meanwhile."""

import asyncio
import logging
import os
import random
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
from journeys.process import Process, starting
from wire.hostile import serving
from wire.soaking_app import app
from wire.test_push import flooding
from wire.toxics import TOXICS, toxic

from sidecar import sim

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
SETTLES: Final = 120.0  # seconds in which memory may grow
WINDOW: Final = 30.0  # seconds, of which the least is looked at
GROWTH: Final = 1.0  # MiB from then on
MOST: Final = 64  # calls at once; where the machine is busy, they become fewer a second
PATIENCE: Final = 30  # seconds
SAID_EVERY: Final = 30.0
ALARMS: Final = (
    "unclosed",
    "never awaited",
    "never retrieved",
    "was destroyed",
    "Traceback",
    "ResourceWarning",
)
SETTINGS: Final = {
    "SIDECAR_FRONT_ROUTES": "/api/chat",
    "SIDECAR_LOG": "warning",
    "SIDECAR_WRITE_TIMEOUT": "2s",
    "SIDECAR_BODY_TIMEOUT": "2s",
    "SIDECAR_COMMIT_AFTER": "0.2s",
    "SIDECAR_TIMEOUTS__FIRST_BYTE": "2s",
    "SIDECAR_TIMEOUTS__GAP": "2s",
    "SIDECAR_TIMEOUTS__TOTAL": "5s",
    "PYTHONWARNINGS": "default",
}


class Fate(NamedTuple):
    """What a call goes through: words for the agent, whether it asks for a stream, and how its caller behaves.

    `ends` are the statuses that are right; `whole` answers have to be complete as well.
    """

    weight: float
    words: str = "hello"
    stream: bool = False
    caller: str = "reads"  # reads | leaves | stalls | uploads; at the app: visits | talks
    ends: tuple[int, ...] = (200,)
    whole: bool = True


FATES: Final = {
    "whole": Fate(30),
    "large": Fate(5, "big 256"),
    "stream": Fate(25, "drip 0.002", stream=True),
    "flood": Fate(5, "flood 2000", stream=True),
    "collected": Fate(3, "unary", stream=True),
    "upload": Fate(8, caller="uploads", ends=(200, 404, 405)),
    "left": Fate(8, "drip 0.05 long", stream=True, caller="leaves"),
    "left early": Fate(4, "slow 0.5", caller="leaves"),
    "stalled": Fate(0.5, caller="stalls"),
    "failed": Fate(3, "fail mid-stream", stream=True, whole=False),
    "truncated": Fate(3, "truncate mid-stream", stream=True, whole=False),
    "reset": Fate(3, "die", ends=(502,), whole=False),
    "page": Fate(6, caller="visits"),
    "socket": Fate(3, caller="talks"),
    "cut": Fate(3, "die mid-stream", stream=True, whole=False),
}
WHOLE: Final = ("large", "flood", "stalled", "page", "socket")  # not through a spoilt connection
SPOILT: Final = (200, 502, 504)  # what may become of a call on a connection that a toxic is on


class Soak:
    """One run. `wrong` is what must not have happened; empty is good."""

    def __init__(self, process: Process, http: aiohttp.ClientSession, dice: random.Random) -> None:
        self.process, self.http, self.dice = process, http, dice
        self.ended: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.memory: list[tuple[float, float]] = []  # seconds, MiB
        self.began = time.monotonic()
        self.agents = ["default", *(name.replace("_", "-") for name in TOXICS)]

    # --- what is looked at --------------------------------------------------------------------------------

    @property
    def proc(self) -> Path:
        return Path(f"/proc/{self.process.process.pid}")

    def resident(self) -> float:
        return int((self.proc / "statm").read_text().split()[1]) * PAGE / 2**20

    def descriptors(self) -> int:
        return len(list((self.proc / "fd").iterdir()))

    async def watch(self, say: Callable[[str], None]) -> None:
        said = 0.0
        while True:
            passed = time.monotonic() - self.began
            self.memory.append((passed, self.resident()))
            if passed - said >= SAID_EVERY:
                said = passed
                calls, last = self.ended.total(), self.memory[-1][1]
                say(f"{passed:5.0f} s  {calls:7} calls  {last:6.1f} MiB  {self.descriptors():4} descriptors")
            await asyncio.sleep(1)

    async def listen(self, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (line := (await stream.readline()).decode(errors="replace")):
            if any(alarm in line for alarm in ALARMS):
                self.wrong.append(f"it said: {line.strip()}")

    def growth(self) -> float | None:
        """MiB by which memory grew once it had settled, on the line that fits best; None where there was no time.

        The least of each half minute is looked at: what calls in flight take is given back.
        """
        windows: dict[int, tuple[float, float]] = {}
        for at, size in self.memory:
            if at >= SETTLES and size <= windows.setdefault(int(at / WINDOW), (at, size))[1]:
                windows[int(at / WINDOW)] = at, size
        times, sizes = [at for at, _ in windows.values()], [size for _, size in windows.values()]
        if len(times) < 3:
            return None
        return statistics.linear_regression(times, sizes).slope * (times[-1] - times[0])

    # --- what it goes through -----------------------------------------------------------------------------

    async def load(self, seconds: float, rate: float) -> None:
        """Calls that come one by one, for so long, so many a second.

        Until memory has settled they are twice as many: what it must hold at worst is asked of it first.
        """
        at_once = asyncio.Semaphore(MOST)
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as calls:
            while time.monotonic() < until and len(self.wrong) < 20:
                await at_once.acquire()
                calls.create_task(self.call()).add_done_callback(lambda _: at_once.release())
                settling = time.monotonic() - self.began < SETTLES
                await asyncio.sleep(self.dice.expovariate(rate * (2 if settling else 1)))

    async def call(self) -> None:
        name = self.dice.choices(list(FATES), [fate.weight for fate in FATES.values()])[0]
        fate = FATES[name]
        spoilt = self.dice.random() < 0.3 and name not in WHOLE
        agent = self.dice.choice(self.agents) if spoilt else "default"
        door = self.dice.choice([f"{self.process.doors['front']}/api/chat/{agent}", self.egress(agent)])
        try:
            async with asyncio.timeout(PATIENCE):
                match fate.caller:
                    case "stalls":
                        end = await self.stall()
                    case "visits":
                        end = await self.visit()
                    case "talks":
                        end = await self.talk()
                    case _:
                        end = await self.ask(door, agent, fate)
        except (aiohttp.ClientError, ConnectionError) as error:
            end = type(error).__name__
            if agent == "default" and fate.whole:
                self.wrong.append(f"{name}: {error!r}")
        except TimeoutError:
            end = "never answered"
            self.wrong.append(f"{name} at {agent}: no answer within {PATIENCE} s")
        self.ended[f"{name}: {end}" if agent == "default" else f"through {agent}: {end}"] += 1

    def egress(self, agent: str) -> str:
        return f"{self.process.doors['egress']}/agents/{agent}/invocations"

    async def ask(self, url: str, agent: str, fate: Fate) -> str:
        said = {"input": [{"role": "user", "content": fate.words}], "stream": fate.stream}
        given = {"json": said}
        if fate.caller == "uploads":
            url = self.egress(agent).replace("invocations", "feedback")
            given = {"data": self.pieces()}
        if fate.caller == "leaves":
            with suppress(TimeoutError):
                async with (
                    asyncio.timeout(self.dice.uniform(0.01, 0.3)),
                    self.http.post(url, **given) as answer,
                ):
                    await answer.read()
            return "left"
        async with self.http.post(url, **given) as answer:
            text = await answer.read()
            ends = fate.ends if agent == "default" else (*fate.ends, *SPOILT)
            if answer.status not in ends:
                self.wrong.append(f"{fate.words} at {agent}: {answer.status} {text[:200]!r}")
            if agent == "default" and fate.whole and fate.stream and b"[DONE]" not in text:
                self.wrong.append(f"{fate.words}: not whole: {text[-200:]!r}")
            return str(answer.status)

    async def pieces(self):
        for _ in range(self.dice.randrange(1, 16)):
            yield b"x" * 16384

    async def visit(self) -> str:
        """A page of the app, or something for it."""
        front = self.process.doors["front"]
        async with self.http.get(f"{front}/page") as answer:
            if (answer.status, len(await answer.read())) != (200, 4096):
                self.wrong.append(f"a page: {answer.status}")
        async with self.http.post(f"{front}/take", data=self.pieces()) as answer:
            if answer.status != 200 or int(await answer.text()) % 16384:
                self.wrong.append(f"an upload to the app: {answer.status}")
        return "served"

    async def talk(self) -> str:
        """Some messages there and back; then one side closes, or the caller is gone."""
        async with self.http.ws_connect(f"{self.process.doors['front']}/socket") as there:
            for number in range(self.dice.randrange(1, 20)):
                await there.send_str(str(number))
                if (back := await there.receive()).data != str(number):
                    self.wrong.append(f"a message came back as {back}")
            if self.dice.random() < 0.5:  # without a word
                with socket.socket(fileno=os.dup(there.get_extra_info("socket").fileno())) as raw:
                    raw.shutdown(socket.SHUT_RDWR)
                return "gone"
        return "closed"

    async def stall(self) -> str:
        """Asks for a torrent, and does not read it: to be cut by the sidecar."""
        host, _, port = self.process.doors["egress"].removeprefix("http://").partition(":")
        with socket.socket() as raw:
            raw.setblocking(False)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
            return await self.stalled(raw)

    async def stalled(self, raw: socket.socket) -> str:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(
            raw,
            b"POST /agents/torrent/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b'Content-Type: application/json\r\nContent-Length: 26\r\n\r\n{"input":[],"stream":true}',
        )
        await asyncio.sleep(8)  # until all buffers are full, and longer than it may
        with suppress(ConnectionError):
            while await loop.sock_recv(raw, 1 << 20):
                pass
        return "cut"


async def soak(folder: Path, minutes: float, rate: float, seed: int, say: Callable[[str], None]) -> list[str]:
    """What went wrong, sentence by sentence."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # the stand-in's, of callers who leave
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(sim.agent())
        torrent = await stack.enter_async_context(serving(flooding))
        environ = SETTINGS | {
            "AGENT_APP_URL": agent.url,
            "SIDECAR_AGENTS__TORRENT__URL": torrent.url,
            "SIDECAR_FRONTEND_URL": await stack.enter_async_context(app()),
        }
        for name in TOXICS:
            spoilt = await stack.enter_async_context(toxic(agent.url, name, after=700))
            environ[f"SIDECAR_AGENTS__{name.upper()}__URL"] = spoilt.url
        started = await stack.enter_async_context(starting(folder))
        process = await (await started("serve", **environ)).ready()
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        )
        one = Soak(process, http, random.Random(seed))
        heard = (process.process.stdout, process.process.stderr)
        listening = [asyncio.create_task(one.listen(stream)) for stream in heard]
        stack.push_async_callback(ended, listening)
        before = one.descriptors()
        watching = asyncio.create_task(one.watch(say))
        try:
            await one.load(minutes * 60, rate)
        finally:
            watching.cancel()
        agent.visits = sim.visits.Series()
        await quiet(one, before)
        say(", ".join(f"{what} {often}" for what, often in sorted(one.ended.items())))
        growth = one.growth()
        grew = (
            "too short to tell whether memory grows" if growth is None else f"memory grew {growth:+.2f} MiB"
        )
        say(f"{grew}; descriptors {before} before, {one.descriptors()} after")
        process.signal(15)
        if code := await process.ended(15):
            one.wrong.append(f"it ended with {code}")
        await asyncio.gather(*listening)
        if growth is not None and growth > GROWTH:
            one.wrong.append(f"memory grew by {growth:.2f} MiB after the first two minutes")
        return one.wrong


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def quiet(one: Soak, before: int) -> None:
    """Until all connections are closed that are kept for a while."""
    until = time.monotonic() + 15
    while (now := one.descriptors()) > before:
        if time.monotonic() > until:
            one.wrong.append(f"{before} descriptors before, {now} after")
            return
        await asyncio.sleep(0.2)
