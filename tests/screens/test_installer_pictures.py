"""Pictures of the installer, deliberately few: what is in the way, and the whole plan, on the Linux console; settings.

`pytest tests/screens/test_installer_pictures.py --snapshot-update` after a look at each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from qrm_tui.client.connection import Client
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.install_checks import InstallChecks
from qrm_tui.screens.install_config import InstallConfig
from qrm_tui.screens.install_run import InstallPlan
from qrm_tui.screens.practice import Practice
from qrm_tui.styles import themes
from tests.screens.test_installer import MACHINES, Installer


@pytest.fixture(scope="module")
def practice() -> Iterator[Practice]:
    """A machine on which something is in the way, for all."""
    started = Practice(machine=str(MACHINES / "ubuntu24-ufw.json"))
    yield started
    started.stop()


@pytest.mark.parametrize(("screen", "look", "size"), [
    (InstallChecks, themes.LINUX, (80, 24)), (InstallPlan, themes.LINUX, (80, 24)),
    (InstallConfig, themes.DARK, (160, 50))], ids=["checks", "plan", "config"])
def test_picture(practice: Practice, snap_compare: Callable[..., bool], screen: type[Screen[None]], look: themes.Look,
                 size: tuple[int, int]) -> None:
    app = QrmApp(practice.where, connect=Client, look=look, practice=practice, install=True)

    async def go(pilot: Pilot[None]) -> None:
        run = Installer(app, pilot, practice)
        await run.welcomed()
        # whoever runs this, and where, is no part of the picture
        app.live.hello |= {"server": "server1", "user": "root"}
        shown = await run.to(screen)
        if screen is InstallConfig:
            await run.until(lambda: shown.fields)
        elif screen is InstallPlan:
            await run.until(lambda: shown.plan and shown.query(Input))
        for field in shown.query(Input):
            field.cursor_blink = False
        await pilot.pause()

    undo = themes.apply_glyphs(look)
    try:
        assert snap_compare(app, terminal_size=size, run_before=go)
    finally:
        undo()
