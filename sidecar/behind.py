"""What stands behind the front: where the frontend is, and whether it is up."""

from typing import Literal

State = Literal["starting", "up", "gone"]


class Frontend:
    """The app behind the front. `url` is final once `state` is `up`; one that we did not start is always `up`.

    `url`  its origin and perhaps a base path, without a slash at the end
    """

    __slots__ = ("state", "url")

    def __init__(self, url: str, state: State = "up") -> None:
        self.url = url
        self.state: State = state
