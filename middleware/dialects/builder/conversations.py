"""Which of a builder's conversations a chat goes on in: by who has it, and what was said in it.

A conversation is in one call at a time, because a builder runs two turns of one at once into each other: who takes
it, has it, and puts it back where the chat stands then. Known while the process lives, as many as there is room for.
"""

from typing import Final, NamedTuple

from middleware.exchange import Call
from middleware.whose import Key, key, named
from policies.a2a_message import thread
from policies.loose import Value

ROOM: Final = 10_000  # conversations of all agents together; where there is no room, the oldest goes


class Place(NamedTuple):
    project: str
    conversation: str


NOWHERE: Final = Place("", "")


class Conversations:
    """Callers of whom nobody said who they are cannot be told apart: where two have had the same conversation word
    for word, neither goes on in the other's."""

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self._places: dict[Key, Place] = {}
        self._keys: dict[Place, list[Key]] = {}  # the oldest first

    def take(self, call: Call, value: Value) -> Place | None:
        """Where this chat is; nobody else finds it until it is put back."""
        place = self._places.get(key(call, thread(value)), NOWHERE)
        if place == NOWHERE:
            return None
        self._leave(place)
        return place

    def put(self, call: Call, place: Place, *prints: bytes) -> None:
        """Chats of these prints, and those that name the conversation itself, go on there."""
        self._leave(place)
        own = thread({"conversation_id": place.conversation})
        keys = self._keys[place] = [key(call, one) for one in (own, *prints) if one]
        for where in keys:
            shared = where in self._places and not named(call)
            self._places[where] = NOWHERE if shared else place
        if len(self._keys) > self.room:
            self._leave(next(iter(self._keys)))

    def _leave(self, place: Place) -> None:
        for where in self._keys.pop(place, ()):
            if self._places.get(where) in (place, NOWHERE):
                del self._places[where]

    def __len__(self) -> int:
        return len(self._keys)
