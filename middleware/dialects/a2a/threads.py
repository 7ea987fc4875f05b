"""Which of an agent's contexts a chat goes on in, and which of its tasks waits for the chat's next turn."""

from typing import Final

from middleware.exchange import Call
from middleware.whose import Key, key, named
from policies.a2a_message import Place, thread
from policies.loose import Value

ROOM: Final = 10_000  # conversations of all agents together
NOWHERE: Final = Place()


class Threads:
    """Conversations by who has them and what was said in them. Where there is no room, the oldest goes.

    Callers of whom nobody said who they are cannot be told apart: where two have had the same conversation word
    for word, neither goes on in the other's.
    """

    __slots__ = ("_places", "room")

    def __init__(self, room: int = ROOM) -> None:
        self._places: dict[Key, Place] = {}  # the oldest first
        self.room = room

    def find(self, call: Call, value: Value) -> Place:
        print_ = thread(value)
        return self._places.get(key(call, print_), NOWHERE) if print_ else NOWHERE

    def keep(self, call: Call, value: Value, answer: str, place: Place) -> None:
        """The conversation, with this answer behind its last question, goes on there."""
        if not place.context or not (print_ := thread(value, answer)):
            return
        where = key(call, print_)
        before = self._places.pop(where, None)
        shared = before is not None and before.context != place.context and not named(call)
        self._places[where] = NOWHERE if shared else place
        if len(self._places) > self.room:
            del self._places[next(iter(self._places))]

    def __len__(self) -> int:
        return len(self._places)
