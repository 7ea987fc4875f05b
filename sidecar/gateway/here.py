"""Where we are, as whoever sent a request knows us."""

from collections.abc import Callable
from typing import Final, NamedTuple

from policies import address, identity, paths
from policies.agent import Caller, Door
from policies.secret import Secret
from sidecar.doors import Request

API: Final = "/api/agents"


class Here(NamedTuple):
    """One door. `checked`: it is bound to this machine only, and has compared Host with its own names."""

    door: Door
    bound: Callable[[], str]
    checked: bool
    platform: bool
    public: str | None
    key: Secret | None

    def address(self, request: Request, caller: Caller) -> str:
        """Ours, without a slash at the end; with the egress key behind it where the request came with it."""
        headers, path = request.headers, self._path(request)
        keyed = self._key(request)
        common = self.door == "front" or (
            not keyed and path.startswith(API)
        )  # not what only this door serves
        forwarded = headers.getall("X-Forwarded-Host", ())
        found = address.ours(
            self.door,
            bound=self.bound(),
            public=self.public if common else None,
            forwarded=forwarded[0] if self.platform and caller.believed and len(forwarded) == 1 else None,
            host=headers.get("Host") if self.checked and not keyed else None,
        )
        return found + keyed

    def prefix(self, request: Request, caller: Caller, name: str) -> str:
        """Our address of what lies behind an agent's own URL, as the request was sent there."""
        base = API if self._path(request).startswith(API) else "/agents"
        return f"{self.address(request, caller)}{base}/{name}"

    def _path(self, request: Request) -> str:
        """Without the egress key."""
        path = paths.split(request.raw_path, request.headers.get("Host")).path
        return identity.egress_key(path)[1] if self.door == "egress" else path

    def _key(self, request: Request) -> str:
        """`/~<key>`, if that is how the path begins and it is the right one."""
        if self.key is None or not request.raw_path.startswith("/~"):
            return ""
        given, _ = identity.egress_key(paths.split(request.raw_path, request.headers.get("Host")).path)
        return f"/~{given}" if identity.same_key(given, self.key) else ""
