"""The three listeners, and everything of aiohttp's server that is not ours as it comes."""

from sidecar.doors.connection import PRIVATE, Connection
from sidecar.doors.listener import KEEPALIVE, CannotListen, Listener
from sidecar.doors.request import Request, at_hand

__all__ = ["KEEPALIVE", "PRIVATE", "CannotListen", "Connection", "Listener", "Request", "at_hand"]
