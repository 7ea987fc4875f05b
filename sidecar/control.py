"""The control plane: what workspaces and identity providers are asked. Nothing here is ever for an agent."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

from policies.discovery import is_private, is_public
from policies.faults import Fault
from sidecar import trust

DEADLINE: Final = 10.0  # seconds for one question, the connecting included
LONGEST: Final = 8 << 20  # bytes of one answer
RETRY_AFTER: Final = "Retry-After"


class Told(NamedTuple):
    """An answer: its status, and its JSON value, or None where it is no JSON."""

    status: int
    value: Any
    retry_after: float | None = None


class NotPublic(OSError):
    """A name that leads to an address which not everybody can reach."""


class Public(AbstractResolver):
    """Resolves names, and gives public addresses only: what is given is what is connected to."""

    def __init__(self) -> None:
        self._names = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        if not all(is_public(ip_address(one["host"].partition("%")[0])) for one in found):
            raise NotPublic(f"{host} is no public address")
        return found

    async def close(self) -> None:
        await self._names.close()


class Control:
    """One session, opened at the first question. It follows nothing, keeps no cookies, and takes no proxy.

    `public`: only public addresses are connected to, since somebody else named them.
    """

    def __init__(self, *, deadline: float = DEADLINE, public: bool = False) -> None:
        self._deadline, self._public = deadline, public
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, bearer: str) -> Told | Fault:
        """`bearer` is the whole value of `Authorization`."""
        return await self.ask("GET", url, {"Authorization": bearer})

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> Told | Fault:
        """One question. A fault where there is no answer; any status is an answer."""
        if self._public and is_private(url):  # an address instead of a name is never resolved
            return Fault("unreachable")
        try:
            async with self._opened().request(
                method,
                url,
                headers={"Accept": "application/json", **headers},
                data=form,
                allow_redirects=False,
            ) as response:
                body = await _bounded(response)
                return Told(response.status, _value(body), _seconds(response.headers.get(RETRY_AFTER)))
        except (TimeoutError, aiohttp.ServerTimeoutError):
            return Fault("timeout")
        except (aiohttp.ClientSSLError, ssl.SSLError):
            return Fault("tls")
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, ValueError):
            return Fault("garbage")
        except (aiohttp.ClientError, OSError):
            return Fault("unreachable")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=32, ssl=trust.context(), resolver=Public() if self._public else None
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._deadline),
                trust_env=False,
            )
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # its connections say goodbye in the next round of the loop


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. ValueError where it is longer than any answer of these is."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST:
            raise ValueError
    return bytes(body)


def _value(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() and len(text) < 7 else None
