"""Where an agent's URL leads: a place to connect to, the Host that is told there, and the path in front."""

from ipaddress import ip_address
from typing import NamedTuple

from yarl import URL

PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """One place: all URLs that lead there share its connections."""

    scheme: str
    host: str  # a name in ASCII, or an address without brackets
    port: int

    @property
    def authority(self) -> str:
        """The value of `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def place(url: str) -> tuple[Origin, str]:
    """The origin of an agent's URL, and its base path without a slash at the end. ValueError for no such URL."""
    read = URL(url, encoded=True)
    if read.scheme not in PORTS or not read.raw_host:
        raise ValueError("no address of http or https")
    origin = Origin(read.scheme, read.raw_host, read.port or PORTS[read.scheme])
    return origin, read.raw_path.rstrip("/")
