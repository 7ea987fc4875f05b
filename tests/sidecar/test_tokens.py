"""Bearers are fetched once, early, and patiently, and nothing dead is ever served."""

import asyncio

import pytest

from policies.agent import Agent
from policies.credentials import Grant
from policies.faults import Fault
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.tokens.credential import Credential
from sidecar.tokens.keeper import Clock
from sidecar.tokens.source import Tokens

AGENT = Agent("default", "http://127.0.0.1:1", auth="app")
HOME = Credential("workspace", host="https://dbc.example.com", client_id="id", client_secret=Secret("s3cret"))


class Time:
    """Two clocks that run only when told to, and a sleep that wakes when they have."""

    def __init__(self) -> None:
        self.mono, self.wall = 1_000.0, 1_800_000_000.0
        self._asleep: list[tuple[float, asyncio.Future[None]]] = []

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.mono, lambda: self.wall, self.sleep)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        seconds = max(seconds, 1e-6)  # less may be lost in rounding, and then no time would ever pass
        self._asleep.append((self.mono + seconds, woken))
        await woken

    async def passes(self, seconds: float) -> None:
        end = self.mono + seconds
        await settled()
        while due := sorted((one for one in self._asleep if one[0] <= end), key=lambda one: one[0]):
            self.wall += max(0.0, due[0][0] - self.mono)
            self.mono = max(self.mono, due[0][0])
            self._asleep.remove(due[0])
            if not due[0][1].done():
                due[0][1].set_result(None)
            await settled()
        self.wall, self.mono = self.wall + end - self.mono, end


async def settled() -> None:
    """Everything that can run without time passing has run."""
    for _ in range(20):
        await asyncio.sleep(0)


class Provider:
    """An identity provider: numbered bearers, or the faults that were ordered; it can be made to hang."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.asked: list[float] = []
        self.faults: list[Fault | None] = []
        self.always: Fault | None = None
        self.life: float | None = 3600.0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, credential: Credential) -> Grant | Fault:
        self.asked.append(self.time.mono)
        await self.open.wait()
        if fault := self.faults.pop(0) if self.faults else self.always:
            return fault
        return Grant(Secret(f"Bearer {credential.name}-{len(self.asked)}"), self.life)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def provider(time: Time) -> Provider:
    return Provider(time)


@pytest.fixture
async def tokens(time: Time, provider: Provider):
    made = Tokens({AGENT.name: HOME}, fetch=provider, clock=time.clock)
    yield made
    await made.aclose()


class TestKeeping:
    async def test_500_first_calls_make_one_request_T01(self, tokens, provider):
        bearers = await asyncio.gather(*(tokens.bearer(AGENT) for _ in range(500)))
        assert set(bearers) == {"Bearer workspace-1"}
        assert len(provider.asked) == 1

    async def test_from_then_on_it_is_at_hand_without_waiting(self, tokens):
        assert tokens.ready(AGENT) is None
        await tokens.bearer(AGENT)
        assert tokens.ready(AGENT) == "Bearer workspace-1"

    async def test_it_is_there_before_anybody_calls(self, tokens, provider):
        tokens.start()
        await settled()
        assert tokens.ready(AGENT) == "Bearer workspace-1"

    async def test_it_is_fetched_anew_at_50_to_80_percent_of_its_life_unasked(self, tokens, provider, time):
        await tokens.bearer(AGENT)
        await time.passes(1799)
        assert len(provider.asked) == 1
        await time.passes(1081)
        assert len(provider.asked) == 2
        assert tokens.ready(AGENT) == "Bearer workspace-2"

    async def test_the_old_one_is_served_while_a_new_one_is_being_fetched(self, tokens, provider, time):
        await tokens.bearer(AGENT)
        provider.open.clear()
        await time.passes(3000)
        assert len(provider.asked) == 2
        assert await tokens.bearer(AGENT) == "Bearer workspace-1"
        provider.open.set()
        await settled()
        assert tokens.ready(AGENT) == "Bearer workspace-2"

    async def test_a_caller_who_leaves_does_not_end_the_refresh_of_the_others(self, tokens, provider):
        provider.open.clear()
        first = asyncio.create_task(tokens.bearer(AGENT))
        second = asyncio.create_task(tokens.bearer(AGENT))
        await settled()
        first.cancel()
        provider.open.set()
        assert await second == "Bearer workspace-1"
        assert len(provider.asked) == 1

    async def test_two_workspaces_are_never_crossed_T13(self, provider, time):
        there = Agent("there", "http://127.0.0.1:2", auth="app")
        near = Agent("near", "http://127.0.0.1:3", auth="app")
        other = Credential(
            "other", host="https://other.example.com", client_id="id", client_secret=Secret("o")
        )
        tokens = Tokens(
            {AGENT.name: HOME, near.name: HOME, there.name: other}, fetch=provider, clock=time.clock
        )
        assert (await tokens.bearer(there)).startswith("Bearer other-")
        assert (await tokens.bearer(AGENT)).startswith("Bearer workspace-")
        assert tokens.ready(near) == tokens.ready(AGENT)  # one credential, one cache
        assert len(provider.asked) == 2
        await tokens.aclose()

    async def test_an_agent_without_a_credential_is_told_so(self, tokens):
        stranger = Agent("stranger", "http://127.0.0.1:2", auth="app")
        assert tokens.ready(stranger) is None
        with pytest.raises(Refusal, match="credential_unavailable") as refused:
            await tokens.bearer(stranger)
        assert "stranger" in refused.value.detail


class TestProviderDown:
    async def test_the_old_bearer_is_served_and_the_refresh_backs_off_T02(self, tokens, provider, time):
        await tokens.bearer(AGENT)
        provider.always = Fault("unreachable")
        await time.passes(2880)
        began = provider.asked[1]
        await time.passes(400)
        assert await tokens.bearer(AGENT) == "Bearer workspace-1"
        pauses = [
            round(at - before) for before, at in zip(provider.asked[1:], provider.asked[2:], strict=False)
        ]
        assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
        assert set(pauses[6:]) == {60}
        facts = tokens.facts()[0]
        assert facts.refreshes["ok"] == 1
        assert facts.refreshes["unreachable"] == len(provider.asked) - 1
        assert 0 < facts.expires_at - time.wall < 3600 - (time.mono - began)

    async def test_an_expired_bearer_is_not_sent_and_nobody_waits_T03(self, tokens, provider, time):
        await tokens.bearer(AGENT)
        provider.always = Fault("timeout")
        await time.passes(3601)
        provider.open.clear()  # the next attempt hangs, and still nobody waits for it
        await time.passes(60)
        assert tokens.ready(AGENT) is None
        asked = asyncio.create_task(tokens.bearer(AGENT))
        await settled()
        assert asked.done()
        with pytest.raises(Refusal) as refused:
            await asked
        assert (refused.value.status, refused.value.code) == (503, "credential_unavailable")
        assert refused.value.retry_after >= 1
        assert "'workspace' (dbc.example.com)" in refused.value.detail

    async def test_it_recovers_by_itself(self, tokens, provider, time):
        provider.faults = [Fault("failed"), Fault("garbage")]
        with pytest.raises(Refusal):
            await tokens.bearer(AGENT)
        assert tokens.troubles()
        await time.passes(4)
        assert tokens.ready(AGENT) == "Bearer workspace-3"
        assert tokens.troubles() == []

    async def test_an_unknown_client_is_a_reason_at_readyz_and_asked_about_once_a_minute_T06(
        self, tokens, provider, time
    ):
        provider.always = Fault("invalid_client")
        tokens.start()
        await time.passes(1)
        for _ in range(100):
            with pytest.raises(Refusal):
                await tokens.bearer(AGENT)
        assert len(provider.asked) == 1
        assert "invalid_client" in tokens.troubles()[0]
        assert tokens.facts()[0].fatal
        await time.passes(600)
        assert len(provider.asked) == 11

    async def test_a_providers_patience_is_kept_T07(self, tokens, provider, time):
        provider.faults = [Fault("throttled", 45)]
        with pytest.raises(Refusal) as refused:
            await tokens.bearer(AGENT)
        assert refused.value.retry_after == 45
        await time.passes(44)
        assert len(provider.asked) == 1
        await time.passes(2)
        assert len(provider.asked) == 2

    async def test_a_machine_that_slept_sends_nothing_old_T11(self, tokens, provider, time):
        await tokens.bearer(AGENT)
        time.wall += 7200  # the other clock stood still
        assert tokens.ready(AGENT) is None
        assert await tokens.bearer(AGENT) == "Bearer workspace-2"

    async def test_a_clock_set_back_neither_revives_nor_prolongs_T11(self, tokens, provider, time):
        await tokens.bearer(AGENT)
        provider.always = Fault("unreachable")
        time.wall -= 300
        await time.passes(3569)
        assert tokens.ready(AGENT) == "Bearer workspace-1"
        await time.passes(2)
        assert tokens.ready(AGENT) is None

    async def test_a_fault_of_our_own_does_not_end_the_refreshing(self, time, caplog):
        calls = []

        async def broken(credential: Credential) -> Grant | Fault:
            calls.append(credential)
            if len(calls) == 1:
                raise RuntimeError
            return Grant(Secret("Bearer later"), None)

        tokens = Tokens({AGENT.name: HOME}, fetch=broken, clock=time.clock)
        with pytest.raises(Refusal):
            await tokens.bearer(AGENT)
        await time.passes(2)
        assert tokens.ready(AGENT) == "Bearer later"
        await tokens.aclose()


class TestRefused:
    async def test_a_401_forces_one_refresh_T08(self, tokens, provider):
        first = await tokens.bearer(AGENT)
        assert await tokens.refused(AGENT, first) == "Bearer workspace-2"
        assert len(provider.asked) == 2

    async def test_a_storm_of_200_forces_one_in_5_seconds_T09(self, tokens, provider, time):
        first = await tokens.bearer(AGENT)
        others = await asyncio.gather(*(tokens.refused(AGENT, first) for _ in range(200)))
        assert set(others) == {"Bearer workspace-2"}
        assert len(provider.asked) == 2
        await time.passes(4.9)
        others = await asyncio.gather(*(tokens.refused(AGENT, "Bearer workspace-2") for _ in range(200)))
        assert set(others) == {None}
        assert len(provider.asked) == 2
        await time.passes(0.2)
        assert await tokens.refused(AGENT, "Bearer workspace-2") == "Bearer workspace-3"

    async def test_who_was_refused_with_an_older_one_gets_the_one_at_hand(self, tokens, provider):
        first = await tokens.bearer(AGENT)
        await tokens.refused(AGENT, first)
        assert await tokens.refused(AGENT, first) == "Bearer workspace-2"
        assert len(provider.asked) == 2

    async def test_where_the_provider_is_down_the_401_stands_and_the_others_go_on(self, tokens, provider):
        first = await tokens.bearer(AGENT)
        provider.always = Fault("unreachable")
        assert await tokens.refused(AGENT, first) is None
        assert tokens.ready(AGENT) == first
