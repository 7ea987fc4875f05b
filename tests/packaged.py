"""An environment as a user has it: what requirements.lock names, our wheel, and nothing else.

The dependencies are links to the files of the environment that the tests run in, which has the same pins: no
registry is asked, and what only the tests need is not to be found. The wheel is installed by pip.
"""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("bin", "middleware", "policies", "sidecar", "pyproject.toml", "README.md", "LICENSE")


def wheel(project: Path, folder: Path) -> Path:
    """The project's wheel, built into the folder."""
    return Path(next(iter(WheelBuilder(str(project)).build(directory=str(folder), versions=["standard"]))))


def environment(folder: Path, wheel: Path) -> Path:
    """A new environment with the wheel; its site-packages."""
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    for name in re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE):
        _link(name, site)
    install(site, wheel)
    return site


def install(site: Path, wheel: Path) -> None:
    """A wheel more, by pip."""
    pip = [sys.executable, "-m", "pip", "--python", str(site.parents[2] / "bin/python"), "install", "-qq"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, capture_output=True)


def _link(name: str, site: Path) -> None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return  # of another system
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(found.locate_file(top))))


def strangers(folder: Path) -> dict[str, str]:
    """An app's folder with packages of our names, and the variables with which it would be run."""
    for name in ("sidecar", "middleware", "policies"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise SystemExit('the app\\'s own {name} was imported')")
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "DATABRICKS_"))
    }
    return clean | {"PYTHONPATH": f"{folder}{os.pathsep}", "COLUMNS": "200"}
