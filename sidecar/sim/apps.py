"""What an agent app is to the stand-in that plays it: the routes, refusals and answers of one framework."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from sidecar.sim.asks import Ask, Kind, Refused
from sidecar.sim.script import Scene
from sidecar.sim.visits import Visit


class App(NamedTuple):
    takes_questions: Callable[[Kind, str], bool]  # at this path
    read: Callable[[bytes, Kind], Ask]  # raises Refused
    beside: Callable[[Kind, web.BaseRequest], web.Response]  # the answer to all that is no question
    refusal: Callable[[Refused], web.Response]
    answer: Callable[[web.BaseRequest, Visit, Kind, Ask, Scene], Awaitable[web.StreamResponse]]
