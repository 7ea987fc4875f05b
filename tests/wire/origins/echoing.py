"""A WebSocket that says again what it is told, without a library, on a connection that a server hands over."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable

CLOSE = 8
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)


class Echo(asyncio.Protocol):
    """What uvicorn makes where it is asked for a WebSocket; `asked` is told of each query."""

    asked: Callable[[str], None]
    transport: asyncio.Transport

    def __init__(self, **_: object) -> None:
        self.buffer = b""
        self.open = False

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            self.open = True
            type(self).asked(re.search(rb"\?(\S*)", head)[1].decode())
            self.transport.write(AGREED + accepted(head) + b"\r\n\r\n")
        while frame := self.taken():
            self.transport.write(frame)
            if frame[0] & 0x0F == CLOSE:
                self.transport.close()

    def taken(self) -> bytes:
        """The next frame of the caller's, as it goes back: unmasked. Empty until it is there."""
        buffer = self.buffer
        if len(buffer) < 2:
            return b""
        start, size = 2, buffer[1] & 0x7F
        if size == 126:
            start, size = 4, int.from_bytes(buffer[2:4], "big")
        if len(buffer) < start + 4 + size:
            return b""
        mask, masked = buffer[start : start + 4], buffer[start + 4 : start + 4 + size]
        self.buffer = buffer[start + 4 + size :]
        head = bytes([buffer[0], buffer[1] & 0x7F]) + buffer[2:start]
        return head + bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))


def accepted(head: bytes) -> bytes:
    """What tells the caller that it was a WebSocket that understood (RFC 6455 §4.2.2)."""
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)[1]
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
