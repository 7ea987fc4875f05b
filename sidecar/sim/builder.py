"""A stand-in for a builder app on loopback: projects, conversations, runs, and the windows in which runs are told."""

import asyncio
import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from sidecar.sim import pages
from sidecar.sim.builder_plots import answer, words
from sidecar.sim.builder_runs import Run
from sidecar.sim.builder_windows import hung_up, tell
from sidecar.sim.serving import Port, serving
from sidecar.sim.visits import Series, Visit

Json = dict[str, Any]
Bearer = Callable[[str], bool]
IDS: Final = re.compile(r"/[0-9a-f]{8}-[0-9a-f-]+")
DEVELOPER: Final = "developer@localhost"


class Http(Exception):
    """FastAPI's HTTPException."""

    def __init__(self, status: int, detail: Any, **beside: str) -> None:
        super().__init__()
        self.status, self.detail, self.beside = status, detail, beside


class Builder:
    """One builder app. `sim.builder()` starts it.

    `url`       where it listens
    `visits`    every request that reached it
    `runs`      the runs that were started, by id, in order
    `windows`   `last_event_timestamp` of every window that was asked for
    `stopped`   the ids for which `stop_stream` was called
    `projects`, `conversations`   what there is, by id
    """

    port: Port

    def __init__(self, window: float, pace: float, bearer: Bearer | None, development: bool) -> None:
        self.window, self.pace, self.bearer, self.development = window, pace, bearer, development
        self.visits: Series[Visit] = Series()
        self.windows: Series[float | None] = Series()
        self.stopped: Series[str] = Series()
        self.projects: dict[str, Json] = {}
        self.conversations: dict[str, Json] = {}
        self.runs: dict[str, Run] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return self.port.url

    @property
    def last(self) -> Run:
        """The newest run."""
        return list(self.runs.values())[-1]

    def asked(self, *names: str) -> list[str]:
        """The paths that were called, ids left out; only those whose last word is one of these, if any is given."""
        called = [
            f"{visit.method} {IDS.sub('', visit.target)}"
            for visit in map(self.visits.__getitem__, range(len(self.visits)))
        ]
        return [one for one in called if not names or one.rpartition("/")[2] in names]

    def restart(self) -> None:
        """What was in memory is gone: every stream, and every run that was under way."""
        for task in self.tasks:
            task.cancel()
        for run in self.runs.values():
            run.forgotten = True

    # --- the app -----------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = Visit(request)
        visit.body = await request.content.read()
        self.visits.add(visit)
        if self.bearer and not self.bearer(visit.headers.get("Authorization", "").removeprefix("Bearer ")):
            return pages.PAGES["unauthorized"](0)
        for method, path, routed in ROUTES:
            if (found := path.fullmatch(request.path)) and method == request.method:
                try:
                    return await routed(self, request, visit, *found.groups())
                except Http as wrong:
                    return pages.json_of_agent(wrong.status, {"detail": wrong.detail} | wrong.beside)
        known = any(path.fullmatch(request.path) for _, path, _ in ROUTES)
        detail = "Method Not Allowed" if known else "Not Found"
        return pages.json_of_agent(405 if known else 404, {"detail": detail})

    def user(self, visit: Visit) -> str:
        """Whoever the headers name, taken at their word; else whose bearer it is."""
        named = visit.headers.get("X-Forwarded-Email") or visit.headers.get("X-Forwarded-User")
        bearer = visit.headers.get("Authorization", "").removeprefix("Bearer ")
        if user := named or (f"holder of {bearer}" if bearer else ""):
            return user
        if self.development:
            return DEVELOPER
        raise Http(500, "Internal Server Error", error="No user identity in the request")

    async def _health(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        return pages.json_of_agent(200, {"status": "healthy"})

    async def _projects(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        user = self.user(visit)
        own = [one for one in self.projects.values() if one["user_email"] == user]
        return pages.json_of_agent(200, own[::-1])

    async def _new_project(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        name = read(visit, "name")["name"]
        made = {
            "id": str(uuid.uuid4()),
            "name": name,
            "user_email": self.user(visit),
            "conversation_count": 0,
        }
        self.projects[made["id"]] = made
        return pages.json_of_agent(200, made)

    def _own(self, visit: Visit, project: str, detail: str) -> None:
        if self.projects.get(project, {}).get("user_email") != self.user(visit):
            raise Http(404, detail)

    def _conversation(self, visit: Visit, project: str, ident: str) -> Json:
        self._own(visit, project, f"Conversation {ident} not found")
        found = self.conversations.get(ident)
        if found is None or found["project_id"] != project:
            raise Http(404, f"Conversation {ident} not found")
        return found

    async def _new_conversation(
        self, request: web.BaseRequest, visit: Visit, project: str
    ) -> web.StreamResponse:
        self._own(visit, project, "Project not found or access denied")
        return pages.json_of_agent(200, self._opened(project, visit.value.get("title") or "New Conversation"))

    def _opened(self, project: str, title: str) -> Json:
        ident = str(uuid.uuid4())
        made: Json = {"id": ident, "project_id": project, "title": title, "messages": [], "session_id": None}
        self.conversations[ident] = made
        return made

    async def _read_conversation(
        self, request: web.BaseRequest, visit: Visit, project: str, ident: str
    ) -> web.StreamResponse:
        return pages.json_of_agent(200, self._conversation(visit, project, ident))

    async def _executions(
        self, request: web.BaseRequest, visit: Visit, project: str, ident: str
    ) -> web.StreamResponse:
        self._conversation(visit, project, ident)
        runs = [run for run in self.runs.values() if run.conversation == ident]
        kept = [run for run in runs if not run.said.keys() & {"forget", "lose"}]
        told = [run.told(stamped=run.forgotten) for run in reversed(kept)]
        active = next((one for one in told if one["status"] == "running"), None)
        return pages.json_of_agent(200, {"active": active, "recent": told[:5]})

    # --- runs --------------------------------------------------------------------------------------------------

    async def _invoke(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        asked = read(visit, "project_id", "message")
        project, text = asked["project_id"], asked["message"]
        self._own(visit, project, f"Project not found: {project}")
        if conversation := asked.get("conversation_id"):
            if self.conversations.get(conversation, {}).get("project_id") != project:
                raise Http(404, f"Conversation not found: {conversation}")
        else:
            conversation = self._opened(project, text[:40])["id"]
        run = Run(str(uuid.uuid4()), project, conversation, text, words(text))
        self.runs[run.ident] = run
        task = asyncio.create_task(self._work(run))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        if "drop reply" in run.said:
            return hung_up(request)
        return pages.json_of_agent(200, {"execution_id": run.ident, "conversation_id": conversation})

    async def _work(self, run: Run) -> None:
        await run.go(self.pace)
        if run.status in ("completed", "error") and "lose" not in run.said:
            said = run.error or answer(run.text)
            messages = [("user", run.text, False), ("assistant", said, bool(run.error))]
            self.conversations[run.conversation]["messages"] += [
                {"id": str(next(self._numbers)), "role": role, "content": content, "is_error": error}
                for role, content, error in messages
            ]

    def _stream(self, ident: str) -> Run:
        """Nobody is asked who he is: the id is all that one needs."""
        run = self.runs.get(ident)
        if run is None or run.forgotten:
            raise Http(404, f"Stream not found: {ident}")
        return run

    async def _progress(self, request: web.BaseRequest, visit: Visit, ident: str) -> web.StreamResponse:
        try:
            after = visit.value.get("last_event_timestamp")
        except (ValueError, AttributeError):
            raise Http(422, [{"type": "missing", "loc": ["body"], "msg": "Field required"}]) from None
        self.windows.add(after)
        return await tell(request, self._stream(ident), after, self.window)

    async def _stop(self, request: web.BaseRequest, visit: Visit, ident: str) -> web.StreamResponse:
        self.stopped.add(ident)
        run = self._stream(ident)
        if run.status != "running":
            return pages.json_of_agent(200, {"success": False, "message": "Stream already complete"})
        run.end("cancelled")
        return pages.json_of_agent(200, {"success": True, "message": "Stream cancelled"})


def read(visit: Visit, *needed: str) -> Json:
    try:
        value = json.loads(visit.body)
    except ValueError:
        value = None
    missing = [name for name in needed if not isinstance(value, dict) or not isinstance(value.get(name), str)]
    if missing:
        raise Http(
            422, [{"type": "missing", "loc": ["body", name], "msg": "Field required"} for name in missing]
        )
    return dict(value)


Routed = Callable[..., Awaitable[web.StreamResponse]]
ID: Final = "([^/]+)"
IN: Final = f"/api/projects/{ID}/conversations"
ROUTES: Final[list[tuple[str, re.Pattern[str], Routed]]] = [
    (method, re.compile(path), routed)
    for method, path, routed in (
        ("GET", "/api/config/health", Builder._health),
        ("GET", "/api/projects", Builder._projects),
        ("POST", "/api/projects", Builder._new_project),
        ("POST", IN, Builder._new_conversation),
        ("GET", f"{IN}/{ID}", Builder._read_conversation),
        ("GET", f"{IN}/{ID}/executions", Builder._executions),
        ("POST", "/api/invoke_agent", Builder._invoke),
        ("POST", f"/api/stream_progress/{ID}", Builder._progress),
        ("POST", f"/api/stop_stream/{ID}", Builder._stop),
    )
]


@asynccontextmanager
async def builder(
    *, window: float = 50.0, pace: float = 0.0, bearer: Bearer | None = None, development: bool = True
) -> AsyncIterator[Builder]:
    """Starts one builder app in the running loop, until the block is left.

    `window`       seconds after which an answer to `stream_progress` ends
    `pace`         seconds between two events of a run
    `bearer`       any other token is the platform's 401
    `development`  whoever brings no identity is its developer, as where `ENV` is not set; else that is a 500
    """
    one = Builder(window, pace, bearer, development)
    async with serving(one.answer) as one.port:
        try:
            yield one
        finally:
            running = list(one.tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
