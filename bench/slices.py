"""One slice: a short load on one target, with what it cost; and the order of slices that makes ratios steady."""

import json
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from bench.programs import program
from bench.running import Running

WARM: Final = 0.15  # seconds of each slice that are not counted
SETTLED: Final = 0.1  # seconds after it, in which connections are closed at the target's cost alone
EVERY: Final = 0.01  # seconds between two looks at memory
TOKEN: Final = "t" * 880  # as long as the platform's own


class Load(NamedTuple):
    """What is asked: a mode of `load.c`, how many connections, and the request, for so many milliseconds.

    `filler` bytes follow it as its body; `watched`: it is memory that is looked for.
    """

    mode: str
    connections: int
    request: Callable[[int], bytes]
    filler: int = 0
    warm: float = WARM
    watched: bool = False


class Slice(NamedTuple):
    """What was counted in so many seconds, and what it cost the target.

    `p50`, `p99`, `first` (until a body begins) in seconds; `cpu` in seconds; `peak` MiB over what it was before.
    """

    count: int
    seconds: float
    p50: float
    p99: float
    first: float
    cpu: float
    peak: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of processor time for each that was counted."""
        return self.cpu / self.count * 1e6


def chat(plan: str | None = None) -> Callable[[int], bytes]:
    """A question to an agent as the platform's proxy hands it on; `plan`: see agent.c."""

    def asked(life: int) -> bytes:
        said: dict[str, object] = {"input": [{"role": "user", "content": "hello there"}]}
        more = {"stream": False} if plan is None else {"stream": True, "plan": f"{plan} {life}"}
        data = json.dumps(said | more).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        return head("POST", "/api/chat", kind) + data

    return asked


def page(method: str, path: str, more: str = "") -> Callable[[int], bytes]:
    """A request to an app as the platform's proxy hands it on."""
    return lambda _: head(method, path, more)


def head(method: str, path: str, more: str) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-forwarded-email: user@example.com\r\n"
        f"x-forwarded-access-token: {TOKEN}\r\ntraceparent: 00-{'a' * 32}-{'b' * 16}-00\r\n{more}\r\n"
    ).encode()


def measured(target: Running, load: Load, seconds: float) -> Slice:
    """One slice. With `load.watched` memory is read all the while."""
    numbers = (target.port, load.connections, load.warm, seconds, load.filler)
    resident = peak = target.memory()
    with subprocess.Popen(
        [*program("load"), load.mode, *map(str, numbers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdin
        assert client.stdout
        client.stdin.write(load.request(int((load.warm + seconds) * 1e3)))
        client.stdin.close()
        client.stdout.readline()
        before = target.cpu()
        while load.watched and not select.select([client.stdout], [], [], EVERY)[0]:
            peak = max(peak, target.memory())
        told = client.stdout.readline()
        cpu = target.cpu() - before
    values = json.loads(told or '{"count": 0}')
    if not (told and (values["count"] or load.watched)):
        raise SystemExit(f"the load on {target.name} brought nothing (see above, if it said why)")
    time.sleep(SETTLED)
    return Slice(**values, cpu=cpu, peak=peak - resident)


T = TypeVar("T")


def alternated(turns: Sequence[T], rounds: int) -> Iterator[T]:
    """Each peer between two slices of the first: A B A C A, B A C A, …"""
    first, *peers = turns
    yield first
    for _ in range(rounds):
        for peer in peers:
            yield peer
            yield first
        if not peers:
            yield first


def pairs(slices: Sequence[tuple[str, float]], peer: str) -> list[tuple[float, float]]:
    """The first's mean before and after each slice of its peer, and the peer's between them."""
    return [
        ((before + after) / 2, value)
        for (_, before), (name, value), (_, after) in zip(slices, slices[1:], slices[2:], strict=False)
        if name == peer
    ]
