"""What llhttp says of a message while it reads it; the fields of a head that it has passed, and bodies in chunks."""

from typing import ClassVar, Final

import httptools

from middleware.exchange import Headers, Pairs
from policies.names import CONNECTION, USUAL

OVERHEAD: Final = 8 << 10  # bytes of a body in chunks that are none of the body's: extensions, trailers
FRAMING: Final = 8  # further ones for each byte of it: chunks may be as small as that
BLANK: Final = " \t"
SPACE: Final = 0x20
END: Final = b"\r\n\r\n"  # of a head


class Fields:
    """What llhttp calls: how far it has come. What it is silent of, it need not look for: trailers are dropped so."""

    __slots__ = ("_whole", "complete", "excess", "on_body", "over", "pieces", "spent")

    on_url: ClassVar[None] = None
    on_status: ClassVar[None] = None
    on_header: ClassVar[None] = None
    on_chunk_header: ClassVar[None] = None
    on_chunk_complete: ClassVar[None] = None

    def __init__(self) -> None:
        self.complete = self.over = self.excess = False
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.spent = 0  # of OVERHEAD
        self._whole: int | None = None  # pieces, where a message behind this one has begun to bring its own

    def on_headers_complete(self) -> None:
        self.complete = True

    def on_message_complete(self) -> None:
        self.over = True

    def on_message_begin(self) -> None:
        if self.over and self._whole is None:
            self.excess, self._whole = True, len(self.pieces)

    def unchunked(
        self, parser: "httptools.HttpRequestParser | httptools.HttpResponseParser", data: bytes
    ) -> bytes:
        """What these bytes bring of a body in chunks. ValueError, in llhttp's words, where they are none."""
        pieces = self.pieces
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as left:
            self.excess = left.args[0] < len(data)
        except httptools.HttpParserError as error:
            if not self.over:
                raise ValueError(str(error)) from None
            self.excess = True
        if self._whole is not None:
            del pieces[self._whole :]
            self._whole = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.spent += len(data) - (FRAMING + 1) * len(body)
        if self.spent > OVERHEAD and not self.excess:
            raise ValueError("chunks with hardly a body")
        return body


def fields(head: bytes) -> tuple[str, Pairs]:
    """The first line of a head that llhttp has passed, and its fields.

    So there is one reading: CRLF ends a line, and the first colon a name. Bytes that are no UTF-8 are carried as lone
    surrogates. ValueError where LF alone ends a line, as llhttp allows behind a target (as HTTP/0.9 had it).
    """
    text = head.decode("utf-8", "surrogateescape")
    usual, last = USUAL, len(text) - len(END)
    end = ended(text, 0)
    first, pairs = text[:end], []
    while end < last:
        at = end + 2
        end, colon = ended(text, at), text.find(":", at)
        name, value = text[at:colon], text[colon + 2 : end]
        if not value or text[colon + 1] != " " or ord(value[0]) <= SPACE or ord(value[-1]) <= SPACE:
            value = text[colon + 1 : end].strip(BLANK)  # seldom: nearly everybody writes one space before it
        pairs.append((usual.get(name, name), value))
    return first, pairs


def ended(text: str, at: int) -> int:
    """Where the line that begins here ends."""
    end = text.find("\n", at) - 1
    if end < at or text[end] != "\r":
        raise ValueError("a line that does not end in CRLF")
    return end


def kept(headers: Headers, modern: bool) -> bool:
    """Whether whoever sent this head, of HTTP/1.1 if `modern`, keeps the connection open."""
    if CONNECTION not in headers:
        return modern
    tokens = {token.strip() for token in ",".join(headers.getall(CONNECTION)).lower().split(",")}
    return "close" not in tokens and (modern or "keep-alive" in tokens)
