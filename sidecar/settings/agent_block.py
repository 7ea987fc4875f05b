"""The settings of one agent."""

from typing import Annotated, Literal

from pydantic import Field

from sidecar.settings.group import Group, setting
from sidecar.settings.kinds import Lower
from sidecar.settings.lists import Allowed, HeaderNames, VariableNames
from sidecar.settings.numbers import Flag
from sidecar.settings.texts import Address, Credential, KindName, SecretFile


class AgentBlock(Group):
    """The agents"""

    url: Address = Field(description="Where it is: origin and base path, without `/invocations` behind it.")
    env: VariableNames = setting(
        (),
        "Variables by which the app knows its address. Where `URL` is not set, the first of them that is says "
        "where it is; the app that `run` starts finds the egress door's address in each. For agent `default`, "
        "`AGENT_APP_URL` is always one of them.",
    )
    kind: KindName = setting("responses", "What it speaks.")
    auth: Annotated[Literal["auto", "app", "user", "static", "oauth", "none"], Lower] = setting(
        "auto",
        "Whose credential it gets: the app's, the user's own, the one in `TOKEN`, or none. `auto` is `app` "
        "for a trusted agent where the workspace's credentials are set, else `none`. None of them falls back "
        "to another.",
        "503 `credential_unavailable`, 401 `user_token_required`.",
    )
    token: Credential | None = setting(None, "The bearer for `AUTH=static`.")
    token_file: SecretFile | None = setting(None, "A file that holds it instead; read again at each refresh.")
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
        "`tools` calls its tools under `/api/tools/`, `dev` opens its development pages under `/_apx/`.",
        "403 `instructions_closed`, `relay_closed`.",
    )
    plaintext: Flag = setting(
        False,
        "Allows credentials and identity to go to it over plain http to another machine.",
        "Without it: exit 78.",
    )
