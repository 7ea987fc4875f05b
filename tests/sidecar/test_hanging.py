"""A test that hangs ends the run and says where, also in one of several processes."""

import re
import subprocess
import sys
from pathlib import Path

from packaged import ROOT

SETTINGS = """[pytest]
faulthandler_timeout = 1
faulthandler_exit_on_timeout = true
asyncio_default_fixture_loop_scope = function
"""
TESTS = "import time\ndef test_stuck(): time.sleep(600)\ndef test_next(): pass"


def test_a_test_that_hangs_ends_the_run_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "test_it.py").write_text(TESTS)
    parallel = re.search(r"^PARALLEL = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert parallel
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *parallel[1].split(), "-n1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert "crashed while running 'test_it.py::test_stuck'" in done.stdout
    assert f'File "{tmp_path}/test_it.py", line 2 in test_stuck' in done.stderr
