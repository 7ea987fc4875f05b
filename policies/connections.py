"""A Unity Catalog connection as an agent: who may use it, where it leads, and with which credential."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from policies import discovery, paths
from policies.agent import Agent
from policies.refusal import Refusal
from policies.secret import Secret

EVERYBODY: Final = "account users"  # the group of all users of an account; nobody's groups name it
_ENOUGH: Final = frozenset({"USE_CONNECTION", "ALL_PRIVILEGES"})
# Words that the option `bearer_token` holds instead of a token.
_THE_CALLERS: Final = "databricks"
_THE_APPS: Final = frozenset({"", "unused", "none", "placeholder", "oauth-passthrough"})
Mode = Literal["app", "user", "static", "oauth", "none"]


class OAuth(NamedTuple):
    """What client credentials take."""

    token_endpoint: str
    client_id: str
    client_secret: Secret
    scope: str = ""


class Registered(NamedTuple):
    """An agent that somebody registered, with the credential that the connection itself carries."""

    agent: Agent
    description: str
    token: Secret | None = None
    oauth: OAuth | None = None


def agent_name(connection: Mapping[str, Any], suffix: str) -> str | None:
    """The agent that a connection registers; None where it registers none, or one that no path can name."""
    name = connection.get("name")
    if not isinstance(name, str) or not name.endswith(suffix) or connection.get("connection_type") != "HTTP":
        return None
    name = name[: len(name) - len(suffix)]
    return name if discovery.is_agent_name(name) else None


def principals(me: Any) -> frozenset[str]:
    """Every name under which somebody may hold a right: their own, and those of their groups.

    `me` is what the workspace says of the token's owner (SCIM). A service principal's name is its client id.
    """
    known = me if isinstance(me, dict) else {}
    groups = known.get("groups")
    listed = groups if isinstance(groups, list) else []
    names = [known.get("userName"), *(group.get("display") for group in listed if isinstance(group, dict))]
    own = frozenset(name for name in names if isinstance(name, str) and name)
    return own | {EVERYBODY} if own else own


def owns(who: frozenset[str], connection: Mapping[str, Any]) -> bool:
    return connection.get("owner") in who


def may_use(who: frozenset[str], grants: Any) -> bool:
    """Whether one of these names was granted the use of a connection (`privilege_assignments`)."""
    listed = grants.get("privilege_assignments") if isinstance(grants, dict) else None
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("principal") in who:
            held = one.get("privileges")
            if not _ENOUGH.isdisjoint(map(_privilege, held if isinstance(held, list) else ())):
                return True
    return False


def _privilege(given: Any) -> str:
    """`USE_CONNECTION`, also where it is written with a space or stands in an object of its own."""
    name = given.get("privilege") if isinstance(given, dict) else given
    return name.upper().replace(" ", "_") if isinstance(name, str) else ""


def registered(
    connection: Mapping[str, Any], name: str, listed: frozenset[str], workspace: discovery.Workspace
) -> Registered:
    """The agent of this name, as its connection has it. `listed` is SIDECAR_UC_ORIGINS.

    Refusal 502 `connection_incomplete` or `agent_address_refused`.
    """
    given = connection.get("options")
    options = {key: text for key, text in (given if isinstance(given, dict) else {}).items() if _said(text)}
    where, card = _place(options, name)
    vouched = where in listed
    mode, token, oauth = _credential(options, name, vouched)
    agent = Agent(
        name=name,
        url=where,
        kind="a2a",
        auth=mode,
        trusted=vouched and discovery.trust(where, workspace).given,
        why_trusted="its origin stands in SIDECAR_UC_ORIGINS" if vouched else "a connection says where it is",
        connection=str(connection.get("name", "")),
        card=card,
        public=not vouched,
    )
    if not vouched and discovery.is_private(where):
        raise _refused(name, "it is no address that everybody can reach")
    if discovery.is_exposed(where) and mode != "none":
        raise _refused(name, "a credential would go to another machine over plain http")
    comment = connection.get("comment")
    return Registered(agent, comment if isinstance(comment, str) else "", token, oauth)


def _said(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _place(options: Mapping[str, str], name: str) -> tuple[str, str]:
    """(origin, path of the card)."""
    for option in ("host", "base_path"):
        if option not in options:
            raise _lacks(name, option)
    host = options["host"].strip()
    if "://" not in host:
        host = f"https://{host}"
    try:
        where = discovery.agent_url(host).url
        port = options.get("port", "").strip()
        if port and discovery.origin(where) == where and where.rpartition("]")[2].count(":") < 2:
            where = discovery.agent_url(f"{where}:{port}").url
        base = where.removeprefix(discovery.origin(where))
        card = paths.split(f"{base}/{options['base_path'].strip().lstrip('/')}")
    except discovery.AddressError as error:
        raise _refused(name, str(error)) from None
    except Refusal:
        raise _refused(name, "its `base_path` is no path") from None
    return discovery.origin(where), card.path + card.query


def _credential(
    options: Mapping[str, str], name: str, vouched: bool
) -> tuple[Mode, Secret | None, OAuth | None]:
    """(mode, token, client credentials): the connection's own first; ours only where an operator vouches for it."""
    if "client_id" in options or "token_endpoint" in options:
        for option in ("client_id", "client_secret", "token_endpoint"):
            if option not in options:
                raise _lacks(name, option)
        oauth = OAuth(
            _endpoint(options["token_endpoint"].strip(), name, vouched),
            options["client_id"].strip(),
            Secret(options["client_secret"].strip()),
            options.get("oauth_scope", "").strip(),
        )
        return "oauth", None, oauth
    word = options.get("bearer_token", "").strip()
    if word.lower() == _THE_CALLERS:
        return ("user" if vouched else "none"), None, None
    if word.lower() in _THE_APPS:
        return ("app" if vouched else "none"), None, None
    return "static", Secret(word), None


def _endpoint(text: str, name: str, vouched: bool) -> str:
    try:
        url = discovery.endpoint(text)
    except discovery.AddressError as error:
        raise _refused(name, f"`token_endpoint`: {error}") from None
    if discovery.is_exposed(url) or (not vouched and discovery.is_private(url)):
        raise _refused(name, "its `token_endpoint` is plain http, or no address that everybody can reach")
    return url


def _lacks(name: str, option: str) -> Refusal:
    return Refusal(
        502,
        "connection_incomplete",
        detail=f"The connection of agent {name!r} has no `{option}`, or does not show it to this caller.",
        hint=f"`databricks connections update <connection>` sets `{option}`; "
        "`host` and `base_path` say where the agent's card is.",
        sent="none",
    )


def _refused(name: str, why: str) -> Refusal:
    return Refusal(
        502,
        "agent_address_refused",
        detail=f"The address that is registered for agent {name!r} is not called: {why}.",
        hint="Register a public https address, or list its origin in SIDECAR_UC_ORIGINS.",
        sent="none",
    )
