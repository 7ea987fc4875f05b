"""The command line, as somebody types it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sidecar.cli import main
from sidecar.settings.variables import VARIABLES

ROOT = Path(__file__).parents[2]
CANARY = "dapi-canary-5ecret"
KEY = "feedc0de" * 4
AGENT = {"AGENT_APP_URL": "https://agent.example.org"}
NOBODYS = {name: None for name in os.environ if name.startswith(("SIDECAR_", "DATABRICKS_", "AGENT_APP"))}


def sidecar(*arguments: str, **variables: str) -> Result:
    """What a command answers where these variables are all there is."""
    return CliRunner(env=NOBODYS | variables).invoke(main, arguments)


def process(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if name not in NOBODYS}
    command = [sys.executable, "-P", "-m", "sidecar", *arguments]
    return subprocess.run(
        command, env=environ | variables, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


COMMANDS = sorted(main.commands)


def test_the_commands_are() -> None:
    assert COMMANDS == ["check", "config", "demo", "middleware", "run", "serve", "version"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_ends_with_a_line_to_copy(command: str) -> None:
    answer = sidecar(*command.split(), "--help")
    assert answer.exit_code == 0
    *_, title, example = answer.stdout.rstrip().splitlines()
    assert title.strip() == "Example:"
    assert re.fullmatch(rf"  +([A-Z_]+=\S+ )*sidecar {command}.*", example)


@pytest.mark.parametrize(
    "arguments", [("sevre",), ("serve", "--prot", "1"), ("check", "--env-file", "missing"), ("serve", "x")]
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(arguments: tuple[str, ...]) -> None:
    answer = sidecar(*arguments, **AGENT)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "Error: " in answer.stderr


@pytest.mark.parametrize("said", ["version", "--version"])
def test_the_version_is_told_without_starting_anything_up(said: str) -> None:
    loaded = (
        f"import sys, sidecar.cli\ntry:\n    sidecar.cli.main(['{said}'])\nfinally:\n    print(*sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", loaded], capture_output=True, text=True, cwd=ROOT, timeout=30, check=True
    )
    version, modules = ran.stdout.splitlines()
    assert re.fullmatch(
        r"agent-sidecar \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+, aiohttp 3\.\d+\.\d+(, compiled)?\)", version
    )
    for heavy in ("aiohttp", "pydantic", "pydantic_settings", "orjson", "databricks", "opentelemetry"):
        assert heavy not in modules.split()


# Wrong settings


def test_serve_without_an_agent_says_which_variable_to_set() -> None:
    answer = process("serve")
    assert (answer.returncode, answer.stdout) == (78, "")
    assert answer.stderr == (
        "sidecar: 1 setting is wrong\n"
        "  AGENT_APP_URL: no agent is configured; "
        "set it to your agent's address: AGENT_APP_URL=https://agent.example.org sidecar serve\n"
    )


def test_check_judges_settings_as_run_would_have_them() -> None:
    answer = sidecar("check", "--run")
    assert answer.exit_code == 0
    assert re.search(r"front +127\.0\.0\.1:8000  the app that is started\n", answer.stdout)
    assert "believes callers that hold the egress key; others are refused" in answer.stdout
    assert sidecar("check").exit_code == 78  # who only serves needs an agent
    wrong = sidecar("check", "--run", **AGENT, SIDECAR_FRONTEND_URL="http://127.0.0.1:3000")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (78, 2)


def test_check_speaks_of_a_key_only_where_there_is_one() -> None:
    here = "callers on this machine that are no other site's page"
    assert f"believes {here}; there is no key\n" in sidecar("check", **AGENT).stdout
    keyed = sidecar("check", **AGENT, SIDECAR_EGRESS_SECRET="0123456789abcdef0123456789abcdef")
    assert f"believes callers that hold the egress key, and {here}\n" in keyed.stdout


@pytest.mark.parametrize("command", ["serve", "demo", "check", "config", "middleware"])
def test_every_command_says_all_that_is_wrong_a_line_each_and_exits_with_78(command: str) -> None:
    wrong = {
        "SIDECAR_PROT": "1",
        "SIDECAR_LOG": "loud",
        "SIDECAR_MIDDLEWARE": "acess,default",
        "SIDECAR_AGENTS__B__URL": f"https://me:{CANARY}@b.example.org",
    }
    answer = sidecar(command, **AGENT, **wrong)
    assert (answer.exit_code, answer.stdout) == (78, "")
    assert answer.stderr.splitlines() == [
        "sidecar: 4 settings are wrong",
        "  SIDECAR_AGENTS__B__URL: it holds a user name or password in front of the host; accepted: `http://` or "
        "`https://`, a host, perhaps a port and a path; no user name, query or fragment. Or `apps/<name>`: that app "
        "of the workspace",
        "  SIDECAR_LOG: `loud` is not one of them; accepted: `debug`, `info`, `warning`",
        "  SIDECAR_MIDDLEWARE: There is no 'acess'. Did you mean 'access'?",
        "  SIDECAR_PROT: there is no such setting; the nearest known name is SIDECAR_PORT",
    ]


def test_a_list_that_lacks_what_must_be_in_it_stops_the_start() -> None:
    answer = sidecar("check", **AGENT, SIDECAR_MIDDLEWARE="access,contract,outbound")
    assert answer.exit_code == 78
    assert (
        "SIDECAR_MIDDLEWARE: holds no 'credentials', without which calls leave without a bearer"
        in answer.stderr
    )


def test_a_wrong_port_of_the_command_line_is_a_wrong_setting() -> None:
    answer = sidecar("serve", "--port", "80a", **AGENT)
    assert answer.exit_code == 78
    assert "  SIDECAR_PORT: `80a` is no port; accepted: 0 to 65535, where 0 is any free port" in answer.stderr


# Good ones


def test_check_says_what_the_settings_amount_to_and_why_each_agent_is_trusted() -> None:
    answer = sidecar(
        "check",
        **AGENT,
        SIDECAR_AGENTS__LOCAL__URL="http://localhost:9000/invocations",
        SIDECAR_TRUST="10.0.0.0/8",
    )
    assert (answer.exit_code, answer.stderr) == (0, "")
    for said in (
        "front       127.0.0.1:8000  /api/chat, /api/agents",
        "10.0.0.0/8",
        "default  https://agent.example.org",
        "not trusted: its host is not this machine, the workspace, or under a known apps domain",
        "local  http://localhost:9000",
        "trusted: it runs on this machine",
        "access → contract → streaming → outbound → retry → credentials",
        "SIDECAR_AGENTS__LOCAL__URL: /invocations at the end was dropped: it is added to each call",
        "agent default: the user's identity is withheld from it, because its host is not",
    ):
        assert said in answer.stdout
    assert answer.stdout.endswith("The settings are good.\n")


def test_a_platform_that_is_turned_off_is_said_to_be_and_by_what() -> None:
    whole = {
        "DATABRICKS_APP_NAME": "my-app",
        "DATABRICKS_HOST": "https://dbc-1.example.org",
        "DATABRICKS_CLIENT_ID": "client",
    }
    assert "platform    on (app my-app)" in sidecar("check", **AGENT, **whole).stdout
    off = sidecar("check", **AGENT, **whole, SIDECAR_PLATFORM="off").stdout
    assert "platform    off (SIDECAR_PLATFORM=off): the front believes no platform's headers\n" in off
    assert "as far as its variables say" in sidecar("check", **AGENT).stdout


def test_an_admin_door_beyond_loopback_is_said_to_serve_the_first_three_only() -> None:
    served = sidecar("check", **AGENT, SIDECAR_ADMIN_HOST="0.0.0.0").stdout
    assert "admin       0.0.0.0:9801  /healthz, /readyz, /metrics\n" in served
    assert "/metrics, /agents, /calls\n" in sidecar("check", **AGENT).stdout


@pytest.mark.parametrize("command", ["check", "config", "middleware"])
def test_a_terminal_that_has_no_arrows_is_told_all_the_same(command: str) -> None:
    ran = process(command, **AGENT, PYTHONIOENCODING="iso8859-5")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_h12_check_warns_of_a_platform_that_is_not_whole() -> None:
    given = {"DATABRICKS_APP_NAME": "my-app", "DATABRICKS_HOST": "https://dbc-1.example.org"}
    answer = sidecar("check", **AGENT, **given)
    assert answer.exit_code == 0
    assert (
        "DATABRICKS_CLIENT_ID is not set: this is not taken for the platform, and nobody is believed"
        in answer.stdout
    )
    assert "believes nobody" in answer.stdout


def test_a_plug_ins_variable_without_its_plug_in_is_a_warning() -> None:
    answer = sidecar("check", **AGENT, SIDECAR_PLUGIN_REDACT__PATTERN=CANARY)
    assert answer.exit_code == 0
    assert (
        "SIDECAR_PLUGIN_REDACT__PATTERN is read by nobody: its plug-in is not in SIDECAR_MIDDLEWARE"
        in answer.stdout
    )
    assert CANARY not in answer.output


def table(text: str) -> dict[str, tuple[str, str]]:
    """NAME → (VALUE, SOURCE) of what `config` prints."""
    cells = [re.split(r"  +", line, maxsplit=2) for line in text.splitlines()[1:]]
    return {name: (value, source) for name, value, source in cells}


def test_config_prints_every_setting_with_its_value_and_source(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("SIDECAR_LOG=debug\nSIDECAR_PORT=9000\n")
    answer = sidecar(
        "config",
        *("--env-file", str(tmp_path / "e")),
        **AGENT,
        SIDECAR_PORT="9001",
        SIDECAR_TIMEOUTS__GAP="1500ms",
        SIDECAR_MAX_BODY="65536",
        SIDECAR_PAGE="yes",
        SIDECAR_TRUST="10.0.0.0/8,fd00::/8",
        DATABRICKS_TOKEN=CANARY,
        DATABRICKS_HOST="dbc-1.example.org",
    )
    assert (answer.exit_code, answer.stderr) == (0, "")
    found = table(answer.stdout)
    assert found.keys() > VARIABLES.keys()
    assert found["SIDECAR_PORT"] == ("9001", "SIDECAR_PORT")
    assert found["SIDECAR_LOG"] == ("debug", "SIDECAR_LOG (env file)")
    assert found["SIDECAR_TIMEOUTS__GAP"] == ("1.5s", "SIDECAR_TIMEOUTS__GAP")
    assert found["SIDECAR_MAX_BODY"] == ("64KiB", "SIDECAR_MAX_BODY")
    assert found["SIDECAR_MAX_ANSWER"] == ("64MiB", "default")
    assert found["SIDECAR_PAGE"] == ("on", "SIDECAR_PAGE")
    assert found["SIDECAR_TRUST"] == ("10.0.0.0/8,fd00::/8", "SIDECAR_TRUST")
    assert found["SIDECAR_EGRESS_SECRET"] == ("-", "default")
    assert found["DATABRICKS_TOKEN"] == ("***", "DATABRICKS_TOKEN")
    assert found["DATABRICKS_HOST"] == ("https://dbc-1.example.org", "DATABRICKS_HOST")
    assert found["SIDECAR_AGENTS__DEFAULT__URL"] == ("https://agent.example.org", "AGENT_APP_URL")
    assert found["SIDECAR_AGENTS__DEFAULT__AUTH"] == ("none", "auto, default")
    assert found["SIDECAR_PLATFORM"][0] == "off"


def test_config_prints_the_same_for_programs() -> None:
    answer = sidecar("config", "--json", **AGENT, SIDECAR_TRUST="10.0.0.0/8", SIDECAR_EGRESS_SECRET=KEY)
    found = {row["name"]: row for row in json.loads(answer.stdout)}
    assert found["SIDECAR_TRUST"] == {
        "name": "SIDECAR_TRUST",
        "value": ["10.0.0.0/8"],
        "source": "SIDECAR_TRUST",
    }
    assert found["SIDECAR_EGRESS_SECRET"]["value"] == "***"
    assert found["SIDECAR_PORT"]["value"] == 8000
    assert found["SIDECAR_FRONTEND_URL"]["value"] is None


def test_what_config_prints_is_read_back_as_the_same() -> None:
    given = {"SIDECAR_TIMEOUTS__GAP": "2m", "SIDECAR_MAX_BODY": "1000", "SIDECAR_COMMIT_AFTER": "0.25"}
    rows = json.loads(sidecar("config", "--json", **AGENT, **given).stdout)
    again = {
        row["name"]: ",".join(row["value"]) if isinstance(row["value"], list) else str(row["value"])
        for row in rows
        if row["value"] is not None and row["source"] != "default"
    }
    once_more = json.loads(sidecar("config", "--json", **again).stdout)
    assert [row["value"] for row in once_more] == [row["value"] for row in rows]


def test_middleware_lists_each_layer_with_its_source_and_what_it_is_shown(tmp_path: Path) -> None:
    plugin = tmp_path / "nosy.py"
    plugin.write_text(
        "def nosy(kit):\n    return lambda call, forward: forward(call)\n\nnosy.needs = {'user_token'}\n"
    )
    plugin.chmod(0o644)
    answer = sidecar("middleware", **AGENT, SIDECAR_MIDDLEWARE=f"{plugin}:nosy,default")
    assert (answer.exit_code, answer.stderr) == (0, "")
    rows = [re.split(r"  +", line) for line in answer.stdout.splitlines()]
    assert [row[0] for row in rows] == [
        "NAME",
        *("observe", "guard", "inbound"),
        *("nosy", "access", "contract", "streaming", "outbound", "retry", "credentials"),
    ]
    name, source, needs, acts_on = rows[4]
    assert re.fullmatch(rf"{re.escape(str(plugin))} sha256:[0-9a-f]{{64}}", source)
    assert (name, needs, acts_on) == ("nosy", "user_token", "chats")
    assert rows[5] == ["access", "built in", "-", "all"]


def test_middleware_prints_the_same_for_programs() -> None:
    rows = json.loads(sidecar("middleware", "--json", **AGENT).stdout)
    assert rows[0] == {"name": "observe", "source": "rim", "needs": [], "relays": True}
    assert rows[4] == {"name": "contract", "source": "built in", "needs": [], "relays": False}


# Secrets and colours


def test_no_secret_is_in_what_any_command_prints(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(CANARY)
    secrets: dict[str, Any] = {
        **AGENT,
        "SIDECAR_EGRESS_SECRET": KEY,
        "DATABRICKS_HOST": "https://dbc-1.example.org",
        "DATABRICKS_CLIENT_ID": "sp-1",
        "DATABRICKS_CLIENT_SECRET": CANARY,
        "DATABRICKS_TOKEN": CANARY,
        "SIDECAR_AGENTS__DEFAULT__AUTH": "static",
        "SIDECAR_AGENTS__DEFAULT__TOKEN": CANARY,
        "SIDECAR_AGENTS__B__URL": "https://b.example.org",
        "SIDECAR_AGENTS__B__AUTH": "static",
        "SIDECAR_AGENTS__B__TOKEN_FILE": str(tmp_path / "token"),
        "SIDECAR_PLUGIN_X__KEY": CANARY,
    }
    wrong = {"SIDECAR_DEV_TOKEN": CANARY, "SIDECAR_EGRESS_SECRET": CANARY}
    for arguments in (["check"], ["config"], ["config", "--json"], ["middleware"], ["middleware", "--json"]):
        good, bad = sidecar(*arguments, **secrets), sidecar(*arguments, **secrets | wrong)
        assert (good.exit_code, bad.exit_code) == (0, 78)
        for answer in (good, bad):
            assert CANARY not in answer.output + repr(answer.exception)
            assert KEY not in answer.output


def test_a_broken_line_of_an_env_file_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "e").write_text(f"SIDECAR_LOG=debug\n{CANARY}\n")
    answer = sidecar("check", "--env-file", str(tmp_path / "e"), **AGENT)
    assert answer.exit_code == 78
    assert answer.stderr == f"sidecar: 1 setting is wrong\n  {tmp_path / 'e'}: line 2 is not `NAME=value`\n"


def test_nothing_is_coloured() -> None:
    for arguments in (["check"], ["config"], ["middleware"], ["--help"]):
        answer = CliRunner(env=NOBODYS | AGENT | {"FORCE_COLOR": "1"}).invoke(main, arguments, color=True)
        assert "\x1b" not in answer.output


# The pages that are made from the settings


def test_the_generated_pages_are_what_the_code_says() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_every_setting_is_on_its_page() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    for name, variable in VARIABLES.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert variable.accepts.text in row
        assert (variable.field.description or "missing") in row
