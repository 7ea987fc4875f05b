"""The head of a request, read by llhttp under our own limits, and what says where the body behind it ends."""

from typing import Final, Literal

import httptools

from middleware.exchange import NO_HEADERS, Headers
from policies import framing, outcome
from policies.refusal import Refusal
from sidecar.fields import END, Fields, kept

Kind = Literal["none", "length", "chunked"]
TARGET: Final = 16 << 10  # bytes of a request's target
FIELD: Final = 32 << 10  # bytes of one name, and of one value
FIELDS: Final = 128
BYTES: Final = 256 << 10  # of a whole head
LINE: Final = b"\r\n"
MODERN: Final = b" HTTP/1.1"
OLD: Final = b" HTTP/1.0"
# Of which two would be read by some servers and one by others (RFC 9110, §5.3).
SINGLE: Final = (
    *("content-length", "content-location", "content-range", "content-type", "etag", "host", "max-forwards"),
    *("server", "transfer-encoding", "user-agent"),
)


class Head:
    """Takes bytes until the head is complete. `parser` can go on with a body in chunks then.

    `begun`   whether any of it has come
    `kept`    whether another request may follow
    `length`  of the body, in bytes, where the head says it
    """

    __slots__ = (
        "_seen", "begun", "fields", "headers", "kept", "kind", "length", "method", "modern", "parser", "target",
    )  # fmt: skip

    def __init__(self) -> None:
        self.begun = False
        self.method = self.target = ""
        self.modern = True  # HTTP/1.1, and not 1.0
        self.headers: Headers = NO_HEADERS
        self.kind: Kind = "none"
        self.length: int | None = None
        self.kept = False
        self.fields = fields = Fields()
        self.parser = httptools.HttpRequestParser(fields)
        self._seen = bytearray()  # of a head that did not come in one piece

    def begin(self, data: bytes) -> bytes | None:
        """What follows the head, or None while it is not complete. Refusal where it cannot be used."""
        if not self.begun:
            data = data.lstrip(LINE)  # some send an empty line behind a body
            if not data:
                return None
            self.begun = True
        seen = self._seen
        before = len(seen)
        if before:
            seen += data
            end = seen.find(END, before - 3 if before > 3 else 0)
        else:
            end = data.find(END)
        size = before + len(data) if end < 0 else end + 4
        try:
            self.parser.feed_data(data if end < 0 else data[: size - before])
        except httptools.HttpParserUpgrade:
            pass  # what it asks for, somebody else decides
        except httptools.HttpParserError:
            if not self.fields.complete or end < 0:
                raise refusal("bad_request") from None
        if size > TARGET:
            self._measure(size)
        if end < 0:
            if not before:
                seen += data
            return None
        self._complete(bytes(seen[:size]) if before else data[:size])
        return data[size - before :]

    def _measure(self, size: int) -> None:
        """Look for what is too long, the target first."""
        fields = self.fields
        if len(fields.url) > TARGET:
            raise refusal("uri_too_long")
        if (
            size > BYTES
            or len(fields.pairs) > FIELDS  # else each piece would cost as much as all that came before it
            or any(len(name) > FIELD or len(value) > FIELD for name, value in fields.pairs)
        ):
            raise refusal("headers_too_large")

    def _complete(self, seen: bytes) -> None:
        fields = self.fields
        line = seen.find(LINE) - len(MODERN)
        self.modern = modern = seen.startswith(MODERN, line)
        if not fields.complete or not (modern or seen.startswith(OLD, line)):
            raise refusal("bad_request")
        if len(fields.pairs) > FIELDS:
            raise refusal("headers_too_large")
        self.method = self.parser.get_method().decode("ascii")
        self.target = fields.url.decode("utf-8", "surrogateescape")
        self.headers = headers = fields.headers()
        if len({name.lower() for name, _ in fields.pairs}) < len(fields.pairs) and any(
            len(headers.getall(name, ())) > 1 for name in SINGLE
        ):
            raise refusal("bad_request")
        if modern and "Host" not in headers:
            raise refusal("bad_request")
        self._frame(headers, modern)

    def _frame(self, headers: Headers, modern: bool) -> None:
        """Decide what follows: one reading, or none."""
        coding, length = headers.get("Transfer-Encoding"), headers.get("Content-Length")
        self.kept = kept(headers, modern) and ("Upgrade" not in headers or framing.known(headers["Upgrade"]))
        if coding is not None:
            if length is not None or not framing.clear(coding, modern=modern):
                raise refusal("bad_request")
            self.kind, self.kept = "chunked", False
        elif length is not None:
            self.length = size = framing.length(length)
            if size is None:
                raise refusal("bad_request")
            if size:
                self.kind = "length"


def refusal(code: str) -> Refusal:
    return Refusal(outcome.status(code), code)
