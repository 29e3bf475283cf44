"""The installer on recorded machines: from start to installed, back and forward, what is refused, and how it looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from qrm_tui.client.connection import Client
from qrm_tui.core.setup import BASIC
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.install_checks import InstallChecks
from qrm_tui.screens.install_components import InstallComponents
from qrm_tui.screens.install_config import InstallConfig
from qrm_tui.screens.install_run import InstallDone, InstallPlan
from qrm_tui.screens.install_welcome import InstallWelcome
from qrm_tui.screens.job import JobScreen
from qrm_tui.screens.main import MainScreen
from qrm_tui.screens.message import MessageScreen
from qrm_tui.screens.plan import PlanScreen
from qrm_tui.screens.practice import Practice
from qrm_tui.styles import themes
from qrm_tui.styles.themes import Look
from qrm_tui.widgets.page import Page

MACHINES = Path(__file__).parent.parent / "fixtures/machines"
#: Seconds for the server to start, and for a job to end, on a busy machine.
PATIENCE = 120


class Installer:
    """The app on a recorded machine."""

    def __init__(self, app: QrmApp, pilot: Pilot[None], practice: Practice) -> None:
        self.app, self.pilot, self._practice = app, pilot, practice
        self.keys = 0

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            assert not self._practice.trouble
            await self.pilot.pause(0.02)

    async def press(self, *keys: str) -> None:
        self.keys += len(keys)
        await self.pilot.press(*keys)

    async def at(self, kind: type[Screen[Any]]) -> Any:
        await self.until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted)
        await self.pilot.pause()
        return self.app.screen

    async def welcomed(self) -> None:
        """The machine was looked at."""
        screen = await self.at(InstallWelcome)
        await self.until(lambda: screen.check_action("go_on", ()))

    async def to(self, kind: type[Screen[Any]]) -> Any:
        """By enter alone to a screen further on."""
        await self.welcomed()
        for step in (InstallChecks, InstallComponents, InstallConfig, InstallPlan):
            await self.press("enter")
            screen = await self.at(step)
            if step is kind:
                return screen
        raise AssertionError(kind)

    def text(self) -> str:
        """What is on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    def said(self) -> str:
        return "\n".join(notification.message for notification in self.app._notifications)


@asynccontextmanager
async def installer(machine: str, look: Look = themes.DARK, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Installer]:
    practice = Practice(machine=str(MACHINES / f"{machine}.json"))
    app = QrmApp(practice.where, connect=Client, look=look, practice=practice, install=True)
    try:
        async with app.run_test(size=size) as pilot, asyncio.timeout(PATIENCE):
            yield Installer(app, pilot, practice)
    finally:
        await asyncio.to_thread(practice.stop)


async def test_from_start_to_installed_with_all_defaults_in_few_keys() -> None:
    async with installer("debian12") as run:
        plan = await run.to(InstallPlan)
        await run.until(lambda: plan.plan)
        await run.press("tab", "enter")
        await run.at(InstallDone)
        assert run.keys <= 8
        assert "192.168.88.5" in run.text()
        assert "nagios" not in run.app.live.rows["component"]
        await run.press("enter")
        await run.at(MainScreen)
        assert len(run.app.screen_stack) == 1
