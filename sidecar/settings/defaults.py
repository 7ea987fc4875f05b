"""The defaults that depend: on the platform, on the command, on whether there is a frontend."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Any, Literal, NamedTuple

from policies.secret import Secret
from sidecar.settings.given import Given
from sidecar.settings.model import Settings

Command = Literal["serve", "run", "demo", "check", "config", "middleware"]
ON_THE_PLATFORM = "default on the platform"


class Default(NamedTuple):
    field: str
    value: Any
    source: str


def resolved(
    settings: Settings, given: Given, command: Command
) -> tuple[Settings, dict[tuple[str, ...], str]]:
    """The settings with these defaults filled in where nothing was given, and where each comes from."""
    chosen = [default for default in _defaults(settings, command) if (default.field,) not in given.named]
    filled = settings.model_copy(update={default.field: default.value for default in chosen})
    return filled, {(default.field,): default.source for default in chosen}


def _defaults(settings: Settings, command: Command) -> Iterator[Default]:
    if settings.on_platform:
        yield Default("host", "0.0.0.0", ON_THE_PLATFORM)
        if settings.app_port is not None:
            yield Default("port", settings.app_port, "DATABRICKS_APP_PORT")
    if settings.openssl_authorities:
        yield Default("authorities", settings.openssl_authorities, "SSL_CERT_FILE")
    if settings.frontend_url:
        yield Default("front_routes", (), "default with a frontend")
    if command == "run":
        yield Default("front_routes", (), "default of run")
        yield Default("egress_key", "required", "default of run")
        yield Default("egress_secret", Secret(token_hex(16)), "another at each start")
    if command == "demo":
        yield Default("page", True, "default of demo")
        yield Default("inspect", True, "default of demo")
