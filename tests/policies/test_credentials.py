"""When a credential is fetched again, what is served meanwhile, and what never leaves."""

from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import credentials as policy
from policies.credentials import Grant, Instant, State
from policies.faults import FAULTS, Fault
from policies.secret import Secret

START = Instant(1_000.0, 1_800_000_000.0)
FATAL = sorted(code for code, meaning in FAULTS.items() if meaning.fatal)
TRANSIENT = sorted(code for code, meaning in FAULTS.items() if not meaning.fatal)


def later(seconds: float, *, wall: float | None = None, since: Instant = START) -> Instant:
    """So many seconds on; `wall` where the wall clock says something else."""
    return Instant(since.mono + seconds, since.wall + (seconds if wall is None else wall))


def holding(life: float | None = 3600.0, token: str = "abc", spread: float = 0.0) -> State:
    return policy.granted(State(), Grant(Secret(f"Bearer {token}"), life), START, spread)


class TestServing:
    def test_a_fresh_bearer_is_served_and_needs_no_refresh(self):
        state = holding()
        assert policy.usable(state, START)
        assert policy.wait(state, START) == 1800

    @pytest.mark.parametrize(("spread", "due"), [(0.0, 1800), (0.5, 2340), (1.0, 2880)])
    def test_the_refresh_comes_at_50_to_80_percent_of_the_life(self, spread, due):
        assert policy.wait(holding(spread=spread), START) == pytest.approx(due)

    def test_an_old_bearer_is_served_while_the_provider_fails_T02(self):
        state = policy.failed(holding(), Fault("failed"), later(2880))
        assert policy.usable(state, later(2880))
        assert policy.usable(state, later(3569))

    def test_an_expired_bearer_is_never_served_T03(self):
        assert policy.usable(holding(), later(3569.9))
        assert not policy.usable(holding(), later(3570))

    def test_a_short_life_keeps_a_short_margin(self):
        assert policy.usable(holding(life=10), later(8.9))
        assert not policy.usable(holding(life=10), later(9))

    def test_a_bearer_without_an_end_is_served_for_ever_and_read_again_within_the_hour(self):
        state = holding(life=None, spread=1.0)
        assert policy.usable(state, later(10**7))
        assert policy.wait(state, START) <= 3600

    @pytest.mark.parametrize("life", [0.0, -1.0, inf, nan])
    def test_a_life_that_is_none_is_a_fault_and_nothing_is_held_T04(self, life):
        state = policy.granted(State(), Grant(Secret("Bearer abc"), life), START, 0.0)
        assert state.fault == Fault("garbage")
        assert state.held is None

    @pytest.mark.parametrize(
        "value",
        [
            "Bearer a\r\nX-Injected: yes",
            "Bearer a\n",
            "Bearer " + "a" * (64 << 10),
            "Bearer ",
            "Bearer a b",
            "Bearer é",
            "Basic YTpi",
            "bearer abc\x00",
        ],
        ids=["line break", "trailing line break", "64 KiB", "empty", "space", "not ascii", "basic", "null"],
    )
    def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated_T14(self, value):
        state = policy.granted(State(), Grant(Secret(value), 3600.0), START, 0.0)
        assert state.held is None
        refusal = policy.unavailable("'workspace'", state, START)
        assert refusal.code == "credential_unavailable"
        assert "Injected" not in f"{refusal.detail} {refusal.hint}"

    def test_the_longest_token_that_is_accepted_has_16_KiB(self):
        assert policy.acceptable("Bearer " + "a" * 16384)
        assert not policy.acceptable("Bearer " + "a" * 16385)


class TestClocks:
    """T11: skew, steps, suspend and resume."""

    def test_a_machine_that_slept_past_the_end_serves_nothing(self):
        assert not policy.usable(holding(), later(5, wall=7200))

    def test_a_clock_set_back_does_not_prolong_a_life(self):
        assert not policy.usable(holding(), later(3600, wall=3300))

    def test_a_clock_set_forward_costs_a_refresh_and_no_more(self):
        now = later(5, wall=5 + 300)
        assert policy.usable(holding(), now)
        assert policy.wait(holding(), now) == 1800 - 305

    def test_a_clock_set_back_does_not_stretch_a_pause(self):
        state = policy.failed(State(), Fault("failed"), START)
        assert policy.wait(state, later(1, wall=-300)) == 0


class TestFailing:
    @pytest.mark.parametrize("code", TRANSIENT)
    def test_pauses_grow_from_1_to_60_seconds_T02(self, code):
        state, pauses = State(), []
        for _ in range(8):
            state = policy.failed(state, Fault(code), START)
            pauses.append(policy.wait(state, START))
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]

    @pytest.mark.parametrize("code", FATAL)
    def test_what_only_a_person_can_mend_is_tried_once_a_minute_T06(self, code):
        state = policy.failed(State(), Fault(code), START)
        assert policy.wait(state, START) == 60
        assert policy.wait(policy.failed(state, Fault(code), later(60)), later(60)) == 60

    def test_a_providers_retry_after_is_honoured_T07(self):
        assert policy.wait(policy.failed(State(), Fault("throttled", 90), START), START) == 90

    def test_a_providers_retry_after_is_bounded_and_never_shortens_a_pause(self):
        assert policy.wait(policy.failed(State(), Fault("throttled", 86400), START), START) == 600
        assert policy.wait(policy.failed(State(), Fault("throttled", 0), START), START) == 1

    def test_success_ends_the_patience(self):
        state = policy.failed(policy.failed(State(), Fault("failed"), START), Fault("failed"), START)
        state = policy.granted(state, Grant(Secret("Bearer new"), 3600.0), START, 0.0)
        assert (state.failures, state.fault) == (0, None)

    def test_a_caller_hears_which_credential_why_and_when_to_come_back(self):
        state = policy.failed(State(), Fault("invalid_client"), START)
        refusal = policy.unavailable("'workspace' (dbc.example.com)", state, later(10.5))
        assert (refusal.status, refusal.code, refusal.sent) == (503, "credential_unavailable", "none")
        assert refusal.retry_after == 50
        assert "'workspace' (dbc.example.com)" in refusal.detail
        assert "invalid_client" in refusal.detail
        assert "client id and secret" in refusal.hint

    def test_a_fatal_fault_is_told_at_readyz_even_while_an_old_bearer_lives_T06(self):
        state = policy.failed(holding(), Fault("invalid_client"), START)
        assert "invalid_client" in policy.trouble("'workspace'", state, START)

    def test_a_transient_fault_is_told_at_readyz_only_once_nothing_can_be_served(self):
        state = policy.failed(holding(), Fault("unreachable"), later(3000))
        assert policy.trouble("'workspace'", state, later(3000)) is None
        assert "cannot be reached" in policy.trouble("'workspace'", state, later(3600))

    def test_what_was_never_fetched_is_told_at_readyz(self):
        assert "not been fetched" in policy.trouble("'workspace'", State(), START)

    def test_every_fault_has_a_cause_and_a_next_step(self):
        for code in FAULTS:
            refusal = policy.unavailable("'x'", policy.failed(State(), Fault(code), START), START)
            assert refusal.detail
            assert refusal.hint


class TestForcing:
    def test_a_storm_of_401_forces_one_refresh_in_5_seconds_T09(self):
        state = holding()._replace(forced=START.mono)
        assert not policy.forcible(state, later(4.9))
        assert policy.forcible(state, later(5))

    def test_a_401_does_not_break_into_the_providers_pause(self):
        state = policy.failed(holding(), Fault("throttled", 30), START)
        assert not policy.forcible(state, later(29))
        assert policy.forcible(state, later(30))

    def test_a_success_does_not_permit_the_next_forced_refresh_at_once_T09(self):
        state = State()._replace(forced=START.mono)
        state = policy.granted(state, Grant(Secret("Bearer b"), 3600.0), later(1), 0.0)
        assert not policy.forcible(state, later(2))

    @pytest.mark.parametrize(
        ("status", "challenge", "body", "stale"),
        [
            (401, "", b"", True),
            (403, "", b'{"message": "Token expired"}', True),
            (403, "", b"The access token has EXPIRED.", True),
            (403, "", b'{"error":"invalid_token"}', True),
            (403, "", b"expired OAuth token", True),
            (403, 'Bearer error="invalid_token"', b"", True),
            (403, "", b"App not authorized", False),
            (403, "", b"Your trial has expired. Contact sales.", False),
            (403, "", b"token\nquota expired", False),
            (403, "", b" " * 5000 + b"token expired", False),
            (400, "", b"token expired", False),
            (200, "", b"token expired", False),
        ],
    )
    def test_a_403_that_speaks_of_expiry_is_as_good_as_a_401_T10(self, status, challenge, body, stale):
        assert policy.stale(status, challenge, body) is stale


seconds = st.floats(0, 7200, allow_nan=False)
events = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), seconds),
        st.tuples(st.just("strange"), st.floats(-7200, 7200)),
        st.tuples(st.just("granted"), st.none() | st.floats(-10, 0) | st.floats(0.01, 7200)),
        st.tuples(st.just("failed"), st.sampled_from(sorted(FAULTS)), st.one_of(st.none(), seconds)),
        st.tuples(st.just("refused")),
    ),
    max_size=40,
)


@settings(max_examples=1500, deadline=None)
@given(events, st.booleans(), st.floats(0, 1))
def test_whatever_happens_no_dead_bearer_is_served_and_the_provider_is_not_stormed(events, asleep, spread):
    """`strange`: the machine sleeps (only the wall clock runs on), or the wall clock is stepped."""
    now = START
    truth = 0.0  # seconds that really passed
    state, died = State(), -inf
    allowed, forced = -inf, -inf  # monotonic: earliest next attempt, last forced one
    for event, *more in events:
        match event:
            case "passes":
                truth += more[0]
                now = later(more[0], since=now)
            case "strange" if asleep:
                truth += abs(more[0])
                now = later(0, wall=abs(more[0]), since=now)
            case "strange":
                now = later(0, wall=more[0], since=now)
            case "granted" | "failed" if policy.wait(state, now) == 0:
                assert now.mono >= allowed
                before = state
                if event == "granted":
                    state = policy.granted(state, Grant(Secret("Bearer x"), more[0]), now, spread)
                else:
                    state = policy.failed(state, Fault(more[0], more[1]), now)
                if state.fault is None:
                    died = inf if more[0] is None else truth + more[0]
                else:
                    assert state.held == before.held
                    assert state.failures == before.failures + 1
                    pause = 60 if FAULTS[state.fault.code].fatal else min(2 ** (state.failures - 1), 60)
                    allowed = now.mono + pause
            case "refused" if policy.forcible(state, now):
                assert now.mono >= max(forced + 5, allowed)
                forced = now.mono
                state = state._replace(forced=forced)
        if policy.usable(state, now):
            assert truth < died
        assert policy.unavailable("x", state, now).retry_after >= 1
