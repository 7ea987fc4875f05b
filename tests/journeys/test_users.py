"""Whose call it is when many call at once, and what of it a plug-in can see. H17, H18."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from journeys.conftest import HELLO, Start
from journeys.crowd import crowd

from sidecar import sim

OURS = {"AGENTS__DEFAULT__AUTH": "static", "AGENTS__DEFAULT__TOKEN": "the-apps-own"}


def test_h17_of_200_users_at_once_each_call_carries_its_own_users_identity_and_no_others(
    tmp_path: Path,
) -> None:
    """5,000 questions, with second tries, refreshes, cold starts and callers who leave; `make soak` asks 50,000."""

    async def asked() -> Counter[str]:
        async with crowd(tmp_path, seed=17) as one:
            await one.asks(5_000)
            assert one.strays() == []
            assert one.twice() == []
            return one.happened()

    happened = uvloop.run(asked())
    often = {
        "200": 2_500,
        "401": 100,
        "429": 50,
        "left": 100,
        "guarded": 100,
        "replayed": 50,
        "refreshed": 10,
    }
    assert not [what for what, least in often.items() if happened[what] < least], happened
    assert happened["awaited"], happened


# --- what a plug-in sees ----------------------------------------------------------------------------------

NOSY = '''
import asyncio
import contextvars

kept, seen = [], []


def texts(thing, depth=8):
    """Every text that can be had of a thing by asking it."""
    if isinstance(thing, str | bytes):
        yield thing if isinstance(thing, str) else thing.decode()
    elif depth and hasattr(thing, "reveal"):
        yield thing.reveal()
    elif depth and hasattr(thing, "items"):
        for pair in thing.items():
            yield from texts(tuple(pair), depth - 1)
    elif depth and isinstance(thing, tuple | list | set | frozenset):
        for part in thing:
            yield from texts(part, depth - 1)
    elif depth and thing is not None and not callable(thing) and not isinstance(thing, type | int | float):
        for name in {*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())}:
            yield from texts(getattr(thing, name), depth - 1)


def look(*things):
    seen.extend(text for text in texts((*things, dict(contextvars.copy_context()))))


def nosy(kit):
    async def later(call):
        look(call)
        while len(kept) < 2:
            await asyncio.sleep(0)
        look(*kept)

    async def middleware(call, forward):
        kept.append(call)
        kit.stack.push_async_callback(asyncio.wait, [asyncio.create_task(later(call))])
        look(call, kit.env, [kit.headers(agent) for agent in kit.agents])
        reply = await forward(call)
        look(call, reply)
        return reply

    return middleware


def trusted(kit):
    return nosy(kit)


trusted.needs = {"user_token"}


def muddled(kit):
    async def middleware(call, forward):
        kept.append(call)
        return await forward(kept[0])

    return middleware
'''


@pytest.fixture
def nosy(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """`nosy("trusted")` is what to write into SIDECAR_MIDDLEWARE for that attribute of the file."""
    file = tmp_path / "nosy.py"
    file.write_text(NOSY)
    file.chmod(0o600)
    forget()  # other tests have a plug-in of this name
    yield lambda attribute: f"{file}:{attribute}"
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("_sidecar_plugin_nosy")]:
        del sys.modules[name]


def seen() -> set[str]:
    """What the plug-in saw so far."""
    (module,) = (module for name, module in sys.modules.items() if name.startswith("_sidecar_plugin_nosy"))
    return set(module.seen)


def user(name: str) -> dict[str, str]:
    return {"x-forwarded-email": f"{name}@example.org", "x-forwarded-access-token": f"token-of-{name}"}


PLACES = ("{},default", "access,contract,streaming,outbound,retry,{},credentials")


@pytest.mark.parametrize("place", PLACES)
async def test_h18_neither_a_plugin_nor_what_it_keeps_and_spawns_sees_a_users_token(
    start: Start, agent: sim.Agent, nosy: Callable[[str], str], place: str
) -> None:
    sidecar = await start(agent.url, MIDDLEWARE=place.format(nosy("nosy")), **OURS)
    for name in ("ada", "eve"):
        assert (await sidecar.call(HELLO, **user(name))).status == 200
        assert agent.last.headers["x-forwarded-access-token"] == f"token-of-{name}"
    await sidecar.app.stop()
    assert {"ada@example.org", "eve@example.org"} <= seen()
    assert not [text for text in seen() if "token-of" in text or "the-apps-own" in text]


async def test_h18_a_plugin_that_needs_it_sees_the_token_of_the_call_it_was_given(
    start: Start, agent: sim.Agent, nosy: Callable[[str], str]
) -> None:
    sidecar = await start(agent.url, MIDDLEWARE=f"{nosy('trusted')},default", **OURS)
    for name in ("ada", "eve"):
        assert (await sidecar.call(HELLO, **user(name))).status == 200
    await sidecar.app.stop()
    assert [text for text in sorted(seen()) if "token-of" in text] == ["token-of-ada", "token-of-eve"]
    assert not [text for text in seen() if "the-apps-own" in text]


async def test_h18_a_plugin_that_mixes_up_two_calls_mixes_no_two_identities(
    start: Start, agent: sim.Agent, nosy: Callable[[str], str]
) -> None:
    sidecar = await start(agent.url, MIDDLEWARE=f"{nosy('muddled')},default", **OURS)
    for name in ("ada", "eve"):
        assert (await sidecar.call(HELLO, **user(name))).status == 200
    first, second = agent.visits
    assert first.headers["x-forwarded-access-token"] == "token-of-ada"
    assert second.headers["x-app-user-email"] == "ada@example.org"
    assert "x-forwarded-access-token" not in second.headers
