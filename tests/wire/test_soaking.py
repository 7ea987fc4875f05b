"""What `make soak` takes for wrong; the run itself is minutes long."""

import asyncio
import random

import pytest
from wire.soaking import GROWTH, Soak


@pytest.fixture
def soak() -> Soak:
    return Soak(None, None, random.Random(1))


@pytest.mark.parametrize(("slope", "well"), [(0.0, True), (0.5 / 480, True), (2.0 / 480, False)])
async def test_memory_may_grow_for_two_minutes_and_then_by_less_than_a_mib(soak, slope, well):
    soak.memory = [
        (float(at), 60 + min(at, 120) / 20 + slope * max(0, at - 120) + at % 7 / 10) for at in range(600)
    ]
    assert (soak.growth() < GROWTH) is well


async def test_a_short_run_does_not_tell_whether_memory_grows(soak):
    soak.memory = [(float(at), float(at)) for at in range(170)]
    assert soak.growth() is None


async def test_what_is_said_to_be_unclosed_or_unhandled_is_wrong(soak):
    said = asyncio.StreamReader()
    said.feed_data(
        b"ready\nResourceWarning: unclosed transport <x>\nfine\nTask exception was never retrieved\n"
    )
    said.feed_eof()
    await soak.listen(said)
    assert soak.wrong == [
        "it said: ResourceWarning: unclosed transport <x>",
        "it said: Task exception was never retrieved",
    ]
