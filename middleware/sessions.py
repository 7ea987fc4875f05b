"""Whose session is whose: what one caller opened with an agent is not another's, whoever knows its id."""

from typing import Final

ROOM: Final = 10_000  # sessions of all agents together; as many as an MCP server itself holds at most

Key = tuple[str, str, str]  # the agent's name and URL, the session's id
Owner = tuple[str, str]


class Sessions:
    """The sessions that were opened through this process. Where there is no room, the one longest unused goes.

    A session that is not here is nobody's: its caller is told so, and opens another.
    """

    __slots__ = ("_owners", "room")

    def __init__(self, room: int = ROOM) -> None:
        self._owners: dict[Key, Owner] = {}  # the longest unused first
        self.room = room

    def open(self, key: Key, owner: Owner) -> None:
        """It is this caller's, unless it is somebody's already."""
        self._owners.setdefault(key, owner)
        if len(self._owners) > self.room:
            del self._owners[next(iter(self._owners))]

    def knows(self, key: Key) -> bool:
        return key in self._owners

    def held(self, key: Key, owner: Owner) -> bool:
        """Whether it is this caller's; it is used then."""
        if self._owners.get(key) != owner:
            return False
        self._owners[key] = self._owners.pop(key)
        return True

    def forget(self, key: Key) -> None:
        self._owners.pop(key, None)

    def __len__(self) -> int:
        return len(self._owners)
