"""Every setting: its name, default, kind, effect, and what one sees where it bites. The one definition of all of them."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from policies.discovery import Workspace as WorkspaceFacts
from sidecar.settings.kinds import Accepts, Lower, reads
from sidecar.settings.lists import Emails, HeaderNames, Hosts, Names, Networks, Origins, Routes
from sidecar.settings.numbers import Count, Duration, Flag, Port, Size, Span
from sidecar.settings.texts import (
    Address,
    Bind,
    Credential,
    Email,
    KindName,
    PathKey,
    Profile,
    Text,
    WorkspaceHost,
)

PREFIX: Final = "SIDECAR_"
File = Annotated[Path, reads(Path), Accepts("a file that holds the secret and nothing else")]

# Known and validated, but nothing reads them yet: said at start where one is set. Take a name out when it works.
NO_EFFECT_YET: Final = frozenset(
    {
        "SIDECAR_FRONTEND_URL",
        "SIDECAR_ADMIN_USERS",
        "SIDECAR_DEV_USER",
        "SIDECAR_DEV_TOKEN",
    }
)


def setting(default: Any, effect: str, fails: str = "", *, name: str | None = None) -> Any:
    """`effect`: what it does. `fails`: what one sees when its limit is met. `name`: where it is not SIDECAR_<FIELD>."""
    return Field(
        default=default, description=effect, validation_alias=name, json_schema_extra={"fails": fails}
    )


class Group(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class Doors(Group):
    """The doors: where the sidecar listens, and which paths of the front are its own."""

    host: Bind = setting("127.0.0.1", "Where the front listens. On the platform the default is `0.0.0.0`.")
    port: Port = setting(
        8000, "The front's port. On the platform the default is `DATABRICKS_APP_PORT`.", "In use: exit 1."
    )
    egress_host: Bind = setting(
        "127.0.0.1", "Where the egress door listens.", "Off loopback without a secret: exit 78."
    )
    egress_port: Port = setting(9800, "The egress door's port.", "In use: exit 1.")
    admin_host: Bind = setting(
        "127.0.0.1",
        "Where the admin door listens. Off loopback it serves `/healthz`, `/readyz`, `/metrics` only.",
    )
    admin_port: Port = setting(9801, "The admin door's port.", "In use: exit 1.")
    front_routes: Routes = setting(
        ("/api/chat", "/api/agents"),
        "The front's paths that are the sidecar's own; they win over the frontend. With a frontend the default is none.",
    )
    frontend_url: Address | None = setting(
        None, "The frontend whose every other path the front serves.", "502 `frontend_unreachable`."
    )
    page: Flag = setting(False, "The chat page at `/` of the front. In `demo` the default is on.")
    inspect: Flag = setting(
        False,
        "`/_sidecar/calls/<id>` on the front: what the sidecar did, for the same caller. In `demo` the default is on.",
    )


class Believed(Group):
    """Who is believed: at which door identity headers count, and what a browser may do."""

    platform: Annotated[Literal["on", "off"] | None, Lower] = setting(
        None,
        "Whether the front stands behind the platform's proxy, whose identity headers are believed. Default: on where"
        " `DATABRICKS_APP_NAME`, `DATABRICKS_HOST` and `DATABRICKS_CLIENT_ID` are all set.",
    )
    trust: Networks = setting((), "Off the platform: the peers whose identity headers the front believes.")
    hosts: Hosts = setting(
        (), "Further Host names that a loopback bind answers to.", "Others: 421 `misdirected_host`."
    )
    origins: Origins = setting((), "Further web origins whose pages may call.", "Others: 403 `cross_site`.")
    egress_key: Annotated[Literal["required", "accepted"], Lower] = setting(
        "accepted",
        "Whether the egress door wants its key in front of the path: `/~<key>/agents/…`.",
        "403 `egress_key_required`.",
    )
    egress_secret: PathKey | None = setting(
        None, "The egress door's key. Without it loopback peers are accepted only."
    )
    egress_secret_file: File | None = setting(None, "A file with the egress door's key.")
    admin_users: Emails = setting((), "Users who may open the admin pages under `/_sidecar/` of the front.")
    dev_user: Email | None = setting(
        None,
        "Plays this user on a laptop, as the platform would.",
        "On the platform or off loopback: exit 78.",
    )
    dev_token: Profile | None = setting(
        None, "The token for that user, to loopback and same-workspace agents only."
    )


class Chain(Group):
    """The chain: which middleware a call goes through."""

    middleware: Names = setting(
        ("default",),
        "The middleware, outermost first. `default` stands for `access,contract,streaming,outbound,retry,credentials` as"
        " far as they are not named elsewhere; others are installed entry points, or `path/file.py:attr`.",
        "An unknown name: exit 78.",
    )
    without: Names = setting(
        (), "The built-in middleware that may be missing from the list.", "Missing and not named: exit 78."
    )
    relay: Annotated[Literal["closed", "open"], Lower] = setting(
        "closed",
        "Whether relays to agents pass although a plug-in in the list does not see them.",
        "403 `relay_closed`.",
    )


class Timeouts(Group):
    """The four clocks on an agent; each has an error of its own."""

    connect: Span = setting(10.0, "Connecting to an agent.", "504 `agent_connect_timeout`.")
    first_byte: Span = setting(
        60.0, "From the request to the answer's first byte.", "504 `agent_first_byte_timeout`."
    )
    gap: Span = setting(
        90.0, "Silence inside an answer.", "504 `agent_gap_timeout`, or the stream's last word."
    )
    total: Span = setting(120.0, "A whole answer that is no stream.", "504 `agent_total_timeout`.")


class Limits(Group):
    """Streams, times and sizes."""

    timeouts: Timeouts = Timeouts()
    commit_after: Duration = setting(3.0, "A caller who wants a stream gets its head at the latest now.")
    keepalive: Span = setting(10.0, "A committed stream that is silent so long gets a comment line.")
    write_timeout: Span = setting(
        30.0, "A caller who takes nothing for so long is cut.", "Outcome `caller_stalled`."
    )
    body_timeout: Span = setting(
        30.0, "A request body that pauses so long is given up.", "408 `body_timeout`."
    )
    max_body: Size = setting(16 * 2**20, "The largest body of a chat.", "413 `body_too_large`.")
    max_answer: Size = setting(64 * 2**20, "The largest answer that is read whole.", "502 `agent_too_large`.")
    cold_start_budget: Duration = setting(
        60.0, "How long a sleeping agent is waited for.", "503 `agent_unavailable`."
    )
    waiting: Count = setting(64, "How many calls wait for sleeping agents at once.", "503 `overloaded`.")


class Telling(Group):
    """What is told: errors and the log."""

    errors: Annotated[Literal["brief", "full", "passthrough"] | None, Lower] = setting(
        None,
        "How much an error says. Default: `brief` to browsers on the front, `full` at egress. `passthrough` hands on an"
        " agent's own error as it is.",
    )
    log: Annotated[Literal["debug", "info", "warning"], Lower] = setting(
        "info", "The least level that is logged."
    )


class AgentBlock(Group):
    """Agents, each with a block of its own: `<NAME>` in lower case with `-` for `_` is the agent's name."""

    url: Address = Field(
        description="Where the agent is. `AGENT_APP_URL` is that of agent `default`; this one wins over it."
    )
    kind: KindName = setting("responses", "What the agent speaks.")
    auth: Annotated[Literal["auto", "app", "user", "static", "oauth", "none"], Lower] = setting(
        "auto",
        "Whose credential it gets. `auto`: `app` for a trusted agent where the workspace's credentials are set, else"
        " `none`. No mode falls back to another.",
        "503 `credential_unavailable`, or 401 `user_token_required`.",
    )
    token: Credential | None = setting(None, "The bearer for `static`.")
    token_file: File | None = setting(None, "A file with that bearer; read again at each refresh.")
    trusted: Flag | None = setting(
        None,
        "Whether it may be told who the user is. Default: on this machine, in the workspace, or https under a known apps"
        " domain (with the workspace's id where that is set). `sidecar check` says why.",
    )
    streaming: Annotated[Literal["auto", "on", "off"], Lower] = setting(
        "auto", "Whether it is asked for streams."
    )
    stream_default: Annotated[Literal["json", "sse"], Lower] = setting(
        "json", "What a body without `stream` means on the agent's paths."
    )
    shape: Annotated[Literal["auto", "as-is", "input", "messages"], Lower] = setting(
        "auto", "Which body it gets. `auto`: what came, translated once it has refused that."
    )
    replay: Annotated[Literal["auto", "never"], Lower] = setting(
        "auto", "`never`: no second call, whatever happened to the first."
    )
    headers: HeaderNames = setting((), "Further request headers that a chat hands on to it.")
    plaintext: Flag = setting(
        False, "Permits credentials and identity over plain http to another machine.", "Without it: exit 78."
    )


class Workspace(Group):
    """The workspace: read under the names that the platform and its SDK use."""

    app_name: Text | None = setting(None, "The app's name, set by the platform.", name="DATABRICKS_APP_NAME")
    app_port: Port | None = setting(
        None, "The port that the platform's proxy calls.", name="DATABRICKS_APP_PORT"
    )
    workspace_host: WorkspaceHost | None = setting(None, "The workspace's address.", name="DATABRICKS_HOST")
    workspace_id: Text | None = setting(
        None, "The workspace's id; narrows which apps are trusted.", name="DATABRICKS_WORKSPACE_ID"
    )
    client_id: Text | None = setting(None, "The app's service principal.", name="DATABRICKS_CLIENT_ID")
    client_secret: Credential | None = setting(None, "Its secret.", name="DATABRICKS_CLIENT_SECRET")
    client_secret_file: File | None = setting(
        None, "A file with its secret; read again at each refresh.", name="DATABRICKS_CLIENT_SECRET_FILE"
    )
    workspace_token: Credential | None = setting(
        None, "A token instead of a service principal.", name="DATABRICKS_TOKEN"
    )
    workspace_token_file: File | None = setting(
        None, "A file with that token; read again at each refresh.", name="DATABRICKS_TOKEN_FILE"
    )
    profile: Text | None = setting(
        None, "A profile of the Databricks command line instead of both.", name="DATABRICKS_CONFIG_PROFILE"
    )
    profile_file: Text | None = setting(
        None, "Where profiles stand, if not in `~/.databrickscfg`.", name="DATABRICKS_CONFIG_FILE"
    )


class Settings(BaseSettings, Doors, Believed, Chain, Limits, Telling, Workspace):
    """All settings of one process: frozen, read once, passed in. `sidecar.settings.load` reads them from variables."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,  # a comma list is no JSON
        validate_by_name=True,
        validate_by_alias=True,
    )

    agents: dict[str, AgentBlock] = Field(default_factory=dict)
    plugin_env: dict[str, str] = Field(default_factory=dict, repr=False)  # SIDECAR_PLUGIN_*, by whole name

    _sources: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)
    _notices: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # never the environment behind one's back

    @property
    def on_platform(self) -> bool:
        """Whether the front stands behind the platform's proxy."""
        if self.platform is not None:
            return self.platform == "on"
        return bool(self.app_name and self.workspace_host and self.client_id)

    @property
    def workspace(self) -> WorkspaceFacts:
        """What decides on trust and credentials."""
        principal = self.client_id and self.client_secret
        held = bool(self.profile or (self.workspace_host and (principal or self.workspace_token)))
        return WorkspaceFacts(self.workspace_host, self.workspace_id, held)

    @property
    def notices(self) -> tuple[str, ...]:
        """What has to be said at start."""
        return tuple(self._notices)

    def source(self, *path: str) -> str:
        """Where a value comes from: a variable's name, or which default. `source("timeouts", "connect")`."""
        return self._sources.get(path, "default")
