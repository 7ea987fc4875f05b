"""What went wrong on the way to an agent, from aiohttp's words into those of the closed list."""

import asyncio
import ssl
from typing import Final, NoReturn

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from policies import hints
from policies.agent import Agent
from policies.outcome import status
from policies.refusal import Refusal, Sent
from sidecar.sweep import Deadline

EARLY: Final = "Response payload is not completed"  # how aiohttp says that the connection ended too soon


def explained(error: BaseException, agent: Agent, deadline: Deadline) -> NoReturn:
    """Raise it as a Refusal with an honest `sent`; a caller's own cancellation goes on as it is."""
    code, reason, sent = _read(error)
    if isinstance(error, asyncio.CancelledError) and deadline.caught():
        code = deadline.code
    if not code:
        raise error
    detail, hint = hints.explain(code, agent=agent, reason=reason)
    raise Refusal(status(code), code, detail=detail, hint=hint, sent=sent) from error


def _read(error: BaseException) -> tuple[str, str, Sent]:
    """(code, reason, what was sent): an error of the connector means that no byte was written."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "agent_connect_timeout", "", "none"
        case aiohttp.ClientConnectorDNSError():
            return "agent_unreachable", "dns", "none"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "agent_tls_error", str(getattr(error, "certificate_error", "") or "tls"), "none"
        case aiohttp.ClientConnectorError():
            refused = isinstance(error.os_error, ConnectionRefusedError)
            return (
                "agent_unreachable",
                "refused" if refused else (error.os_error.strerror or "").lower(),
                "none",
            )
        case aiohttp.ClientPayloadError() if not str(error).startswith(EARLY):
            return "agent_protocol_error", "", "full"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | OSError():
            return "agent_broke_off", "", "full"
        case aiohttp.ClientError() | HttpProcessingError() | ValueError():
            return "agent_protocol_error", "", "full"
    return "", "", "full"
