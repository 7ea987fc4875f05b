"""The exposition: counters read at scrape, through prometheus-client's collector interface."""

import asyncio
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final, Protocol

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sidecar.telemetry.counters import DOORS, NONE, Counters, Histogram
from sidecar.telemetry.families import FAMILIES
from sidecar.telemetry.record import Record

# Chosen from two, never by a scraper's own words: versions it asks for would come back in our header.
PLAIN: Final = choose_encoder("")
OPENMETRICS: Final = choose_encoder("application/openmetrics-text; version=1.0.0")
Rows = Iterable[tuple[tuple[str, ...], float]]


class Tokens(Protocol):
    """Whoever keeps credentials: how each of them fares."""

    def facts(self) -> Iterable["TokenFacts"]: ...


class TokenFacts(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def refreshes(self) -> Mapping[str, int]:
        """How often a token was asked for, by result."""

    @property
    def expires_at(self) -> float | None:
        """Seconds since 1970."""

    @property
    def seconds(self) -> float:
        """Time spent in asking."""


class Behind(Protocol):
    """The app behind the front."""

    @property
    def up(self) -> bool: ...


def build() -> dict[str, str]:
    """What is running."""
    return {
        "version": version("agent-sidecar"),
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "parser": f"httptools {version('httptools')}",
    }


class Exposition:
    """Renders what the counters say now."""

    def __init__(
        self, counters: Counters, tokens: Tokens | None = None, frontend: Behind | None = None
    ) -> None:
        self.counters, self.tokens, self.frontend = counters, tokens, frontend
        self.dropped = 0  # log lines
        self._build = build()
        self._process = ProcessCollector(registry=None)

    async def render(self, open_records: Iterable[Record], accept: str) -> tuple[bytes, str]:
        """Body and Content-Type. Counters are read at once; text and /proc are a thread's work."""
        families = list(self.families(open_records))
        return await asyncio.to_thread(self._render, families, "application/openmetrics-text" in accept)

    def _render(self, families: list[Metric], modern: bool) -> tuple[bytes, str]:
        collected = _Collected([*families, *self._process.collect()])
        encode, content_type = OPENMETRICS if modern else PLAIN
        return encode(collected), content_type

    def families(self, open_records: Iterable[Record]) -> Iterator[Metric]:
        counters = self.counters
        records = list(open_records)
        doors = Counter(record.door for record in records)
        streams = Counter(counters.agent(record.agent_name) for record in records if record.streaming)
        sizes = dict.fromkeys(sorted(DOORS), 0)
        for (door, *_), series in counters.requests.items():
            sizes[door] = sizes.get(door, 0) + series.bytes
        requests = [(key, series.count) for key, series in counters.requests.items()]
        yield _family("sidecar_requests_total", requests)
        calls = {name: times for name, times in counters.durations.items() if name != NONE}
        yield _histogram("sidecar_request_duration_seconds", calls)
        calls = {name: times for name, times in counters.first_bytes.items() if name != NONE}
        yield _histogram("sidecar_time_to_first_byte_seconds", calls)
        yield _family("sidecar_response_bytes_total", _named(sizes))
        yield _family("sidecar_requests_active", _named(dict.fromkeys(sorted(DOORS), 0) | doors))
        tunnels = Counter(record.door for record in records if record.stream == "tunnel")
        yield _family("sidecar_tunnels_active", _named(dict.fromkeys(sorted(DOORS), 0) | tunnels))
        yield _family("sidecar_streams_active", _named(dict.fromkeys(sorted(counters.agents), 0) | streams))
        yield _family("sidecar_stream_mode_total", _named(counters.modes))
        yield _family("sidecar_stream_refusals_total", _named(counters.stream_refusals))
        yield _family("sidecar_upstream_attempts_total", counters.attempts.items())
        yield _family("sidecar_cold_starts_total", _named(counters.cold_starts))
        yield _family("sidecar_ambiguous_bodies_total", _named(counters.ambiguous))
        yield _family("sidecar_identity_headers_removed_total", _named(counters.removed))
        yield _family("sidecar_plugin_failures_total", _named(counters.plugins))
        yield _family("sidecar_log_lines_dropped_total", [((), self.dropped)])
        if self.frontend is not None:
            yield _family("sidecar_frontend_up", [((), self.frontend.up)])
        yield from self._tokens()
        info = InfoMetricFamily("sidecar_build", FAMILIES["sidecar_build_info"].help)
        info.add_metric([], self._build)
        yield info

    def _tokens(self) -> Iterator[Metric]:
        if self.tokens is None:
            return
        facts = list(self.tokens.facts())
        refreshes = [((fact.name, result), n) for fact in facts for result, n in fact.refreshes.items()]
        yield _family("sidecar_token_refreshes_total", refreshes)
        expiry = [((fact.name,), fact.expires_at or 0) for fact in facts]
        yield _family("sidecar_token_expiry_timestamp_seconds", expiry)
        yield _family("sidecar_token_refresh_seconds_total", [((fact.name,), fact.seconds) for fact in facts])


class _Collected(Collector):
    """What prometheus-client renders."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _family(name: str, rows: Rows) -> Metric:
    row = FAMILIES[name]
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = kind(name, row.help, labels=row.labels)
    for labels, value in rows:
        family.add_metric(labels, float(value))
    return family


def _named(counts: Mapping[str, float]) -> Rows:
    return [((name,), value) for name, value in counts.items()]


def _histogram(name: str, histograms: Mapping[str, Histogram]) -> Metric:
    row = FAMILIES[name]
    family = HistogramMetricFamily(name, row.help, labels=row.labels)
    for label, histogram in histograms.items():
        family.add_metric([label], histogram.buckets(), histogram.total)
    return family
