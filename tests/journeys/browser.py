"""A person at the chat page: a real Chromium before a sidecar, what is done there, and what is seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
from journeys.conftest import FREE, Running
from needs import need
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

from sidecar import settings
from sidecar.app import Sidecar
from sidecar.pages import NO_GUIDE, Guide

WIDE = {"width": 1280, "height": 860}
NARROW = {"width": 390, "height": 844}


PLAIN = {"viewport": WIDE, "reduced_motion": "reduce"}


class Window(NamedTuple):
    """A browser, and the one page in it that most visits use: another takes three times as long to open."""

    browser: Browser
    page: Page


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Window]:
    """Debian's, without a window that one could see."""
    path = need("chromium")
    async with async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=path, args=list(flags))
        context = await opened.new_context(**PLAIN)
        yield Window(opened, await context.new_page())
        await opened.close()


class Chat:
    """One visit to the page.

    `complaints`  what the browser's console called an error, and exceptions that nobody caught
    `strangers`   requests that went to another origin than the page's
    """

    def __init__(self, page: Page, sidecar: Running) -> None:
        self.page, self.sidecar = page, sidecar
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self._listening: list[tuple[Any, Any]] = [
            ("console", self._heard),
            ("pageerror", self._broke),
            ("request", self._asked),
        ]
        for event, listener in self._listening:
            page.on(event, listener)

    async def leave(self) -> None:
        for event, listener in self._listening:
            self.page.remove_listener(event, listener)
        await self.page.goto("about:blank")

    def _broke(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.sidecar.front, "data:")):
            self.strangers.append(request.url)

    async def open(self) -> None:
        await self.page.goto(f"{self.sidecar.front}/")
        await self.page.wait_for_selector("html[data-ready]")

    async def ask(self, text: str) -> None:
        """Types and sends; does not wait for an answer."""
        await self.say.fill(text)
        await self.say.press("Enter")

    async def ended(self, how: str = "done") -> None:
        """Until the newest answer is `done`, `failed` or `stopped`, and the facts beside it are there."""
        await expect(self.answer).to_have_attribute("data-state", how)
        await expect(self.panel.locator("[data-what=ended]")).to_have_count(1)

    async def asked(self, text: str, how: str = "done") -> None:
        """Asks, and waits for the end."""
        await self.ask(text)
        await self.ended(how)

    @property
    def say(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message")

    @property
    def answer(self) -> Locator:
        """The newest answer."""
        return self.page.locator(".turn:last-child .answer")

    @property
    def text(self) -> Locator:
        """What the agent wrote in it."""
        return self.answer.locator(".prose")

    @property
    def trouble(self) -> Locator:
        return self.answer.get_by_role("group", name="Error")

    @property
    def panel(self) -> Locator:
        """What the sidecar did for it."""
        return self.page.locator(".turn:last-child .did")

    def fact(self, name: str) -> Locator:
        """One row of that panel."""
        return self.panel.locator("dl > div", has=self.page.locator(f"dt:text-is('{name}')")).locator("dd")

    @property
    def request_id(self) -> Locator:
        return self.fact("Request").locator("code")


@asynccontextmanager
async def visiting(
    window: Window, agent: str, *, guide: Guide = NO_GUIDE, more: dict[str, Any] | None = None, **given: str
) -> AsyncIterator[Chat]:
    """A sidecar before this agent, with these SIDECAR_* settings, and the browser at its page.

    `more` is of the visit (a size, headers): such a one gets a page of its own.
    """
    named = {f"SIDECAR_{name}": value for name, value in {"PAGE": "on", "INSPECT": "on", **given}.items()}
    app = Sidecar(settings.load(FREE | {"AGENT_APP_URL": agent} | named), guide=guide)
    context = await window.browser.new_context(**{**PLAIN, **more}) if more else None
    page = await context.new_page() if context else window.page
    await app.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            chat = Chat(page, Running(app, http))
            try:
                await chat.open()
                yield chat
                assert chat.strangers == []
            finally:
                await chat.leave()
    finally:
        if context:
            await context.close()
        await app.stack.aclose()
