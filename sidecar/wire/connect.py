"""Opens connections to one origin: its name resolved anew every few seconds, both families raced, then TLS."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, cast

from aiohappyeyeballs import start_connection

from policies.discovery import is_public
from sidecar.wire.connection import Connection
from sidecar.wire.faults import Fault
from sidecar.wire.origin import Origin

RESOLVED: Final = 10.0  # seconds for which an answer of the resolver is used again
STAGGER: Final = 0.25  # seconds before the next address is tried beside the last
Addresses = list[Any]  # as getaddrinfo gives them


class Way:
    """The way to one origin. `tls` is asked only where the origin is https.

    `public`: no address is connected to that not everybody can reach, whatever the name resolves to by then.
    """

    def __init__(self, origin: Origin, tls: Callable[[], ssl.SSLContext], *, public: bool = False) -> None:
        self.origin, self._public = origin, public
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._known: Addresses = literal(origin)
        self._until = float("inf") if self._known else 0.0
        self._asking: asyncio.Task[Addresses] | None = None

    async def open(self, connection: Connection) -> None:
        """Connect it. Fault: `agent_unreachable` or `agent_tls_error`; no byte of a request was sent."""
        addresses = await self._addresses()
        if not addresses:
            raise Fault("agent_unreachable", "dns")
        if self._public and not all(is_public(ip_address(one[4][0].partition("%")[0])) for one in addresses):
            raise Fault("agent_address_refused", "it leads to an address that not everybody can reach")
        try:
            sock = await start_connection(addresses, happy_eyeballs_delay=STAGGER)
        except (OSError, RuntimeError) as error:
            if not literal(self.origin):
                self._until = 0.0  # it may have moved
            raise unreachable(error) from error
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = sock
        protocol = cast(asyncio.Protocol, connection)
        try:
            if self.origin.secure:
                await self._loop.create_connection(
                    lambda: protocol, sock=sock, ssl=self._tls(), server_hostname=self.origin.host
                )
            else:
                await self._loop.create_connection(lambda: protocol, sock=sock)
        except BaseException as error:
            sock.close()
            if isinstance(error, ssl.SSLError | OSError):
                raise unsafe(error) from error
            raise

    async def _addresses(self) -> Addresses:
        if self._loop.time() < self._until:
            return self._known
        if self._asking is None:
            self._asking = self._loop.create_task(self._resolved())
        return await asyncio.shield(self._asking)

    async def _resolved(self) -> Addresses:
        try:
            self._known = await self._loop.getaddrinfo(
                self.origin.host, self.origin.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
            self._until = self._loop.time() + RESOLVED
        except (OSError, UnicodeError):
            self._known = []
        finally:
            self._asking = None
        return self._known

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()


def literal(origin: Origin) -> Addresses:
    """The address of an origin that is named by it, else nothing."""
    try:
        address = ip_address(origin.host)
    except ValueError:
        return []
    v6 = address.version == 6
    where = (origin.host, origin.port, 0, 0) if v6 else (origin.host, origin.port)
    return [(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]


def unreachable(error: OSError | RuntimeError) -> Fault:
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return Fault("agent_unreachable", "refused")
    if number in (errno.EMFILE, errno.ENFILE) or f"[Errno {errno.EMFILE}]" in str(error):
        return Fault("overloaded", "no files left")
    if number == errno.ETIMEDOUT:
        return Fault("agent_connect_timeout")
    return Fault("agent_unreachable", os.strerror(number).lower() if number else "")


def unsafe(error: Exception) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault("agent_tls_error", error.verify_message or "certificate")
    if isinstance(error, ssl.SSLError):
        return Fault("agent_tls_error", (error.reason or "tls").lower().replace("_", " "))
    return Fault("agent_tls_error", "closed during the handshake")
