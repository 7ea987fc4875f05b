"""Time that is up ends a block with its own reason, and takes no other cancellation for its own."""

import asyncio
from collections.abc import Coroutine

import pytest

from middleware.within import Within
from policies.outcome import of_leaving


async def told(reasons: list[str]) -> None:
    """Never over; keeps what it was ended for."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        reasons.append(of_leaving(error))
        raise


async def left(doing: Coroutine[None, None, None]) -> None:
    """Whoever it is done for leaves as soon as it has begun."""
    task = asyncio.create_task(doing)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("seconds", [0.01, 0.0, -1.0])
async def test_what_is_cut_off_hears_why_and_the_block_ends_with_a_timeout(seconds):
    reasons: list[str] = []
    with pytest.raises(TimeoutError), Within(seconds, "agent_unavailable"):
        await told(reasons)
    assert reasons == ["agent_unavailable"]
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_block_that_is_over_in_time_is_left_alone():
    with Within(0.01, "agent_unavailable"):
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)


async def test_an_error_of_the_block_is_its_own():
    with pytest.raises(LookupError), Within(5, "agent_unavailable"):
        raise LookupError


async def test_a_caller_who_leaves_is_no_timeout():
    reasons: list[str] = []

    async def waiting() -> None:
        with Within(5, "agent_unavailable"):
            await told(reasons)

    await left(waiting())
    assert reasons == ["caller_left"]


async def test_a_caller_who_leaves_as_time_is_up_has_left():
    async def waiting() -> None:
        with Within(0, "agent_unavailable"):
            await asyncio.Event().wait()

    await left(waiting())


async def test_what_is_done_for_a_caller_who_has_left_has_its_time_too():
    """An agent is told that nobody reads on, while the caller's cancellation is on its way."""
    said: list[str] = []

    async def parting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                with Within(0.01, "agent_total_timeout"):
                    await asyncio.Event().wait()
            except TimeoutError:
                said.append("in vain")

    await left(parting())
    assert said == ["in vain"]
