"""What is tested before sockets of our own runs on both loops that we may run on."""

import asyncio
from typing import Any

import pytest
import uvloop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    plain = {"asyncio": asyncio.new_event_loop}
    return (
        plain | {"uvloop": uvloop.new_event_loop} if "opened" in getattr(item, "fixturenames", ()) else plain
    )
