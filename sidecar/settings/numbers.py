"""Kinds that are numbers: durations, sizes, counts, ports, and on or off."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from sidecar.settings.kinds import Accepts, reads, shown

_TIMES: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZES: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_QUANTITY: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([a-z]*)")
_SWITCH: Final = {
    "on": True,
    "true": True,
    "yes": True,
    "1": True,
    "off": False,
    "false": False,
    "no": False,
    "0": False,
}


def _quantity(text: str, units: Mapping[str, float], what: str) -> float:
    found = _QUANTITY.fullmatch(text.lower())
    if found is None or found[2] not in units:
        raise ValueError(f"{shown(text)} is no {what}")
    return float(found[1]) * units[found[2]]


def _duration(text: str) -> float:
    return _quantity(text, _TIMES, "duration")


def _span(text: str) -> float:
    if not (seconds := _duration(text)):
        raise ValueError(f"{shown(text)} is no time at all")
    return seconds


def _size(text: str) -> int:
    if (size := int(_quantity(text, _SIZES, "size"))) < 1:
        raise ValueError(f"{shown(text)} leaves room for nothing")
    return size


def _whole(most: int, what: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) and int(text) <= most:
            return int(text)
        # A Service named `sidecar` makes Kubernetes set SIDECAR_PORT=tcp://… in every pod beside it.
        link = (
            " but a Kubernetes service link (enableServiceLinks: false)" if text.startswith("tcp://") else ""
        )
        raise ValueError(f"{shown(text)} is no {what}{link}")

    return parse


def switch(text: str) -> bool:
    if (on := _SWITCH.get(text.lower())) is None:
        raise ValueError(f"{shown(text)} is neither on nor off")
    return on


Duration = Annotated[
    float, reads(_duration), Accepts("a duration, 0 included: `3`, `3s`, `500ms`, `2m`", "s")
]
Span = Annotated[float, reads(_span), Accepts("a duration above 0: `10`, `10s`, `500ms`, `2m`", "s")]
Size = Annotated[int, reads(_size), Accepts("a size: `1048576`, `64KiB`, `16MiB`, `1GB`", "bytes")]
Count = Annotated[int, reads(_whole(1_000_000, "count")), Accepts("a whole number, 0 to 1000000")]
Port = Annotated[int, reads(_whole(65535, "port")), Accepts("0 to 65535, where 0 is any free port")]
Flag = Annotated[bool, reads(switch), Accepts("`on` or `off` (also true, false, yes, no, 1, 0)")]
