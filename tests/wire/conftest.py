"""A wire before servers that are told byte by byte what to do, and before those that agents run on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import cache
from typing import Any

import pytest
import uvloop
from wire.calls import Notes
from wire.origins.starting import origin

from sidecar.sweep import Sweep
from sidecar.wire import Limits, Wire


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """On the loop that we run on, and on the one where uvloop does not install."""
    if item.path.stem == "test_faults":  # whole matrices: once is long enough
        return {"uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def wired(notes: Notes) -> AsyncIterator[Callable[..., Wire]]:
    """`wired(gap=0.2)`: a wire with these limits, and a sweep that looks every hundredth of a second."""
    async with AsyncExitStack() as stack:

        def made(
            terminals: Any = {},  # noqa: B006
            tls: Any = None,
            proxied: bool = False,
            notes: Notes = notes,
            **limits: Any,
        ) -> Wire:
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


@pytest.fixture(scope="session")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """`origins("node")`: the URL of such a server, which is started once."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(origin(name, tmp_path_factory.mktemp(name))))
