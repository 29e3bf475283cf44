"""How a wall looks: on the Linux console at 80x24, and 24 consoles at 160x50. A change must be meant; look at each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from qrm_tui.screens.wall import WallScreen
from qrm_tui.styles import themes
from tests.screens.driver import Driver, build
from tests.screens.fake_client import NOW
from tests.screens.fake_wall import WallClient
from tests.screens.test_console_pictures import BOOT

PANIC = ("[    2.117120] \x1b[1;31mKernel panic - not syncing: VFS: Unable to mount root fs\x1b[0m\r\n"
         "[    2.117131] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0-41-amd64 #1\r\n")


@pytest.mark.parametrize(("look", "size"), [(themes.LINUX, (80, 24)), (themes.DARK, (160, 50))],
                         ids=lambda part: getattr(part, "name", ""))
def test_picture(look: themes.Look, size: tuple[int, int], snap_compare: Callable[..., Any],
                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrm_tui.client.console_follow.BACKOFF", (60,))
    client = WallClient()
    undo = themes.apply_glyphs(look)
    try:
        app = build(client, look=look)

        async def go(pilot: Pilot[None]) -> None:
            driver = Driver(app, pilot, client, [])
            await driver.until(lambda: app.live.farm and len(app.live.rows["resource"]) == 25)
            client.found("r2", "Kernel panic", event_count=4)
            client.found("r3", "Out of memory", event_stands=False, event_seen_by="anna")
            client.found("r1", "login:", "note")
            await app.command("wall")
            screen = await driver.at(WallScreen)
            await driver.press("right")
            for number in range(1, 25):
                name = screen.tiles[number - 1].machine
                await client.say(name, PANIC if name == "r2" else BOOT, NOW - 3 * number)
            await client.lose("r5")
            await driver.until(lambda: all(tile.at for tile in screen.tiles) and "LINE LOST" in driver.text())
            await driver.until(lambda: not any(tile.dirty for tile in screen.shown))
            await driver.until(lambda: "r24" in driver.text() or "page 1 of 4" in driver.text())
            await pilot.pause()

        assert snap_compare(app, terminal_size=size, run_before=go)
    finally:
        undo()
