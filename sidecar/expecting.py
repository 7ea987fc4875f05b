"""`Expect: 100-continue`: leave to send a body is given when the body is wanted, and nothing else is expected here."""

from policies.refusal import Refusal
from sidecar.doors import Request


def expected(request: Request) -> bool:
    """Whether the caller waits for leave. Refusal 417 `unsupported_expectation` where it waits for more."""
    if "expect" not in request.headers:
        return False
    if any(value.lower() != "100-continue" for value in request.headers.getall("expect")):
        raise Refusal(417, "unsupported_expectation", hint="Leave the header Expect out.")
    return request.modern and request.body_exists and not request.content.begun


def go_on(request: Request) -> None:
    """Give it leave."""
    if expected(request):
        request.connection.go_on()
