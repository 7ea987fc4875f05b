"""The head of a request, read by llhttp under our own limits, and what says where the body behind it ends."""

from functools import lru_cache
from typing import Final, Literal

import httptools
from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import NO_HEADERS, Headers
from policies import framing, outcome
from policies.headers import LONGEST_NAMES
from policies.names import CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE
from policies.refusal import Refusal
from sidecar.fields import END, Fields, fields, kept

Kind = Literal["none", "length", "chunked"]
TARGET: Final = 16 << 10  # bytes of a request's target
FIELD: Final = 32 << 10  # bytes of one name, and of one value
FIELDS: Final = 128
BYTES: Final = 256 << 10  # of a whole head
LINE: Final = b"\r\n"
IN_CHUNKS: Final = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"  # a parser behind it reads chunks
BESIDE: Final = 64  # bytes of a request line beside its target, at most
VERSIONS: Final = {"HTTP/1.1": True, "HTTP/1.0": False}
# Of which two would be read by some servers and one by others (RFC 9110, §5.3).
SINGLE: Final = (
    *("content-length", "content-location", "content-range", "content-type", "etag", "host", "max-forwards"),
    *("server", "transfer-encoding", "user-agent"),
)


class Head:
    """Takes bytes until the head is complete. `parser` can go on with a body in chunks then.

    `begun`   whether any of it has come
    `kept`    whether another request may follow
    `spelled` the names of its headers, a line each
    `length`  of the body, in bytes, where the head says it
    """

    __slots__ = (
        "_seen", "begun", "fields", "headers", "kept", "kind", "length", "method", "modern", "parser", "spelled",
        "target",
    )  # fmt: skip

    def __init__(self) -> None:
        self.begun = False
        self.method = self.target = self.spelled = ""
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
        piece = data if end < 0 else data[: size - before]
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # what it asks for, somebody else decides
        except httptools.HttpParserError:
            if not self.fields.complete or end < 0:
                raise refusal("bad_request") from None
        if end < 0:
            if not before:
                seen += data
            if size > TARGET:
                self._measure(seen)
            return None
        self._complete(bytes(seen[:size]) if before else piece)
        return data[size - before :]

    def _measure(self, seen: bytearray) -> None:
        """Whether what has come is too long already."""
        if len(seen) > TARGET + BESIDE and seen.find(LINE, 0, TARGET + BESIDE) < 0:
            raise refusal("uri_too_long")
        if len(seen) > BYTES:
            raise refusal("headers_too_large")

    def _complete(self, head: bytes) -> None:
        if not self.fields.complete:
            raise refusal("bad_request")
        try:
            line, pairs = fields(head)
        except ValueError:
            raise refusal("bad_request") from None
        said = line.split(" ")
        if len(said) != 3 or said[2] not in VERSIONS:
            raise refusal("bad_request")
        self.method, self.target, version = said
        self.modern = modern = VERSIONS[version]
        if len(head) > TARGET:
            if len(self.target) > TARGET:
                raise refusal("uri_too_long")
            if len(head) > BYTES or any(len(name) > FIELD or len(value) > FIELD for name, value in pairs):
                raise refusal("headers_too_large")
        if len(pairs) > FIELDS:
            raise refusal("headers_too_large")
        self.headers = headers = CIMultiDictProxy(CIMultiDict(pairs))
        self.spelled = spelled = "\n".join([name for name, _ in pairs])
        if not (_single if len(spelled) <= LONGEST_NAMES else _single.__wrapped__)(spelled):
            raise refusal("bad_request")
        if modern and HOST not in headers:
            raise refusal("bad_request")
        self._frame(headers, modern)

    def _frame(self, headers: Headers, modern: bool) -> None:
        """Decide what follows: one reading, or none."""
        coding, length = headers.get(TRANSFER_ENCODING), headers.get(CONTENT_LENGTH)
        self.kept = kept(headers, modern) and (
            UPGRADE not in headers or framing.known(",".join(headers.getall(UPGRADE)))
        )
        if coding is not None:
            if length is not None or not framing.clear(coding, modern=modern):
                raise refusal("bad_request")
            self.kind, self.kept = "chunked", False
            if self.fields.over:  # httptools takes whatever asks for another protocol for one without a body
                self.fields = Fields()
                self.parser = httptools.HttpRequestParser(self.fields)
                self.parser.feed_data(IN_CHUNKS)
        elif length is not None:
            self.length = size = framing.length(length)
            if size is None:
                raise refusal("bad_request")
            if size:
                self.kind = "length"


@lru_cache(512)
def _single(spelled: str) -> bool:
    """Whether each name of SINGLE is among these (a line each) once at most. The same client sends the same again."""
    low = spelled.lower().split("\n")
    return not any(low.count(name) > 1 for name in SINGLE)


def refusal(code: str) -> Refusal:
    return Refusal(outcome.status(code), code)
