"""Our own address, as the caller of one request knows it: what the cards of agents are told with."""

import re
from typing import Final

from policies.agent import Door

_HOST: Final = re.compile(r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def ours(
    door: Door,
    *,
    bound: str,
    public: str | None = None,
    forwarded: str | None = None,
    host: str | None = None,
) -> str:
    """Without a slash at the end.

    `bound`      the address at which this door listens
    `public`     SIDECAR_PUBLIC_URL, where what was asked for is there for everybody
    `forwarded`  what the platform's proxy says it was asked for, where the platform's word is believed
    `host`       the request's Host, where the door has checked that it is a name of this machine's
    """
    if public:
        return public
    if door == "front" and is_host(forwarded):
        return f"https://{forwarded}"
    return f"http://{host}" if is_host(host) else bound


def is_host(text: str | None) -> bool:
    """One host with or without a port, and nothing that could end it."""
    return text is not None and len(text) <= 260 and _HOST.fullmatch(text) is not None
