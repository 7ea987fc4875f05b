"""The two pages of the manual that are made from tables: docs/errors.md and docs/metrics.md."""

from collections.abc import Iterable
from typing import Final

from policies import hints
from policies.answers import PASSING
from policies.hints.facts import Facts
from policies.outcome import FINER, OUTCOMES, REFUSED_INPUT
from sidecar.telemetry.counters import AGENTS, BOUNDS
from sidecar.telemetry.families import FAMILIES, PROCESS

WHO: Final = {
    "nobody": "nobody",
    "caller": "the caller",
    "sidecar": "the sidecar",
    "agent": "the agent",
    "frontend": "the app behind the front door",
}

ERRORS: Final = """# Errors

Made from `policies/outcome.py` and `policies/hints` by `make docs`; do not edit.

An error's body is `{{"error": "<code>", "detail": …, "hint": …, "agent_status": …}}`, as far as there is
something to say; the request's id is in the header `x-request-id`. A browser at the front door gets the code
and the sentence of these tables. Callers at the egress door and the log get the cause, the host and the next
step too (`SIDECAR_ERRORS` changes that). Inside a chat's stream, once begun, the error is its last event: `error`, with
`{{"type": "error", "code": "<code>", "error": "<code>", "message": …, "request_id": …}}`.

Some answers have other members. `invalid_body_shape` has `accepted`, the names of both shapes, and no sentence;
`unsupported_content` has the `index` of the turn that cannot be said. A head that is no HTTP, too large or too slow
is answered in constant words, with the code and without an id. An agent's own refusal passes as it came, status
and body, where it is JSON with {passing}.

## How a call can end

This list is closed. It is the label `outcome` of [`sidecar_requests_total`](metrics.md) and of the log.
Where no status is given, the answer's own status stands.

{outcomes}

## What a caller can get wrong

All of these count as outcome `refused_input`; nothing was sent to the agent.

{refused}

## Codes that say more

Each counts under the outcome beside it.

{finer}

## Causes, and what to do

Where a failure has more than one likely cause, the first that fits is told.

{causes}
"""

METRICS: Final = """# Metrics

Made from `sidecar/telemetry/families.py` by `make docs`; do not edit.

`GET /metrics` on the admin door; in OpenMetrics where the scraper accepts that. Labels come from closed sets:
an agent that is not known, and any path that is not ours, counts under `other`, so that no caller can make a
new series. The first {agents} agents have a label of their own. Nobody's name, e-mail or address is a label.
There are at most 500 series. Those of the first agents' chats are there from the start, at zero.

{families}

Histograms have the buckets {bounds} seconds.

## The process

{process}
"""


def errors_page() -> str:
    """docs/errors.md"""
    outcomes = (
        (_code(code), str(row.status or "–"), WHO[row.who], row.sentence) for code, row in OUTCOMES.items()
    )
    refused = (
        (_code(code), str(status), sentence, hints.explain(code)[1] or "")
        for code, (status, sentence) in REFUSED_INPUT.items()
    )
    finer = (
        (_code(code), f"`{counted}`", str(status), sentence, hints.explain(code)[1] or "")
        for code, (counted, status, sentence) in FINER.items()
    )
    *most, last = map(str, sorted(PASSING))
    return ERRORS.format(
        passing=f"{', '.join(most)} or {last}",
        outcomes=_table(("code", "status", "who broke", "sentence"), outcomes),
        refused=_table(("code", "status", "sentence", "what to do"), refused),
        finer=_table(("code", "outcome", "status", "sentence", "what to do"), finer),
        causes="\n\n".join(_causes(code) for code in OUTCOMES if code in hints.CAUSES),
    )


def metrics_page() -> str:
    """docs/metrics.md"""
    rows = (
        (f"`{row.name}`", row.kind, ", ".join(f"`{label}`" for label in row.labels), row.help, row.values)
        for row in FAMILIES.values()
    )
    process = ((f"`{name}`", kind, text) for name, kind, text in PROCESS)
    return METRICS.format(
        agents=AGENTS,
        families=_table(("metric", "type", "labels", "what it says", "values of labels"), rows),
        bounds=", ".join(f"{bound:g}" for bound in BOUNDS),
        process=_table(("metric", "type", "what it says"), process),
    )


def _causes(code: str) -> str:
    lines = []
    for cause in hints.CAUSES[code]:
        detail, hint = cause.told(Facts())
        said = f"*{cause.when.said}*: " if cause.when.said else ""
        lines.append(f"- {said}{_markdown(detail)}" + (f"\n  → {_markdown(hint)}" if hint else ""))
    return f"### `{code}`\n\n" + "\n".join(lines)


def _code(code: str) -> str:
    return f'<a id="{code}"></a>`{code}`'


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text if text.startswith("<a id=") else _markdown(text).replace("|", "\\|")


def _markdown(text: str) -> str:
    """Angle brackets outside of code would be taken for tags."""
    parts = text.split("`")
    return "`".join(part if at % 2 else part.replace("<", "&lt;") for at, part in enumerate(parts))
