"""How a caller of the app behind the front is told what went wrong on the way: JSON, or a page that waits."""

from pathlib import Path
from typing import Final

from middleware.dialects.dialect import Dialect
from middleware.dialects.told import as_json, last_frame
from middleware.exchange import NO_HEADERS, Body, Call, Handler, Reply, headers
from policies import forwarded
from policies.refusal import Refusal

WAITING: Final = (Path(__file__).parent.parent / "ui/waiting/page.html").read_bytes()
PAGE: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)


def tongue(mode: str | None) -> Dialect:
    """How the app's caller is told what went wrong on the way: JSON, and a page to whom waits for one."""
    as_words = as_json(mode)

    def refuse(refusal: Refusal, call: Call) -> Reply:
        told = as_words(refusal, call)
        if refusal.code == "frontend_starting" and forwarded.navigates(call.method, call.headers):
            told = Reply(
                told.status, headers(*PAGE, ("Retry-After", str(refusal.retry_after))), Body(WAITING)
            )
        return told._replace(
            headers=headers(*told.headers.items(), ("Cache-Control", "no-store"), ("Server", "sidecar"))
        )

    return Dialect(untouched, untouched, NO_HEADERS, refuse, last_frame(mode), ())


async def untouched(call: Call, forward: Handler) -> Reply:
    return await forward(call)
