"""The ways in which an identity provider answers a request for a token, the right one and the wrong ones."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

Grant = Callable[[], dict[str, Any]]
"""Issues a token and gives the members of the answer in which it is handed out."""
Fault = Callable[[Grant, float], Awaitable[web.Response]]


def answered(status: int, value: Any, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return web.Response(status=status, text=json.dumps(value), content_type="application/json", headers=named)


def refused(status: int, error: str, description: str, **headers: str) -> Fault:
    async def fault(grant: Grant, number: float) -> web.Response:
        return answered(status, {"error": error, "error_description": description}, **headers)

    return fault


def altered(**changes: Any) -> Fault:
    """The grant with some members changed, or left out where the change is None."""

    async def fault(grant: Grant, number: float) -> web.Response:
        changed = grant() | changes
        return answered(200, {name: value for name, value in changed.items() if value is not None})

    return fault


def page(text: str) -> Fault:
    async def fault(grant: Grant, number: float) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    return fault


async def slow(grant: Grant, number: float) -> web.Response:
    await asyncio.sleep(number)
    return answered(200, grant())


async def hang(grant: Grant, number: float) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def throttled(grant: Grant, number: float) -> web.Response:
    body = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Too many requests."}
    return answered(429, body, Retry_After=f"{number:.0f}")


FAULTS: Final[dict[str, Fault]] = {
    "": altered(),
    "slow": slow,
    "hang": hang,
    "html": page("<!doctype html><title>Sign in</title><h1>Sign in</h1>"),
    "empty": page(""),
    "no expires_in": altered(expires_in=None),
    "negative": altered(expires_in=-1),
    "string": altered(expires_in="soon"),
    "line break": altered(access_token="broken\r\nX-Injected: yes"),
    "throttled": throttled,
    "invalid_client": refused(400, "invalid_client", "Client authentication failed"),
    "revoked": refused(401, "invalid_client", "The client's secret has been revoked"),
    "failing": refused(500, "internal_error", "The service is temporarily broken"),
}


def fault(order: str) -> tuple[Fault, float]:
    """The fault that an order such as `slow 2` names, and its number (1). KeyError for an unknown one."""
    name, number = re.fullmatch(r"(.*?)(?: (\d+(?:\.\d+)?))?", order, re.DOTALL).groups()  # type: ignore[union-attr]
    return FAULTS[name], float(number or 1)
