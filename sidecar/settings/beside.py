"""The settings of the app that `run` starts."""

from typing import Annotated, Literal

from sidecar.settings.group import Group, setting
from sidecar.settings.kinds import Lower
from sidecar.settings.numbers import Flag, Port, Span


class Beside(Group):
    """The app that `run` starts"""

    child_port: Port = setting(
        0,
        "The port that the app is to listen on, and that `PORT` and its like tell it. Set it for an app that "
        "listens on one port whatever it is told.",
    )
    child_args: Annotated[Literal["fitted", "as-is"], Lower] = setting(
        "fitted",
        "Whether an argument that is the front's own port, or ends with it after `=` or `:`, becomes the "
        "app's port. `{port}` and `{host}` are filled in either way.",
    )
    child_env: Annotated[Literal["whole", "no-secret"], Lower] = setting(
        "whole",
        "`no-secret` keeps `DATABRICKS_CLIENT_SECRET`, `DATABRICKS_TOKEN` and their `_FILE` from the app. "
        "That is hygiene, not a wall.",
    )
    app_start_timeout: Span = setting(
        300.0,
        "How long the app may take to answer its first request. Half of the ten minutes that Databricks Apps "
        "grants, so that the reason is told by us.",
        "The app is stopped, the reason is told, exit 1.",
    )
    disabled: Flag = setting(
        False,
        "`run` becomes the command that it was given, untouched: no door, no variable changed. It is the way "
        "to rule the sidecar out.",
    )
