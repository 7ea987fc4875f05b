"""A wire before servers that are told byte by byte what to do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from wire.calls import Notes

from sidecar.sweep import Sweep
from sidecar.wire import Limits, Wire


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """On the loop that we run on, and on the one where uvloop does not install."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def wired(notes: Notes) -> AsyncIterator[Callable[..., Wire]]:
    """`wired(gap=0.2)`: a wire with these limits, and a sweep that looks every hundredth of a second."""
    async with AsyncExitStack() as stack:

        def made(terminals: Any = {}, tls: Any = None, proxied: bool = False, **limits: Any) -> Wire:  # noqa: B006
            sweep = Sweep(0.01)
            sweep.start()
            more = {"tls": lambda: tls} if tls else {}
            wire = Wire(Limits(**limits), sweep, terminals, notes, proxied=proxied, **more)
            stack.callback(sweep.stop)
            stack.push_async_callback(wire.close)
            return wire

        yield made


@pytest.fixture
async def wire(wired: Callable[..., Wire]) -> Wire:
    return wired()
