"""Who holds the loop for too long is told, and nothing else about a coroutine changes."""

import asyncio
import time

import pytest

from middleware import stepped
from middleware.stepped import Stepped


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "LONGEST", 0.02)


async def test_a_step_that_takes_too_long_is_told_and_one_that_waits_is_not() -> None:
    told: list[float] = []

    async def work() -> str:
        await asyncio.sleep(0.03)  # waiting holds nobody up
        assert not told
        time.sleep(0.03)  # noqa: ASYNC251
        await asyncio.sleep(0)
        return "done"

    assert await Stepped(work(), told.append) == "done"
    assert len(told) == 1
    assert told[0] >= 0.03


async def test_of_steps_within_steps_the_innermost_is_told() -> None:
    told: list[str] = []

    async def inner() -> None:
        time.sleep(0.03)  # noqa: ASYNC251

    async def outer() -> None:
        await Stepped(inner(), lambda _: told.append("inner"))

    await Stepped(outer(), lambda _: told.append("outer"))
    assert told == ["inner"]


async def test_what_it_raises_is_raised_and_who_cancels_it_cancels_it() -> None:
    async def breaks() -> None:
        await asyncio.sleep(0)
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        await Stepped(breaks(), lambda _: None)
    cleaned = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    async def driven() -> None:
        await Stepped(waits(), lambda _: None)

    task = asyncio.create_task(driven())
    await asyncio.sleep(0)
    task.cancel("why")
    with pytest.raises(asyncio.CancelledError, match="why"):
        await task
    assert cleaned.is_set()
