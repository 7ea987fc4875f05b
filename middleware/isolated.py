"""Around each plug-in: it sees no user token that it did not ask for, and what goes wrong in it carries its name."""

from middleware.exchange import Call, Handler, Middleware, Reply
from middleware.observe import Recorder
from middleware.stepped import Stepped
from policies.refusal import Refusal


def isolated(name: str, plugin: Middleware, recorder: Recorder, *, sees_token: bool = False) -> Middleware:
    """The plug-in as a layer that fails closed: what it raises is raised, never swallowed."""

    async def middleware(call: Call, forward: Handler) -> Reply:
        shown = call if sees_token else call._replace(caller=call.caller._replace(token=None, bearer=None))
        passed_on: BaseException | None = None

        async def onward(inner: Call) -> Reply:
            nonlocal passed_on
            if not sees_token:  # the token goes on with whom it came with, and with nobody else
                who = inner.caller._replace(token=None, bearer=None)
                inner = inner._replace(caller=call.caller if who == shown.caller else who)
            try:
                return await forward(inner)
            except Exception as error:
                passed_on = error
                raise

        def blocked(seconds: float) -> None:
            recorder.note(call, "plugin_blocked", f"{name} {seconds * 1000:.0f} ms")

        try:
            reply = await Stepped(plugin(shown, onward), blocked)
            if not isinstance(reply, Reply):
                raise TypeError(f"plug-in {name!r} answered with {type(reply).__name__}, which is no Reply")
        except Exception as error:
            if error is not passed_on:
                recorder.note(call, "refused_by" if isinstance(error, Refusal) else "plugin_failed", name)
            raise
        return reply

    return middleware
