"""A few pictures, deliberately few: lists, a VE that starts, a form with an error, a plan with its point of no return,
a job, the first log-in.

`pytest tests/screens/test_pictures.py --snapshot-update` after a look at each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from qrm_tui.styles import themes
from tests.screens.driver import Driver, build
from tests.screens.fake_client import NOW, FakeClient, hosted

SMALL, LARGE = (80, 24), (160, 50)


PLACES = {"dark-80x24": (themes.DARK, SMALL), "linux-80x24": (themes.LINUX, SMALL), "dark-160x50": (themes.DARK, LARGE)}


@pytest.fixture(autouse=True)
def in_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown as the terminal's place has them."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Scene:
    """Leads an app to what is to be seen."""

    def __init__(self, look: themes.Look, keys: list[str], seen: str, rows: Mapping[str, Any] | None = None) -> None:
        self.client = FakeClient(rows=rows)
        self.client.logs["14"] = [{"n": n, "at": NOW, "step": 2, "stream": "out", "text": f"block group {n} written"}
                                  for n in range(30)]
        if "user" in (rows or {}):
            self.client.strange, self.client.users = True, {"qrm": ("qrm", "administrator")}
            self.client.must_change = {"qrm"}
        self.app = build(self.client, look=look)
        self._keys, self._seen = keys, seen

    async def go(self, pilot: Pilot[None]) -> None:
        """Press the keys one after the other, and wait until it is there."""
        driver = Driver(self.app, pilot, self.client, [])
        await driver.until(lambda: self.app.live.farm or self.app.guarded)
        for key in self._keys:
            await driver.press(key)
            await driver.until(lambda: self.app.screen.is_mounted and self.app.screen.focused)
            for field in self.app.screen.query(Input):
                field.cursor_blink = False
        await driver.until(lambda: self._seen in driver.text(), self._seen)
        await pilot.pause()


SCENES = {
    "list": (["5", "down", "space", "down"], "give it more now"),
    "form": (["5", "c", "n", "e", "w", "down", *"no_host"], "no host name"),
    "plan": (["5", "d", "e"], "lvremove -f"),
    "job": (["8", "down", "down", "enter"], "block group 29"),
    "resources": (["2", "down", "down", "down", "space", "down", "up"], "qrm boot-image list"),
    "ve": (["3", "down"], "its reboot is awaited"),
    "log-in": ([*"qrm", "enter", *"qrm", "enter", *"short", "enter", *"short", "enter"], "at least 8"),
    "partitions": (["4", "down", "down", "down"], "its kernel panicked"),
}
#: Rows that are not those of all scenes.
ROWS: dict[str, Callable[[], Mapping[str, Any]]] = {"partitions": hosted, "log-in": lambda: {"user": []}}


@pytest.mark.parametrize("scene, place", [
    *((scene, place) for scene in SCENES if scene != "ve" for place in ("dark-80x24", "linux-80x24")),
    ("list", "dark-160x50"), ("job", "dark-160x50"), ("ve", "dark-160x50"),
])
def test_picture(scene: str, place: str, snap_compare: Callable[..., Any]) -> None:
    look, size = PLACES[place]
    undo = themes.apply_glyphs(look)
    try:
        shown = Scene(look, *SCENES[scene], ROWS[scene]() if scene in ROWS else None)
        assert snap_compare(shown.app, terminal_size=size, run_before=shown.go)
    finally:
        undo()
