"""One request as aiohttp read it, with what everybody looks at as plain attributes, and its body as it lies there."""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.streams import EmptyStreamReader, StreamReader
from aiohttp.web_protocol import RequestHandler


class Request(web.BaseRequest):
    """In aiohttp each of these is a call when it is looked at; a chat looks at them some thirty times."""

    __slots__ = (
        "body_exists", "content", "content_length", "headers", "keep_alive", "method", "raw_path", "remote", "version",
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
        self.headers, self.content = headers, payload
        self.body_exists = type(payload) is not EmptyStreamReader
        self.keep_alive = not message.should_close
        self.remote = peer[0] if isinstance(peer, tuple) else peer
        length = headers.get("Content-Length")
        self.content_length = None if length is None else int(length)  # type: ignore[misc]  # a property there


def at_hand(content: StreamReader) -> bytes:
    """A body that has come to its end and was not read. Reading it would have aiohttp ask its parser for more."""
    return b"".join(content._buffer)
