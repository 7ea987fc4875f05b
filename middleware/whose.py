"""Whose conversation with which agent: the one rule for all who keep conversations."""

from middleware.exchange import Call
from policies.mcp import owner

Key = tuple[object, str, str, bytes]


def named(call: Call) -> bool:
    """Whether anybody said who calls. Callers of whom nobody did cannot be told apart."""
    caller = call.caller
    return any(part is not None for part in (caller.name, caller.email, caller.token, caller.bearer))


def key(call: Call, print_: bytes) -> Key:
    """Under which this caller's conversation with this agent is kept, by what was said in it."""
    return owner(call.caller), call.agent.name, call.agent.url, print_
