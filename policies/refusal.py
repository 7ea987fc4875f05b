"""The one exception that may speak to a caller."""

from typing import Any, Literal

Sent = Literal["none", "partial", "full"]


class Refusal(Exception):
    """Says no, with a status and a stable code from `policies.outcome` (or its table of refused input).

    `detail`   one sentence on the cause; may name hosts and settings, so a browser on the front never sees it
    `quotes`   `detail` is in the agent's own words: its caller may read them, and no log or record keeps them
    `hint`     what to do next, a command where there is one; same audience as `detail`
    `agent_status`  the status an agent answered, where it answered
    `sent`     what had left for the agent when it broke: the only ground on which a call is repeated
    `stale`    it broke on a connection kept from an earlier call, before a byte of an answer: likely unread
    `retry_after`   seconds, becomes the header of that name
    `allow`    the methods that are taken instead, becomes the header of that name
    `extra`    further members of the error body, told to everybody
    """

    def __init__(
        self,
        status: int,
        code: str,
        *,
        detail: str | None = None,
        quotes: bool = False,
        hint: str | None = None,
        agent_status: int | None = None,
        sent: Sent = "full",
        stale: bool = False,
        retry_after: int | None = None,
        allow: str | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.quotes = quotes
        self.hint = hint
        self.agent_status = agent_status
        self.sent: Sent = sent
        self.stale = stale
        self.retry_after = retry_after
        self.allow = allow
        self.extra = extra

    def settled(self) -> "Refusal":
        """Itself, caught for good: it lets go of all that it was raised through.

        Frames and what was raised through them know each other, so that a whole call would wait for the collector.
        """
        error: BaseException | None = self
        while error is not None and (error is self or error.__traceback__ is not None):
            error.__traceback__ = None
            error = error.__cause__ or error.__context__
        return self

    def __repr__(self) -> str:
        return f"Refusal({self.status}, {self.code!r}, sent={self.sent})"
