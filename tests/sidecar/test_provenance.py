"""Whose packages these are: a checkout's, an installation's, or somebody else's."""

import json
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution
from pathlib import Path
from types import ModuleType

import pytest

from sidecar import provenance

Named = Callable[[str], Distribution]
Check = Callable[[tuple[ModuleType, ...], Named], list[str]]


def packages(**homes: Path) -> tuple[ModuleType, ...]:
    """Packages as an import would have found them in these folders."""
    found = []
    for name, home in homes.items():
        (home / name).mkdir(parents=True, exist_ok=True)
        (home / name / "__init__.py").write_text("# ours\n")
        found.append(module := ModuleType(name))
        module.__path__ = [str(home / name)]
    return tuple(found)


def installed(home: Path, *, record: str = "", url: dict[str, object] | None = None) -> Named:
    info = home / "agent_sidecar-1.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text(record)
    if url:
        (info / "direct_url.json").write_text(json.dumps(url))
    return lambda name: PathDistribution(info)


def nowhere(name: str) -> Distribution:
    raise PackageNotFoundError(name)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    def checked(found: tuple[ModuleType, ...], named: Named) -> list[str]:
        monkeypatch.setattr(provenance, "PACKAGES", found)
        monkeypatch.setattr(provenance, "sidecar", found[0])
        monkeypatch.setattr(provenance, "distribution", named)
        return provenance.check()

    return checked


def test_the_packages_that_run_this_test_are_ours() -> None:
    assert provenance.check() == []


def test_a_checkout_needs_no_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "distribution", nowhere)
    assert provenance.check() == []


def test_a_folder_that_is_no_checkout_is_named(check: Check, tmp_path: Path) -> None:
    found = packages(sidecar=tmp_path, middleware=tmp_path, policies=tmp_path)
    assert check(found, nowhere) == [f"{tmp_path} is no checkout of agent-sidecar, nor installed."]
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "somebodys-app"\n')
    assert check(found, nowhere) == [f"{tmp_path} is no checkout of agent-sidecar, nor installed."]
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "agent-sidecar"\n')
    assert check(found, nowhere) == []


def test_an_editable_install_is_one_checkout(check: Check, tmp_path: Path) -> None:
    home, app, site = tmp_path / "my checkout", tmp_path / "app", tmp_path / "site"
    named = installed(site, url={"url": home.as_uri(), "dir_info": {"editable": True}})
    assert check(packages(sidecar=home, middleware=home, policies=home), named) == []
    assert check(packages(sidecar=home, middleware=home, policies=app), named) == [
        f"The package policies comes from {app}, and agent-sidecar is at {home}."
    ]


def test_an_installation_is_every_file_that_it_brought_and_no_other(check: Check, tmp_path: Path) -> None:
    found = packages(sidecar=tmp_path, middleware=tmp_path, policies=tmp_path)
    record = "".join(f"{name}/__init__.py,sha256=x,7\n" for name in ("sidecar", "middleware", "policies"))
    named = installed(
        tmp_path, record=f"{record}agent_sidecar-1.dist-info/RECORD,,\n", url={"url": "file:///a.whl"}
    )
    cache = tmp_path / "policies/__pycache__/x.cpython-311.pyc"
    cache.parent.mkdir()
    cache.write_bytes(b"")
    assert check(found, named) == []
    (tmp_path / "policies/deep").mkdir()
    (tmp_path / "policies/deep/quota.py").write_text("")
    (tmp_path / "sidecar/__init__.py").write_text("# somebody else's\n")
    [problem] = check(found, named)
    assert problem.startswith(f"{tmp_path}/")
    assert problem.endswith(
        f" (and 1 more) is not what agent-sidecar brought to {tmp_path}: something else wrote there."
    )


def test_an_installation_without_a_list_of_its_files_is_not_believed(check: Check, tmp_path: Path) -> None:
    found = packages(sidecar=tmp_path, middleware=tmp_path, policies=tmp_path)
    assert "(and 2 more)" in check(found, installed(tmp_path))[0]


def test_nothing_runs_from_packages_that_are_not_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(provenance, "check", lambda: ["One thing.", "Another."])
    with pytest.raises(SystemExit) as ended:
        provenance.insist()
    assert ended.value.code == 78
    assert capsys.readouterr().err.splitlines() == [
        "sidecar: One thing. Install agent-sidecar into an environment of its own.",
        "sidecar: Another. Install agent-sidecar into an environment of its own.",
    ]
