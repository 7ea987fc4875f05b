"""What a workspace is asked about agents, and what its answers mean to whoever asked."""

import asyncio
from typing import Any, Final
from urllib.parse import quote

from policies import hints
from policies.faults import Fault, meaning
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar.control import Control, Told
from sidecar.unity.answers import Answers

ME: Final = "/api/2.0/preview/scim/v2/Me"
CONNECTIONS: Final = "/api/2.1/unity-catalog/connections"
GRANTS: Final = "/api/2.1/unity-catalog/permissions/connection"
AT_ONCE: Final = 8  # questions of one listing
PAGES: Final = 200


class Questions:
    """Asks one workspace, always with the token of whoever wants to know.

    Each answer is None where the workspace does not know the thing, or hides it. Refusal: 401
    `user_token_refused`; 503 `catalog_unavailable` for everything that is no answer.
    """

    def __init__(self, workspace: str, control: Control, answers: Answers) -> None:
        self.workspace, self._control, self._answers = workspace, control, answers
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def me(self, token: Secret) -> Any:
        return await self._asked(token, ME)

    async def connection(self, token: Secret, name: str) -> Any:
        return await self._asked(token, f"{CONNECTIONS}/{quote(name, safe='')}")

    async def grants(self, token: Secret, name: str) -> Any:
        async with self._turns:
            return await self._asked(token, f"{GRANTS}/{quote(name, safe='')}")

    async def connections(self, token: Secret) -> list[Any]:
        """All of them, page by page: a page may be empty and not the last."""
        found: list[Any] = []
        page = ""
        for _ in range(PAGES):
            told = await self._asked(token, f"{CONNECTIONS}?max_results=0{page}") or {}
            found += told.get("connections") or []
            if not (following := told.get("next_page_token")):
                return found
            page = f"&page_token={quote(str(following), safe='')}"
        raise unavailable("the list of connections has no end")

    async def _asked(self, token: Secret, path: str) -> Any:
        bearer = token.reveal()

        async def ask() -> Any:
            return judged(await self._control.get(self.workspace + path, f"Bearer {bearer}"), path)

        return await self._answers.get(self.workspace, bearer, path, ask)


def judged(told: Told | Fault, path: str) -> Any:
    """The JSON object of an answer, or None where the thing is not there for this asker."""
    if isinstance(told, Fault):
        raise unavailable(meaning(told).cause.replace("the identity provider", "it"), told.retry_after)
    if told.status == 200 and isinstance(told.value, dict):
        return told.value
    if told.status == 401:
        raise Refusal(
            401,
            "user_token_refused",
            detail="The workspace did not accept the token that came with the request (401).",
            hint="It has expired, or is another workspace's: `databricks auth token --host $DATABRICKS_HOST`.",
            sent="none",
        )
    if told.status == 404 or (told.status == 403 and path.startswith((f"{CONNECTIONS}/", GRANTS))):
        return None
    if told.status == 403:
        raise Refusal(
            401,
            "user_token_refused",
            detail=f"The workspace does not let the token that came with the request ask for {path} (403).",
            hint="Among this app's `user_api_scopes` have to be `catalog.connections` and `iam.current-user:read`.",
            sent="none",
        )
    what = "a page, not JSON" if told.status < 400 else str(told.status)
    raise unavailable(f"it answered with {what}", told.retry_after)


def unavailable(why: str, retry_after: float | None = None) -> Refusal:
    detail, hint = hints.explain("catalog_unavailable", reason=why)
    later = max(1, int(retry_after or 1))
    return Refusal(503, "catalog_unavailable", detail=detail, hint=hint, sent="none", retry_after=later)
