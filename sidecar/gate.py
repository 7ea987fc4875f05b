"""A door's rules, in the order in which a stranger meets them: path, key, browser, identity; then what it came for."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from policies import access, errors, identity, paths
from policies.agent import Caller, Door
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.answer import Answer
from sidecar.edge import Edge
from sidecar.noise import uuid
from sidecar.telemetry import Telemetry

Page = Callable[[web.BaseRequest, Caller], Awaitable[web.StreamResponse]]


class Doorkeeper:
    """Every request of one door comes here first.

    `routes`  the front's own paths (SIDECAR_FRONT_ROUTES); None: all of ours, as at egress
    `pages`   further paths of ours: what answers a path, or None
    `full`    whether errors name hosts and settings
    """

    def __init__(
        self,
        door: Door,
        edge: Edge,
        telemetry: Telemetry,
        *,
        rules: access.Gate,
        belief: identity.Belief,
        key: Secret | None = None,
        routes: tuple[str, ...] | None = None,
        pages: Callable[[str], Page | None] = lambda path: None,
        full: bool = True,
    ) -> None:
        self.door, self.edge, self.telemetry = door, edge, telemetry
        self.rules, self.belief, self.key = rules, belief, key
        self.routes, self.pages, self.full = routes, pages, full

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse | Answer:
        headers, method = request.headers, request.method
        request_id = self.edge.unique(identity.request_id(headers.get("x-request-id")) or uuid())
        template = "other"
        try:
            target, keyed = paths.split(request.raw_path, headers.get("Host")), False
            if self.door == "egress" and target.path.startswith("/~"):
                given, rest = identity.egress_key(target.path)
                keyed, target = identity.same_key(given, self.key), target._replace(path=rest)
            if pairs := access.preflight(self.rules, headers, method):
                return self.whole(204, b"", request_id, pairs)
            page = self.pages(target.path)
            route = paths.route(self.door, method, target)
            template = route.template
            relay = page is None and route.dialect is None
            if refusal := access.browser(
                self.rules, headers, method, "relay" if relay else "ours", keyed=keyed
            ):
                raise refusal
            if page is None and (
                template == "other"
                or (self.routes is not None and not paths.listed(target.path, self.routes))
            ):
                raise Refusal(
                    404, "no_such_route", detail=f"Nothing is served at this path of the {self.door} door."
                )
            peer = request.transport.get_extra_info("peername") if request.transport else None
            believed = identity.believed(self.belief, peer[0] if peer else None, keyed=keyed)
            caller, removed = identity.caller(headers, self.door, believed)
            if page is not None:
                return await self.shown(page, request, caller, request_id)
            return await self.edge.exchange(
                request, route, caller, request_id, removed, access.cors(self.rules, headers)
            )
        except Refusal as refusal:
            self.telemetry.turned_away(self.door, template, refusal, request_id, method)
            retry = [] if refusal.retry_after is None else [("Retry-After", str(refusal.retry_after))]
            body = orjson.dumps(errors.body(refusal, full=self.full))
            return self.whole(refusal.status, body, request_id, [*retry, *access.cors(self.rules, headers)])

    async def shown(
        self, page: Page, request: web.BaseRequest, caller: Caller, request_id: str
    ) -> web.StreamResponse:
        record = self.telemetry.begin(request_id, self.door, "other", request.method)
        try:
            response = await page(request, caller)
            response.headers.setdefault("Server", "sidecar")
            self.telemetry.finish(record, "ok" if response.status < 400 else "refused_input", response.status)
            return response
        except asyncio.CancelledError:
            self.telemetry.finish(record, "caller_left")
            raise
        finally:
            self.telemetry.finish(record, "internal_error", 500)

    @staticmethod
    def whole(status: int, body: bytes, request_id: str, pairs: list[tuple[str, str]]) -> web.StreamResponse:
        response = web.Response(status=status, body=body)
        if body:
            response.content_type = "application/json"
        response.headers.extend([("x-request-id", request_id), ("Server", "sidecar"), *pairs])
        return response
