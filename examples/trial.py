"""One example, as a new user would try it: `make try EXAMPLE=streamlit`. Needs nothing but the package registries.

Makes the example's environment beside its files (`.venv` or `node_modules`), starts a stand-in agent, and runs the
command of its app.yaml, which begins with `sidecar run --`. With `--straight` the same command runs without the
sidecar, straight at the agent: the same files, no code changed.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

HERE = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/app.yaml"))
PORTS = ("PORT", "UVICORN_PORT", "FLASK_RUN_PORT", "STREAMLIT_SERVER_PORT", "GRADIO_SERVER_PORT")
YOU = "you@example.org"


def command(name: str) -> list[str]:
    """What app.yaml says to run."""
    text = (HERE / name / "app.yaml").read_text()
    (line,) = re.findall(r"^command: (\[.*\])$", text, re.M)
    return list(json.loads(line))


def variables(name: str) -> dict[str, str]:
    """The fixed variables of app.yaml."""
    text = (HERE / name / "app.yaml").read_text()
    return dict(re.findall(r'- name: (\w+)\n\s+value: "(.*)"', text))


def prepared(name: str, say: Callable[[str], None] = lambda _: None) -> dict[str, str]:
    """Installs what the example needs, unless that has been done; the variables with which its commands are found."""
    folder, ours = HERE / name, Path(sys.executable).parent
    environ = os.environ | variables(name)
    found = [str(ours), environ["PATH"]]
    wanted = folder / ("requirements.lock" if (folder / "requirements.lock").exists() else "package.json")
    made = folder / (".venv" if wanted.suffix == ".lock" else "node_modules") / ".made"
    if not made.exists() or made.read_text() != wanted.read_text():
        say(f"installing what {name} needs (once)")
        if wanted.suffix == ".lock":
            install(ours / "uv", "venv", "-q", "--clear", "--python", sys.executable, folder / ".venv")
            install(
                ours / "uv", "pip", "install", "-q", "--python", folder / ".venv", "--no-deps", "-r", wanted
            )
        else:
            npm = shutil.which("npm") or sys.exit("npm is not installed (Debian package: npm)")
            install(npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent", cwd=folder)
            if '"build"' in wanted.read_text():
                say(f"building {name} (once)")
                install(npm, "run", "--silent", "build", cwd=folder)
        made.write_text(wanted.read_text())
    if wanted.suffix == ".lock":
        found.insert(0, str(folder / ".venv/bin"))
    return environ | {"PATH": os.pathsep.join(found)}


def install(*command: object, cwd: Path | None = None) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


@asynccontextmanager
async def stand_in(name: str) -> AsyncIterator[tuple[str, str]]:
    """The agent behind an example: the variable by which that knows it, and its address."""
    from sidecar import sim

    if name == "m2m":
        async with sim.builder(window=5, pace=0.3) as builder:
            yield "BUILDER_APP_URL", builder.url
    else:
        async with sim.agent(always="slow 0.2 drip 0.02") as agent:
            yield "AGENT_APP_URL", agent.url


async def tried(name: str, *, straight: bool, port: int) -> int:
    from sidecar import sim

    environ = prepared(name, lambda text: print(f"· {text}", flush=True))
    run = command(name)
    async with stand_in(name) as (variable, url), sim.workspace() as workspace:
        environ |= {variable: url}
        if name == "appkit":  # does not start without its service principal
            environ |= workspace.environment | {"NODE_ENV": "production"}
        if straight and name == "m2m":
            sys.exit("m2m speaks to a builder app through the sidecar, and to none straight")
        if straight:
            run = run[run.index("--") + 1 :]
            environ |= dict.fromkeys(PORTS, str(port))
            print(f"· {' '.join(run)}: http://127.0.0.1:{port}/ in a browser", flush=True)
        else:
            environ |= {"SIDECAR_PORT": str(port), "SIDECAR_DEV_USER": YOU}
        process = await asyncio.create_subprocess_exec(*run, cwd=HERE / name, env=environ)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, process.send_signal, signal.SIGTERM)
        return await process.wait()


def main() -> None:
    options = argparse.ArgumentParser(prog="make try", description=__doc__)
    options.add_argument("name", choices=NAMES, help="which example")
    options.add_argument("--straight", action="store_true", help="without the sidecar, straight at the agent")
    options.add_argument("--port", type=int, default=8000, help="where the page is (8000)")
    chosen = options.parse_args()
    sys.exit(asyncio.run(tried(chosen.name, straight=chosen.straight, port=chosen.port)))


if __name__ == "__main__":
    main()
