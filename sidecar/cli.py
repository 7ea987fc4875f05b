"""The command line: results on stdout, all else on stderr; a command imports what it needs and no more.

Exit codes: 0, 1 (it ran and failed), 2 (wrong usage), 78 (wrong settings); `run` has that of the app it started.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from policies.agent import Door
    from sidecar.settings import Settings
    from sidecar.settings.defaults import Command

WRONG_SETTINGS = 78


def _example(command: str) -> str:
    return f"\b\nExample:\n  {command}"


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        context.invoke(version)
        context.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_example("AGENT_APP_URL=https://my-agent.example.org sidecar serve"),
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def main() -> None:
    """A process beside your app that makes its calls to agent apps right: who calls, for whom, in which
    shape, streamed or not, seen in metrics.

    Every setting is a variable: docs/settings.md lists them, and `sidecar config` shows what is in effect.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # not every locale has arrows; stderr is like this already
        sys.stdout.reconfigure(errors="backslashreplace")


def _env_file(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--env-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Read variables from this file, too; those of the environment win.",
    )(command)


def _port(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--port", metavar="PORT", help="The front's port: wins over SIDECAR_PORT.")(command)


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@main.command(
    epilog=_example("AGENT_APP_URL=https://my-agent.example.org sidecar serve"),
    short_help="Serve your agents.",
)
@_env_file
@_port
def serve(env_file: Path | None, port: str | None) -> None:
    """Serve your agents' chats at the front, and your app's own calls to them at the egress door."""
    _run("serve", env_file, port)


@main.command(
    context_settings={"allow_interspersed_args": False},
    epilog=_example("sidecar run -- npm start"),
    short_help="Start your app, and stand in front of it.",
)
@_env_file
@_port
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(env_file: Path | None, port: str | None, command: tuple[str, ...]) -> None:
    """Start your app beside the sidecar: browsers reach it through the front, it reaches its agents through the
    egress door, and both stop together. The exit code is the app's.

    COMMAND is started as it is, with its port in PORT and its like; `{port}` and `{host}` in it are filled in.
    """
    from sidecar.child import disabled

    if disabled.by(os.environ):
        disabled.become(command)
    _run("run", env_file, port, beside=command)


@main.command(epilog=_example("sidecar demo"), short_help="Serve a chat page with agents that are built in.")
@_env_file
@_port
def demo(env_file: Path | None, port: str | None) -> None:
    """Serve a chat page with agents that are built in: no account, no network, nothing to set."""
    _run("demo", env_file, port)


@main.command(epilog=_example("sidecar check --env-file production.env"), short_help="Judge the settings.")
@_env_file
@click.option("--run", "beside", is_flag=True, help="Judge them as `sidecar run` would.")
def check(env_file: Path | None, beside: bool) -> None:
    """Judge the settings and start nothing: every problem at once (exit 78), or what they amount to."""
    settings = _settings("run" if beside else "check", env_file)
    from policies.identity import Belief
    from sidecar.agents import notices, snapshot
    from sidecar.start import block

    required = settings.egress_key == "required"
    beliefs: dict[Door, Belief] = {
        "front": Belief("front", settings.on_platform, settings.trust, played=settings.dev_user or ""),
        "egress": Belief("egress", key_required=required, keyed=settings.egress_secret is not None),
    }
    doors: dict[Door, str] = {
        "front": f"{settings.host}:{settings.port}",
        "egress": f"{settings.egress_host}:{settings.egress_port}",
        "admin": f"{settings.admin_host}:{settings.admin_port}",
    }
    agents = snapshot(settings)
    notes = (*settings.notices, *notices(agents))
    there = f"the app at {settings.frontend_url}" if settings.frontend_url else ""
    frontend = "the app that is started" if beside else there
    click.echo(block("check", settings, doors, beliefs, agents, notes, frontend), nl=False)
    click.echo("The settings are good.")


@main.command(epilog=_example("sidecar config --json"), short_help="Print every setting.")
@_env_file
@_json
def config(env_file: Path | None, as_json: bool) -> None:
    """Print every setting: its name, the value in effect, and where that comes from. Secrets are ***."""
    settings = _settings("config", env_file)
    from sidecar.agents import snapshot
    from sidecar.settings.show import rows, text

    found = list(rows(settings, snapshot(settings)))
    if as_json:
        _print_json([row._asdict() for row in found])
    else:
        _print_table(("NAME", "VALUE", "SOURCE"), ((row.name, text(row.value), row.source) for row in found))


@main.command(
    epilog=_example("SIDECAR_MIDDLEWARE=./redact.py:redact,default sidecar middleware"),
    short_help="Print the middleware, in order.",
)
@_env_file
@_json
def middleware(env_file: Path | None, as_json: bool) -> None:
    """Print the middleware in the order of a call: where each comes from, what it is shown, when it acts."""
    settings = _settings("middleware", env_file)
    from sidecar.layers import layers

    found = layers(settings)
    if as_json:
        _print_json([layer._asdict() for layer in found])
    else:
        _print_table(
            ("NAME", "SOURCE", "NEEDS", "ACTS ON"),
            (
                (layer.name, layer.source, ",".join(layer.needs) or "-", "all" if layer.relays else "chats")
                for layer in found
            ),
        )


@main.command(epilog=_example("sidecar version"), short_help="Print the version.")
def version() -> None:
    """Print the version, and those of what it runs on."""
    from importlib.metadata import version as of
    from platform import python_version

    from sidecar.version import COMPILED, VERSION

    more = ", compiled" if COMPILED else ""
    click.echo(f"agent-sidecar {VERSION} (Python {python_version()}, aiohttp {of('aiohttp')}{more})")


def _run(command: "Command", env_file: Path | None, port: str | None, beside: tuple[str, ...] = ()) -> None:
    settings = _settings(command, env_file, port)
    if beside and settings.disabled:  # an env file says so
        from sidecar.child import disabled

        disabled.become(beside)
    from sidecar.main import main as run

    if command == "demo":
        from sidecar.sim import demo as shown  # stand-ins are reached from the demo and from tests only

        sys.exit(run(settings, command=command, staged=shown.staged, guide=shown.guide(settings)))
    sys.exit(run(settings, command=command, beside=beside))


def _settings(command: "Command", env_file: Path | None, port: str | None = None) -> "Settings":
    """The settings for this command; with what is wrong about them on stderr, the end of the process."""
    from sidecar import layers
    from sidecar.settings import SettingsError, load
    from sidecar.settings.env_file import read

    try:
        filed = read(env_file) if env_file else {}
        flags = {} if port is None else {"SIDECAR_PORT": port}
        return load(os.environ, command=command, env_file=filed, flags=flags, also=layers.findings)
    except SettingsError as error:
        count = len(error.problems)
        click.echo(f"sidecar: {count} {'setting is' if count == 1 else 'settings are'} wrong", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(WRONG_SETTINGS)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as what stands in them; the last is left as it is."""
    table = [titles, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(titles) - 1)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]))
