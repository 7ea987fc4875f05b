"""One request as aiohttp read it, with what everybody looks at as plain attributes, and its body as it lies there."""

import asyncio
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.streams import EmptyStreamReader, StreamReader
from aiohttp.web_protocol import RequestHandler

from policies import framing


class Request(web.BaseRequest):
    """In aiohttp each of these is a call when it is looked at; a chat looks at them some thirty times.

    `framed`  whether there is one reading only of where it ends; else it is answered as what is no HTTP
    """

    __slots__ = (
        "body_exists", "content", "content_length", "framed", "headers", "keep_alive", "method", "raw_path", "remote",
        "version",
    )  # fmt: skip

    def __init__(
        self,
        message: Any,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
        loop: asyncio.AbstractEventLoop,
        max_body: int,
    ) -> None:
        super().__init__(message, payload, protocol, writer, task, loop, client_max_size=max_body)
        headers, peer = message.headers, protocol.peername
        self.method, self.raw_path, self.version = message.method, message.path, message.version
        coding = headers.get(hdrs.TRANSFER_ENCODING)
        self.framed = (coding is None and self.version is HttpVersion11) or framing.clear(
            coding, self.version
        )
        if not self.framed:
            self.version = HttpVersion10  # of the answer, as where the parser refuses
        self.headers, self.content = headers, payload
        self.body_exists = type(payload) is not EmptyStreamReader
        # The last of its connection: aiohttp's parser (3.14.5) takes the last trailer of a body for a header of the
        # next request, and loses what comes in one piece with a request for a protocol that it does not know.
        last = coding is not None or (message.upgrade and not framing.known(headers.get(hdrs.UPGRADE, "")))
        self.keep_alive = not (last or message.should_close)
        self.remote = peer[0] if isinstance(peer, tuple) else peer
        length = headers.get("Content-Length")
        self.content_length = None if length is None else int(length)  # type: ignore[misc]  # a property there


def at_hand(content: StreamReader) -> bytes | None:
    """A body that was not read and has come to its end; None where it has not, or broke.

    Reading it would have aiohttp ask its parser for more.
    """
    if not content.is_eof() or content.exception() is not None:
        return None
    return b"".join(content._buffer)
