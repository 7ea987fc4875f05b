"""When a credential is fetched again, what is served meanwhile, and what never leaves.

One credential is a `State`, and each function here answers from it or makes the next one. Times are given, on
both clocks, because each alone lies: the monotonic one may stand still while the machine sleeps, and the wall
clock may be stepped. A bearer is as old as the clock says that makes it older, so neither revives a dead one.
"""

import re
from math import ceil, inf
from typing import Final, NamedTuple

from policies.faults import Fault, meaning
from policies.refusal import Refusal
from policies.secret import Secret

LONGEST: Final = 16 << 10  # characters of a token
MARGIN: Final = 30.0  # some workspaces refuse a token for its last 30 seconds
UNDATED: Final = 3600.0  # what names no end is read again within the hour
LONGEST_PAUSE: Final = 60.0
LONGEST_RETRY_AFTER: Final = 600.0
FORCED_PAUSE: Final = 5.0

_BEARER: Final = re.compile(r"Bearer [\x21-\x7e]+")
_EXPIRY: Final = re.compile(
    rb"invalid_token|\b(token|credential|jwt|session)s?\b[^.\n]{0,60}\bexpired"
    rb"|\bexpired\b[^.\n]{0,30}\b(token|credential|jwt|session)",
    re.IGNORECASE,
)


class Instant(NamedTuple):
    """One moment on both clocks, in seconds."""

    mono: float
    wall: float


class Grant(NamedTuple):
    """What a refresh brought: the value of `Authorization`, and its life in seconds (None: without end)."""

    authorization: Secret
    life: float | None


class Held(NamedTuple):
    """A bearer in hand: since when, up to which age it is sent, and from which age on another is fetched."""

    authorization: Secret
    since: Instant
    ends: float
    due: float


class State(NamedTuple):
    held: Held | None = None
    fault: Fault | None = None  # of the last attempt; None where it succeeded
    failures: int = 0  # in a row
    not_before: float = -inf  # monotonic: until then the provider is left alone
    forced: float = -inf  # monotonic: when an agent's 401 last made us ask


def acceptable(authorization: str) -> bool:
    """Whether this may stand in a header: one bearer, printable, unbroken, of bounded length."""
    return len(authorization) <= LONGEST + len("Bearer ") and _BEARER.fullmatch(authorization) is not None


def age(held: Held, now: Instant) -> float:
    return max(now.mono - held.since.mono, now.wall - held.since.wall)


def ends(held: Held) -> Instant:
    """Up to when it is sent: until one of the clocks says so."""
    return Instant(held.since.mono + held.ends, held.since.wall + held.ends)


def usable(state: State, now: Instant) -> bool:
    return state.held is not None and age(state.held, now) < state.held.ends


def wait(state: State, now: Instant) -> float:
    """Seconds until the next refresh; 0 is now."""
    due = state.held.due - age(state.held, now) if state.held else 0.0
    return max(0.0, due, state.not_before - now.mono)


def granted(state: State, grant: Grant, now: Instant, spread: float) -> State:
    """A refresh succeeded. The next is due at 50 to 80 % of the life, by `spread` (0 to 1): replicas part."""
    if not acceptable(grant.authorization.reveal()):
        return failed(state, Fault("not_a_bearer"), now)
    if grant.life is None:
        ends, due = inf, UNDATED
    elif 0 < grant.life < inf:
        ends, due = grant.life - min(MARGIN, grant.life / 10), grant.life
    else:
        return failed(state, Fault("garbage"), now)
    held = Held(grant.authorization, now, ends, due * (0.5 + 0.3 * spread))
    return State(held=held, forced=state.forced)


def failed(state: State, fault: Fault, now: Instant) -> State:
    """A refresh failed: 1, 2, 4 … 60 s of patience, or what the provider asks. What is held stays held."""
    pause = LONGEST_PAUSE if meaning(fault).fatal else min(2.0 ** min(state.failures, 10), LONGEST_PAUSE)
    if fault.retry_after is not None:
        pause = max(pause, min(fault.retry_after, LONGEST_RETRY_AFTER))
    return state._replace(fault=fault, failures=state.failures + 1, not_before=now.mono + pause)


def forcible(state: State, now: Instant) -> bool:
    """Whether a 401 is reason to ask the provider now: once in 5 s, and not while it is to be left alone."""
    return now.mono >= max(state.not_before, state.forced + FORCED_PAUSE)


def trouble(name: str, state: State, now: Instant) -> str | None:
    """Why this credential keeps us from being ready; None where it does not."""
    if state.fault is None:
        return None if usable(state, now) else f"credential {name}: it has not been fetched yet"
    why = meaning(state.fault)
    return f"credential {name}: {why.cause}" if why.fatal or not usable(state, now) else None


def unavailable(name: str, state: State, now: Instant) -> Refusal:
    """What a caller hears where there is nothing to serve."""
    why = meaning(state.fault or Fault("timeout"))
    return Refusal(
        503,
        "credential_unavailable",
        detail=f"Credential {name}: {why.cause}.",
        hint=why.step,
        sent="none",
        retry_after=max(1, ceil(max(0.0, state.not_before - now.mono))),
    )


def stale(status: int, challenge: str, body: bytes) -> bool:
    """Whether an agent's answer blames the bearer: a 401, or a 403 that speaks of expiry (T10)."""
    if status != 403:
        return status == 401
    return bool(_EXPIRY.search(challenge.encode("utf-8", "replace")) or _EXPIRY.search(body[:4096]))
