"""A whole answer of our own, as a page gives it: told by the gate."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from policies.agent import Caller
from sidecar.doors import Request


class Whole(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}


Page = Callable[[Request, Caller], Awaitable[Whole]]  # what answers a path of ours
