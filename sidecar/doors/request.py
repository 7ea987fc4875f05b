"""One request at a door: its head as it was read, its body as it comes, and the connection that it came on."""

import asyncio
from typing import TYPE_CHECKING

from sidecar.doors.content import Content
from sidecar.doors.head import Head

if TYPE_CHECKING:
    from sidecar.doors.connection import Connection


class Request:
    """
    `body_exists`     whether a byte of a body was announced
    `content_length`  what the head says, in bytes; None where it says nothing
    `keep_alive`      whether another request may follow it
    `modern`          HTTP/1.1, and not 1.0
    `raw_path`        the target as it was sent: path and query
    `remote`          who is at the other end: an address, or the name of a socket
    `spelled`         the names of its headers, a line each
    `task`            what answers it
    """

    __slots__ = (
        "body_exists", "connection", "content", "content_length", "headers", "keep_alive", "method", "modern",
        "raw_path", "remote", "spelled", "task",
    )  # fmt: skip

    def __init__(self, head: Head, connection: "Connection") -> None:
        self.method, self.raw_path, self.headers, self.modern = (
            head.method, head.target, head.headers, head.modern,
        )  # fmt: skip
        self.keep_alive, self.content_length, self.spelled = head.kept, head.length, head.spelled
        self.body_exists = head.kind != "none"
        self.connection, self.remote = connection, connection.remote
        self.content = Content(head, connection)
        self.task: asyncio.Task[None] | None = None
