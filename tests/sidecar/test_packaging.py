"""The wheel: what is in it, that it runs where others have packages of our names, and what it refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from hatchling.builders.sdist import SdistBuilder
from packaged import ROOT, SOURCES, environment, install, strangers, wheel

pytestmark = pytest.mark.source  # they pack what they find


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is made from."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(checkout, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def site(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of an environment with our wheel and what requirements.lock names."""
    return environment(tmp_path_factory.mktemp("environment"), built)


@pytest.fixture
def app(tmp_path: Path) -> dict[str, str]:
    return strangers(tmp_path)


def command(site: Path) -> str:
    return str(site.parents[2] / "bin/sidecar")


def run(site: Path, folder: Path, app: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command(site), *arguments],
        cwd=folder,
        env=app,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_wheel_holds_the_three_packages_the_command_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(built).namelist()
    assert {name.split("/")[0] for name in names} == {
        "sidecar",
        "middleware",
        "policies",
        "agent_sidecar-0.1.0.data",
        "agent_sidecar-0.1.0.dist-info",
    }
    script = zipfile.ZipFile(built).getinfo("agent_sidecar-0.1.0.data/scripts/sidecar")
    assert script.external_attr >> 16 & 0o111 == 0o111  # pip makes no file executable that was not
    assert "agent_sidecar-0.1.0.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    for package in ("sidecar", "middleware", "policies"):
        sources = {
            str(file.relative_to(ROOT))
            for file in (ROOT / package).rglob("*.*")
            if "__pycache__" not in str(file)
        }
        assert sources <= set(names)
        assert f"{package}/py.typed" in names


def test_the_wheel_is_the_same_bytes_whenever_and_by_whomever_it_is_built(
    checkout: Path, built: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "later"
    shutil.copytree(checkout, copy)
    for file in copy.rglob("*"):
        os.utime(file, (1_900_000_000, 1_900_000_000))
        if file.is_file():
            file.chmod(file.stat().st_mode | 0o020)
    assert wheel(copy, tmp_path).read_bytes() == built.read_bytes()


def test_the_source_distribution_builds_the_same_wheel(built: Path, checkout: Path, tmp_path: Path) -> None:
    archive = next(iter(SdistBuilder(str(checkout)).build(directory=str(tmp_path), versions=["standard"])))
    shutil.unpack_archive(archive, tmp_path, filter="data")
    assert wheel(tmp_path / "agent_sidecar-0.1.0", tmp_path).read_bytes() == built.read_bytes()


def test_the_command_is_ours_in_a_folder_that_has_packages_of_our_names(
    site: Path, tmp_path: Path, app: dict[str, str]
) -> None:
    for arguments in (["version"], ["check"]):
        done = run(site, tmp_path, app | {"AGENT_APP_URL": "http://127.0.0.1:9"}, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done
    assert run(site, tmp_path, app, "version").stdout.startswith("agent-sidecar 0.1.0 ")


def test_the_module_is_ours_where_it_is_asked_for_safely(
    site: Path, tmp_path: Path, app: dict[str, str]
) -> None:
    python = str(site.parents[2] / "bin/python")
    app.pop("PYTHONPATH")
    done = subprocess.run(
        [python, "-P", "-m", "sidecar", "version"],
        cwd=tmp_path,
        env=app,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("agent-sidecar 0.1.0 "), done


class Serving(NamedTuple):
    front: str
    admin: str


@contextmanager
def serving(site: Path, folder: Path, app: dict[str, str], **settings: str) -> Iterator[Serving]:
    """`sidecar serve` in the app's folder, from ready to its end, which must be a good one."""
    ports = {"SIDECAR_PORT": "0", "SIDECAR_EGRESS_PORT": "0", "SIDECAR_ADMIN_PORT": "0"}
    with subprocess.Popen(
        [command(site), "serve"],
        cwd=folder,
        env=app | ports | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        too_late = threading.Timer(20, process.kill)
        too_late.start()
        try:
            assert process.stderr
            said = "".join(until(process.stderr, "ready"))
            doors = dict(re.findall(r"(front|admin) +(http://[0-9.:]+)", said))
            assert "ready" in said, said
            yield Serving(doors["front"], doors["admin"])
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0
        finally:
            too_late.cancel()
            process.kill()


def until(lines: Iterable[str], beginning: str) -> Iterator[str]:
    for line in lines:
        yield line
        if line.startswith(beginning):
            return


def test_it_serves_in_a_folder_that_has_packages_of_our_names(
    site: Path, tmp_path: Path, app: dict[str, str]
) -> None:
    with (
        serving(site, tmp_path, app, AGENT_APP_URL="http://127.0.0.1:9") as served,
        urllib.request.urlopen(f"{served.admin}/healthz", timeout=5) as answer,
    ):
        assert answer.status == 200


class Agent(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(asked)))
        self.end_headers()
        self.wfile.write(asked)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def agent() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_third_partys_package_beside_ours_masks_what_leaves_for_the_agent(
    site: Path, agent: str, tmp_path: Path, app: dict[str, str]
) -> None:
    install(site, wheel(ROOT / "examples/redact", tmp_path))
    settings = {"AGENT_APP_URL": agent, "SIDECAR_MIDDLEWARE": "redact,default"}
    listed = run(site, tmp_path, app | settings, "middleware")
    assert re.search(r"inbound .*\nredact +sidecar-redact 1\.0\.0 .*chats\naccess ", listed.stdout), listed
    with serving(site, tmp_path, app, **settings) as served:
        question = urllib.request.Request(
            f"{served.front}/api/chat",
            b'{"input": [{"role": "user", "content": "I am ann@example.org"}], "stream": false}',
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(question, timeout=10) as answer:
            assert json.load(answer)["input"] == [{"role": "user", "content": "I am [email]"}]


def test_another_distributions_file_in_our_package_stops_the_start(
    site: Path, tmp_path: Path, app: dict[str, str]
) -> None:
    stray = site / "policies/quotas.py"
    stray.write_text("")
    done = run(site, tmp_path, app, "version")
    stray.unlink()
    assert done.returncode == 78
    assert done.stderr == (
        f"sidecar: {stray} is not what agent-sidecar brought to {site}: something else wrote there. "
        "Install agent-sidecar into an environment of its own.\n"
    )


def test_another_distributions_package_over_ours_stops_the_start(
    site: Path, tmp_path: Path, app: dict[str, str]
) -> None:
    ours = site / "middleware/__init__.py"
    text = ours.read_text()
    ours.write_text("STRANGER = True\n")
    done = run(site, tmp_path, app, "version")
    ours.write_text(text)
    assert done.returncode == 78
    assert f"{ours} is not what agent-sidecar brought" in done.stderr
    assert run(site, tmp_path, app, "version").returncode == 0


def test_another_package_before_ours_stops_the_start_naming_both_paths(
    site: Path, tmp_path: Path, app: dict[str, str]
) -> None:
    other = tmp_path / "other"
    (other / "policies").mkdir(parents=True)
    (other / "policies/__init__.py").write_text("")
    first = site / "first.pth"
    first.write_text(f"import sys; sys.path.insert(1, {str(other)!r})\n")
    done = run(site, tmp_path, app, "version")
    first.unlink()
    assert done.returncode == 78
    assert f"The package policies comes from {other}, and agent-sidecar is at {site}." in done.stderr


def test_where_we_are_not_installed_the_command_says_so_in_one_sentence(
    tmp_path: Path, app: dict[str, str]
) -> None:
    bare = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [bare, str(ROOT / "bin/sidecar")], cwd=tmp_path, env=app, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"sidecar: agent-sidecar is not installed for \S+; PYTHONPATH is not searched\.\n", done.stderr
    )


def test_an_editable_install_runs_from_its_own_folder_also_with_pythonpath_there() -> None:
    script = Path(sys.executable).parent / "sidecar"
    done = subprocess.run(
        [script, "version"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("agent-sidecar 0.1.0 "), done
