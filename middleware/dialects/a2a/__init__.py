"""`a2a`: agents and callers that speak A2A over JSON-RPC, in its versions 0.2, 0.3 and 1.0.

An agent gets chats as messages; a caller gets any agent's answers as tasks. On both sides of the sidecar the bytes
pass as they are, unknown methods and extensions included: such a call is a relay to the endpoint of the card.
Failures of transport are told by HTTP status, errors of JSON-RPC inside a 200, and neither as the other.
"""

from typing import Final

from middleware.dialects.a2a.cards import Cards
from middleware.dialects.a2a.inbound import inbound
from middleware.dialects.a2a.outbound import outbound, relay
from middleware.dialects.dialect import Dialect
from middleware.dialects.told import OPENING, as_json
from middleware.observe import Recorder
from middleware.sse import frame
from policies import errors, jsonrpc
from policies.jsonrpc import Wrong
from policies.refusal import Refusal

TERMINAL: Final = (
    b"status-update",
)  # of streams that begin here; an agent's own are read, never judged by it


def a2a(
    mode: str | None = None, *, origins: frozenset[str] = frozenset(), recorder: Recorder | None = None
) -> Dialect:
    """`mode` is SIDECAR_ERRORS; `origins` those to which a card may lead beside its agent's own."""
    cards = Cards(origins)

    def last_word(refusal: Refusal, request_id: str) -> bytes:
        wrong = Wrong(jsonrpc.INTERNAL_ERROR, f"{refusal.code}, request {request_id}")
        told = jsonrpc.error(wrong)
        told["error"]["message"] = errors.message(refusal, full=mode == "full")
        return frame(told)

    return Dialect(
        inbound=inbound,
        outbound=outbound(cards, recorder),
        opening=OPENING,
        refuse=as_json(mode),
        last_word=last_word,
        terminal=TERMINAL,
        relay=relay(cards),
    )
