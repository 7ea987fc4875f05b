"""`make deploy` and its sisters, with a stand-in for the Databricks CLI that records what it is asked."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy/databricks/app.py"
STAND_IN = """#!{python}
import json, os, sys
words = sys.argv[1:]
with open(os.path.join({folder!r}, "calls"), "a") as calls:
    calls.write(json.dumps([words, os.getcwd()]) + "\\n")
known = json.load(open(os.path.join({folder!r}, "apps")))
if words == ["--version"]:
    print(known["version"])
elif words[:2] == ["apps", "get"]:
    if words[2] not in known:
        sys.exit("Error: App with name " + words[2] + " does not exist or is deleted.")
    print(json.dumps(known[words[2]]))
elif known.get("fails") in words:
    sys.exit("Error: it failed")
"""
AGENT: dict[str, Any] = {"name": "weather", "app_status": {"state": "RUNNING"}}
DEPLOYED: dict[str, Any] = {
    "name": "agent-sidecar",
    "url": "https://agent-sidecar-1234567890.aws.databricksapps.com",
    "app_status": {"state": "RUNNING"},
    "compute_status": {"state": "ACTIVE"},
    "service_principal_name": "app-1a2b3c agent-sidecar",
    "resources": [{"name": "agent-backend", "app": {"name": "weather", "permission": "CAN_USE"}}],
}


class Workspace:
    """A copy of deploy/ with a wheel, and a CLI in front of everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deploy = folder / "deploy/databricks"
        shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("staged"))
        (folder / "dist").mkdir()
        (folder / "dist/agent_sidecar-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")
        (folder / "bin").mkdir()
        cli = folder / "bin/databricks"
        cli.write_text(STAND_IN.format(python=sys.executable, folder=str(folder)))
        cli.chmod(0o755)
        self.has(weather=AGENT, **{"agent-sidecar": DEPLOYED})

    def has(self, version: str = "Databricks CLI v0.295.0", fails: str = "", **apps: Any) -> None:
        (self.folder / "apps").write_text(json.dumps({"version": version, "fails": fails, **apps}))

    def runs(self, verb: str, **environ: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder}/bin:/usr/bin:/bin"
        script = self.deploy / "app.py"
        return subprocess.run(
            [sys.executable, script, verb],
            env={"PATH": path, **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[list[str]]:
        """What the CLI was asked, its version aside."""
        lines = map(json.loads, (self.folder / "calls").read_text().splitlines())
        return [words for words, _ in lines if words != ["--version"]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


BOUND = ["--target", "dev", "--var", "name=agent-sidecar", "--var", "agent=weather"]


def test_deploy_looks_at_the_agent_then_validates_deploys_runs_and_tells(workspace: Workspace) -> None:
    done = workspace.runs("deploy", AGENT="weather")
    assert done.returncode == 0, done.stderr
    assert workspace.calls == [
        ["apps", "get", "weather", "--output", "json"],
        ["bundle", "validate", *BOUND],
        ["bundle", "deploy", *BOUND],
        ["bundle", "run", "frontend", *BOUND],
        ["apps", "get", "agent-sidecar", "--output", "json"],
        ["apps", "get", "weather", "--output", "json"],
    ]
    assert "RUNNING, compute ACTIVE" in done.stdout
    assert "https://agent-sidecar-1234567890.aws.databricksapps.com" in done.stdout
    assert "app-1a2b3c agent-sidecar" in done.stdout
    assert "app weather, RUNNING" in done.stdout


def test_what_is_deployed_is_the_app_with_the_wheel_named_first(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "mine"
    (source / "node_modules").mkdir(parents=True)
    (source / "app.yaml").write_text((workspace.deploy / "layouts/python/app.yaml").read_text())
    (source / "app.py").write_text("app = None\n")
    (source / ".env").write_text("TOKEN=secret\n")
    (source / "requirements.txt").write_text("agent-sidecar==0.0.1\nfastapi\n")
    given = {"AGENT": "weather", "SOURCE": str(source), "TARGET": "prod", "NAME": "mine", "PROFILE": "work"}
    workspace.has(weather=AGENT, mine=DEPLOYED)
    assert workspace.runs("deploy", **given).returncode == 0
    staged = {path.name for path in (workspace.deploy / "staged").iterdir()}
    assert staged == {"app.yaml", "app.py", "requirements.txt", "agent_sidecar-0.1.0-py3-none-any.whl"}
    asked = (workspace.deploy / "staged/requirements.txt").read_text()
    assert asked == "./agent_sidecar-0.1.0-py3-none-any.whl\nfastapi\n"
    assert workspace.calls[1] == [
        *("bundle", "validate", "--target", "prod", "--var", "name=mine", "--var", "agent=weather"),
        *("--profile", "work"),
    ]


def test_where_every_line_has_a_hash_the_wheels_has_one_too(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "mine"
    source.mkdir()
    shutil.copy(workspace.deploy / "layouts/python/app.yaml", source)
    pinned = f"fastapi==0.165.0 --hash=sha256:{'0' * 64}"
    (source / "requirements.txt").write_text(f"{pinned}\n")
    (source / "requirements.lock").write_text("")
    assert workspace.runs("deploy", AGENT="weather", SOURCE=str(source)).returncode == 0
    first, *rest = (workspace.deploy / "staged/requirements.txt").read_text().splitlines()
    wheel = (workspace.folder / "dist/agent_sidecar-0.1.0-py3-none-any.whl").read_bytes()
    assert first.endswith(f".whl --hash=sha256:{hashlib.sha256(wheel).hexdigest()}")
    assert rest == [pinned]
    assert (workspace.deploy / "staged/requirements.lock").exists()


@pytest.mark.parametrize(
    ("environ", "apps", "said"),
    [
        ({}, {}, "AGENT is not set"),
        ({"AGENT": "elsewhere"}, {}, "a resource binds none of another"),
        ({"AGENT": "weather", "SOURCE": "/nowhere"}, {}, "/nowhere has no app.yaml"),
        ({"AGENT": "weather"}, {"version": "Databricks CLI v0.294.9"}, "install 0.295.0 or newer"),
        ({"AGENT": "weather"}, {"version": "what?"}, "install 0.295.0 or newer"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_changed(
    workspace: Workspace, environ: dict[str, str], apps: dict[str, str], said: str
) -> None:
    workspace.has(weather=AGENT, **apps)
    done = workspace.runs("deploy", **environ)
    assert done.returncode == 1
    assert said in done.stderr
    assert "next: " in done.stderr
    assert "Traceback" not in done.stderr
    calls = workspace.calls if (workspace.folder / "calls").exists() else []
    assert [words for words in calls if words[0] == "bundle"] == []


def test_without_the_cli_one_sentence_says_so(workspace: Workspace) -> None:
    (workspace.folder / "bin/databricks").unlink()
    done = workspace.runs("status", PATH=f"{workspace.folder}/bin")
    assert done.returncode == 1
    assert (
        done.stderr
        == "the Databricks CLI is not installed\n  next: install it, then: databricks auth login\n"
    )


def test_a_step_that_fails_ends_it(workspace: Workspace) -> None:
    workspace.has(weather=AGENT, fails="validate")
    done = workspace.runs("deploy", AGENT="weather")
    assert done.returncode == 1
    assert "`databricks bundle validate` ended with 1" in done.stderr
    assert [words[:2] for words in workspace.calls] == [["apps", "get"], ["bundle", "validate"]]


def test_an_agent_that_does_not_run_is_a_warning(workspace: Workspace) -> None:
    workspace.has(weather=AGENT | {"app_status": {"state": "UNAVAILABLE"}}, **{"agent-sidecar": DEPLOYED})
    done = workspace.runs("deploy", AGENT="weather")
    assert done.returncode == 0
    assert "weather is UNAVAILABLE" in done.stdout


@pytest.mark.parametrize("verb", ["stop", "start"])
def test_stop_and_start_are_one_call(workspace: Workspace, verb: str) -> None:
    assert workspace.runs(verb, NAME="mine", PROFILE="work").returncode == 0
    assert workspace.calls == [["apps", verb, "mine", "--profile", "work"]]


def test_nothing_is_destroyed_without_the_apps_name_once_more(workspace: Workspace) -> None:
    for environ in ({}, {"CONFIRM": "yes"}, {"NAME": "mine", "CONFIRM": "agent-sidecar"}):
        done = workspace.runs("destroy", **environ)
        assert done.returncode == 1
        assert "deletes its service principal" in done.stderr
    assert workspace.calls == []
    assert workspace.runs("destroy", NAME="mine", CONFIRM="mine").returncode == 0
    (call,) = workspace.calls
    assert call[:3] == ["bundle", "destroy", "--auto-approve"]
    assert "name=mine" in call


def test_the_status_of_an_app_that_is_not_there_says_how_to_make_it(workspace: Workspace) -> None:
    workspace.has()
    done = workspace.runs("status")
    assert (done.returncode, "make deploy AGENT=" in done.stderr) == (1, True)


def test_make_hands_its_variables_on(workspace: Workspace) -> None:
    """The targets of the Makefile itself; `deploy` builds the wheel first."""
    environ = {"PATH": f"{workspace.folder}/bin:{os.environ['PATH']}", "HOME": str(workspace.folder)}
    make = ["make", "-s", "-C", str(ROOT)]
    done = subprocess.run(
        [*make, "stop", "NAME=mine", "PROFILE=work"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert workspace.calls == [["apps", "stop", "mine", "--profile", "work"]]
    planned = subprocess.run(
        [*make, "-n", "deploy", "AGENT=weather"], env=environ, capture_output=True, text=True, check=False
    ).stdout
    assert planned.index("hatchling build") < planned.index("deploy/databricks/app.py deploy")
