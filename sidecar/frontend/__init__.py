"""The front as a reverse proxy: what comes for the app behind it goes there and back over the wire, as it is.

It is an edge like that of the agents, with other policies: no middleware but the recorder, headers by
`policies.forwarded`, refusals as JSON or as a page that waits.
"""

from collections.abc import Callable

from middleware.exchange import Handler
from policies.agent import FRONTEND
from sidecar.asking import Asking
from sidecar.behind import Frontend
from sidecar.edge import Edge
from sidecar.frontend.edge import Relays
from sidecar.frontend.tongue import tongue
from sidecar.frontend.towards import Towards
from sidecar.frontend.way import relay

__all__ = ["Relays", "relays"]


def relays(
    frontend: Frontend,
    wire: Handler,
    edge: Edge,
    asking: Asking,
    *,
    errors: str | None,
    draining: Callable[[], bool],
    played: bool,
    workspace: str | None,
) -> Relays:
    """The edge of the app behind the front, beside that of the agents.

    `asking` reads bodies as they come; `played` and `workspace`: see `Towards`.
    """
    dialect = tongue(errors)
    return Relays(
        chat=edge.chat,
        relay=relay(wire, frontend, edge.telemetry, dialect, draining),
        asking=Towards(frontend, asking, played=played, workspace=workspace),
        dialects={FRONTEND: dialect},
        telemetry=edge.telemetry,
        sweep=edge.sweep,
        patience=edge.patience,
        in_hand=edge.in_hand,
    )
