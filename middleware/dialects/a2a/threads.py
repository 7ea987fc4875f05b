"""Which of an agent's contexts a chat goes on in, and which of its tasks waits for the chat's next turn."""

from typing import Final

from middleware.exchange import Call
from policies.a2a_message import Place, thread
from policies.loose import Value
from policies.mcp import owner

ROOM: Final = 10_000  # conversations of all agents together
NOWHERE: Final = Place()

Key = tuple[object, str, str, bytes]


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
        return self._places.get(_key(call, print_), NOWHERE) if print_ else NOWHERE

    def keep(self, call: Call, value: Value, answer: str, place: Place) -> None:
        """The conversation, with this answer behind its last question, goes on there."""
        if not place.context or not (print_ := thread(value, answer)):
            return
        key = _key(call, print_)
        before = self._places.pop(key, None)
        shared = before is not None and before.context != place.context and not _named(call)
        self._places[key] = NOWHERE if shared else place
        if len(self._places) > self.room:
            del self._places[next(iter(self._places))]

    def __len__(self) -> int:
        return len(self._places)


def _named(call: Call) -> bool:
    caller = call.caller
    return any(part is not None for part in (caller.name, caller.email, caller.token, caller.bearer))


def _key(call: Call, print_: bytes) -> Key:
    return owner(call.caller), call.agent.name, call.agent.url, print_
