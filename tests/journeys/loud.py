"""Plug-ins that go wrong in every way they can, with a secret in their mouth each time."""

from typing import Any, NoReturn

from sidecar.api import Body, Call, Handler, Kit, Middleware, Refusal, Reply, Stream, headers

WAYS = (
    "raise token",
    "raise headers",
    "raise call",
    "raise target",
    "raise key",
    "raise group",
    "raise from",
    "stumble",
    "answer nothing",
    "answer with a broken header",
    "answer with a broken status",
    "answer with no body",
    "break the stream",
    "fail to close",
)


def fault(way: str, *said: object) -> Exception:
    """One of a kind of its own: faults of one kind are told once a second."""
    error: Exception = type(way.title().replace(" ", ""), (ValueError,), {})(*said)
    error.add_note(f"while saying {said}")
    return error


def loud(kit: Kit) -> Middleware:
    async def middleware(call: Call, forward: Handler) -> Reply:
        said = call.body.raw.decode(errors="replace") if isinstance(call.body, Body) else ""
        way = next((way for way in (*WAYS, "decline") if way in said), "")
        secret = call.caller.token.reveal() if call.caller.token else call.headers.get("x-api-key", "")
        match way.split():
            case ["raise", "token"]:
                raise fault(way, f"cannot use {secret}")
            case ["raise", "headers"]:
                raise fault(way, dict(call.headers))
            case ["raise", "call"]:
                raise fault(way, call)
            case ["raise", "target"]:
                raise fault(way, call.target)
            case ["raise", "key"]:
                raise fault(way, f"the key is {kit.env['KEY']}")
            case ["raise", "group"]:
                raise ExceptionGroup(f"{secret} went wrong", [fault(way, secret), fault(way, kit.env["KEY"])])
            case ["raise", "from"]:
                try:
                    raise fault("raise first", secret)
                except ValueError as error:
                    raise fault(way, "and so it ended") from error
            case ["decline"]:
                raise Refusal(403, "relay_closed", detail=f"Not with {kit.env['KEY']}.")
        return changed(await forward(call), way, secret)

    return middleware


loud.needs = {"user_token"}  # type: ignore[attr-defined]
loud.relays = True  # type: ignore[attr-defined]


def changed(reply: Reply, way: str, secret: str) -> Any:
    async def failing(ending: str) -> None:
        await reply.close(ending)
        raise fault(way, f"{secret} was in the way")

    broken: dict[str, Any] = {
        "stumble": lambda: stumble(secret),
        "answer nothing": lambda: None,
        "answer with a broken header": lambda: reply._replace(
            headers=headers(("x-a", f"{secret}\r\nx-b: {secret}"))
        ),
        "answer with a broken status": lambda: reply._replace(status=secret),
        "answer with no body": lambda: reply._replace(body=secret),
        "break the stream": lambda: reply._replace(body=Broken(reply.body, secret)),
        "fail to close": lambda: reply._replace(close=failing),
    }
    return broken[way]() if way in broken else reply


def stumble(secret: str) -> NoReturn:
    raise fault("stumble", secret)


class Broken:
    def __init__(self, stream: Stream | Body, secret: str) -> None:
        self.watch, self.secret = getattr(stream, "watch", None), secret

    def __getattr__(self, name: str) -> NoReturn:
        raise fault("break the stream", f"{self.secret} has no {name}")


def quiet(kit: Kit) -> Middleware:
    """Sees no relays, so none passes."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        return await forward(call)

    return middleware


def dumb(kit: Kit) -> Middleware:
    """Does not start, and says why."""
    raise ValueError(
        f"no service at https://user:{kit.env['KEY']}@rates.example.org takes {kit.env['KEY']!r}"
    )
