"""What is measured: loads, and the rows of the table that are read off a slice of each."""

from collections.abc import Callable
from typing import Final, NamedTuple

from bench.slices import Load, Slice, chat, page

MIB: Final = 1 << 20
SILENT: Final = 3_600_000_000  # microseconds to the next event


class Row(NamedTuple):
    """`better`: whether more or less of it is. `most`: the largest of all slices is told, not the median."""

    key: str
    label: str
    form: str
    better: str
    value: Callable[[Slice], float]
    most: bool = False


class Scenario(NamedTuple):
    """A load, and what is read off it. `only`: not measured on other targets.

    `over`: another load, whose slices stand between those of this one; what the first row has more of than it is
    told as `more`.
    """

    name: str
    load: Load
    rows: tuple[Row, ...]
    only: tuple[str, ...] = ()
    over: Load | None = None
    more: str = ""


SCENARIOS: Final = (
    Scenario(
        "many",
        Load("ask", 64, chat()),
        (
            Row("requests", "requests/s, 1 KiB JSON, 64 connections", ",.0f", "more", lambda s: s.rate),
            Row("cpu_request", "CPU per request, µs", ".1f", "less", lambda s: s.cost),
            Row("p50_64", "p50 at 64 connections, ms", ".2f", "less", lambda s: s.p50 * 1e3),
            Row("p99_64", "p99 at 64 connections, ms", ".2f", "less", lambda s: s.p99 * 1e3),
        ),
    ),
    Scenario(
        "one",
        Load("ask", 1, chat()),
        (
            Row("p50_1", "p50 at 1 connection, ms", ".3f", "less", lambda s: s.p50 * 1e3),
            Row("p99_1", "p99 at 1 connection, ms", ".3f", "less", lambda s: s.p99 * 1e3),
        ),
    ),
    Scenario(
        "first",
        Load("ask", 1, chat("-1 lf")),
        (Row("first", "time to first event, p50, ms", ".3f", "less", lambda s: s.first * 1e3),),
    ),
    Scenario(
        "paced",
        Load("events", 200, chat("10000 lf"), warm=0.4),
        (
            Row(
                "cpu_event",
                "CPU per event, 200 streams, 20,000 events/s, µs",
                ".1f",
                "less",
                lambda s: s.cost,
            ),
            Row("paced", "… events/s that came through", ",.0f", "more", lambda s: s.rate),
        ),
    ),
    Scenario(
        "translated",
        Load("events", 200, chat("10000 crlf"), warm=0.4),
        (
            Row(
                "cpu_translated",
                "CPU per translated event, the same rate, µs",
                ".1f",
                "less",
                lambda s: s.cost,
            ),
            Row("translated", "… events/s that came through", ",.0f", "more", lambda s: s.rate),
        ),
        only=("sidecar",),
        over=Load("events", 200, chat("10000 lf"), warm=0.4),
        more="… more than an event that is passed raw, µs",
    ),
    Scenario(
        "flood",
        Load("events", 8, chat("0 lf")),
        (
            Row("events", "events/s flat out, 8 streams", ",.0f", "more", lambda s: s.rate),
            Row("cpu_flood", "CPU per event flat out, µs", ".2f", "less", lambda s: s.cost),
        ),
    ),
)
FRONT: Final = (
    Scenario(
        "pages",
        Load("ask", 64, page("GET", "/")),
        (
            Row("pages", "requests/s, 1 KiB answers, 64 connections", ",.0f", "more", lambda s: s.rate),
            Row("cpu_page", "CPU per request, µs", ".1f", "less", lambda s: s.cost),
        ),
    ),
    Scenario(
        "download",
        Load("ask", 1, page("GET", "/down"), watched=True),
        (
            Row("download", "64 MiB download, MiB/s", ",.0f", "more", lambda s: 64 / s.p50 if s.p50 else 0),
            Row("download_memory", "… memory on top, MiB", ".1f", "less", lambda s: s.peak, most=True),
        ),
    ),
    Scenario(
        "upload",
        Load("ask", 1, page("POST", "/up", f"Content-Length: {64 * MIB}\r\n"), 64 * MIB, watched=True),
        (
            Row("upload", "64 MiB upload, MiB/s", ",.0f", "more", lambda s: 64 / s.p50 if s.p50 else 0),
            Row("upload_memory", "… memory on top, MiB", ".1f", "less", lambda s: s.peak, most=True),
        ),
    ),
    Scenario(
        "echo",
        Load(
            "echo",
            64,
            page(
                "GET",
                "/ws",
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            ),
        ),
        (
            Row("echo", "WebSocket echo, messages/s, 64 connections", ",.0f", "more", lambda s: s.rate),
            Row("cpu_message", "CPU per message there and back, µs", ".1f", "less", lambda s: s.cost),
        ),
    ),
)

# What is read off a fresh start of each target, without a slice: key, label, form.
LIVES: Final = (
    ("ready", "exec to accepting, s", ".2f"),
    ("memory", "memory at start, MiB", ".0f"),
    ("memory_1000", "memory with 1,000 open streams, MiB", ".0f"),
    ("kib_stream", "memory per open stream, KiB", ".1f"),
)
WAKE: Final = Load("ask", 8, chat(), warm=0.2)
HELD: Final = Load("events", 1000, chat(f"{SILENT} lf"), warm=2.0, watched=True)
