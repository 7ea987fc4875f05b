"""How a refusal is told in the tongues that speak JSON and SSE: whole, or as the last frame of a stream."""

from collections.abc import Callable

from middleware.exchange import Body, Call, Headers, Reply, headers
from middleware.sse import error_frame
from policies import errors
from policies.refusal import Refusal


class Refused(Body):
    """The body of a refusal, which still knows what it refused: a stream that has begun needs it in other words."""

    __slots__ = ("refusal",)

    def __init__(self, refusal: Refusal, *, full: bool) -> None:
        super().__init__(value=errors.body(refusal, full=full))
        self.refusal = refusal


# What an event stream starts with, whoever makes it: nothing on the way may store, squeeze or hold it back.
OPENING: Headers = headers(
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
)


def as_json(mode: str | None) -> Callable[[Refusal, Call], Reply]:
    """Refusals as JSON. `mode` is SIDECAR_ERRORS; unset, a browser at the front gets less than everybody else."""

    def refuse(refusal: Refusal, call: Call) -> Reply:
        full = mode != "brief" if mode else call.caller.door != "front"
        pairs = [("Content-Type", "application/json")]
        if refusal.retry_after is not None:
            pairs.append(("Retry-After", str(refusal.retry_after)))
        return Reply(refusal.status, headers(*pairs), Refused(refusal, full=full))

    return refuse


def last_frame(mode: str | None) -> Callable[[Refusal, str], bytes]:
    """The last word of a stream that has begun. It may reach a browser, so it names nothing unless told to."""

    def frame(refusal: Refusal, request_id: str) -> bytes:
        return error_frame(refusal.code, errors.message(refusal, full=mode == "full"), request_id)

    return frame
