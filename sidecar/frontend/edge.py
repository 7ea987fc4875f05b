"""The edge of the app behind the front: the agents' edge, with answers that are the app's own."""

from typing import Final

from middleware.exchange import Call, Pairs, Reply
from middleware.watch import Frames
from policies import forwarded
from policies.agent import FRONTEND
from policies.refusal import Refusal
from sidecar.answer import Answer
from sidecar.doors import Request
from sidecar.edge import Edge

HOP: Final = "/front"  # behind the id of a request here: the app may call us with the same id meanwhile


def own(request_id: str) -> str:
    """The id as its caller knows it."""
    return request_id.partition(HOP)[0]


class Relays(Edge):
    """Every exchange with the app behind the front."""

    def begun(self, request: Request, ours: Pairs) -> Answer:
        """In the app's own words: neither a header of ours on it nor a date."""
        return Answer(request, self.patience, [], self.time(), dated=False)

    def told(self, call: Call, reply: Reply) -> Pairs:
        return forwarded.back(reply.headers, own(call.request_id))

    async def _unplanned(self, answer: Answer, call: Call | None, refusal: Refusal) -> Answer:
        if call is None or not speaks(answer):
            return await super()._unplanned(answer, call, refusal)
        return await answer.end(self.dialects[FRONTEND].last_word(refusal, own(call.request_id)) or b"")

    def unique(self, request_id: str) -> str:
        return super().unique(request_id + HOP)

    def drain(self) -> None:
        """A last word where one can be said. What else is open the app may still bring to its end."""
        for answer in list(self.open.values()):
            if answer.tunnel is not None or speaks(answer):
                answer.drain()


def speaks(answer: Answer) -> bool:
    """Whether this is an event stream that may be ended with a frame now."""
    watch = answer.watch
    return type(watch) is Frames and watch.between_frames and answer.state == "committed"
