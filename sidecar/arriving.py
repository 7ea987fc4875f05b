"""A caller's body in pieces, as long as it keeps coming."""

import asyncio
from collections.abc import AsyncIterator

from policies.refusal import Refusal
from sidecar.doors import Request
from sidecar.expecting import go_on
from sidecar.sweep import Deadline, Sweep

NEVER = float("inf")


async def arriving(request: Request, sweep: Sweep, seconds: float) -> AsyncIterator[bytes]:
    """Refusal 408 where the next piece does not come within so many seconds, 400 where it is no HTTP."""
    go_on(request)
    deadline, clock = Deadline(asyncio.current_task(), "body_timeout"), asyncio.get_running_loop().time
    sweep.items.add(deadline)
    try:
        while True:
            deadline.at = clock() + seconds
            chunk = await request.content.more()
            deadline.at = NEVER  # whoever takes it may take his time
            if not chunk:
                return
            yield chunk
    except asyncio.CancelledError:
        if not deadline.caught():
            raise
        raise Refusal(408, "body_timeout", hint="SIDECAR_BODY_TIMEOUT moves the limit.") from None
    finally:
        sweep.items.discard(deadline)
