"""What went wrong on the wire, and what a caller is told of it, in the words of the closed list."""

from typing import Final

from policies import hints
from policies.agent import Agent
from policies.outcome import status
from policies.refusal import Refusal, Sent

UNREACHED: Final = frozenset({"agent_unreachable", "agent_connect_timeout"})
PROXIED: Final = " HTTPS_PROXY is set, and agents are reached without it."


class Fault(Exception):
    """A failure of one connection: a code of `policies.outcome`, and a few words on the cause."""

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Malformed(Fault):
    """What came is no HTTP, or HTTP that can be read in two ways."""

    def __init__(self, reason: str) -> None:
        super().__init__("agent_protocol_error", reason)


def told(fault: Fault, agent: Agent, sent: Sent, *, stale: bool = False, proxied: bool = False) -> Refusal:
    """The refusal for this call. `proxied`: whether the environment names a proxy that is not used here."""
    code = fault.code
    detail, hint = hints.explain(code, agent=agent, reason=fault.reason)
    if code == "overloaded":
        detail = f"{fault.reason} {detail}"
    elif proxied and code in UNREACHED and agent.url.startswith("https:"):
        hint = (hint or "") + PROXIED
    later = 1 if code == "overloaded" else None
    return Refusal(status(code), code, detail=detail, hint=hint, sent=sent, stale=stale, retry_after=later)
