"""What settings mean together: combinations that cannot work, or that would give something away."""

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from itertools import combinations
from typing import Final

from middleware.dialects.spoken import KINDS
from policies import discovery
from sidecar.settings.agent_block import AgentBlock
from sidecar.settings.defaults import Command
from sidecar.settings.given import Given, no_agent
from sidecar.settings.model import PREFIX, Settings
from sidecar.settings.problems import Problem
from sidecar.settings.variables import AGENT_APP_URL, agent_variable
from sidecar.settings.workspace import Workspace

AUTO: Final = "auto"  # the agent itself is asked, once
DIALECTS: Final = "sidecar.dialects"  # an installed dialect adds its name to the kinds

PORTS: Final = ("port", "egress_port", "admin_port", "child_port")  # each has its own

Rule = Callable[[Settings, Command], Iterator[Problem]]


def problems(settings: Settings, given: Given, command: Command) -> Iterator[Problem]:
    """What breaks a rule. Rules that read a setting which is wrong by itself keep quiet about it."""
    for reads, rule in RULES:
        if given.broken.isdisjoint(reads):
            yield from rule(settings, command)
    written = {
        agent_variable(path[1], path[2]): name for path, name in given.named.items() if path[0] == "agents"
    }  # AGENT_APP_URL and its like
    for name, block in settings.agents.items():
        yield from _kind(name, block)
        if given.broken.isdisjoint(_WORKSPACE):
            for problem in _agent(name, block, settings):
                yield problem._replace(variable=written.get(problem.variable, problem.variable))
    if (
        command in ("serve", "check")
        and not settings.agents
        and not settings.uc_discovery
        and not any(path[0] == "agents" for path in given.named)
    ):
        yield no_agent(given)


def _egress_key(settings: Settings, command: Command) -> Iterator[Problem]:
    if settings.egress_key == "required" and settings.egress_secret is None:
        wrong = "SIDECAR_EGRESS_KEY=required, and there is no key"
        yield Problem(
            "missing_value", "SIDECAR_EGRESS_SECRET", wrong, "set it: `openssl rand -hex 16` makes one"
        )


def _egress_bind(settings: Settings, command: Command) -> Iterator[Problem]:
    if settings.egress_secret is None and not discovery.is_loopback(settings.egress_host):
        wrong = "other machines could call agents with the app's credentials"
        yield Problem(
            "insecure", "SIDECAR_EGRESS_HOST", wrong, "set SIDECAR_EGRESS_SECRET, or bind 127.0.0.1"
        )


def _dev_user(settings: Settings, command: Command) -> Iterator[Problem]:
    if settings.dev_user and settings.on_platform:
        wrong = "everybody would be this user on the platform"
        yield Problem("insecure", "SIDECAR_DEV_USER", wrong, "it is for a laptop: take it out")
    elif settings.dev_user and not discovery.is_loopback(settings.host):
        wrong = f"every machine that reaches {settings.host} would be this user"
        yield Problem("insecure", "SIDECAR_DEV_USER", wrong, "take it out, or set SIDECAR_HOST=127.0.0.1")


def _dev_token(settings: Settings, command: Command) -> Iterator[Problem]:
    if settings.dev_token and not settings.dev_user:
        yield Problem(
            "missing_value", "SIDECAR_DEV_USER", "SIDECAR_DEV_TOKEN is whose token?", "set both, or neither"
        )


def _one_port(first: str, second: str) -> Rule:
    def rule(settings: Settings, command: Command) -> Iterator[Problem]:
        if (port := getattr(settings, first)) and port == getattr(settings, second):
            wrong = f"{port} is the port of {PREFIX}{first.upper()} too"
            yield Problem("conflict", f"{PREFIX}{second.upper()}", wrong, "give each door its own")

    return rule


def _discovery(settings: Settings, command: Command) -> Iterator[Problem]:
    if settings.uc_discovery and not settings.workspace_host:
        wrong = "which workspace has the connections is not said"
        yield Problem("missing_value", "SIDECAR_UC_DISCOVERY", wrong, "set DATABRICKS_HOST")


def _page(settings: Settings, command: Command) -> Iterator[Problem]:
    if settings.page and (settings.frontend_url or command == "run"):
        either = "SIDECAR_PAGE" if command == "run" else "SIDECAR_PAGE or SIDECAR_FRONTEND_URL"
        yield Problem("conflict", "SIDECAR_PAGE", "the frontend has `/`", f"take out {either}")


def _frontend(settings: Settings, command: Command) -> Iterator[Problem]:
    if settings.frontend_url and command == "run":
        wrong = "the frontend is the command that `run` starts"
        yield Problem("conflict", "SIDECAR_FRONTEND_URL", wrong, "take it out, or use `sidecar serve`")


def _known_as(settings: Settings, command: Command) -> Iterator[Problem]:
    first = {AGENT_APP_URL: "default"}
    for agent, block in settings.agents.items():
        for name in block.env:
            if first.setdefault(name, agent) != agent:
                wrong = f"`{name}` is agent {first[name]!r}"
                yield Problem("conflict", agent_variable(agent, "env"), wrong, "give each agent its own")


RULES: Final[tuple[tuple[frozenset[str], Rule], ...]] = (
    (frozenset({"uc_discovery", "workspace_host"}), _discovery),
    (frozenset({"egress_key", "egress_secret", "egress_secret_file"}), _egress_key),
    (frozenset({"egress_host", "egress_secret", "egress_secret_file"}), _egress_bind),
    (frozenset({"dev_user", "host", "platform"}), _dev_user),
    (frozenset({"dev_user", "dev_token"}), _dev_token),
    *((frozenset(pair), _one_port(*pair)) for pair in combinations(PORTS, 2)),
    (frozenset({"page", "frontend_url"}), _page),
    (frozenset({"frontend_url"}), _frontend),
    (frozenset(), _known_as),
)
"""Which settings a rule reads, and the rule."""


def _clients(name: str, block: AgentBlock, auth: str) -> Iterator[Problem]:
    """What another workspace, or an identity provider, takes to give a bearer."""
    secret = block.client_secret or block.client_secret_file
    token = block.token or block.token_file
    needed = {"token_endpoint": block.token_endpoint, "client_id": block.client_id, "client_secret": secret}
    if auth == "oauth":
        for key, given in needed.items():
            if not given:
                wrong = "AUTH=oauth, and it is not set"
                yield Problem("missing_value", agent_variable(name, key), wrong, "set it, or another AUTH")
    elif block.workspace and auth == "app" and not (token or (block.client_id and secret)):
        wrong = "WORKSPACE is set, and there is no credential for it"
        accepted = "set …__CLIENT_ID and …__CLIENT_SECRET, or …__TOKEN"
        yield Problem("missing_value", agent_variable(name, "client_id"), wrong, accepted)
    if block.workspace and token and block.client_id:
        wrong = "WORKSPACE has a client id and a token"
        yield Problem("conflict", agent_variable(name, "token"), wrong, "set one of them")


_WORKSPACE: Final = frozenset(Workspace.model_fields) - {"app_name", "app_port"}


def _kind(name: str, block: AgentBlock) -> Iterator[Problem]:
    if block.kind not in (AUTO, *KINDS) and block.kind not in (
        installed := {found.name for found in entry_points(group=DIALECTS)}
    ):
        accepted = ", ".join(f"`{kind}`" for kind in sorted({AUTO, *KINDS} | installed))
        wrong = f"`{block.kind}` is not spoken here"
        yield Problem("invalid_value", agent_variable(name, "kind"), wrong, f"accepted: {accepted}")


def _agent(name: str, block: AgentBlock, settings: Settings) -> Iterator[Problem]:
    trust = discovery.trust(block.url, settings.workspace, block.trusted)
    auth = discovery.auth(
        block.auth, trust.given, settings.workspace.credentials, elsewhere=bool(block.workspace)
    )
    yield from _clients(name, block, auth)
    if auth == "static" and block.token is None and block.token_file is None:
        yield Problem(
            "missing_value",
            agent_variable(name, "token"),
            "AUTH=static, and there is no token",
            "set it, or …__TOKEN_FILE",
        )
    app = discovery.app_name(block.url)
    if app and not (settings.workspace_host and settings.workspace.credentials):
        wrong = f"where app {app!r} is, only the workspace knows, and there is no credential for it"
        yield Problem(
            "missing_value",
            agent_variable(name, "url"),
            wrong,
            "set DATABRICKS_HOST and the app's credential, or write the app's address",
        )
    if auth == "user" and not trust.given and not app:
        wrong = f"the user's token goes to trusted agents only, and this one is not: {trust.why}"
        yield Problem(
            "insecure", agent_variable(name, "auth"), wrong, "set …__TRUSTED=true if it may have it"
        )
    if discovery.is_exposed(block.url) and not block.plaintext and (trust.given or auth != "none"):
        what = "the user's identity" if auth == "none" else "a credential"
        wrong = f"{what} would go to another machine over plain http"
        accepted = f"use https://, or set {agent_variable(name, 'plaintext')}=true"
        yield Problem("insecure", agent_variable(name, "url"), wrong, accepted)
