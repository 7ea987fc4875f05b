"""The head of an answer, read by llhttp under our own limits, and the kind of body that must follow it."""

from typing import Final, Literal

import httptools
from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import NO_HEADERS, Headers
from sidecar.wire.faults import Malformed

Kind = Literal["none", "length", "chunked", "eof"]
BYTES: Final = 64 << 10  # of all heads of one answer together, the interim ones (1xx) included
FIELDS: Final = 256
INTERIM: Final = 10  # answers 1xx that may come before the one that counts
END: Final = b"\r\n\r\n"
BODILESS: Final = frozenset({204, 304})


class Fields:
    """What llhttp calls. Headers behind the head's end are trailers, and dropped."""

    __slots__ = ("complete", "excess", "on_body", "over", "pairs", "pieces")

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.complete = self.over = self.excess = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            text = value.decode("utf-8", "surrogateescape")
            self.pairs.append((name.decode("ascii"), text.strip(" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True

    def on_message_complete(self) -> None:
        self.over = True

    def on_message_begin(self) -> None:
        self.excess = self.over


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
        self._begin()

    def _begin(self) -> None:
        self.fields = Fields()
        self.parser = httptools.HttpResponseParser(self.fields)
        self._seen = b""  # of a head that did not come in one piece

    def feed(self, data: bytes) -> bytes | None:
        """What follows the head, or None while the head is not complete. Malformed where it cannot be used."""
        while True:
            before = len(self._seen)
            seen = self._seen + data if before else data
            end = seen.find(END, max(0, before - 3))
            size = len(seen) if end < 0 else end + 4
            if self._read + size > BYTES:
                raise Malformed(f"a head of more than {BYTES} bytes")
            self._parse(data if end < 0 else data[: size - before])
            if end < 0:
                self._seen = seen
                return None
            self._read += size
            rest = data[size - before :]
            if self._complete(seen[:9]):
                return rest
            if not rest:
                return None
            data = rest

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # 101, which is judged like any other
        except httptools.HttpParserError as error:
            if not self.fields.complete:
                raise Malformed(str(error)) from None

    def _complete(self, beginning: bytes) -> bool:
        """Whether this head is the one that counts."""
        if not self.fields.complete or beginning[:7] != b"HTTP/1." or beginning[8:] != b" ":
            raise Malformed("no HTTP/1.1")
        if len(self.fields.pairs) > FIELDS:
            raise Malformed(f"more than {FIELDS} headers")
        status = self.parser.get_status_code()
        if 100 <= status < 200:
            self._interim += 1
            if status == 101:
                return self._switched()
            if self._interim > INTERIM:
                raise Malformed(f"more than {INTERIM} interim answers")
            self._begin()
            return False
        if status < 200:
            raise Malformed(f"status {status:03}")
        self.headers = CIMultiDictProxy(CIMultiDict(self.fields.pairs))
        self._frame(status, beginning[7:8] == b"1")
        self.status = status
        return True

    def _switched(self) -> bool:
        """A 101 has come."""
        raise Malformed("101 that nobody asked for")

    def _frame(self, status: int, modern: bool) -> None:
        """Decide what follows. Two Content-Length headers, or one beside a coding, llhttp has refused."""
        headers = self.headers
        codings = headers.getall("Transfer-Encoding", None)
        if codings is not None and (len(codings) > 1 or codings[0].lower() != "chunked" or not modern):
            raise Malformed("a transfer coding that is not exactly `chunked`")
        length = headers.get("Content-Length")
        if self.method == "HEAD" or status in BODILESS:
            self.kind = "none"
        elif codings is not None:
            self.kind = "chunked"
        elif length is not None:
            self.kind, self.length = "length", int(length)
        else:
            self.kind = "eof"
        said = headers.get("Connection")
        if said is None:
            self.kept = modern
        else:
            tokens = {token.strip() for token in ",".join(headers.getall("Connection")).lower().split(",")}
            self.kept = "close" not in tokens and (modern or "keep-alive" in tokens)
        if length is None and self.method == "HEAD":
            self.kept = False  # who streams may send the body all the same, and it would be the next answer
