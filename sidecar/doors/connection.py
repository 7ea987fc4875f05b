"""One caller's connection: aiohttp's protocol, with everything that aiohttp keeps private and we rely on.

Each such thing is named in `PRIVATE`, and a test looks for it.
"""

import asyncio
from typing import Final, Protocol

import orjson
from aiohttp import StreamReader, http_exceptions, web, web_protocol
from aiohttp.web_protocol import RequestHandler

from policies import outcome

PRIVATE: Final = (
    (RequestHandler, "_current_request"),
    (RequestHandler, "_drain_helper"),
    (RequestHandler, "_manager"),
    (RequestHandler, "_message_tail"),
    (RequestHandler, "_messages"),
    (RequestHandler, "_request_count"),
    (RequestHandler, "_request_in_progress"),
    (RequestHandler, "_task_handler"),
    (RequestHandler, "_upgraded"),
    (RequestHandler, "_waiter"),
    (RequestHandler, "connection_lost"),
    (RequestHandler, "data_received"),
    (RequestHandler, "finish_response"),
    (RequestHandler, "handle_error"),
    (RequestHandler, "keep_alive"),
    (StreamReader, "_buffer"),
    (web_protocol, "_ErrInfo"),
)


class Owner(Protocol):
    """Whose door it is."""

    def malformed(self, code: str, error: BaseException | None) -> None:
        """Somebody sent what is no HTTP; with an `error`, a handler of ours broke."""

    def begun(self, connection: "Connection") -> None:
        """A request's head has begun to come, and is not complete."""


class Connection(RequestHandler):
    """What comes on it that is no HTTP is answered in constant words, and never logged."""

    handed_over = False
    full = False  # the caller does not take what is written

    def pause_writing(self) -> None:
        super().pause_writing()
        self.full = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.full = False

    @property
    def heads(self) -> int:
        """How many have been complete."""
        return self._request_count

    @property
    def awaiting_head(self) -> bool:
        """Whether the next request is waited for, or the first will be."""
        waiter = self._waiter
        return not self._request_count if waiter is None else not waiter.done()

    # --- what comes ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        count, busy = self._request_count, self._request_in_progress
        super().data_received(data)
        if self._request_count == count:
            if self.awaiting_head and self._manager is not None and data.strip(b"\r\n"):
                self._owner.begun(self)
        elif busy or len(self._messages) > 1:
            self._behind()

    def _behind(self) -> None:
        """Something came behind a request. If it is no HTTP, and in the middle of a body, that body is broken."""
        messages, current = self._messages, self._current_request
        if not messages or not isinstance(messages[-1][0], web_protocol._ErrInfo):
            return
        body = messages[-2][1] if len(messages) > 1 else (current.content if current is not None else None)
        if body is not None and not body.is_eof():
            messages.pop()
            body.set_exception(web.RequestPayloadError("the body is no HTTP"))
            body.feed_eof()
            self.close()  # behind the answer

    # --- what is said --------------------------------------------------------------------------------------

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        code = "internal_error" if status == 500 else _code(exc, self.max_line_size)
        if self._manager is not None:
            self._owner.malformed(code, exc if status == 500 else None)
        response = web.Response(
            status=outcome.status(code), body=orjson.dumps({"error": code}), content_type="application/json"
        )
        response.headers["Server"] = "sidecar"
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """What is no response of aiohttp's has been told to its end."""
        if self._upgraded or isinstance(resp, web.StreamResponse):
            return await super().finish_response(request, resp, start_time)
        return resp, False

    def too_slow(self) -> None:
        """The head did not come in time: said in constant words, and closed."""
        if (transport := self.transport) is not None:
            self._owner.malformed("head_timeout", None)
            transport.write(TOO_SLOW)
            self.force_close()

    def close(self) -> None:
        """Behind the answer that is being given; at once where none is, which aiohttp leaves open and unheard."""
        idle = self.awaiting_head
        super().close()
        if idle:
            self.force_close()

    # --- who has it ----------------------------------------------------------------------------------------

    @property
    def _owner(self) -> Owner:
        return self._manager  # type: ignore[return-value]  # the server that made it

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, which is another protocol's from now on, and what came behind the request.

        `connection_lost` is to be called when it is gone. ConnectionError where it is gone already.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the caller is gone")
        self.handed_over = True
        early, self._message_tail = self._message_tail, b""
        return self.transport, early

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.handed_over:
            self._task_handler = None  # the handler ends by itself, and is not to be cancelled before
        super().connection_lost(exc)


TOO_SLOW: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: 24\r\n"
    b'Server: sidecar\r\nConnection: close\r\n\r\n{"error":"head_timeout"}'
)
TOO_MANY: Final = "Too many headers received"  # says aiohttp, and has no other sign of it


def _code(exc: BaseException | None, longest_line: int) -> str:
    if isinstance(exc, http_exceptions.LineTooLong):  # which line it was, only the limit tells that it met
        return "uri_too_long" if exc.args[1] == longest_line else "headers_too_large"
    if isinstance(exc, http_exceptions.BadHttpMessage) and exc.message == TOO_MANY:
        return "headers_too_large"
    return "bad_request"
