"""The head of an answer, read by llhttp under our own limits, and the kind of body that must follow it."""

from typing import Final, Literal

import httptools
from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import NO_HEADERS, Headers
from policies.names import CONTENT_LENGTH, TRANSFER_ENCODING
from sidecar.fields import END, Fields, fields, kept
from sidecar.wire.faults import Malformed

Kind = Literal["none", "length", "chunked", "eof"]
BYTES: Final = 64 << 10  # of all heads of one answer together, the interim ones (1xx) included
FIELDS: Final = 256
INTERIM: Final = 10  # answers 1xx that may come before the one that counts
BODILESS: Final = frozenset({204, 304})
MODERN: Final = b"HTTP/1.1 "
VERSIONS: Final = (MODERN, b"HTTP/1.0 ")


class Head:
    """Takes bytes until the head is complete. Then `kind`, `length` and `kept` say what follows.

    `parser` has read exactly the head, so that it can go on with a chunked body.
    """

    __slots__ = (
        "_interim", "_read", "_seen", "fields", "headers", "kept", "kind", "length", "method", "parser", "status",
    )  # fmt: skip

    def __init__(self, method: str) -> None:
        self.method = method
        self.status = 0  # until the head is complete
        self.headers: Headers = NO_HEADERS
        self.kind: Kind = "none"
        self.length = 0
        self.kept = False  # whether the agent keeps the connection open
        self._interim = self._read = 0
        self._seen = b""  # of a head that did not come in one piece
        self.fields = fields = Fields()
        self.parser = httptools.HttpResponseParser(fields)

    def begin(self, data: bytes) -> bytes | None:
        """What follows the head, or None while the head is not complete. Malformed where it cannot be used."""
        before = len(self._seen)
        seen = self._seen + data if before else data
        end = seen.find(END, before - 3 if before > 3 else 0)
        size = len(seen) if end < 0 else end + 4
        if self._read + size > BYTES:
            raise Malformed(f"a head of more than {BYTES} bytes")
        piece = data if end < 0 else data[: size - before]
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # 101, which is judged like any other
        except httptools.HttpParserError as error:
            if not self.fields.complete:
                raise Malformed(str(error)) from None
        if end < 0:
            self._seen = seen
            return None
        rest = data[size - before :]
        if self._complete(seen[:size] if before else piece):
            return rest
        self._read += size
        return self.begin(rest) if rest else None

    def _complete(self, head: bytes) -> bool:
        """Whether this head is the one that counts."""
        if not self.fields.complete or not head.startswith(VERSIONS):
            raise Malformed("no HTTP/1.1")
        try:
            _, pairs = fields(head)
        except ValueError as error:
            raise Malformed(str(error)) from None
        if len(pairs) > FIELDS:
            raise Malformed(f"more than {FIELDS} headers")
        status = self.parser.get_status_code()
        headers = CIMultiDictProxy(CIMultiDict(pairs))
        if status < 200:
            return self._early(status, headers)
        self.headers = headers
        self._frame(status, headers, head.startswith(MODERN))
        self.status = status
        return True

    def _early(self, status: int, headers: Headers) -> bool:
        """An interim answer, behind which another head comes; or a 101."""
        if status < 100:
            raise Malformed(f"status {status:03}")
        self._interim += 1
        if status == 101:
            return self._switched(headers)
        if self._interim > INTERIM:
            raise Malformed(f"more than {INTERIM} interim answers")
        self.fields, self._seen = Fields(), b""
        self.parser = httptools.HttpResponseParser(self.fields)
        return False

    def _switched(self, headers: Headers) -> bool:
        """A 101 has come."""
        raise Malformed("101 that nobody asked for")

    def _frame(self, status: int, headers: Headers, modern: bool) -> None:
        """Decide what follows. Two Content-Length headers, or one beside a coding, llhttp has refused."""
        coded = TRANSFER_ENCODING in headers
        if coded:
            codings = headers.getall(TRANSFER_ENCODING)
            if len(codings) > 1 or codings[0].lower() != "chunked" or not modern:
                raise Malformed("a transfer coding that is not exactly `chunked`")
        length = headers.get(CONTENT_LENGTH)
        if self.method == "HEAD" or status in BODILESS:
            pass
        elif coded:
            self.kind = "chunked"
        elif length is not None:
            self.kind, self.length = "length", int(length)
        else:
            self.kind = "eof"
        self.kept = kept(headers, modern)
        if length is None and self.method == "HEAD":
            self.kept = False  # who streams may send the body all the same, and it would be the next answer
