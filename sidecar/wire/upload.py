"""A body that is passed on while it comes: framed for the agent, counted where its length was promised."""

from collections.abc import AsyncIterator

from middleware.exchange import Upload
from policies.refusal import Refusal
from sidecar.wire.request import CHUNKED, LAST, chunk


def framing(upload: Upload) -> str:
    """The line of the head that tells how the body will be delimited."""
    return CHUNKED if upload.length is None else f"Content-Length: {upload.length}\r\n"


async def pieces(upload: Upload) -> AsyncIterator[bytes]:
    """What is to be written, piece by piece. Refusal 400 where it is not as long as it was said to be."""
    if upload.length is None:
        async for data in upload.chunks():
            if data:
                yield chunk(data)
        yield LAST
        return
    left = upload.length
    async for data in upload.chunks():
        left -= len(data)
        if left < 0:
            break
        yield data
    if left:
        raise Refusal(400, "bad_request", detail="The body is not as long as its Content-Length says.")
