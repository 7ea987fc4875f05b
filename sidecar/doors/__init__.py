"""The three listeners, and connections of callers of our own: exact about where a request ends."""

from sidecar.doors.connection import Connection
from sidecar.doors.content import Content
from sidecar.doors.listener import KEEPALIVE, CannotListen, Listener
from sidecar.doors.request import Request

__all__ = ["KEEPALIVE", "CannotListen", "Connection", "Content", "Listener", "Request"]
