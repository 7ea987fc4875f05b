"""One request as bytes: a head whose framing is ours alone, and the body behind it in the same piece."""

from functools import lru_cache
from typing import Final, NamedTuple

from middleware.exchange import Headers
from policies.headers import LONGEST_NAMES
from policies.refusal import Refusal

# What says where a message ends, or whether a connection stays: told by us, never handed on.
OURS: Final = frozenset(
    {
        *("connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
BODIED: Final = frozenset({"POST", "PUT", "PATCH"})  # an empty body is said to be one


def head(method: str, path: str, authority: str, headers: Headers, framing: str) -> bytes:
    """The head of a request; `framing` is the line that tells the body's kind, or nothing.

    Refusal 400 `bad_request` where a value would split it: nothing has been sent then.
    """
    keys = list(headers.keys())
    spelled = "\n".join(keys)
    names = (_names if len(spelled) <= LONGEST_NAMES else _names.__wrapped__)(spelled)
    said = f"{method}{path}{authority}{''.join(headers.values())}"
    if (
        names.number == len(keys)
        and "\n" not in said
        and "\r" not in said
        and "\0" not in said
        and " " not in path
    ):
        parts = [method, " ", path, " HTTP/1.1\r\n"]
        if not names.host:
            parts += ("Host: ", authority, "\r\n")
        for name, value in headers.items():
            if not names.ours or name.lower() not in OURS:  # seldom: the policies leave none
                parts.append(name)
                parts.append(": ")
                parts.append(value)
                parts.append("\r\n")
        parts.append(framing)
        parts.append("\r\n")
        try:
            return "".join(parts).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a lone surrogate that stands for no byte
            pass
    detail = "The path or a header holds a character that HTTP forbids."
    raise Refusal(400, "bad_request", detail=detail, sent="none")


class Names(NamedTuple):
    """What there is to know of the different names of a request's headers.

    `number` how many they are; one that would split the head counts as more, or as none
    `ours`   whether one is among them that is ours to tell
    `host`   whether `Host` is
    """

    number: int
    ours: bool
    host: bool


@lru_cache(512)
def _names(spelled: str) -> Names:
    """Of names, a line each. The same client sends the same again and again."""
    names = spelled.lower().split("\n")
    sound = "\r" not in spelled and "\0" not in spelled
    return Names(len(names) if spelled and sound else 0, not OURS.isdisjoint(names), "host" in names)


def length(method: str, size: int) -> str:
    """The framing of a body whose size is known."""
    return f"Content-Length: {size}\r\n" if size or method in BODIED else ""


CHUNKED: Final = "Transfer-Encoding: chunked\r\n"
LAST: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
