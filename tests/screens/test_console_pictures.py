"""Two pictures of a console, deliberately two: a boot with its colours, on a dark terminal and on the Linux console.

`pytest tests/screens/test_console_pictures.py --snapshot-update` after a look at each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from qrm_tui.screens.console import ConsoleScreen
from qrm_tui.styles import themes
from tests.screens.driver import Driver, build
from tests.screens.fake_console import ConsoleClient

BOOT = (
    "[    0.000000] Linux version 6.1.0-41-amd64 (debian-kernel@lists.debian.org)\r\n"
    "[    1.412311] EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none.\r\n"
    "[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh.service\x1b[0m - OpenBSD Secure Shell server.\r\n"
    "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mapache2.service\x1b[0m.\r\n"
    "\x1b[44;97m bright on blue \x1b[0m \x1b[38;5;208mof 256\x1b[0m \x1b[38;2;90;200;120mof all\x1b[0m "
    "\x1b[7mreverse\x1b[0m \x1b[4munderlined\x1b[0m\r\n"
    "\x1b(0lqqqqk\x1b(B\r\n\r\nDebian GNU/Linux 12 r1 ttyS0\r\n\r\nr1 login: "
)


@pytest.mark.parametrize("look", [themes.DARK, themes.LINUX], ids=lambda look: look.name)
def test_picture(look: themes.Look, snap_compare: Callable[..., Any]) -> None:
    client = ConsoleClient()
    client.watchers = 2
    undo = themes.apply_glyphs(look)
    try:
        app = build(client, look=look)

        async def go(pilot: Pilot[None]) -> None:
            driver = Driver(app, pilot, client, [])
            await driver.until(lambda: app.live.farm)
            app.open_console("r1")
            screen = await driver.at(ConsoleScreen)
            await client.say(BOOT)
            await driver.until(lambda: "r1 login:" in driver.text() and screen.source)
            await pilot.pause()

        assert snap_compare(app, terminal_size=(80, 24), run_before=go)
    finally:
        undo()
