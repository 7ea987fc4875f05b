"""Connections to agents of our own on asyncio transports: exact about what was sent, and pushed as it arrives."""

from sidecar.wire.exchange import Limits
from sidecar.wire.wire import Wire

__all__ = ["Limits", "Wire"]
