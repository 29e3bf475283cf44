"""Runs the app on a fake farm and waits for what a test wants to see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen

from qrm_tui.screens.application import QrmApp
from qrm_tui.styles import themes
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import Page
from tests.screens.fake_client import NOW, FakeClient

#: Seconds until a test gives up; and between two looks at what is awaited.
PATIENCE, ROUND = 60.0, 0.005


def build(client: FakeClient, **options: Any) -> QrmApp:
    """The app on this farm, with its clock stopped."""
    options.setdefault("look", themes.DARK)
    options.setdefault("clock", lambda: NOW)
    return QrmApp(client.where, connect=lambda where: client, **options)  # type: ignore[arg-type]


class Driver:
    """A running app."""

    def __init__(self, app: QrmApp, pilot: Pilot[None], client: FakeClient, messages: list[Message]) -> None:
        self.app, self.pilot, self.client, self.messages = app, pilot, client, messages

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Let messages pass until it holds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while not condition():
            assert loop.time() < deadline, f"never came true: {what or condition}\n{self.text()}"
            await self.pilot.pause(ROUND)

    async def press(self, *keys: str) -> None:
        """Press these keys, and let what they cause happen."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type a text."""
        await self.press(*(" " if c == " " else c for c in text))

    async def at(self, kind: type[Screen[Any]]) -> Any:
        """Wait for a screen of this class and answer it."""
        await self.until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, kind.__name__)
        await self.pilot.pause()
        return self.app.screen

    def text(self) -> str:
        """What is on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    def offered(self) -> dict[str, str]:
        """The keys that are offered: word to key."""
        return {word: key for key, word in self.app.screen.query_one(Keys).shown()}

    def page(self, selector: str) -> str:
        """The text of a part."""
        return self.app.screen.query_one(selector, Page).text

    def about(self) -> str:
        """What the details of the main screen say."""
        shown = self.app.main.shown
        return shown.query_one("#about-title", Page).text + "\n" + shown.detail.text

    def said(self) -> str:
        """All toasts."""
        return "\n".join(notification.message for notification in self.app._notifications)

    def called(self, call: str) -> list[Any]:
        """With what the client was called."""
        return [details for name, details in self.client.calls if name == call]


@asynccontextmanager
async def running(client: FakeClient | None = None, size: tuple[int, int] = (80, 24),
                  **options: Any) -> AsyncIterator[Driver]:
    """The app, with the farm's rows on the screen (if its line is up)."""
    client = client or FakeClient()
    app = build(client, **options)
    messages: list[Message] = []
    async with app.run_test(size=size, message_hook=messages.append) as pilot:
        driver = Driver(app, pilot, client, messages)
        if not client.down and not client.strange:
            await driver.until(lambda: app.live.line == "up" and app.live.farm
                               and all(len(app.live.rows[kind]) == len(client.rows[kind]) for kind in app.live.rows))
        await pilot.pause()
        yield driver
