"""A wire for agents that somebody else named: public addresses only, and no memory that they could fill. U11."""

from collections.abc import AsyncIterator

import pytest
from wire.calls import Notes, asking, fetching

from policies.refusal import Refusal
from sidecar import sim
from sidecar.sweep import Sweep
from sidecar.wire import Limits, Wire
from sidecar.wire import wire as module


@pytest.fixture
async def outside(notes: Notes) -> AsyncIterator[Wire]:
    sweep = Sweep(0.01)
    one = Wire(Limits(), sweep, {}, notes, public=True)
    yield one
    await one.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
async def test_u11_nothing_is_sent_to_an_address_that_not_everybody_can_reach(
    outside: Wire, notes: Notes, host: str
) -> None:
    async with sim.agent() as agent:
        with pytest.raises(Refusal) as refusal:
            await outside(asking(agent.url.replace("127.0.0.1", host)))
        assert (refusal.value.code, refusal.value.sent) == ("agent_address_refused", "none")
        assert len(agent.visits) == 0
    assert notes.attempts == [("none", "agent_address_refused")]


@pytest.mark.source  # changes a constant
async def test_places_that_somebody_else_named_are_forgotten_where_nothing_is_open(
    outside: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLACES", 10)
    for number in range(50):
        with pytest.raises(Refusal):
            await outside(fetching(f"http://127.0.0.1:{number + 1}"))
    assert len(outside.pools) <= 11
    assert len(outside._setting.sweep.items) == len(outside.pools)
