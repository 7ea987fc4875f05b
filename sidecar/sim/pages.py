"""Answers that are not the agent's own: the platform's before it, a guardrail's behind it, plain statuses."""

import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

PLATFORM: Final = {"Server": "databricks"}
AGENT: Final = {"Server": "uvicorn"}

LOGIN = """<!doctype html>
<html lang="en"><head><title>Sign in</title></head>
<body><h1>Sign in</h1><form action="/login"><input name="email"><button>Next</button></form></body></html>
"""
STARTING = """<!doctype html>
<html lang="en"><head><title>App Not Available</title></head>
<body><h1>App Not Available</h1><p>Sorry, the app you are visiting is currently unavailable.</p></body></html>
"""


def html(status: int, text: str, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=text, content_type="text/html", headers={**PLATFORM, **named})


def json_of_agent(status: int, value: Any, **headers: str) -> web.Response:
    """JSON as FastAPI writes it: compact, and not escaped to ASCII."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = compact(value)
    return web.Response(status=status, body=raw, content_type="application/json", headers={**AGENT, **named})


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def status(number: float) -> web.Response:
    code = int(number) if 200 <= number <= 599 else 500
    again = {"retry_after": "7"} if code in (429, 503) else {}
    return json_of_agent(code, {"detail": f"The agent was told to answer {code}."}, **again)


def guardrail(_: float) -> web.Response:
    """What a model endpoint says whose output guardrail cannot look at a stream, handed on by the agent."""
    message = "Streaming is not supported when output guardrails are enabled for this endpoint."
    return json_of_agent(400, {"error_code": "BAD_REQUEST", "message": message})


PAGES: Final[dict[str, Callable[[float], web.Response]]] = {
    "html": lambda _: html(200, LOGIN),
    "redirect": lambda _: html(302, "", Location="https://login.example/oidc/v1/authorize?client_id=app"),
    "unauthorized": lambda _: html(401, "Unauthorized", WWW_Authenticate='Bearer realm="Databricks Apps"'),
    "forbidden": lambda _: html(403, "<h1>403</h1><p>App not authorized</p>"),
    "unavailable": lambda _: html(503, STARTING),
    "status": status,
    "guardrail": guardrail,
}
