"""What is known about a failure, and the conditions under which a cause is the likely one."""

from collections.abc import Callable
from typing import Final, NamedTuple


class Facts(NamedTuple):
    """Texts read as part of a sentence even where nothing is known: docs/errors.md shows them so."""

    agent: str = "the agent"
    host: str = "its address"  # and port
    name: str = "<host>"
    peer: str = "<host>:<port>"
    origin: str = "<address>"
    app: str = "<app>"  # the app's name, as its address on the platform tells it
    url: str = "AGENT_APP_URL"  # the setting that holds the address
    key: str = "SIDECAR_AGENTS__<NAME>"  # how the names of this agent's other settings begin
    auth: str = ""
    hosted: bool = False  # on the apps platform
    found: bool = False  # in Unity Catalog, not in the settings
    loopback: bool = False
    status: int = 0
    reason: str = ""  # in lower case, to be matched
    said: str = ""  # the same as it came, to be repeated
    text: str = ""  # how the agent's body begins, in lower case; never repeated


class Condition(NamedTuple):
    """When a cause is the likely one; `said` tells people, where the cause's own sentence does not."""

    said: str
    holds: Callable[[Facts], bool]


class Cause(NamedTuple):
    """One line of a table: under this condition, what happened and what to do next (both are templates)."""

    when: Condition
    detail: str
    hint: str | None = None

    def told(self, facts: Facts) -> tuple[str, str | None]:
        words = {
            **facts._asdict(),
            "Agent": facts.agent[0].upper() + facts.agent[1:],
            "because": f" ({facts.said})" if facts.said else "",
            "answered": f" with {facts.status}" if facts.status else "",
            "status": facts.status or "<status>",
        }
        return self.detail.format_map(words), self.hint and self.hint.format_map(words)


def says(*words: str) -> Condition:
    return Condition("", lambda facts: any(word in facts.reason for word in words))


def auth(mode: str) -> Condition:
    return Condition(f"with `AUTH={mode}`", lambda facts: facts.auth == mode)


def answered(*statuses: int) -> Condition:
    return Condition(f"status {', '.join(map(str, statuses))}", lambda facts: facts.status in statuses)


def both(one: Condition, other: Condition) -> Condition:
    said = ", ".join(filter(None, (one.said, other.said)))
    return Condition(said, lambda facts: one.holds(facts) and other.holds(facts))


always: Final = Condition("", lambda _: True)
hosted: Final = Condition("on the apps platform", lambda facts: facts.hosted)
found: Final = Condition("found in Unity Catalog", lambda facts: facts.found)
loopback: Final = Condition("on this machine", lambda facts: facts.loopback)
pending: Final = Condition("", lambda facts: "app not authorized" in facts.text)  # the platform's own words
dns: Final = says("dns", "getaddrinfo", "name or service", "name resolution", "nodename")
refused: Final = says("refused", "connect call failed")

# Commands and advice that more than one cause ends in.
START: Final = "`databricks apps get {app}` shows its state, `databricks apps start {app}` starts it."
LOGS: Final = "`databricks apps logs {app}` shows why."
GRANT: Final = (
    "`databricks apps update-permissions {app} --json"
    ' \'{{"access_control_list":[{{"service_principal_name":"<DATABRICKS_CLIENT_ID>",'
    '"permission_level":"CAN_USE"}}]}}\'`'
)
SCOPES: Final = (
    "Give this app `user_api_scopes`, so that the platform sends x-forwarded-access-token,"
    " and have the user open the page anew."
)
NEW_PRINCIPAL: Final = (
    "An app that was deleted and made again has a new service principal, which needs its grants anew."
)
VOUCH: Final = (
    "Give its connection a credential of its own, or vouch for it with SIDECAR_UC_ORIGINS={origin}: then it gets"
    " the one that its connection asks for."
)
OWN_LOG: Final = "The agent's own log says why; it was sent the request id as `x-request-id`."
