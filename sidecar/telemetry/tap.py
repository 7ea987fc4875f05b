"""The last calls, for whoever asks what became of one: names, sizes and times, nothing that was said."""

import os
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from policies import header_table
from sidecar.telemetry.lines import stamp
from sidecar.telemetry.record import Record

CALLS: Final = 200
_KEY: Final = os.urandom(32)


@lru_cache(1024)
def owner(*who: str) -> bytes:
    """Stands for a caller (an e-mail, an address) in a record; means nothing outside this process."""
    return blake2b("\0".join(who).encode("utf-8", "replace"), key=_KEY, digest_size=16).digest()


class Tap:
    """Calls that are open, and the last that have ended. Bounded: a record holds bounded notes only."""

    def __init__(self, open_records: Mapping[str, Record], keep: int = CALLS) -> None:
        self._open = open_records
        self._ended: deque[Record] = deque(maxlen=keep)
        self.add = self._ended.append  # a record whose call has ended

    def list(self) -> list[dict[str, Any]]:
        """One line for each, the newest first; open ones before all."""
        opened = [record for record in self._open.values() if record.agent is not None]
        return [_short(record) for record in (*reversed(opened), *reversed(self._ended))]

    def get(self, request_id: str, owner: bytes | None = None) -> dict[str, Any] | None:
        """Everything about one call. With an `owner`, only if it is that caller's; else None."""
        record = self._open.get(request_id) or self._last(request_id)
        if record is None or (owner is not None and record.owner != owner):
            return None
        return _whole(record)

    def _last(self, request_id: str) -> Record | None:
        return next((record for record in reversed(self._ended) if record.request_id == request_id), None)


def _short(record: Record) -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "at": stamp(record.time),
        "door": record.door,
        "method": record.method,
        "route": record.route,
        "agent": record.agent_name,
        "outcome": record.outcome or None,
        "status": record.status or None,
        "ms": _ms(record, record.ended),
        "stream": record.stream or None,
        "attempts": record.attempts,
        "sent": record.sent,
    }


def _whole(record: Record) -> dict[str, Any]:
    facts, agent, refusal = record.facts(), record.agent, record.refusal
    return {
        **_short(record),
        "agent_request_id": record.agent_request_id or None,
        "trace_id": facts.get("trace_id") or record.trace_id or None,
        "dialect": record.dialect or None,
        "wants_stream": record.wants_stream,
        "agent": agent
        and {
            "name": agent.name,
            "kind": agent.kind,
            "auth": agent.auth,
            "trusted": agent.trusted,
        },
        "identity": {
            "received": received(record, facts),
            "removed": facts.get("identity_removed", []),
            "sent": list(record.identity_sent),
        },
        "body": {
            "shape": record.shape or None,
            "shape_sent": record.went[1] or None,
            "bytes": record.bytes_in,
            "bytes_sent": record.went[0],
        },
        "answer": {"bytes": record.bytes, "first_byte_ms": _ms(record, record.first_byte)},
        "exchanges": [f"{sent} {result}" for _, sent, result in record.exchanges],
        "refusal": refusal
        and {
            "code": refusal.code,
            "status": refusal.status,
            "agent_status": refusal.agent_status,
            "detail": refusal.detail,
            "hint": refusal.hint,
        },
        "timeline": _timeline(record),
    }


def received(record: Record, facts: dict[str, Any]) -> list[str]:
    """The identity headers that came, believed or not."""
    came = {name.lower() for name in record.came} & set(header_table.IDENTITY)
    return sorted(came | set(facts.get("identity_removed", [])))


def _timeline(record: Record) -> list[dict[str, Any]]:
    """What happened when, in milliseconds from the request's head."""
    moments: list[tuple[float, str, Any]] = [(record.started, "accepted", None), *record.notes]
    moments += [(at, "attempt", f"{sent} {result}") for at, sent, result in record.exchanges]
    if record.first_byte:
        moments.append((record.first_byte, "first_byte", None))
    if record.ended:
        moments.append((record.ended, "ended", record.outcome))
    moments.sort(key=lambda moment: moment[0])
    return [
        {"ms": _ms(record, at), "what": what} | ({} if value is None else {"value": value})
        for at, what, value in moments
    ]


def _ms(record: Record, at: float | None) -> float | None:
    return round(max(0.0, at - record.started) * 1000, 3) if at else None
