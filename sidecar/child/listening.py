"""Where the processes of a group listen, for the sentence that says what is wrong when they listen elsewhere."""

import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from struct import iter_unpack, pack
from typing import Final

from sidecar.child.tree import PROC, members

_LISTENS: Final = "0A"


def listening(group: int) -> list[str]:
    """`host:port` of each; empty where nothing listens, or nothing can be known."""
    return sorted({place for member in members(group) for place in _places(member.pid)})


def _places(pid: int) -> Iterator[str]:
    try:
        files = [os.readlink(f"{PROC}/{pid}/fd/{fd}") for fd in os.listdir(f"{PROC}/{pid}/fd")]
        tables = [(PROC / str(pid) / "net" / name).read_text() for name in ("tcp", "tcp6")]
    except OSError:  # it has gone, or is not ours to look at
        return
    sockets = {file[8:-1] for file in files if file.startswith("socket:[")}
    for row in (line.split() for table in tables for line in table.splitlines()[1:]):
        if row[3] == _LISTENS and row[9] in sockets:
            address, _, port = row[1].partition(":")
            yield f"{_host(bytes.fromhex(address))}:{int(port, 16)}"


def _host(raw: bytes) -> str:
    """The kernel writes an address as words of this machine's order."""
    packed = b"".join(pack(">I", word) for (word,) in iter_unpack("=I", raw))
    return str(IPv4Address(packed)) if len(packed) == 4 else f"[{IPv6Address(packed)}]"
