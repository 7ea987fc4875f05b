"""Whether a call may be made again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import retry as policy
from policies import signatures
from policies.outcome import OUTCOMES
from policies.refusal import Refusal
from policies.retry import Answer

PAGE = Answer(503, "text/html", "", ("Content-Type", "Date"), b"<h1>App Not Available</h1>", took=0.1)
MUTE = PAGE._replace(body=b"<h1>503</h1>")


class TestUnsent:
    @pytest.mark.parametrize("code", ["agent_unreachable", "agent_tls_error", "agent_broke_off"])
    def test_what_never_left_is_tried_3_times_R01(self, code):
        assert policy.unsent(code, "none").tries == 3

    @pytest.mark.parametrize("code", sorted(OUTCOMES))
    @pytest.mark.parametrize("sent", ["partial", "full"])
    def test_what_may_have_left_is_never_sent_again_R02(self, code, sent):
        assert policy.unsent(code, sent) is None

    @pytest.mark.parametrize("code", ["agent_unreachable", "agent_connect_timeout"])
    def test_an_agent_that_cannot_be_connected_may_be_asleep_R08(self, code):
        assert policy.unsent(code, "none").wakes

    @pytest.mark.parametrize("code", ["agent_tls_error", "agent_broke_off"])
    def test_an_agent_that_was_reached_is_awake(self, code):
        assert not policy.unsent(code, "none").wakes

    @pytest.mark.parametrize("code", ["credential_unavailable", "overloaded", "draining", "relay_closed"])
    def test_what_is_our_own_is_not_tried_again(self, code):
        assert policy.unsent(code, "none") is None

    @settings(max_examples=1000, deadline=None)
    @given(st.integers(1, 5), st.floats(0, 1))
    def test_pauses_lie_between_a_tenth_and_two_seconds_R01(self, tries, spread):
        assert 0.1 <= policy.pause(tries, spread) <= 2.0


class TestNotRun:
    def test_a_platforms_page_about_an_app_that_is_off_means_that_nothing_ran_R08(self):
        assert policy.not_run(PAGE, marks=(), silent=None)
        assert policy.not_run(PAGE, marks=(), silent=1.0)

    @pytest.mark.parametrize("status", [200, 401, 403, 404, 429, 500, 501])
    def test_no_other_status_does(self, status):
        assert not policy.not_run(PAGE._replace(status=status), marks=(), silent=None)

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_an_unknown_page_counts_from_an_agent_that_never_answered_or_not_for_5_minutes(self, status):
        page = MUTE._replace(status=status)
        assert policy.not_run(page, marks=(), silent=None)
        assert policy.not_run(page, marks=(), silent=300)
        assert not policy.not_run(page, marks=(), silent=299)

    def test_an_unknown_page_that_took_its_time_may_be_a_proxys_own_timeout_R05(self):
        page = MUTE._replace(status=504, took=60.0)
        assert not policy.not_run(page, marks=(), silent=None)

    @pytest.mark.parametrize(
        "json",
        [
            PAGE._replace(content_type="application/json; charset=utf-8"),
            PAGE._replace(content_type="application/problem+json"),
            PAGE._replace(body=b'{"detail": "app is starting"}'),
            PAGE._replace(body=b' \n["app is starting"]'),
        ],
    )
    def test_json_is_an_agents_own_word_R05(self, json):
        assert not policy.not_run(json, marks=(), silent=None)

    def test_a_header_that_the_agent_has_sent_gives_it_away_R05(self):
        page = PAGE._replace(names=("Content-Type", "X-Mlflow-Trace-Id"))
        assert policy.not_run(page, marks=("content-type", "date"), silent=None)
        assert not policy.not_run(page, marks=("x-mlflow-trace-id",), silent=None)

    def test_the_same_server_gives_it_away_whoever_else_sends_that_header(self):
        page = PAGE._replace(server="uvicorn", names=("Server",))
        assert not policy.not_run(page, marks=("Server", "uvicorn"), silent=None)
        assert policy.not_run(page._replace(server="envoy"), marks=("Server", "uvicorn"), silent=None)

    def test_what_every_proxy_sends_gives_nobody_away(self):
        page = PAGE._replace(names=tuple(name.title() for name in policy.ANYBODY))
        assert policy.not_run(page, marks=tuple(policy.ANYBODY), silent=None)

    def test_an_agent_with_more_names_than_are_kept_counts_as_having_sent_them_all(self):
        assert not policy.not_run(PAGE, marks=[f"x-{n}" for n in range(policy.MARKS)], silent=None)

    @settings(max_examples=1000, deadline=None)
    @given(
        st.builds(
            Answer,
            st.integers(100, 599),
            st.sampled_from(["", "text/html", "application/json", "text/plain; charset=utf-8"]),
            st.sampled_from(["", "uvicorn", "envoy"]),
            st.lists(st.sampled_from(["Date", "X-One", "x-two", "Via"])),
            st.binary(max_size=60) | st.just(b"no healthy upstream"),
            st.floats(0, 400),
        ),
        st.lists(st.sampled_from(["date", "x-one", "X-Two", "uvicorn"])),
        st.none() | st.floats(0, 1000),
    )
    def test_in_doubt_the_agent_has_run(self, answer, marks, silent):
        if policy.not_run(answer, marks=marks, silent=silent):
            assert answer.status in (502, 503, 504)
            assert "json" not in answer.content_type
            assert not answer.body.lstrip().startswith((b"{", b"[", b'"'))
            assert not {name.lower() for name in answer.names} & {mark.lower() for mark in marks} - {"date"}
            assert answer.server not in marks or not answer.server
            known = signatures.not_started(answer.status, answer.body)
            assert known or (answer.took <= 20 and (silent is None or silent >= 300))


class TestNotStarted:
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (503, b"no healthy upstream"),
            (
                503,
                b"upstream connect error or reset before headers. reset reason: connection failure",
            ),
            (503, b"... reset reason: remote connection failure, transport failure reason: ..."),
            (502, b"<title>App Not Available</title>"),
            (503, b"The app is not running."),
            (504, b"Application is starting, please wait"),
            (503, b"This app has been stopped"),
        ],
    )
    def test_words_that_say_that_nobody_was_there_are_known(self, status, body):
        assert signatures.not_started(status, body)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (
                503,
                b"upstream connect error or reset before headers. reset reason: connection termination",
            ),
            (503, b"upstream connect error or reset before headers. reset reason: overflow"),
            (502, b"<h1>502 Bad Gateway</h1><hr>nginx"),
            (500, b"App Not Available"),
            (504, b"upstream request timeout"),
            (503, b"Service Unavailable"),
            (503, b""),
            (503, b"x" * 5000 + b"no healthy upstream"),
        ],
    )
    def test_words_that_leave_it_open_are_not(self, status, body):
        assert not signatures.not_started(status, body)


@pytest.mark.parametrize(
    ("method", "size", "stale", "tries"),
    [
        ("GET", 0, True, 2),
        ("HEAD", 0, True, 2),
        ("GET", 0, False, None),
        ("GET", 5, True, None),
        ("GET", None, True, None),
        ("POST", 0, True, None),
        ("DELETE", 0, True, None),
    ],
)
def test_r04_only_what_reads_is_made_again_after_it_was_sent(
    method: str, size: int | None, stale: bool, tries: int | None
) -> None:
    rule = policy.stale(Refusal(502, "agent_broke_off", stale=stale), method, size)
    assert (rule and rule.tries) == tries
