"""The settings of one agent."""

from typing import Annotated, Literal

from pydantic import Field

from sidecar.settings.group import Group, setting
from sidecar.settings.kinds import Lower
from sidecar.settings.lists import Allowed, HeaderNames, VariableNames
from sidecar.settings.numbers import Flag
from sidecar.settings.texts import (
    AgentAddress,
    Credential,
    Endpoint,
    KindName,
    SecretFile,
    Text,
    WorkspaceHost,
)


class AgentBlock(Group):
    """The agents"""

    url: AgentAddress = Field(
        description="Where it is: origin and base path, without `/invocations` behind it; or `apps/<name>`."
    )
    env: VariableNames = setting(
        (),
        "Variables by which the app knows its address. Where `URL` is not set, the first of them that is says "
        "where it is; the app that `run` starts finds the egress door's address in each. For agent `default`, "
        "`AGENT_APP_URL` is always one of them.",
    )
    kind: KindName = setting("responses", "What it speaks; `auto` asks it, once.")
    auth: Annotated[Literal["auto", "app", "user", "static", "oauth", "none"], Lower] = setting(
        "auto",
        "Whose credential it gets: the app's, the user's own, the one in `TOKEN`, one that `TOKEN_ENDPOINT` "
        "grants, or none. `auto` is `app` where `WORKSPACE` is set, and for a trusted agent where the "
        "workspace's credentials are, else `none`. None of them falls back to another.",
        "503 `credential_unavailable`, 401 `user_token_required`.",
    )
    token: Credential | None = setting(
        None, "The bearer for `AUTH=static`, or a token of the workspace in `WORKSPACE`."
    )
    token_file: SecretFile | None = setting(None, "A file that holds it instead; read again at each refresh.")
    workspace: WorkspaceHost | None = setting(
        None,
        "Another workspace, whose credential it gets with `AUTH=app`: the service principal in `CLIENT_ID` and "
        "`CLIENT_SECRET`, or `TOKEN`. Nothing of the app's own workspace is used for it.",
        "Without them: exit 78.",
    )
    client_id: Text | None = setting(
        None, "The client that asks for the bearer: with `WORKSPACE` or `oauth`."
    )
    client_secret: Credential | None = setting(None, "Its secret.")
    client_secret_file: SecretFile | None = setting(
        None, "A file that holds it instead; read again at each refresh."
    )
    token_endpoint: Endpoint | None = setting(
        None, "Where `AUTH=oauth` gets its bearer, by client credentials.", "Without it: exit 78."
    )
    scope: Text | None = setting(None, "What it asks for there: scopes, separated by spaces.")
    client_auth: Annotated[Literal["post", "basic"], Lower] = setting(
        "post", "How it says who it is there: in the form, or in `Authorization: Basic`."
    )
    trusted: Flag | None = setting(
        None,
        "Whether it may be told who the user is. By default it may on this machine, at the workspace's "
        "origin, and under https at a known apps domain (with `DATABRICKS_WORKSPACE_ID` at the end of the "
        "first label where that is set). `sidecar check` says why.",
        "Identity is withheld; said at start.",
    )
    streaming: Annotated[Literal["auto", "on", "off"], Lower] = setting(
        "auto", "Whether it is asked for streams."
    )
    stream_default: Annotated[Literal["json", "sse"], Lower] = setting(
        "json", "What a body without `stream` means on the agent's own paths."
    )
    shape: Annotated[Literal["auto", "as-is", "input", "messages"], Lower] = setting(
        "auto", "Which body it gets. `auto`: what came, and the other one where it refused that."
    )
    replay: Annotated[Literal["auto", "never"], Lower] = setting(
        "auto", "`never` for an agent whose tools write: no call is made twice, whatever became of it."
    )
    headers: HeaderNames = setting((), "Further request headers that a chat takes along to it.")
    allow: Allowed = setting(
        (),
        "What callers of an `apx` agent may do besides asking: `instructions` replaces its system prompt, "
        "`identity` says in the body who the user is, `tools` calls its tools under `/api/tools/`, `dev` opens "
        "its development pages under `/_apx/`.",
        "403 `instructions_closed`, `identity_in_body`, `relay_closed`.",
    )
    project: Text = setting(
        "agent-sidecar",
        "The project of a `builder` in which conversations are held: each user's own of this name, made where there "
        "is none.",
    )
    plaintext: Flag = setting(
        False,
        "Allows credentials and identity to go to it over plain http to another machine.",
        "Without it: exit 78.",
    )
