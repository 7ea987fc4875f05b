"""A body out of its Content-Encoding, within a bound: a kilobyte may hold a gigabyte."""

import zlib
from typing import Final

from policies.refusal import Refusal

LIMIT: Final = 8 << 20  # bytes, decoded
PLAIN: Final = frozenset({"", "identity", "none"})  # `none` is no coding's name, and AppKit says it
WINDOWS: Final = {
    "gzip": 31,
    "x-gzip": 31,
    "deflate": 47,
}  # zlib's window bits; 47 finds zlib or gzip by itself


def is_plain(coding: str) -> bool:
    """Whether a Content-Encoding says that there is none."""
    return coding.strip().lower() in PLAIN


def decoded(raw: bytes, coding: str, limit: int = LIMIT) -> bytes:
    """The body itself. Refusal 502: `agent_too_large` beyond `limit`, `agent_protocol_error` where it is not that."""
    if is_plain(coding):
        return raw
    name = coding.strip().lower()
    if name not in WINDOWS:
        detail = f"The agent's answer is in a coding that is not read here ({name[:40]!r})."
        raise Refusal(502, "agent_protocol_error", detail=detail, hint="The agent was asked for `identity`.")
    bits = -15 if name == "deflate" and not _has_zlib_head(raw) else WINDOWS[name]
    reader = zlib.decompressobj(bits)
    try:
        whole = reader.decompress(raw, limit + 1)
    except zlib.error as error:
        detail = f"The agent's answer says {name} and is none: {error}."
        raise Refusal(502, "agent_protocol_error", detail=detail) from None
    if len(whole) > limit:
        detail = f"The agent's answer is larger than {limit} bytes when decoded."
        raise Refusal(502, "agent_too_large", detail=detail)
    if not reader.eof:
        raise Refusal(502, "agent_broke_off", detail=f"The agent's {name} answer is not whole.")
    return whole


def _has_zlib_head(raw: bytes) -> bool:
    """Half the world sends bare deflate data under that name."""
    return len(raw) > 1 and raw[0] & 15 == 8 and (raw[0] << 8 | raw[1]) % 31 == 0
