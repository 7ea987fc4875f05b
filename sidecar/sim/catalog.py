"""A stand-in for what a workspace knows of agents: Unity Catalog connections and grants on them, groups, apps."""

import json
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from sidecar.sim.faults import answered
from sidecar.sim.visits import Visit

CONNECTIONS: Final = "/api/2.1/unity-catalog/connections"
GRANTS: Final = "/api/2.1/unity-catalog/permissions/connection/"
APPS: Final = "/api/2.0/apps/"
PAGE: Final = 2  # connections on one page, so that every listing has several


class Catalog:
    """The part of a workspace that knows agents; names are compared as the real one does.

    `everybody_sees`  whether connections are shown to those who may not use them, as in some metastores
    `redacted`        whether options that hold secrets are left out, as for those who do not own the connection
    """

    def __init__(self) -> None:
        self.everybody_sees = True
        self.redacted = False
        self.connections: dict[str, dict[str, Any]] = {}
        self.grants: dict[str, dict[str, set[str]]] = {}  # connection → principal → privileges
        self.groups: dict[str, set[str]] = {}  # user → groups
        self.apps: dict[str, dict[str, Any]] = {}

    def connect(
        self, name: str, options: dict[str, str], *, owner: str = "admin@example.org", comment: str = ""
    ) -> None:
        """`databricks connections create`."""
        kind = {"connection_type": "HTTP", "credential_type": "BEARER_TOKEN", "metastore_id": "m-1"}
        self.connections[name] = kind | {
            "name": name,
            "owner": owner,
            "comment": comment,
            "options": dict(options),
            "full_name": name,
        }

    def grant(self, name: str, principal: str, privilege: str = "USE_CONNECTION") -> None:
        """`databricks grants update connection`."""
        self.grants.setdefault(name, {}).setdefault(principal, set()).add(privilege)

    def revoke(self, name: str, principal: str) -> None:
        self.grants.get(name, {}).pop(principal, None)

    def join(self, user: str, *groups: str) -> None:
        """The user is a member of these groups from now on."""
        self.groups.setdefault(user, set()).update(groups)

    def app(self, name: str, url: str, state: str = "RUNNING") -> None:
        """`databricks apps create`."""
        self.apps[name] = {"name": name, "url": url, "app_status": {"state": state}}

    def answer(self, visit: Visit, asker: str) -> web.Response | None:
        """What this person is told; None where the path is none of these."""
        path = unquote(urlsplit(visit.target).path)
        if path == CONNECTIONS:
            return self._listed(visit, asker)
        if path.startswith(f"{CONNECTIONS}/"):
            return self._one(path.removeprefix(f"{CONNECTIONS}/"), asker)
        if path.startswith(GRANTS):
            return self._granted(visit, path.removeprefix(GRANTS))
        if path.startswith(APPS):
            app = self.apps.get(path.removeprefix(APPS))
            return answered(200, app) if app else missing("RESOURCE_DOES_NOT_EXIST", "App does not exist.")
        return None

    def _listed(self, visit: Visit, asker: str) -> web.Response:
        seen = [name for name in self.connections if self._sees(name, asker)]
        start = int(parse_qs(urlsplit(visit.target).query).get("page_token", ["0"])[0])
        body: dict[str, Any] = {"connections": [self._shown(name) for name in seen[start : start + PAGE]]}
        if start + PAGE < len(seen):
            body["next_page_token"] = str(start + PAGE)
        return answered(200, body)

    def _one(self, name: str, asker: str) -> web.Response:
        if name not in self.connections or not self._sees(name, asker):
            return missing("CONNECTION_DOES_NOT_EXIST", f"Connection '{name}' does not exist.")
        return answered(200, self._shown(name))

    def _granted(self, visit: Visit, name: str) -> web.Response:
        if name not in self.connections:
            return missing("CONNECTION_DOES_NOT_EXIST", f"Connection '{name}' does not exist.")
        if visit.method == "PATCH":
            for change in json.loads(visit.body)["changes"]:
                for privilege in change.get("add", ()):
                    self.grant(name, change["principal"], privilege)
                if change.get("remove"):
                    self.revoke(name, change["principal"])
        held = self.grants.get(name, {}).items()
        assigned = [{"principal": who, "privileges": sorted(what)} for who, what in held if what]
        return answered(200, {"privilege_assignments": assigned} if assigned else {})

    def _sees(self, name: str, asker: str) -> bool:
        own = {asker, *self.groups.get(asker, ())}
        return (
            self.everybody_sees
            or self.connections[name]["owner"] in own
            or bool(own & set(self.grants.get(name, {})))
        )

    def _shown(self, name: str) -> dict[str, Any]:
        one = self.connections[name]
        if not self.redacted:
            return one
        secrets = {"bearer_token", "client_secret"}
        return one | {"options": {key: value for key, value in one["options"].items() if key not in secrets}}


def missing(code: str, message: str) -> web.Response:
    return answered(404, {"error_code": code, "message": message})
