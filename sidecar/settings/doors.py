"""The settings of the three doors, and of who is believed at them."""

from typing import Annotated, Literal

from sidecar.settings.group import Group, setting
from sidecar.settings.kinds import Lower
from sidecar.settings.lists import Emails, Hosts, Networks, Origins, Routes
from sidecar.settings.numbers import Flag, Port, Span
from sidecar.settings.texts import Address, Bind, Email, PathKey, Profile, SecretFile


class Doors(Group):
    """The doors"""

    host: Bind = setting("127.0.0.1", "Where the front listens. On the platform the default is `0.0.0.0`.")
    port: Port = setting(
        8000, "The front's port. On the platform the default is `DATABRICKS_APP_PORT`.", "In use: exit 1."
    )
    egress_host: Bind = setting(
        "127.0.0.1", "Where the egress door listens.", "Another machine's reach without a key: exit 78."
    )
    egress_port: Port = setting(9800, "The egress door's port.", "In use: exit 1.")
    admin_host: Bind = setting(
        "127.0.0.1",
        "Where the admin door listens. Off loopback it serves `/healthz`, `/readyz` and `/metrics` only.",
    )
    admin_port: Port = setting(9801, "The admin door's port.", "In use: exit 1.")
    front_routes: Routes = setting(
        ("/api/chat", "/api/agents"),
        "The front's paths that are the sidecar's own, and win over the frontend's: `/api/chat`, `/api/agents`, "
        "`/agents/`, `/docs`, `/openapi.json`, and what lies below them. With a frontend the default is none.",
        "Any other that is listed: 404 `no_such_route`.",
    )
    frontend_url: Address | None = setting(
        None, "The frontend that has all other paths of the front.", "502 `frontend_unreachable`."
    )
    frontend_timeout: Span = setting(
        300.0,
        "How long the frontend may be silent, before its answer or in it. Longer than the platform's own proxy "
        "waits, so that nothing ends earlier than it would without the sidecar.",
        "504 `frontend_timeout`.",
    )
    page: Flag = setting(False, "The chat page at `/` of the front. In `demo` the default is on.")
    inspect: Flag = setting(
        False,
        "Lets a caller of the front read at `/_sidecar/calls/<id>` what was done with its call. In `demo` "
        "the default is on.",
    )


class Believed(Group):
    """Who is believed"""

    platform: Annotated[Literal["on", "off"] | None, Lower] = setting(
        None,
        "Whether the front stands behind the platform's proxy, whose identity headers are believed. By "
        "default it does where `DATABRICKS_APP_NAME`, `DATABRICKS_HOST` and `DATABRICKS_CLIENT_ID` are set.",
    )
    trust: Networks = setting(
        (), "Off the platform: the peers whose identity headers the front believes.", "Others' are removed."
    )
    hosts: Hosts = setting(
        (), "Further Host names to which a loopback bind answers.", "Others: 421 `misdirected_host`."
    )
    origins: Origins = setting((), "Other sites whose pages may call.", "Others: 403 `cross_site`.")
    egress_key: Annotated[Literal["required", "accepted"], Lower] = setting(
        "accepted",
        "Whether the egress door wants its key in front of each path: `/~<key>/agents/…`.",
        "403 `egress_key_required`; without a key to want: exit 78.",
    )
    egress_secret: PathKey | None = setting(
        None, "The egress door's key. Without one, callers on this machine are accepted and no others."
    )
    egress_secret_file: SecretFile | None = setting(None, "A file that holds it instead.")
    admin_users: Emails = setting((), "Users who may open the admin pages, under `/_sidecar/` of the front.")
    dev_user: Email | None = setting(
        None,
        "The user that everybody is on a laptop, as if the platform had said so.",
        "On the platform, or off loopback: exit 78.",
    )
    dev_token: Profile | None = setting(
        None, "That user's token, for agents on this machine and in the same workspace only."
    )
