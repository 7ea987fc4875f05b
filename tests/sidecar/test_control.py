"""What the control plane asks is asked once, of the address that was meant, and answered within bounds."""

import asyncio

import pytest
from aiohttp import web

from policies.faults import Fault
from sidecar import control
from sidecar.control import Control, Told
from sidecar.sim.serving import serving

ASKED = {"Authorization": "Bearer t"}


async def told(answer: web.Response, **options: bool) -> Told | Fault:
    async def handler(request: web.BaseRequest) -> web.Response:
        return answer

    asking = Control(deadline=2, **options)
    async with serving(handler) as port:
        found = await asking.ask("GET", port.url, ASKED)
        await asking.aclose()
    return found


async def test_a_redirect_is_an_answer_and_never_followed() -> None:
    found = await told(web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}))
    assert found == Told(302, None)


async def test_what_is_no_json_is_told_without_a_value() -> None:
    assert await told(web.Response(text="<h1>Sign in</h1>", content_type="text/html")) == Told(200, None)


async def test_an_answer_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LONGEST", 1000)
    assert await told(web.Response(body=b"x" * 2000)) == Fault("garbage")


async def test_patience_is_asked_for_in_seconds() -> None:
    assert await told(web.json_response({}, status=429, headers={"Retry-After": "7"})) == Told(429, {}, 7.0)


async def test_silence_is_a_timeout_and_nobody_there_is_unreachable() -> None:
    async def silent(request: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    asking = Control(deadline=0.2)
    async with serving(silent) as port:
        assert await asking.ask("GET", port.url, ASKED) == Fault("timeout")
    assert await asking.ask("GET", port.url, ASKED) == Fault("unreachable")
    await asking.aclose()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "10.255.255.1"])
async def test_u11_what_somebody_else_named_is_connected_to_at_public_addresses_only(host: str) -> None:
    """Checked where the name is resolved: what was checked is what is connected to."""
    reached = []

    async def handler(request: web.BaseRequest) -> web.Response:
        reached.append(request)
        return web.Response()

    asking = Control(deadline=1, public=True)
    async with serving(handler) as port:
        found = await asking.ask("GET", port.url.replace("127.0.0.1", host), ASKED)
    await asking.aclose()
    assert isinstance(found, Fault)
    assert reached == []
