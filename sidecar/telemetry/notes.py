"""Notes that are counted as well, by name; whatever a plug-in notes under these names is made to fit."""

from collections.abc import Callable
from typing import Any, Final

from sidecar.telemetry.counters import Counters
from sidecar.telemetry.record import Record


def _stream_refused(counters: Counters, record: Record, value: Any) -> Any:
    counters.stream_refused(record.agent_name)
    return value


def _plugin_failed(counters: Counters, _: Record, value: Any) -> str:
    name = _text(value)[:63]
    counters.named(counters.plugins, name)
    return name


def _cold_start(counters: Counters, record: Record, value: Any) -> str:
    counters.cold_start(record.agent_name)
    return _text(value)


def _ambiguous_body(counters: Counters, _: Record, value: Any) -> str:
    became = _text(value)
    counters.ambiguous_body(became)
    return became


def _text(value: Any) -> str:
    return value if isinstance(value, str) else type(value).__name__


# Each gives what is kept of its value.
COUNTED: Final[dict[str, Callable[[Counters, Record, Any], Any]]] = {
    "ambiguous_body": _ambiguous_body,
    "cold_start": _cold_start,
    "stream_refused": _stream_refused,
    "plugin_failed": _plugin_failed,
    "plugin_blocked": lambda _, __, value: _text(value)[:80],
}
