"""The chat page in a real browser: what a person sees, types and stops, and what stands beside each answer."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from journeys.browser import NARROW, WIDE, Chat, Window, chromium, visiting
from playwright.async_api import expect

from sidecar import settings, sim
from sidecar.sim import demo
from sidecar.sim.prose import LONG

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
shared = pytest_asyncio.fixture(loop_scope="session")  # what holds the browser lives on its loop

SHOTS = Path(__file__).resolve().parents[2] / "test-output/screenshots"
ADA = {"x-forwarded-email": "ada@example.org", "x-forwarded-access-token": "ada-own-token"}
Visit = Callable[..., Awaitable[Chat]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def window() -> AsyncIterator[Window]:
    async with chromium() as opened:
        yield opened


@shared
async def visit(window: Window) -> AsyncIterator[Visit]:
    """`chat = await visit(agent.url)`: see `browser.visiting`."""
    async with AsyncExitStack() as stack:

        async def opened(agent: str, **given: Any) -> Chat:
            return await stack.enter_async_context(visiting(window, agent, **given))

        yield opened


@shared
async def agent() -> AsyncIterator[sim.Agent]:
    async with sim.agent() as one:
        yield one


# --- what an answer looks like -----------------------------------------------------------------------------


async def test_text_appears_as_the_agent_tells_it(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.ask("step by step")
    asked = await agent.called()
    asked.release(2)
    await expect(chat.text).to_have_text("You said:")
    await expect(chat.answer).to_have_attribute("data-state", "streaming")
    asked.release(10)
    await expect(chat.text).to_have_text("You said: step by step")
    await chat.ended()
    await expect(chat.page.get_by_role("status")).to_have_text(
        "The answer is complete. You said: step by step"
    )
    assert chat.complaints == []


async def test_a_tool_call_and_its_result_are_a_card_to_open(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.asked("use a tool")
    card = chat.answer.locator("details.card")
    await expect(card.locator("summary")).to_contain_text('weather{"city": "Zürich"}done')
    await expect(card.locator(".inside")).to_be_hidden()
    await card.locator("summary").click()
    assert json.loads(await card.get_by_label("Arguments").inner_text()) == {"city": "Zürich"}
    assert json.loads(await card.get_by_label("Result").inner_text()) == {"celsius": 21}
    await expect(chat.text).to_have_text("You said: use a tool")


async def test_a_thought_is_folded_away(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.asked("think")
    await expect(chat.answer.locator(".thought")).to_be_hidden()
    await chat.answer.get_by_text("Thought", exact=True).click()
    await expect(chat.answer.locator(".thought")).to_contain_text("First comes the thought")


async def test_chat_chunks_are_shown_like_events(visit: Visit) -> None:
    async with sim.agent("chat") as agent:
        chat = await visit(agent.url)
        await chat.asked("use a tool")
        await expect(chat.text).to_have_text("You said: use a tool")
        await expect(chat.answer.locator("details.card summary")).to_contain_text("weather")


async def test_what_an_agent_writes_is_never_markup_and_fetches_nothing(
    visit: Visit, agent: sim.Agent
) -> None:
    chat = await visit(agent.url)
    image = "<img src=x onerror=alert(1)> ![picture](https://elsewhere.example/p.png)"
    await chat.asked(
        f"{image} <script>alert(1)</script> [go](javascript:alert(1)) [web](https://elsewhere.example/)"
    )
    assert await chat.text.locator("img, script").count() == 0
    await expect(chat.text).to_contain_text("<img src=x onerror=alert(1)>")
    links = await chat.text.locator("a").evaluate_all("all => all.map((a) => [a.href, a.rel])")
    assert {href for href, _ in links} == {"https://elsewhere.example/p.png", "https://elsewhere.example/"}
    assert all("noopener" in rel for _, rel in links)
    assert chat.complaints == []  # and nothing was asked of another origin: see `visiting`


async def test_markdown_shown_piece_by_piece_is_markdown_shown_at_once(
    visit: Visit, agent: sim.Agent
) -> None:
    chat = await visit(agent.url)
    same, html = await chat.page.evaluate(
        """async (text) => {
          const { Prose } = await import('/_sidecar/page/markdown.js')
          const [grown, whole] = [0, 1].map(() => document.createElement('div'))
          const prose = new Prose(grown)
          for (let end = 1; end <= text.length; end += 7) prose.show(text.slice(0, end))
          prose.show(text)
          new Prose(whole).show(text)
          return [grown.innerHTML === whole.innerHTML, whole.innerHTML]
        }""",
        LONG,
    )
    assert same
    for element in (
        "<h4",
        "<h5",
        "<ol><li",
        "<ul><li",
        "<blockquote",
        "<pre",
        "<table",
        "<strong>once</strong>",
    ):
        assert element in html
    assert "text comes back <em>piece by piece</em>" in html


async def test_events_are_read_wherever_the_network_cuts_them(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    told = ': hello\r\n\r\ndata: {"a":\r\ndata: "ü🚀"}\r\n\r\nevent: x\ndata:two\n\ndata: [DONE]\n\n'
    read = await chat.page.evaluate(
        """async (text) => {
          const { events } = await import('/_sidecar/page/sse.js')
          const bytes = new TextEncoder().encode(text)
          const found = new Set()
          for (let cut = 0; cut <= bytes.length; cut++) {
            const body = new ReadableStream({
              start(to) {
                to.enqueue(bytes.slice(0, cut))
                to.enqueue(bytes.slice(cut))
                to.close()
              },
            })
            const all = []
            for await (const data of events(body)) all.push(data)
            found.add(JSON.stringify(all))
          }
          return [...found].map(JSON.parse)
        }""",
        told,
    )
    assert read == [['{"a":\n"ü🚀"}', "two", "[DONE]"]]


# --- what can go wrong -------------------------------------------------------------------------------------


async def test_a_failure_half_way_keeps_the_text_and_can_be_tried_again(
    visit: Visit, agent: sim.Agent
) -> None:
    agent.then("fail mid-stream")
    chat = await visit(agent.url)
    await chat.asked("hello", "failed")
    await expect(chat.text).to_have_text("You said:")
    await expect(chat.trouble).to_contain_text("The agent reported an error inside its answer.")
    await expect(chat.trouble).to_contain_text("The model endpoint did not answer.")
    await expect(chat.trouble).to_contain_text("agent_error")
    failed = (await chat.sidecar.calls())[0]["request_id"]
    await expect(chat.trouble).to_contain_text(failed)
    await chat.trouble.get_by_role("button", name="Try again").click()
    await chat.ended()
    await expect(chat.text).to_have_text("You said: hello")
    await expect(chat.trouble).to_have_count(0)
    assert agent.last.value["input"] == [{"role": "user", "content": "hello"}]
    assert chat.complaints == []


@pytest.mark.parametrize(
    ("word", "sentence", "facts"),
    [
        ("html", "The agent's address answered with a login page.", ("agent_login_page", "HTTP 502")),
        (
            "status 500",
            "The agent failed while working on the request.",
            ("agent_failed", "the agent answered 500"),
        ),
        (
            "status 422",
            "The agent refused the request with status 422.",
            ("The agent was told to answer 422.",),
        ),
        ("nothing", "The agent reported an error inside its answer.", ("agent_error",)),
        ("truncate mid-stream", "The agent's answer ended without its closing mark.", ("truncated",)),
        ("die mid-frame", "The connection broke in the middle of the answer.", ("broken",)),
    ],
)
async def test_an_error_is_told_in_a_sentence_with_its_code_and_request_id(
    visit: Visit, agent: sim.Agent, word: str, sentence: str, facts: tuple[str, ...]
) -> None:
    chat = await visit(agent.url)
    await chat.asked(word, "failed")
    await expect(chat.trouble).to_contain_text(sentence)
    for fact in (*facts, (await chat.sidecar.calls())[0]["request_id"]):
        await expect(chat.trouble).to_contain_text(fact)
    assert agent.url.partition("//")[2] not in await chat.page.content()


async def test_a_sidecar_that_is_gone_is_said_to_be(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.sidecar.app.listeners["front"].close()
    await chat.ask("hello")
    await expect(chat.answer).to_have_attribute("data-state", "failed")
    await expect(chat.trouble).to_contain_text("The sidecar cannot be reached.")


async def test_stop_closes_the_agent_and_the_talk_goes_on(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.ask("silent mid-stream")
    await expect(chat.text).to_have_text("You said:")
    await chat.page.get_by_role("button", name="Stop").click()
    await agent.left(within=1.0)
    await chat.ended("stopped")
    await expect(chat.answer).to_contain_text("Stopped.")
    await expect(chat.panel).to_contain_text("caller_left")
    await chat.asked("and now?")
    assert agent.last.value["input"][1] == {"role": "assistant", "content": "You said: "}
    assert chat.complaints == []


async def test_escape_stops_an_agent_that_has_not_begun(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.ask("mute")
    await agent.called()
    await chat.page.keyboard.press("Escape")
    await agent.left(within=1.0)
    await chat.ended("stopped")


# --- what the sidecar did ----------------------------------------------------------------------------------


async def test_beside_an_answer_stands_what_the_sidecar_did(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.asked("hello")
    call = (await chat.sidecar.calls())[0]
    async with chat.sidecar.http.get(f"{chat.sidecar.admin}/calls/{call['request_id']}") as answer:
        facts = await answer.json()
    assert agent.last.headers["x-request-id"] == call["request_id"]
    await expect(chat.request_id).to_have_attribute("title", call["request_id"])
    await expect(chat.panel.locator(".mode")).to_have_text("raw")
    await expect(chat.panel).to_contain_text("its bytes went straight through")
    await expect(chat.fact("Agent")).to_have_text("default, trusted")
    await expect(chat.fact("Asked")).to_have_text("once")
    await expect(chat.fact("Shape")).to_have_text("input, as it came")
    await expect(chat.fact("Size")).to_have_text(
        f"{len(agent.last.body)} B in, {facts['answer']['bytes']} B out"
    )
    await expect(chat.fact("Identity")).to_have_text("none came, none was sent")
    moments = await chat.panel.locator(".moments li").evaluate_all(
        "all => all.map((one) => one.dataset.what)"
    )
    assert moments == ["accepted", "credential", "attempt", "first_byte", "ended"]


async def test_a_refused_stream_shows_that_the_sidecar_made_one(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.asked("refuse streaming")
    await expect(chat.text).to_have_text("You said: refuse streaming")
    await expect(chat.panel.locator(".mode")).to_have_text("synthesized")
    await expect(chat.panel).to_contain_text(
        "The agent gave one whole answer; the sidecar made this stream of it."
    )
    await expect(chat.panel).to_contain_text("It refuses to stream (400)")
    await expect(chat.fact("Asked")).to_have_text("2 times")


async def test_identity_that_came_and_went_on_is_told_by_name_alone(visit: Visit, agent: sim.Agent) -> None:
    more = {"extra_http_headers": ADA}
    chat = await visit(agent.url, TRUST="127.0.0.1/32", more=more)
    await chat.asked("hello")
    await expect(chat.fact("Identity in")).to_have_text("x-forwarded-access-tokenx-forwarded-email")
    await expect(chat.fact("removed")).to_have_text("none")
    await expect(chat.fact("sent on")).to_contain_text("x-app-user-email")
    page = await chat.page.content()
    assert ADA["x-forwarded-email"] not in page
    assert ADA["x-forwarded-access-token"] not in page


async def test_identity_that_nobody_vouches_for_is_shown_as_removed(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url, more={"extra_http_headers": ADA})
    await chat.asked("hello")
    await expect(chat.fact("removed")).to_have_text("x-forwarded-access-tokenx-forwarded-email")
    await expect(chat.fact("sent on")).to_have_text("none")


async def test_nobody_sees_another_callers_call(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url, TRUST="127.0.0.1/32", more={"extra_http_headers": ADA})
    await chat.asked("hello")
    url = f"{chat.sidecar.front}/_sidecar/calls/{await chat.request_id.get_attribute('title')}"
    for email, status in (("bob@example.org", 404), ("ada@example.org", 200)):
        async with chat.sidecar.http.get(url, headers={"x-forwarded-email": email}) as answer:
            assert answer.status == status
            assert (await answer.json()).get("error") == ("no_such_call" if status == 404 else None)


async def test_cause_and_next_step_stand_there_where_errors_are_told_in_full(
    visit: Visit, agent: sim.Agent
) -> None:
    chat = await visit(agent.url, ERRORS="full")
    await chat.asked("html", "failed")
    await expect(chat.fact("Cause")).to_contain_text(agent.url.partition("//")[2])
    await expect(chat.fact("Next")).not_to_be_empty()


async def test_a_sleeping_agent_is_said_to_sleep_while_one_waits(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    agent.sleep()
    await chat.ask("good morning")
    await expect(chat.answer).to_contain_text("The agent is asleep.")
    await expect(chat.panel).to_contain_text("It is asleep: waiting")
    agent.wake()
    await chat.ended()
    await expect(chat.fact("Asked")).to_have_text("2 times")


async def test_without_inspection_there_is_no_panel_and_nothing_is_asked(
    visit: Visit, agent: sim.Agent
) -> None:
    chat = await visit(agent.url, INSPECT="off")
    await chat.ask("hello")
    await expect(chat.answer).to_have_attribute("data-state", "done")
    await expect(chat.panel).to_have_count(0)
    assert chat.complaints == []


# --- the talk ----------------------------------------------------------------------------------------------


async def test_each_question_brings_the_whole_talk_along(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.asked("use a tool")
    await chat.asked("and then?")
    call, result, *said = agent.last.value["input"][1:]
    assert (call["type"], call["name"], call["call_id"]) == ("function_call", "weather", "call_1")
    assert result == {"type": "function_call_output", "call_id": "call_1", "output": '{"celsius": 21}'}
    assert said == [
        {"role": "assistant", "content": "You said: use a tool"},
        {"role": "user", "content": "and then?"},
    ]
    await chat.page.get_by_role("button", name="New chat").click()
    await chat.asked("hello again")
    assert agent.last.value["input"] == [{"role": "user", "content": "hello again"}]


async def test_enter_sends_and_shift_enter_makes_a_new_line(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url)
    await chat.say.press_sequentially("one")
    await chat.say.press("Shift+Enter")
    await chat.say.press_sequentially("two")
    assert len(agent.visits) == 0
    await chat.say.press("Enter")
    await chat.ended()
    assert agent.last.value["input"][0]["content"] == "one\ntwo"
    await expect(chat.say).to_be_focused()
    await expect(chat.say).to_have_value("")


async def test_the_page_follows_the_text_until_the_reader_scrolls_up(visit: Visit, agent: sim.Agent) -> None:
    chat = await visit(agent.url, more={"viewport": {"width": 800, "height": 500}})
    await chat.ask("long step")
    asked = await agent.called()
    asked.release(400)
    above = "() => document.documentElement.scrollHeight - innerHeight - scrollY"
    await chat.page.wait_for_function("() => scrollY > 500")
    await chat.page.wait_for_function(f"() => ({above})() < 64")
    await chat.page.evaluate("scrollTo(0, 100)")
    latest = chat.page.get_by_role("button", name="Latest")
    await expect(latest).to_be_visible()
    asked.release(400)
    await chat.ended()
    assert await chat.page.evaluate("scrollY") == 100
    await latest.click()
    await expect(latest).to_be_hidden()
    assert await chat.page.evaluate(f"({above})()") < 64


async def test_the_demo_offers_examples_agents_and_the_words_that_direct_them(visit: Visit) -> None:
    async with demo.agents() as offers:
        named = {f"AGENTS__{name.upper()}__URL": offer.url for name, offer in offers.items()}
        chat = await visit(
            offers["default"].url, guide=demo.guide(settings.load({}, command="demo")), **named
        )
        await chat.page.get_by_role("combobox", name="Agent").select_option("unary")
        await expect(chat.page.locator("#does")).to_have_text(offers["unary"].does)
        await chat.page.get_by_role("button", name="Words").click()
        await chat.page.get_by_role("dialog").get_by_role("button", name="slow N").click()
        await expect(chat.say).to_have_value("slow")
        await chat.page.get_by_role("button", name="A tool call").click()
        await chat.ended()
        await expect(chat.panel.locator(".mode")).to_have_text("synthesized")
        await expect(chat.fact("Agent")).to_contain_text("unary")
        assert chat.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=lambda size: str(size["width"]))
async def test_it_is_laid_out_for_every_screen(
    visit: Visit, agent: sim.Agent, size: dict[str, int], scheme: str
) -> None:
    """Pictures of it lie in test-output/screenshots."""
    narrow = size == NARROW
    more = {"viewport": size, "color_scheme": scheme, "is_mobile": narrow, "has_touch": narrow}
    chat = await visit(agent.url, guide=demo.guide(settings.load({}, command="demo")), more=more)

    async def shot(name: str, **how: Any) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        await chat.page.screenshot(path=SHOTS / f"{name}-{size['width']}-{scheme}.png", **how)
        assert await chat.page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    await shot("empty")
    await chat.asked("Use a tool to look up the weather")
    await shot("tool-call")
    answer, panel = await chat.answer.bounding_box(), await chat.panel.bounding_box()
    assert answer
    assert panel
    if narrow:
        assert panel["y"] >= answer["y"] + answer["height"]
        await expect(chat.panel.locator(".inside")).to_be_hidden()
        await chat.panel.locator("summary").click()
    else:
        assert panel["x"] >= answer["x"] + answer["width"]
    await expect(chat.panel.locator(".inside")).to_be_visible()
    await chat.asked("Fail mid-stream", "failed")
    await shot("error")
    await chat.asked("Give me a long answer, please")
    await shot("long-answer", full_page=True)
    background = await chat.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(background[4:].split(",")[0]) < 128) == (scheme == "dark")
