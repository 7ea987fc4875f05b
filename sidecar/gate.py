"""A door's rules, in the order in which a stranger meets them: path, key, browser, identity; then what it came for."""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

from middleware.exchange import Pairs
from policies import access, errors, identity, paths
from policies.agent import FRONTEND, Caller, Door
from policies.names import CONTENT_TYPE, EXPECT, HOST, ORIGIN, REQUEST_ID, SEC_FETCH_SITE
from policies.paths import Route
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.answer import Answer
from sidecar.doors import Request
from sidecar.edge import Edge
from sidecar.expecting import expected
from sidecar.noise import uuid
from sidecar.played import Player
from sidecar.telemetry import Telemetry
from sidecar.whole import Page

# The headers on which it depends what a request may come for; and how long a path may be to be remembered.
DECIDING: Final = (HOST, ORIGIN, SEC_FETCH_SITE, CONTENT_TYPE)
LONGEST: Final = 200
JSON: Final = ("Content-Type", "application/json")
JUDGED: Final = ("/api/agents",)  # paths at which a bearer says who calls
DOCS: Final = "/docs"  # a page that people open by its address
# What somebody else may have read differently, and with it what follows.
UNSURE: Final = ("bad_request", "invalid_path", "unsupported_expectation")


class Errand(NamedTuple):
    """What a request comes for, and why it may not (never raised itself: it is remembered)."""

    page: Page | None
    route: Route
    keyed: bool
    why: Refusal | None
    edge: Edge
    judged: bool = False  # a bearer says here who calls, where nobody is believed to


class Doorkeeper:
    """Every request of one door comes here first.

    `routes`  the front's own paths (SIDECAR_FRONT_ROUTES); None: all of ours, as at egress
    `pages`   further paths of ours: what answers a path, or None
    `app`     who has every other path; None: nobody
    `player`  who says who everybody is, on a laptop
    `full`    whether errors name hosts and settings
    `gateway` the gateway's API: what answers a method and a path, or None
    `known`   whether an agent of this name stands in the settings
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
        app: Edge | None = None,
        player: Player | None = None,
        full: bool = True,
        gateway: Callable[[str, str], Page | None] = lambda method, path: None,
        known: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self.gateway, self.known = gateway, known
        self.door, self.edge, self.telemetry = door, edge, telemetry
        self.rules, self.belief, self.key = rules, belief, key
        self.routes, self.pages, self.full = routes, pages, full
        self.app, self.player = app, player
        self.decide = lru_cache(512)(self.decided)  # a connection asks for the same thing again and again
        self.believe = lru_cache(1024)(self.believed)

    async def __call__(self, request: Request) -> Answer:
        headers, method, raw = request.headers, request.method, request.raw_path
        decide = self.decide if len(raw) <= LONGEST else self.decided
        errand = decide(method, raw, request.body_exists, tuple(map(headers.get, DECIDING)))
        page, route, keyed, why, edge, judged = errand
        template = route.template
        given = headers.get(REQUEST_ID)
        request_id = edge.unique((identity.request_id(given) if given else None) or uuid())
        try:
            if method == "OPTIONS" and edge is not self.app:
                pairs = access.preflight(self.rules, headers, method)
                if pairs:
                    return await self.whole(request, 204, b"", request_id, pairs)
            if why is not None:
                raise Refusal(why.status, why.code, detail=why.detail, hint=why.hint, allow=why.allow)
            if EXPECT in headers:
                expected(request)
            caller, removed = identity.caller(
                headers, self.door, self.believe(request.remote, keyed), request.spelled
            )
            if self.player is not None:
                caller = await self.player.caller(headers, method, self.rules)
            if judged:
                caller = self.named(identity.bearing(caller, headers), page, route)
            common = access.cors(self.rules, headers) if self.rules.origins else []
            if page is not None:
                return await self.shown(page, request, caller, request_id, common)
            return await edge.exchange(request, route, caller, request_id, removed, common)
        except Refusal as refusal:
            self.telemetry.turned_away(self.door, template, refusal, request_id, method)
            unsaid = refusal.settled()
        told = [("Retry-After", unsaid.retry_after), ("Allow", unsaid.allow)]
        pairs = [JSON, *((name, str(value)) for name, value in told if value is not None)]
        last = method == paths.CONNECT or unsaid.code in UNSURE
        body = orjson.dumps(errors.body(unsaid, full=self.full))
        pairs += access.cors(self.rules, headers)
        return await self.whole(request, unsaid.status, body, request_id, pairs, last=last)

    def believed(self, peer: str | None, keyed: bool) -> bool:
        return identity.believed(self.belief, peer, keyed=keyed)

    def decided(self, method: str, raw: str, body: bool, facts: tuple[str | None, ...]) -> Errand:
        """What a request comes for and whether it may, from all that this depends on (`DECIDING`)."""
        headers = {name: value for name, value in zip(DECIDING, facts, strict=True) if value is not None}
        headers["content-length"] = "1" if body else "0"
        page: Page | None = None
        keyed, edge = False, self.edge
        route = Route("other", None, None, "")
        try:
            target = paths.split(raw, headers.get("host"), method)
            if self.door == "egress" and target.path.startswith("/~"):
                given, rest = identity.egress_key(target.path)
                keyed, target = identity.same_key(given, self.key), target._replace(path=rest)
            page = self.pages(target.path)
            listed = self.routes is None or paths.listed(target.path, self.routes)
            if page is None and not listed and self.app is not None:
                edge, route = self.app, Route(FRONTEND, None, None, target.path + target.query)
                return Errand(
                    page, route, keyed, access.browser(self.rules, headers, method, "frontend"), edge
                )
            if page is None and listed:
                page = self.gateway(method, target.path)
            route = paths.route(self.door, method, target)
            to: access.To = "relay" if page is None and route.dialect is None else "ours"
            if page is not None and target.path == DOCS:
                to = "shown"
            if refusal := access.browser(self.rules, headers, method, to, keyed=keyed):
                return Errand(page, route, keyed, refusal, edge)
            if page is None and not (listed and route.template != "other"):
                detail = f"Nothing is served at this path of the {self.door} door."
                return Errand(page, route, keyed, Refusal(404, "no_such_route", detail=detail), edge)
        except Refusal as refusal:
            return Errand(page, route, keyed, refusal.settled(), edge)
        return Errand(page, route, keyed, None, edge, paths.listed(target.path, JUDGED))

    def named(self, caller: Caller, page: Page | None, route: Route) -> Caller:
        """The caller, where it may act under `/api/agents`: at the front only if somebody says who it is.

        That is the platform; or the workspace, which judges the bearer of whoever calls an agent that is found there.
        """
        if page is not None or self.door != "front" or identity.named(caller):
            return caller
        if caller.bearer is not None and not self.known(route.agent or ""):
            return caller
        detail = (
            "Nobody who is believed at this door says who is calling, and this path is for named callers."
        )
        hint = (
            "Call through the platform, or at the egress door; on a laptop, SIDECAR_DEV_USER names everybody."
        )
        raise Refusal(401, "caller_not_named", detail=detail, hint=hint)

    async def shown(
        self, page: Page, request: Request, caller: Caller, request_id: str, common: Pairs
    ) -> Answer:
        record = self.telemetry.begin(request_id, self.door, "other", request.method)
        try:
            shown = await page(request, caller)
        except asyncio.CancelledError:
            self.telemetry.finish(record, "caller_left")
            raise
        except Refusal:  # whoever tells it ends the record
            raise
        except BaseException:
            self.telemetry.finish(record, "internal_error", 500)
            raise
        wrong = 400 <= shown.status < 500  # 503 is what /readyz says, and says well
        self.telemetry.finish(record, "refused_input" if wrong else "ok", shown.status)
        pairs = [*shown.headers.items(), *common]
        return await self.whole(request, shown.status, shown.body, request_id, pairs)

    async def whole(
        self, request: Request, status: int, body: bytes, request_id: str, pairs: Pairs, *, last: bool = False
    ) -> Answer:
        """Told, to its end. `last`: and the connection with it."""
        answer = Answer(request, self.edge.patience, pairs, self.edge.time())
        answer.keep_alive = answer.keep_alive and not last
        answer.head(status, [("x-request-id", request_id), ("Server", "sidecar")])
        if not answer.finish(body):
            self.edge.sweep.items.add(answer)
            try:
                await answer.taken()
            finally:
                self.edge.sweep.items.discard(answer)
        return answer
