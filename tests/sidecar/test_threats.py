"""docs/threats.md names its proofs, so they have to be there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/threats.md").read_text(encoding="utf-8")


def test_every_answer_names_tests_that_exist() -> None:
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))
    }
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert [name for name in named if name not in defined] == []


def test_every_question_is_answered_with_a_proof() -> None:
    questions = re.split(r"\n(?=\*\*|## |- )", PAGE)
    asked = [part for part in questions if part.startswith("**")]
    assert asked
    assert [part for part in asked if "`test_" not in part] == []
