"""The agents of the demo."""

import aiohttp

from sidecar.settings import load
from sidecar.sim import demo


def asked(text: str) -> dict:
    return {"json": {"input": [{"role": "user", "content": text}], "stream": True}}


async def test_every_agent_of_the_demo_listens_and_says_what_it_does():
    async with demo.agents() as offers, aiohttp.ClientSession() as session:
        assert next(iter(offers)) == "default"
        assert {"default", "chat", "unary", "troubled"} <= set(offers)
        assert {"responses", "apx", "mcp", "a2a", "builder"} <= {offer.kind for offer in offers.values()}
        for offer in offers.values():
            assert offer.does
            if offer.kind == "responses":
                async with session.get(offer.url + "/health") as response:
                    assert (await response.json()) == {"status": "healthy"}


async def test_the_troubled_agent_goes_wrong_each_time_in_another_way():
    seen = []
    async with demo.agents() as offers, aiohttp.ClientSession() as session:
        for _ in demo.TROUBLES:
            try:
                url = offers["troubled"].url + "/invocations"
                async with session.post(url, allow_redirects=False, **asked("slow 0 drip 0 hi")) as response:
                    seen.append((response.status, await response.read()))
            except aiohttp.ClientError as error:
                seen.append((type(error), str(error)))
    assert len(set(seen)) == len(demo.TROUBLES)
    assert all(b"[DONE]" not in body or b'"error"' in body for status, body in seen if status == 200)


async def test_settings_get_the_demo_s_agents_and_keep_their_own():
    mine = load({"SIDECAR_AGENTS__CHAT__URL": "http://127.0.0.1:9"}, command="demo")
    async with demo.staged(mine) as settings:
        assert set(settings.agents) == set(demo.SHOWN)
        assert settings.agents["chat"].url == "http://127.0.0.1:9"
        assert settings.agents["default"].url.startswith("http://127.0.0.1:")
        assert settings.source("agents", "chat", "url") == "SIDECAR_AGENTS__CHAT__URL"
    assert set(mine.agents) == {"chat"}
