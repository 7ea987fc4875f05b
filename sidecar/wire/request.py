"""One request as bytes: a head whose framing is ours alone, and the body behind it in the same piece."""

from functools import lru_cache
from typing import Final

from middleware.exchange import Headers
from policies.refusal import Refusal

# What says where a message ends, or whether a connection stays: told by us, never handed on.
OURS: Final = frozenset(
    {
        *("connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
LINE: Final = "\r\n"
LONGEST_NAMES: Final = 2048  # of all of them together, for what they come to to be remembered
BODIED: Final = frozenset({"POST", "PUT", "PATCH"})  # an empty body is said to be one


def head(method: str, path: str, authority: str, headers: Headers, framing: str) -> bytes:
    """The head of a request; `framing` is the line that tells the body's kind, or nothing.

    Refusal 400 `bad_request` where a value would split it: nothing has been sent then.
    """
    fields = [f"{name}: {value}" for name, value in headers.items()]
    spelled = "\n".join(headers.keys())
    ours, hosted = (_told if len(spelled) <= LONGEST_NAMES else _told.__wrapped__)(spelled)
    if ours:  # seldom: the policies leave none
        fields = [": ".join(field) for field in headers.items() if field[0].lower() not in OURS]
    if not hosted:
        fields.insert(0, f"Host: {authority}")
    said = f"{method}{path}{''.join(fields)}"
    if "\n" not in said and "\r" not in said and "\0" not in said and " " not in path:
        text = f"{method} {path} HTTP/1.1\r\n{LINE.join(fields)}\r\n{framing}\r\n"
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a lone surrogate that stands for no byte
            pass
    detail = "The path or a header holds a character that HTTP forbids."
    raise Refusal(400, "bad_request", detail=detail, sent="none")


@lru_cache(512)
def _told(spelled: str) -> tuple[bool, bool]:
    """Whether one of these names (a line each) is ours to tell, and whether `Host` is among them."""
    names = spelled.lower().split("\n")
    return not OURS.isdisjoint(names), "host" in names


def length(method: str, size: int) -> str:
    """The framing of a body whose size is known."""
    return f"Content-Length: {size}\r\n" if size or method in BODIED else ""


CHUNKED: Final = "Transfer-Encoding: chunked\r\n"
LAST: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
