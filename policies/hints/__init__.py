"""Turns a failure into its cause and the next command or setting, for whoever runs the process.

A browser never sees these: they name hosts and settings (`policies.errors` keeps them from it).
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from policies import outcome
from policies.agent import Agent
from policies.hints import answering, asking, finding, here, reaching
from policies.hints.facts import Cause, Facts

CAUSES: Final[Mapping[str, tuple[Cause, ...]]] = (
    reaching.CAUSES | answering.CAUSES | here.CAUSES | asking.CAUSES | finding.CAUSES
)
LOOPBACK: Final = frozenset({"localhost", "::1"})


def explain(
    code: str,
    *,
    agent: Agent | None = None,
    status: int | None = None,
    reason: str = "",
    text: str = "",
) -> tuple[str, str | None]:
    """What happened, in one sentence that names host and cause; and what to do next, where something can be.

    `code`    of the closed list, or of refused input
    `agent`   who was called, if anybody was
    `status`  what the agent answered
    `reason`  a few words on the cause, which may be repeated: `dns`, `refused`, `plaintext`, `empty` …
    `text`    how the agent's body begins: looked at, never repeated
    """
    facts = _facts(agent, status or 0, reason, text)
    for cause in CAUSES.get(code, ()):
        if cause.when.holds(facts):
            return cause.told(facts)
    return outcome.sentence(code), None


def _facts(agent: Agent | None, status: int, reason: str, text: str) -> Facts:
    known = Facts(status=status, reason=reason[:200].lower(), said=reason[:200], text=text[:2000].lower())
    if agent is None:
        return known
    key = f"SIDECAR_AGENTS__{agent.name.upper().replace('-', '_')}"
    known = known._replace(
        agent=f"agent '{agent.name}'",
        key=key,
        url="AGENT_APP_URL" if agent.name == "default" else f"{key}__URL",
        auth=agent.auth,
        found=bool(agent.connection),
    )
    try:
        parts = urlsplit(agent.url)
        port = parts.port or 443
    except ValueError:
        return known
    host, place = parts.hostname or "", parts.netloc.rpartition("@")[2]
    if not host:
        return known
    hosted = is_hosted(host)
    return known._replace(
        host=place,
        name=host,
        peer=f"{host}:{port}",
        origin=f"{parts.scheme}://{place}",
        app=_app(host) if hosted else known.app,
        hosted=hosted,
        loopback=host in LOOPBACK or host.startswith("127."),
    )


def is_hosted(host: str) -> bool:
    """Whether this is the name of an app on the apps platform."""
    return host.endswith((".databricksapps.com", ".apps.databricks.com"))


def _app(host: str) -> str:
    """The app's name, which is the first label without the workspace's number."""
    label = host.partition(".")[0]
    name, _, number = label.rpartition("-")
    return name if name and number.isdecimal() else label
