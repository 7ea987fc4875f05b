"""A stand-in for a workspace: host metadata, OIDC for machines, who a token belongs to, and which agents it knows."""

import base64
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs

from aiohttp import web

from sidecar.sim.catalog import Catalog
from sidecar.sim.faults import Fault, answered, fault
from sidecar.sim.serving import Port, serving
from sidecar.sim.visits import Series, Visit

Route = Callable[[Visit], Awaitable[web.Response]]
TOKEN: Final = "/oidc/v1/token"


class Workspace:
    """One workspace. `sim.workspace()` starts it.

    `url`           what `DATABRICKS_HOST` is to be
    `client_id`, `client_secret`   the service principal's; the secret may be changed (rotated) at any time
    `expires_in`    seconds that the next tokens live, as they say
    `always`        a name of `faults.FAULTS` that every request for a token meets, `""` for none
    `visits`        every request; `asked()` waits for one for a token
    `tokens`        what was granted and is accepted
    `catalog`       connections, grants, groups and apps; `calls(path)` counts who asked there
    `outage`        a status with which everything but tokens is answered, 0 for none
    """

    port: Port

    def __init__(self, client_id: str, client_secret: str, workspace_id: str, expires_in: int) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.workspace_id = workspace_id
        self.expires_in = expires_in
        self.always = ""
        self.outage = 0
        self.catalog = Catalog()
        self.visits: Series[Visit] = Series()
        self.requests: Series[Visit] = Series()
        self._orders: list[tuple[Fault, float]] = []
        self._owners: dict[str, str] = {}
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "/.well-known/databricks-config"): self._host,
            ("GET", "/oidc/.well-known/oauth-authorization-server"): self._oidc,
            ("POST", TOKEN): self._token,
            ("GET", "/api/2.0/preview/scim/v2/Me"): self._me,
        }

    @property
    def url(self) -> str:
        return self.port.url

    @property
    def environment(self) -> dict[str, str]:
        """What the platform sets for an app, as far as it is about credentials."""
        return {
            "DATABRICKS_HOST": self.url,
            "DATABRICKS_CLIENT_ID": self.client_id,
            "DATABRICKS_CLIENT_SECRET": self.client_secret,
            "DATABRICKS_WORKSPACE_ID": self.workspace_id,
        }

    @property
    def tokens(self) -> list[str]:
        """The service principal's tokens, oldest first, as far as they were not revoked."""
        return [token for token, owner in self._owners.items() if owner == self.client_id]

    async def asked(self, number: int = 1, within: float = 5.0) -> Visit:
        """Waits until a token was asked for so many times in all."""
        return await self.requests.nth(number, within)

    def then(self, *faults: str) -> None:
        """Orders how the next requests for a token go, one each: `then("slow 2", "html", "")`."""
        self._orders.extend(map(fault, faults))

    def calls(self, path: str) -> int:
        """How often a path that begins so was asked for."""
        return sum(self.visits[at].target.startswith(path) for at in range(len(self.visits)))

    def user(self, email: str) -> str:
        """A token of this user."""
        return self._issued(email)

    def accepts(self, token: str) -> bool:
        """Whether the token was issued here and not revoked: an agent's `bearer`."""
        return token in self._owners

    def revoke(self) -> None:
        """Nothing that was issued so far is accepted any longer."""
        self._owners.clear()

    def _issued(self, owner: str) -> str:
        token = f"sim.{self.workspace_id}.{secrets.token_hex(16)}"
        self._owners[token] = owner
        return token

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = Visit(request)
        visit.body = await request.content.read()
        self.visits.add(visit)
        route = self._routes.get((request.method, request.path))
        if self.outage and request.path.startswith("/api/"):
            return answered(self.outage, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Later."})
        if route is None and request.path.startswith("/api/") and (told := self._catalog(visit)):
            return told
        if route is None:
            return answered(
                404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for {request.path!r}"}
            )
        return await route(visit)

    def _catalog(self, visit: Visit) -> web.Response | None:
        asker = self._owners.get(visit.headers.get("Authorization", "").removeprefix("Bearer "))
        return stranger() if asker is None else self.catalog.answer(visit, asker)

    async def _host(self, visit: Visit) -> web.Response:
        account = "00000000-0000-4000-8000-000000000001"
        known = {"account_id": account, "workspace_id": self.workspace_id, "cloud": "AWS"}
        return answered(200, known | {"oidc_endpoint": f"{self.url}/oidc"})

    async def _oidc(self, visit: Visit) -> web.Response:
        oidc = f"{self.url}/oidc"
        endpoints = {"authorization_endpoint": f"{oidc}/v1/authorize", "token_endpoint": self.url + TOKEN}
        return answered(200, {"issuer": oidc, **endpoints, "grant_types_supported": ["client_credentials"]})

    async def _token(self, visit: Visit) -> web.Response:
        self.requests.add(visit)
        respond, number = self._orders.pop(0) if self._orders else fault(self.always)
        form = parse_qs(visit.body.decode())
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if visit.headers.get("Authorization") != f"Basic {pair}":
            respond, number = fault("invalid_client")
        elif form.get("grant_type") != ["client_credentials"]:
            return answered(
                400, {"error": "unsupported_grant_type", "error_description": "client_credentials only"}
            )
        return await respond(lambda: self._granted(form), number)

    def _granted(self, form: dict[str, list[str]]) -> dict[str, Any]:
        token = self._issued(self.client_id)
        scope = " ".join(form.get("scope", ["all-apis"]))
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in, "scope": scope}

    async def _me(self, visit: Visit) -> web.Response:
        owner = self._owners.get(visit.headers.get("Authorization", "").removeprefix("Bearer "))
        if owner is None:
            return stranger()
        groups = [{"display": name, "type": "direct"} for name in sorted(self.catalog.groups.get(owner, ()))]
        me = {
            "groups": groups,
            "id": "1001",
            "userName": owner,
            "displayName": owner.partition("@")[0],
            "active": True,
        }
        return answered(200, me | {"emails": [{"value": owner, "primary": True}]})


def stranger() -> web.Response:
    return answered(
        401, {"error_code": "UNAUTHENTICATED", "message": "Credential was not sent or is invalid"}
    )


@asynccontextmanager
async def workspace(
    client_id: str = "11111111-2222-4333-8444-555555555555",
    client_secret: str = "sim-client-secret",
    *,
    workspace_id: str = "1234567890123456",
    expires_in: int = 3600,
) -> AsyncIterator[Workspace]:
    """Starts one workspace in the running loop, until the block is left."""
    one = Workspace(client_id, client_secret, workspace_id, expires_in)
    async with serving(one.answer) as one.port:
        yield one
