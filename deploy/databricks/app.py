"""Deploys one app over the Databricks CLI: what `make deploy`, `status`, `stop`, `start` and `destroy` run.

NAME      the app's name (agent-sidecar)
AGENT     the agent app that it calls; needed by deploy
SOURCE    a folder with an app and its app.yaml; without it the sidecar is deployed alone
TARGET    dev or prod (dev)
PROFILE   a profile of the CLI; without it the CLI decides
CONFIRM   the app's name once more, for destroy
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STAGED = HERE / "staged"
OLDEST = (0, 295, 0)  # the first CLI that knows resources of type app
LEFT_OUT = shutil.ignore_patterns(
    "node_modules", ".venv", "__pycache__", ".git", ".env", ".env.*", ".databricks"
)
UP = {"RUNNING"}


def main(verb: str) -> None:
    known = {"deploy": deploy, "status": status, "stop": stop, "start": start, "destroy": destroy}
    if verb not in known:
        fail(f"no such verb: {verb}", f"one of {', '.join(known)}", code=2)
    check_cli()
    known[verb]()


def deploy() -> None:
    agent = asked("AGENT", "make deploy AGENT=<name of the agent app>")
    check_agent(agent)
    stage(os.environ.get("SOURCE") or str(HERE / "layouts/alone"))
    for step in ("validate", "deploy"):
        cli("bundle", step, *variables(agent), cwd=HERE)
    cli("bundle", "run", "frontend", *variables(agent), cwd=HERE)
    status()


def status() -> None:
    app = get(name()) or fail(f"there is no app {name()} in this workspace", "make deploy AGENT=<agent app>")
    say("app", f"{state(app, 'app_status')}, compute {state(app, 'compute_status')}")
    say("address", app.get("url") or "none yet")
    say("service principal", app.get("service_principal_name") or "?")
    scopes = app.get("effective_user_api_scopes") or app.get("user_api_scopes") or []
    say("user scopes", ", ".join(scopes) or "none: no user token reaches the app")
    for bound in app.get("resources") or []:
        if backend := bound.get("app"):
            other = get(backend.get("name", "")) or {}
            say(f"resource {bound.get('name')}", f"app {backend.get('name')}, {state(other, 'app_status')}")


def stop() -> None:
    cli("apps", "stop", name())


def start() -> None:
    cli("apps", "start", name())


def destroy() -> None:
    if os.environ.get("CONFIRM") != name():
        fail(
            f"deleting {name()} deletes its service principal; a new app of the same name is another one, "
            "without this one's permissions and without what it owns",
            f"make destroy NAME={name()} CONFIRM={name()}",
        )
    agent = os.environ.get("AGENT") or "none"  # the bundle wants one, and nothing is done with it
    cli("bundle", "destroy", "--auto-approve", *variables(agent), cwd=HERE)


# --- what is looked at before anything is changed -----------------------------------------------------------


def check_cli() -> None:
    if shutil.which("databricks") is None:
        fail("the Databricks CLI is not installed", "install it, then: databricks auth login")
    said = subprocess.run(["databricks", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    if found is None or tuple(map(int, found.groups())) < OLDEST:
        fail(f"the Databricks CLI is {said.strip() or 'unknown'}", "install 0.295.0 or newer")


def check_agent(agent: str) -> None:
    """A resource binds apps of one workspace only, and the CLI would not say so."""
    found = get(agent)
    if found is None:
        fail(
            f"there is no app {agent} in this workspace, and a resource binds none of another",
            "name the profile of the agent's workspace: PROFILE=<profile>; `databricks apps list` shows its apps",
        )
    if (now := state(found, "app_status")) not in UP:
        say("warning", f"{agent} is {now}: the first calls will wait for it, or fail")


def stage(source: str) -> None:
    """The app's files, the sidecar's wheel, and a requirements.txt that names it first."""
    place = Path(source)
    if not (place / "app.yaml").is_file():
        fail(f"{source} has no app.yaml", "deploy/databricks/layouts has one for each kind of app")
    wheels = sorted((ROOT / "dist").glob("agent_sidecar-*.whl"))
    if not wheels:
        fail("there is no wheel in dist", "make wheel")
    shutil.rmtree(STAGED, ignore_errors=True)
    shutil.copytree(place, STAGED, ignore=LEFT_OUT)
    shutil.copy(wheels[-1], STAGED)
    own = STAGED / "requirements.txt"
    lines = own.read_text().splitlines() if own.is_file() else []
    theirs = [line for line in lines if not re.match(r"(\./)?agent[_-]sidecar", line)]
    hashed = any("--hash=" in line for line in theirs)  # then every line must have one
    mark = f" --hash=sha256:{hashlib.sha256(wheels[-1].read_bytes()).hexdigest()}" if hashed else ""
    own.write_text("\n".join([f"./{wheels[-1].name}{mark}", *theirs]) + "\n")


# --- the CLI ------------------------------------------------------------------------------------------------


def cli(*words: str, cwd: Path | None = None) -> None:
    """One command whose output is the user's to read; its exit code ends us."""
    done = subprocess.run(["databricks", *words, *profile()], cwd=cwd, check=False)
    if done.returncode:
        fail(f"`databricks {' '.join(words[:2])}` ended with {done.returncode}", "it has said why above")


def get(app: str) -> dict[str, Any] | None:
    """What the workspace knows of an app; None where there is none."""
    words = ["databricks", "apps", "get", app, "--output", "json", *profile()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        if "not exist" in done.stderr or "not found" in done.stderr.lower():
            return None
        why = f"`databricks apps get {app}` ended with {done.returncode}: {done.stderr.strip()}"
        fail(why, "databricks auth login")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def profile() -> list[str]:
    named = os.environ.get("PROFILE")
    return ["--profile", named] if named else []


def variables(agent: str) -> list[str]:
    target = os.environ.get("TARGET") or "dev"
    return ["--target", target, "--var", f"name={name()}", "--var", f"agent={agent}"]


def name() -> str:
    return os.environ.get("NAME") or "agent-sidecar"


def asked(variable: str, hint: str) -> str:
    return os.environ.get(variable) or fail(f"{variable} is not set", hint)


def state(app: dict[str, Any], key: str) -> str:
    return str((app.get(key) or {}).get("state") or "unknown")


def say(what: str, text: str) -> None:
    sys.stdout.write(f"{what:<24} {text}\n")


def fail(what: str, then: str, code: int = 1) -> NoReturn:
    sys.stderr.write(f"{what}\n  next: {then}\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
