"""Calls to the app behind the front, made of requests: what `sidecar.asking` does for agents."""

from urllib.parse import urlsplit

from multidict import CIMultiDict, CIMultiDictProxy

from middleware.exchange import EMPTY, Call, Pairs
from policies import discovery, forwarded
from policies.agent import FRONTEND, Agent, Caller
from policies.paths import Route
from sidecar.asking import Asking, Uploading
from sidecar.behind import Frontend
from sidecar.doors import Request
from sidecar.frontend.edge import own


class Towards:
    def __init__(self, frontend: Frontend, asking: Asking, *, played: bool, workspace: str | None) -> None:
        """`played`: the caller is SIDECAR_DEV_USER, who is told of as the platform does; of this workspace."""
        self.frontend, self.asking = frontend, asking
        self.played, self.workspace = played, workspace
        self._agent = Agent("", "", kind=FRONTEND)

    async def call(self, request: Request, route: Route, caller: Caller, request_id: str) -> Call:
        pairs = forwarded.onward(
            request.headers,
            believed=caller.believed and not self.played,
            peer=request.remote,
            request_id=own(request_id),
            played=self.told_of(caller) if self.played and caller.believed else (),
        )
        return Call(
            self._agent if self._agent.url == self.frontend.url else self._there(),
            caller,
            FRONTEND,
            request.method,
            route.target,
            CIMultiDictProxy(CIMultiDict(pairs)),
            Uploading(request, self.asking) if request.body_exists else EMPTY,
            None,
            request_id,
        )

    def _there(self) -> Agent:
        self._agent = self._agent._replace(url=self.frontend.url)
        return self._agent

    def told_of(self, caller: Caller) -> Pairs:
        """Who is played, to the app; the token only where that is on this machine."""
        here = discovery.is_loopback(urlsplit(self.frontend.url).hostname or "")
        token = caller.token.reveal() if caller.token and here else None
        return forwarded.played(caller.email or "", self.workspace, token)
