"""How a stream ended that was made here: whoever makes it knows, and nobody has to look."""

from middleware.watch import Verdict, Watch


class Judged(Watch):
    """`said` is the verdict."""

    __slots__ = ("said",)

    def __init__(self) -> None:
        super().__init__(())
        self.said: Verdict = "ok"

    @property
    def verdict(self) -> Verdict:
        return self.said

    @property
    def unsaid(self) -> bool:
        return False
