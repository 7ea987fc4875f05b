"""What went wrong on the wire, and what a caller is told of it, in the words of the closed list."""

from typing import Final

from policies import hints
from policies.agent import FRONTEND, Agent
from policies.outcome import status
from policies.refusal import Refusal, Sent

UNREACHED: Final = frozenset({"agent_unreachable", "agent_connect_timeout"})
# The same of the app behind the front: its code, and what that was where the code says less.
OF_THE_FRONTEND: Final = {
    "agent_unreachable": ("frontend_unreachable", ""),
    "agent_tls_error": ("frontend_unreachable", ""),
    "agent_broke_off": ("frontend_broke_off", ""),
    "agent_protocol_error": ("frontend_broke_off", "protocol: "),
    "agent_connect_timeout": ("frontend_timeout", "connect"),
    "agent_first_byte_timeout": ("frontend_timeout", ""),
    "agent_gap_timeout": ("frontend_timeout", ""),
}
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
    code, reason = fault.code, fault.reason
    if agent.kind == FRONTEND:
        code, begin = OF_THE_FRONTEND.get(code, (code, ""))
        reason = begin + reason
    detail, hint = hints.explain(code, agent=agent, reason=reason)
    if proxied and code in UNREACHED and agent.url.startswith("https:"):
        hint = (hint or "") + PROXIED
    later = 1 if code == "overloaded" else None
    return Refusal(status(code), code, detail=detail, hint=hint, sent=sent, stale=stale, retry_after=later)
