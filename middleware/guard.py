"""Whatever goes wrong further in is answered in the caller's own tongue, and nothing else ever speaks to it."""

from collections.abc import Mapping

from middleware.dialects.dialect import Dialect
from middleware.exchange import Call, Handler, Middleware, Reply
from middleware.observe import Recorder
from policies.refusal import Refusal


def guard(dialects: Mapping[str, Dialect], recorder: Recorder) -> Middleware:
    async def middleware(call: Call, forward: Handler) -> Reply:
        try:
            return await forward(call)
        except Refusal as refusal:
            recorder.refused(call, refusal)
            return dialects[call.dialect].refuse(refusal.settled(), call)
        except Exception as error:  # a fault of ours or of a plug-in: told as such, never in its own words
            recorder.failed(call, error)
            return dialects[call.dialect].refuse(Refusal(500, "internal_error"), call)

    return middleware
