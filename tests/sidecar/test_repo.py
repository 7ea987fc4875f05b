"""Laws of the repository that no other tool holds: its locks, its pages, its commands, and its way in."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import needs
import pytest

from sidecar.cli import main as command
from sidecar.settings.variables import AGENT_KEYS, VARIABLES
from sidecar.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {path.name: path.read_text() for path in sorted(ROOT.glob("requirements*.lock"))}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECISIONS = ROOT / "docs/decisions"
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "examples").glob("*/*.md"),
]


def tracked() -> dict[str, str]:
    """Every text file that git knows: name → text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        try:
            texts[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture; or being moved right now
    return texts


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCKS[lock], re.MULTILINE))


# --- locks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lock", [*LOCKS, *(f"tests/peers/{lock.name}" for lock in ROOT.glob("tests/peers/*.lock"))]
)
def test_a_lock_holds_pins_and_hashes_and_no_address(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?|[a-z0-9-]+==[^/:@]+", line), line


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        ("requirements-build.lock", PROJECT["dependency-groups"]["build"]),
        ("requirements-dev.lock", PROJECT["dependency-groups"]["dev"]),
        ("requirements-dev.lock", PROJECT["dependency-groups"]["build"]),
    ],
)
def test_whatever_is_asked_for_is_pinned(lock: str, asked: list[Any]) -> None:
    names = {re.split(r"[^A-Za-z0-9-]", one)[0].lower() for one in asked if isinstance(one, str)}
    assert names <= set(pins(lock))


def modules(source: str) -> set[str]:
    """The top-level names that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(name), level=0):
                names.add(name)
            case ast.Import(names=several):
                names |= {alias.name for alias in several}
    return {name.partition(".")[0] for name in names}


AHEAD = {"opentelemetry-sdk"}  # declared before it is imported: decision 10 says why


def named(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def test_what_is_imported_is_declared_or_comes_with_it_and_what_is_declared_is_imported() -> None:
    files = [
        file for package in ("sidecar", "middleware", "policies") for file in (ROOT / package).rglob("*.py")
    ]
    imported = set().union(*(modules(file.read_text()) for file in files))
    brought = {
        named(bringer)
        for module, bringers in packages_distributions().items()
        for bringer in bringers
        if module in imported
    } - {PROJECT["project"]["name"]}
    declared = {named(asked) for asked in PROJECT["project"]["dependencies"]}
    beside = {named(asked) for name in declared for asked in requires(name) or ()}
    assert brought <= declared | beside
    assert declared - AHEAD <= brought


def test_the_locks_agree() -> None:
    everything = pins("requirements-dev.lock")
    for lock in LOCKS:
        assert pins(lock).items() <= everything.items()


def test_the_platform_finds_the_project_under_the_one_name_it_reads() -> None:
    assert (ROOT / "requirements.txt").read_text() == ".\n"


# --- what stands in files ----------------------------------------------------------------------------------


def test_no_file_names_a_path_of_this_machine_or_a_registry() -> None:
    hosts = ["py" + "pi.org", "pythonhosted" + ".org", "npm" + "js.org", "deb.debian" + ".org"]
    forbidden = [*hosts, f"{ROOT}/", f"{Path.home()}/"]
    found = {(name, word) for name, text in tracked().items() for word in forbidden if word in text}
    assert not found


def test_the_version_is_one() -> None:
    assert PROJECT["project"]["version"] == VERSION
    assert re.search(
        rf"^## \[(Unreleased|{re.escape(VERSION)})\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


# --- pages -------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """As the forges make it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("https://", "http://")):
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert fragment in {anchor(heading) for heading in headings}, target


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_every_decision_is_indexed_numbered_and_whole() -> None:
    records = sorted(DECISIONS.glob("[0-9]*.md"))
    index = (DECISIONS / "README.md").read_text()
    for number, record in enumerate(records, 1):
        text = record.read_text()
        title = text.splitlines()[0].removeprefix(f"# {number}. ")
        assert record.name.startswith(f"{number:04}-")
        assert f"{number}. [{title}]({record.name})" in index
        for part in ("Context", "Decision", "Consequences", "What would change our mind"):
            assert f"\n**{part}.** " in text, (record.name, part)
    assert len(re.findall(r"^\d+\. ", index, re.MULTILINE)) == len(records)


def test_every_dependency_has_its_line_of_reason() -> None:
    reasons = (DECISIONS / "0010-what-we-depend-on.md").read_text()
    for asked in PROJECT["project"]["dependencies"]:
        assert f"\n| {re.split('[^a-z0-9-]', asked)[0]} | " in reasons


def test_the_pages_that_code_makes_are_as_it_would_make_them() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def is_setting(name: str) -> bool:
    """A setting's name, or how several begin."""
    if name.startswith("SIDECAR_PLUGIN"):
        return True
    if name.startswith("SIDECAR_AGENTS"):
        return name.count("__") < 2 or name.rpartition("__")[2] in AGENT_KEYS
    return name in VARIABLES or any(known.startswith(f"{name}__") for known in VARIABLES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_speaks_of_settings_and_commands_that_exist(page: Path) -> None:
    text = page.read_text()
    assert {name for name in re.findall(r"\bSIDECAR_[A-Z_]*[A-Z]", text) if not is_setting(name)} == set()
    for name in re.findall(r"`sidecar ([a-z]+)", text):
        assert name in command.commands, name
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in re.findall(r"(?:^|`|CI=1 )make ([a-z]+)", text, re.MULTILINE):
        assert name in targets, name


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {name for name in command.commands if f"`sidecar {name}`" not in readme} == set()


# --- the way in --------------------------------------------------------------------------------------------


def executable(file: Path, script: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A clone in which nothing has been made."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=clean, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            '[ "$1" = -V ] && echo "Python 3.9.2" && exit; exit 1',
            "Needs Python 3.11 or newer: ./python is Python 3.9.2.",
        ),
        (
            'case "$2" in *ensurepip*) exit 1;; esac',
            "Needs the venv module of ./python: on Debian and Ubuntu",
        ),
    ],
)
def test_make_says_in_one_sentence_which_python_it_lacks(bare: Path, script: str, said: str) -> None:
    executable(bare / "python", script)
    done = make(bare, "demo", "PYTHON=./python")
    sentence, *rest = done.stderr.splitlines()
    assert sentence.startswith(said)
    assert all(line.startswith("make:") for line in rest)
    assert not (bare / ".venv").exists()


def test_make_says_in_one_sentence_that_there_is_no_python(bare: Path) -> None:
    done = make(bare, "demo", "PYTHON=python-of-nowhere")
    assert done.stderr.startswith(
        "Needs Python 3.11 or newer, and there is no python-of-nowhere here.\nmake:"
    )


def test_make_help_names_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    said = make(ROOT, "help").stdout
    assert {name for name in phony[1].split() if f"make {name} " not in said} == {"verify", "askpeers"}


def test_ci_installs_what_is_missing_and_runs_the_readmes_test_command_and_the_examples(
    tmp_path: Path,
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    (tmp_path / ".ci/packages").write_text(
        "# command  package\nsh  dash\nno-such-command  its-package # why\n\n"
    )
    for name in ("apt-get", "make"):
        executable(
            tmp_path / "bin" / name, f'echo "{name} $* CI=$CI in $(basename "$PWD")" >>"{tmp_path}/said"'
        )
    done = subprocess.run(
        ["bash", str(tmp_path / ".ci/run")],
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    here = tmp_path.name
    some = ("a2a", "chat", "front", "identity", "streams", "websockets")
    journeys = " ".join(f"tests/journeys/test_{name}.py" for name in some)
    assert (tmp_path / "said").read_text().splitlines() == [
        f"apt-get update -qq CI= in {here}",
        f"apt-get install -y -qq --no-install-recommends its-package CI= in {here}",
        f"make test CI=1 in {here}",
        f"make compiled T=tests/test_compiled.py tests/wire tests/sidecar/test_doors.py {journeys} CI=1 in {here}",
        f"make examples CI=1 in {here}",
    ]
    assert "make test" in (ROOT / "README.md").read_text()


def test_what_tests_need_is_in_the_list_that_ci_installs() -> None:
    needed = {
        name
        for file in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"\bneed\(\"([a-z-]+)\"\)", file.read_text())
        if file.name != Path(__file__).name
    }
    environments = {f"peers-{lock.stem}" for lock in (ROOT / "tests/peers").glob("*.lock")}
    assert needed <= {*needs.packages(), "peers", *environments}
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package) for package in needs.packages().values())


@pytest.mark.parametrize(("ci", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_is_missing_fails_in_ci_and_is_skipped_elsewhere_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(outcome, match=r"^needs chromium: apt-get install chromium$"):
        needs.need("chromium")


def test_what_is_there_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    executable(tmp_path / "promtool", "")
    assert needs.need("promtool") == tmp_path / "promtool"


def test_the_examples_have_one_page_each_can_be_deployed_alone_and_none_has_drifted() -> None:
    pages = [*ROOT.glob("examples/*/index.html"), ROOT / "examples/appkit/public/index.html"]
    same = {page.read_bytes() for page in pages if page.parent.name != "m2m"}
    assert len(pages) > 4
    assert len(same) == 1
