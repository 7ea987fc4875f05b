"""How a call can end is a closed list, and everything that refuses a call takes its words from it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies import outcome
from policies.outcome import FINER, OUTCOMES, REFUSED_INPUT

ROOT = Path(__file__).parents[2]
CLOSED = re.findall(
    r"\w+",
    """
ok refused_input agent_refused agent_failed agent_error agent_broke_off truncated agent_unreachable
agent_unavailable agent_tls_error agent_protocol_error agent_too_large agent_connect_timeout
agent_first_byte_timeout agent_gap_timeout agent_total_timeout agent_login_page agent_unauthorized
agent_forbidden credential_unavailable overloaded relay_closed caller_left caller_stalled draining
loop_detected not_configured frontend_starting frontend_unreachable frontend_broke_off frontend_timeout
internal_error
""",
)


def test_the_list_is_closed_and_nothing_stands_in_both_tables() -> None:
    """O06"""
    assert list(OUTCOMES) == CLOSED
    assert not set(OUTCOMES) & set(REFUSED_INPUT)
    assert not set(FINER) & {*OUTCOMES, *REFUSED_INPUT}


def test_who_broke_agrees_with_the_status() -> None:
    for code, row in OUTCOMES.items():
        assert row.status is None or 400 <= row.status <= 599, code
        if row.who == "frontend":
            assert row.status in (502, 503, 504), code
        if code.endswith("_timeout"):
            assert row.status == 504, code
        if code.startswith(("agent_", "frontend_", "caller_")):
            assert row.who == code.partition("_")[0], code
    assert all(400 <= status < 500 for status, _ in REFUSED_INPUT.values())


@pytest.mark.parametrize("code", [*OUTCOMES, *REFUSED_INPUT, *FINER])
def test_a_sentence_is_one_sentence_and_names_nobody(code: str) -> None:
    sentence = outcome.sentence(code)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not {"SIDECAR_", "http://", "https://", "AGENT_APP_URL"} & set(sentence.split())


def test_what_a_caller_gets_wrong_counts_as_one_outcome() -> None:
    assert {outcome.outcome(code) for code in REFUSED_INPUT} == {"refused_input"}
    assert [outcome.outcome(code) for code in OUTCOMES] == list(OUTCOMES)


def test_a_code_that_says_more_counts_under_an_outcome_of_its_own_kind() -> None:
    for code, (counted, status, _) in FINER.items():
        assert outcome.outcome(code) == counted
        assert outcome.status(code) == status == OUTCOMES[counted].status


def test_an_unknown_code_is_told_as_a_fault_of_ours() -> None:
    assert outcome.sentence("nobody_knows") == OUTCOMES["internal_error"].sentence
    assert outcome.status("nobody_knows") == 500


def test_a_code_has_one_status() -> None:
    assert outcome.status("unsupported_media_type") == 415
    assert outcome.status("agent_gap_timeout") == 504
    assert outcome.status("caller_stalled") == 500  # nobody is there to be told


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (200, "ok"),
        (204, "ok"),
        (304, "ok"),
        (400, "agent_refused"),
        (499, "agent_refused"),
        (500, "agent_failed"),
    ],
)
def test_an_answer_that_went_on_is_judged_by_its_status(status: int, ending: str) -> None:
    assert outcome.of_answer(status) == ending


def refusals() -> Iterator[tuple[str, int, ast.Call]]:
    """Every `Refusal(…)` of the three packages, and where it stands."""
    for package in ("policies", "middleware", "sidecar"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id="Refusal")):
                        yield str(path.relative_to(ROOT)), node.lineno, node


def constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def test_every_refusal_in_the_source_says_a_code_of_the_tables_with_its_status() -> None:
    found = 0
    for path, line, node in refusals():
        found += 1
        status, code = constant(node.args[0]), constant(node.args[1])
        if isinstance(code, str):
            assert code in OUTCOMES or code in REFUSED_INPUT or code in FINER, f"{path}:{line} says {code}"
            if isinstance(status, int):
                known = outcome.status(code)
                assert status == known, f"{path}:{line} says {status} with {code}, which has {known}"
    assert found > 20
