"""`Expect: 100-continue`: leave to send a body is given when the body is wanted, and nothing else is expected here."""

from typing import Final

from aiohttp import HttpVersion11, web

from policies.refusal import Refusal

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def expected(request: web.BaseRequest) -> bool:
    """Whether the caller waits for leave. Refusal 417 `unsupported_expectation` where it waits for more."""
    if "expect" not in request.headers:
        return False
    if any(value.lower() != "100-continue" for value in request.headers.getall("expect")):
        raise Refusal(417, "unsupported_expectation", hint="Leave the header Expect out.")
    return request.version >= HttpVersion11 and not request.content.total_bytes


def go_on(request: web.BaseRequest) -> None:
    """Give it leave."""
    if expected(request) and request.protocol.transport is not None:
        request.protocol.transport.write(CONTINUE)
