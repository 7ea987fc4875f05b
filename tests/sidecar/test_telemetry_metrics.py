"""What a scraper reads: few series, closed labels, names that every linter accepts."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import need
from observed import WEATHER, Observed, a_call, a_reply, observed
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from middleware.exchange import headers
from policies import paths
from policies.agent import Agent
from policies.outcome import OUTCOMES
from policies.refusal import Refusal
from sidecar.behind import Frontend, State
from sidecar.telemetry import counters
from sidecar.telemetry.families import FAMILIES, PROCESS
from sidecar.telemetry.metrics import Exposition, build


class Fact(NamedTuple):
    name: str
    refreshes: Counter[str]
    expires_at: float | None
    seconds: float


class Tokens:
    def facts(self) -> list[Fact]:
        return [
            Fact("app", Counter(ok=3, unreachable=1), 1_800_000_000.0, 1.25),
            Fact("other", Counter(), None, 0),
        ]


@pytest.fixture
def book() -> Iterator[Observed]:
    with observed("warning") as book:
        yield book


def one_call(book: Observed, request_id: str = "id-1", ending: str = "ok") -> None:
    record = book.begin(request_id)
    call = a_call(request_id)
    book.telemetry.began(call)
    book.telemetry.attempted(call, "full", "answered")
    book.telemetry.note(call, "stream_refused", 400)
    book.telemetry.note(call, "ambiguous_body", "input")
    book.telemetry.note(call, "cold_start", "agent_unreachable")
    book.telemetry.note(call, "plugin_failed", "redact")
    record.first_byte, record.bytes = book.clock.at + 0.3, 100
    book.clock.at += 3.0
    book.telemetry.ended(call, a_reply(headers=headers(("x-sidecar-stream", "synthesized"))), ending)


async def test_a_call_is_counted_where_one_looks_for_it(book: Observed) -> None:
    one_call(book)
    samples = await book.samples()
    for series, value in {
        'sidecar_requests_total{agent="weather",door="egress",outcome="ok",route="/api/chat"}': 1,
        'sidecar_request_duration_seconds_bucket{agent="weather",le="2.5"}': 0,
        'sidecar_request_duration_seconds_bucket{agent="weather",le="5.0"}': 1,
        'sidecar_request_duration_seconds_sum{agent="weather"}': 3.0,
        'sidecar_time_to_first_byte_seconds_bucket{agent="weather",le="0.25"}': 0,
        'sidecar_time_to_first_byte_seconds_bucket{agent="weather",le="0.5"}': 1,
        'sidecar_response_bytes_total{door="egress"}': 100,
        'sidecar_upstream_attempts_total{agent="weather",result="answered",sent="full"}': 1,
        'sidecar_stream_mode_total{mode="synthesized"}': 1,
        'sidecar_stream_refusals_total{agent="weather"}': 1,
        'sidecar_ambiguous_bodies_total{result="input"}': 1,
        'sidecar_ambiguous_bodies_total{result="refused"}': 0,
        'sidecar_cold_starts_total{agent="weather"}': 1,
        'sidecar_plugin_failures_total{plugin="redact"}': 1,
        'sidecar_requests_active{door="egress"}': 0,
    }.items():
        assert samples[series] == pytest.approx(value), series


async def test_attempts_are_counted_when_they_are_made_and_once(book: Observed) -> None:
    """The call may be a stream that is open for hours."""
    series = 'sidecar_upstream_attempts_total{agent="weather",result="answered",sent="full"}'
    call = a_call()
    book.begin()
    book.telemetry.began(call)
    book.telemetry.attempted(call, "full", "answered")
    assert (await book.samples())[series] == 1
    book.telemetry.attempted(call, "full", "answered")
    assert (await book.samples())[series] == 2
    book.telemetry.ended(call, a_reply(), "ok")
    assert (await book.samples())[series] == 2


async def test_what_a_plugin_notes_counts_as_nothing_that_only_the_chain_can_tell(book: Observed) -> None:
    record = book.begin()
    call = a_call()
    book.telemetry.began(call)
    for what in ("attempt", "credential", "identity_sent"):
        book.telemetry.note(call, what, ("full", "answered"))
    assert not any(series.startswith("sidecar_upstream") for series in await book.samples())
    assert (record.attempts, record.exchanges, record.identity_sent) == (0, (), ())


async def test_an_agent_that_becomes_known_is_counted_under_its_name_from_then_on(book: Observed) -> None:
    late = WEATHER._replace(name="late")

    def one(request_id: str) -> None:
        call = a_call(request_id, agent=late)
        book.begin(request_id)
        book.telemetry.began(call)
        book.telemetry.ended(call, a_reply(), "ok")

    one("id-1")
    assert not any('agent="late"' in series for series in await book.samples())
    book.agents["late"] = late
    one("id-2")
    named = 'sidecar_requests_total{agent="late",door="egress",outcome="ok",route="/api/chat"}'
    assert (await book.samples())[named] == 1


async def test_what_is_open_now_is_a_gauge(book: Observed) -> None:
    for number in range(3):
        book.begin(f"id-{number}").streaming = number < 2
        book.telemetry.began(a_call(f"id-{number}"))
    samples = await book.samples()
    assert samples['sidecar_requests_active{door="egress"}'] == 3
    assert samples['sidecar_streams_active{agent="weather"}'] == 2


async def test_a_page_or_a_refusal_has_no_share_in_the_times_of_calls(book: Observed) -> None:
    book.telemetry.finish(book.begin("page", "front", "other"), "ok", 200)
    book.telemetry.turned_away("front", "/api/chat", Refusal(403, "cross_site"), "id-2")
    assert not any("duration" in series and 'agent="none"' in series for series in await book.samples())


async def test_series_of_known_agents_are_there_from_the_start(book: Observed) -> None:
    book.telemetry.expect(["weather"], [("egress", "/api/chat")])
    samples = await book.samples()
    for outcome in ("ok", "agent_unreachable", "credential_unavailable", "internal_error"):
        series = (
            f'sidecar_requests_total{{agent="weather",door="egress",outcome="{outcome}",route="/api/chat"}}'
        )
        assert samples[series] == 0


async def test_strangers_make_no_series() -> None:
    """O02: 10,000 random paths, methods, agents and people leave the series as they were."""
    agents = tuple(Agent(f"agent-{number}", "http://127.0.0.1:1") for number in range(3))
    with observed("warning", agents=agents) as book:
        book.telemetry.expect(
            [agent.name for agent in agents], [("front", "/api/chat"), ("egress", "/api/chat")]
        )

        def strange(number: int) -> None:
            request_id = f"id-{number}"
            record = book.telemetry.begin(request_id, "front", f"/strange/{number}", f"M{number}")
            book.telemetry.identity(record, {f"x-{number}": 1}, believed=False)
            call = a_call(request_id, agent=Agent(f"nobody-{number}", ""))
            book.telemetry.began(call)
            for what in ("stream_refused", "attempt", "plugin_failed", "cold_start", "ambiguous_body"):
                book.telemetry.note(call, what, (f"{number}", f"{number}"))
            book.telemetry.attempted(call, f"{number}", f"{number}")
            book.telemetry.refused(call, Refusal(404, "unknown_agent", detail=f"{number}@example.org"))
            book.telemetry.ended(call, None, f"ending {number}")
            book.telemetry.turned_away("front", f"/{number}", Refusal(404, "no_such_route"), request_id)

        strange(0)
        before = set(await book.samples())
        for number in range(1, 10_000):
            strange(number)
        after = set(await book.samples())
        assert after == before
        assert len(after) <= 500


async def test_even_the_worst_traffic_makes_at_most_500_series() -> None:
    """O02: every label that is possible, on every door, with more agents than get a label."""
    agents = tuple(Agent(f"agent-{number}", "http://127.0.0.1:1") for number in range(30))
    with observed("warning", agents=agents) as book:
        book.telemetry._exposition.tokens = Tokens()
        names = (*(agent.name for agent in agents), "none", "nobody")
        doors = ("front", "egress", "admin", "made-up")
        routes = (*counters.ROUTES, "other", "made-up")
        for door, route, outcome, agent in product(doors, routes, (*OUTCOMES, "made-up"), names):
            book.telemetry.counters.ended((door, agent, route, outcome), 1)
            book.telemetry.counters.series((door, agent, route, outcome)).took.append(0.1)
        for agent in names:
            for sent in ("none", "partial", "full", "made-up"):
                for result in OUTCOMES:
                    book.telemetry.counters.attempted.append((agent, sent, result))
            book.telemetry.counters.cold_start(agent)
            book.telemetry.counters.stream_refused(agent)
        for number in range(100):
            book.telemetry.counters.named(book.telemetry.counters.plugins, f"plugin-{number}")
        samples = await book.samples()
        assert 400 < len(samples) <= 500
        counted = sum(
            value for series, value in samples.items() if series.startswith("sidecar_requests_total")
        )
        assert counted == len(doors) * len(routes) * (len(OUTCOMES) + 1) * len(names)


@pytest.mark.parametrize(
    "accept", ["", "text/plain", "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"]
)
async def test_every_family_parses_and_is_named_as_linters_want_it(book: Observed, accept: str) -> None:
    """O03: units, `_total`, help for all; no family twice."""
    book.telemetry._exposition.tokens = Tokens()
    one_call(book)
    body, content_type = await book.telemetry.metrics(accept)
    modern = content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert modern == ("openmetrics" in accept)
    families = list((openmetrics if modern else plain)(body.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    for family in families:
        assert family.documentation, family.name
        assert family.name == family.name.lower()
        assert "__" not in family.name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        if family.type == "gauge":
            assert not family.name.endswith("_total")


async def test_what_is_exposed_is_what_is_documented(book: Observed) -> None:
    book.telemetry._exposition.tokens = Tokens()
    one_call(book)
    book.telemetry._exposition.frontend = Frontend("http://127.0.0.1:1")
    body, _ = await book.telemetry.metrics()
    helps = {line.split(" ", 3)[2] for line in body.decode().splitlines() if line.startswith("# HELP")}
    assert helps == set(FAMILIES) | {name for name, *_ in PROCESS}


async def test_promtool_finds_nothing(book: Observed) -> None:
    """O03, with Prometheus' own linter."""
    promtool = need("promtool")
    one_call(book)
    body, _ = await book.telemetry.metrics()
    checked = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)  # noqa: ASYNC221
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


async def test_tokens_show_how_they_fare(book: Observed) -> None:
    book.telemetry._exposition.tokens = Tokens()
    samples = await book.samples()
    assert samples['sidecar_token_refreshes_total{credential="app",result="unreachable"}'] == 1
    assert samples['sidecar_token_expiry_timestamp_seconds{credential="app"}'] == 1_800_000_000
    assert samples['sidecar_token_expiry_timestamp_seconds{credential="other"}'] == 0
    assert samples['sidecar_token_refresh_seconds_total{credential="app"}'] == 1.25


@pytest.mark.parametrize(
    ("state", "met", "up"), [("up", True, 1), ("up", False, 0), ("starting", True, 0), ("gone", True, 0)]
)
async def test_the_app_behind_the_front_is_up_or_it_is_not(
    book: Observed, state: State, met: bool, up: int
) -> None:
    book.telemetry._exposition.frontend = app = Frontend("http://127.0.0.1:1", state)
    app.met = met
    assert (await book.samples())["sidecar_frontend_up"] == up


async def test_without_an_app_behind_the_front_nothing_is_said_of_one(book: Observed) -> None:
    assert "sidecar_frontend_up" not in await book.samples()


async def test_lines_that_were_lost_are_counted(book: Observed) -> None:
    book.log.dropped = 7
    assert (await book.samples())["sidecar_log_lines_dropped_total"] == 7


async def test_a_scraper_cannot_choose_our_headers(book: Observed) -> None:
    _, content_type = await book.telemetry.metrics('application/openmetrics-text; version="9; evil=1"')
    assert "evil" not in content_type


def test_the_build_says_which_parser_reads_the_callers_bytes() -> None:
    assert build()["parser"] == f"httptools {version('httptools')}"
    assert set(build()) == set(FAMILIES["sidecar_build_info"].labels)


def test_every_route_of_ours_has_its_label() -> None:
    samples = (
        ("front", "POST", "/api/chat"),
        ("front", "POST", "/api/chat/a"),
        ("egress", "POST", "/agents/a/invocations"),
        ("egress", "POST", "/agents/a/responses"),
        ("egress", "GET", "/agents/a/card"),
        ("egress", "POST", "/invocations"),
        ("egress", "POST", "/responses"),
    )
    for door, method, path in samples:
        template = paths.route(door, method, paths.Target(path, "")).template  # type: ignore[arg-type]
        assert template in counters.ROUTES


def test_an_agent_gets_its_label_when_it_is_known_and_while_there_is_room() -> None:
    known = {f"agent-{number}" for number in range(20)}
    book = counters.Counters(known.__contains__)
    assert book.agent("stranger") == "other"
    labels = {book.agent(name) for name in sorted(known)}
    assert len(labels) == counters.AGENTS + 1
    assert "other" in labels
    assert WEATHER.name not in labels


def test_buckets_add_up() -> None:
    histogram = counters.Histogram()
    for seconds in (0.01, 0.05, 0.3, 1000.0):
        histogram.told.append(seconds)
    rows = dict(histogram.buckets())
    assert (rows["0.05"], rows["0.5"], rows["120.0"], rows["+Inf"]) == (2, 3, 3, 4)
    assert histogram.total == pytest.approx(1000.36)


@settings(max_examples=200)
@given(st.lists(st.lists(st.floats(0, 200) | st.sampled_from(counters.BOUNDS))))
def test_every_duration_is_in_its_buckets_however_many_are_sorted_in_at_once(batches: list) -> None:
    histogram = counters.Histogram()
    for batch in batches:
        for seconds in batch:
            histogram.told.append(seconds)
        histogram.fold()
    every = [seconds for batch in batches for seconds in batch]
    for bound, count in histogram.buckets():
        assert count == sum(seconds <= float(bound) for seconds in every)
    assert histogram.total == pytest.approx(sum(every))


async def test_reading_the_counters_holds_nobody_up_for_long(book: Observed) -> None:
    """Only the copying of numbers is done in the loop; text is made in a thread."""
    one_call(book)
    exposition = Exposition(book.telemetry.counters)
    families = list(exposition.families(book.telemetry.open.values()))
    one_call(book, "id-2")
    body, _ = exposition._render(families, modern=False)
    assert b'outcome="ok",route="/api/chat"} 1.0' in body  # as it was when it was read
