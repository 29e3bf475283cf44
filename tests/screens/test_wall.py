"""The wall: which consoles, how they lie, what a tile says, and that a flood holds nothing up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual import events

from qrm_tui.core.errors import BadInput
from qrm_tui.screens import live as live_module
from qrm_tui.screens.command import Wall, complete, parse
from qrm_tui.screens.console import ConsoleScreen
from qrm_tui.screens.message import MessageScreen
from qrm_tui.screens.wall import WallScreen
from qrm_tui.screens.wall_choice import machines_of
from qrm_tui.screens.wall_layout import LEAST_COLUMNS, LEAST_ROWS, layout_of, tile_title
from qrm_tui.screens.why import Why
from qrm_tui.widgets.page import Page
from qrm_tui.widgets.tile import Tile, TileTerminal
from tests.screens.driver import Driver, running
from tests.screens.fake_client import NOW, resource, ve
from tests.screens.fake_wall import WallClient

BOOT = "[    0.000000] Linux version 6.1.0-41-amd64\r\n[    1.412311] sda: mounted\r\n\r\nr1 login: "


class OnWall:
    """A driver on a wall."""

    def __init__(self, driver: Driver, client: WallClient, screen: WallScreen) -> None:
        self.d, self.client, self.screen = driver, client, screen

    def tile(self, name: str) -> Tile:
        return next(tile for tile in self.screen.tiles if tile.machine == name)

    def title(self, name: str) -> str:
        return self.tile(name).query_one(".tile-title", Page).text

    def shown(self) -> list[str]:
        return [tile.machine for tile in self.screen.shown]

    @property
    def chosen(self) -> str:
        return self.screen.tiles[self.screen.chosen].machine

    async def until_title(self, name: str, words: str) -> None:
        await self.d.until(lambda: words in self.title(name), f"{words} in the title of {name}")


@asynccontextmanager
async def wall(words: str = "", machines: int = 24, size: tuple[int, int] = (160, 50),
               **options: Any) -> AsyncIterator[OnWall]:
    client = WallClient(machines)
    async with running(client, size=size, **options) as d:
        await d.app.command(f"wall {words}")
        screen = await d.at(WallScreen)
        await d.until(lambda: all(not tile.stands for tile in screen.tiles if tile.machine != "r0"))
        await d.pilot.pause()
        yield OnWall(d, client, screen)


# which consoles

async def test_s_on_marked_rows_opens_them_as_a_wall() -> None:
    async with running(WallClient()) as d:
        await d.press("2", "down", "space", "down", "space", "s")
        screen = await d.at(WallScreen)
        assert len(screen.tiles) == 2 and not d.app.query(MessageScreen)
        await d.press("escape")
        await d.until(lambda: d.app.screen is d.app.main)


@pytest.mark.parametrize("resources, screen", [(["r1"], ConsoleScreen), (["r1", "r2"], WallScreen), ([], None)])
async def test_s_on_a_ve_opens_the_consoles_of_its_machines(resources: list[str], screen: type | None) -> None:
    client = WallClient()
    client.rows["ve"] = {"shop": ve("shop", "active", resources=resources)}
    async with running(client) as d:
        await d.press("3")
        await d.until(lambda: d.app.main.shown.row is not None)
        assert ("console" in d.offered()) == (screen is not None)
        await d.press("s")
        if screen is None:
            assert d.app.screen is d.app.main
        else:
            await d.at(screen)


async def test_all_that_have_a_console_those_with_an_alert_first() -> None:
    client = WallClient(30)
    client.rows["resource"]["r29"] |= {"event": "Kernel panic", "event_stands": True}
    async with running(client, size=(160, 50)) as d:
        await d.app.command("wall")
        screen = await d.at(WallScreen)
        names = [tile.machine for tile in screen.tiles]
        assert names == ["r29", *(f"r{number}" for number in range(1, 24))]
        assert "Wall: 24 of 30 consoles" in d.page("#wall-title")


async def test_the_palette_offers_it() -> None:
    async with running(WallClient(3)) as d:
        await d.press("ctrl+p")
        await d.type("wall")
        await d.until(lambda: "side by side" in d.text())
        await d.press("enter")
        await d.until(lambda: isinstance(d.app.screen, WallScreen))
        assert len(d.app.screen.tiles) == 3  # type: ignore[attr-defined]


async def test_names_and_filters_choose() -> None:
    assert parse("wall r1 r2") == Wall(("r1", "r2"))
    assert [hint.text for hint in complete("wa", lambda kind: [])] == ["wall"]
    assert [hint.text for hint in complete("wall r1 ", lambda kind: ["r1", "r2"])] == ["r2"]
    live = live_module.Live("x", clock=lambda: NOW)
    for kind, rows in {"resource": [resource("r10"), resource("r2", "error"), resource("r3", "error")],
                       "ve": [ve("shop", resources=["r3", "r10"]), ve("none")]}.items():
        live.apply({"event": "snapshot", "kind": kind, "rows": rows, "first": True, "last": True, "revision": 1})
    assert machines_of((), live).names == ["r2", "r3", "r10"]
    assert machines_of(("state=error",), live) == (["r2", "r3"], False)
    assert machines_of(("shop", "r3", "r2"), live) == (["r3", "r10", "r2"], True)
    for words in (("none",), ("state=off",), ("state=",)):
        with pytest.raises(BadInput):
            machines_of(words, live)
    with pytest.raises(BadInput, match="r7, web: there is no machine and no VE of that name"):
        machines_of(("r7", "r2", "web"), live)


async def test_no_console_anywhere_is_said() -> None:
    async with running(WallClient(0)) as d:
        await d.app.command("wall")
        await d.at(MessageScreen)
        assert "qrm resource edit NAME --console" in " ".join(d.text().split())


# how they lie

@pytest.mark.parametrize(("count", "size", "layout"), [
    (24, (160, 48), (4, 6)), (24, (80, 22), (2, 3)), (1, (80, 22), (1, 1)), (2, (80, 22), (1, 2)),
    (4, (160, 48), (2, 2)), (6, (160, 48), (2, 3)), (5, (20, 4), (1, 1)), (24, (400, 100), (6, 4)),
])
def test_the_grid(count: int, size: tuple[int, int], layout: tuple[int, int]) -> None:
    found = layout_of(count, *size)
    assert found == layout
    assert found.tiles >= count or (size[0] // (found.columns + 1) < LEAST_COLUMNS
                                    and size[1] // (found.rows + 1) < LEAST_ROWS)


async def test_24_fit_160x50_and_a_small_screen_has_pages() -> None:
    async with wall() as w:
        assert len(w.shown()) == 24 and "page" not in w.d.page("#wall-title") and "next page" not in w.d.offered()
    async with wall(size=(80, 24)) as w:
        assert w.shown() == [f"r{number}" for number in range(1, 7)] and "page 1 of 4" in w.d.page("#wall-title")
        await w.d.press("pagedown")
        assert w.shown() == [f"r{number}" for number in range(7, 13)] and w.chosen == "r7"
        await w.d.press("pageup", "right", "down", "down")
        assert w.chosen == "r6"
        await w.d.press("down", "left")
        assert w.chosen == "r7", "an edge leads on to the next page"
        await w.d.pilot.resize_terminal(160, 50)
        await w.d.until(lambda: len(w.shown()) == 24)
        assert w.chosen == "r7" and "r24" in w.d.text()


# what a tile says

async def test_a_tile_shows_the_last_lines_the_state_and_the_age() -> None:
    async with wall(size=(80, 24)) as w:
        await w.client.say("r1", "".join(f"line {number}\r\n" for number in range(30)) + "r1 login: ")
        await w.d.until(lambda: "r1 login:" in w.d.text())
        assert "line 29" in w.d.text() and "line 10" not in w.d.text()
        await w.until_title("r1", "r1  idle  3s ago")
        assert "silent" in w.title("r2")
        # a program with the whole screen: what is seen is where its cursor is
        await w.client.say("r2", "\x1b[?1049h\x1b[24;1Hbottom\x1b[1;1Htop\x1b[2;3H")
        await w.d.until(lambda: "top" in w.d.text())
        assert "bottom" not in w.d.text()


async def test_an_alert_is_said_in_words_and_nothing_jumps() -> None:
    async with wall(size=(80, 24)) as w:
        before = w.shown()
        w.client.found("r5", "Kernel panic", event_count=3)
        w.client.found("r20", "Out of memory")
        w.client.found("r2", "login:", "note")
        await w.until_title("r5", "ALERT Kernel panic x3")
        await w.until_title("r2", "login:")
        assert "ALERT" not in w.title("r2") and w.shown() == before
        assert "2 alerts: r5, r20" in w.d.page("#wall-title")
        await w.d.press("n")
        assert w.chosen == "r5"
        await w.d.press("n")
        assert w.chosen == "r20" and w.shown()[0] == "r19"
        w.client.found("r20", "Out of memory", event_stands=False, event_seen_by="anna")
        await w.until_title("r20", "Out of memory, seen")
        assert "1 alert: r5" in w.d.page("#wall-title")
        await w.d.press("n", "w")
        await w.d.at(Why)


@pytest.mark.parametrize("width", [16, 20, 39, 79])
def test_a_title_says_the_most_important_in_any_width(width: int) -> None:
    row = resource("a-machine-with-a-rather-long-name-of-its-own", "active", event="Kernel panic", event_count=12,
                   event_severity="alert", event_stands=True)
    spans = tile_title(width, row["name"], row, NOW - 5, NOW, stands="", chosen=True)
    text = "".join(part for part, _ in spans)
    assert len(text) <= width and text.startswith(">a-machi") and "AL" in text
    lost = "".join(part for part, _ in tile_title(width, "r1", row, 0, NOW, stands="LINE LOST", chosen=False))
    assert len(lost) <= width and "LINE LO" in lost


async def test_a_lost_line_is_said_in_its_tile_and_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrm_tui.client.console_follow.BACKOFF", (0, 0))
    async with wall("r1 r2", size=(80, 24)) as w:
        await w.client.say("r1", "before\r\n")
        await w.d.until(lambda: "before" in w.d.text())
        await w.client.lose("r1")
        await w.d.until(lambda: len(w.client.starts["r1"]) == 2)
        assert w.client.starts["r1"][1] == {"from": 8} and len(w.client.starts["r2"]) == 1
        await w.client.say("r1", "after\r\n")
        await w.d.until(lambda: "after" in w.d.text())
        assert "before" in w.d.text()
        assert w.client.starts["r1"][0]["opens"] == 0, "a glance sees to no alert"


async def test_a_line_that_stays_lost_stands_in_the_title(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrm_tui.client.console_follow.BACKOFF", (60,))
    async with wall("r1 r0 r2", size=(80, 24)) as w:
        await w.client.lose("r1")
        await w.until_title("r1", "LINE LOST")
        await w.until_title("r0", "NO CONSOLE")
        await w.d.until(lambda: "r0 has no console" in w.d.text())
        assert w.title("r2").startswith(" r2  idle") and w.tile("r1").has_class("-stale")


async def test_enter_opens_the_console_itself_and_leaving_it_leads_back() -> None:
    async with wall(size=(80, 24)) as w:
        await w.d.press("right", "enter")
        console = await w.d.at(ConsoleScreen)
        assert console.machine == "r2"
        await w.client.say("r1", "meanwhile\r\n")
        await w.d.press("ctrl+right_square_bracket")
        await w.d.until(lambda: w.d.app.screen is w.screen and "meanwhile" in w.d.text())
        assert w.client.starts["r2"][1]["opens"] == 1


async def test_help_and_read_only() -> None:
    async with wall(size=(80, 24), read_only=True) as w:
        assert {"open", "next page", "why", "back", "help"} <= set(w.d.offered())
        await w.d.press("question_mark")
        await w.d.until(lambda: "Kernel panic" in w.d.text())


# a flood

async def test_no_byte_of_a_flood_is_lost_and_hidden_tiles_paint_nothing() -> None:
    async with wall(size=(80, 24)) as w:
        hidden = w.tile("r20").terminal.frames
        frames = w.screen.frames
        sent = {"r1": 0, "r20": 0}
        for round_ in range(12):
            for name in sent:
                text = "".join(f"{round_:03d} {number:05d} {'x' * 60}\r\n" for number in range(800))
                await w.client.say(name, text)
                sent[name] += len(text)
        for name in sent:
            await w.client.say(name, f"{name} has ended\r\n")
        await w.d.until(lambda: "r1 has ended" in w.d.text())
        await w.d.until(lambda: w.tile("r20").terminal.lines.find("r20 has ended",
                                                                  w.tile("r20").terminal.lines.end - 1, -1))
        assert w.screen.frames - frames < 12 * 800 / 6
        assert w.tile("r20").terminal.frames == hidden
        await w.d.press("n", "pagedown", "pagedown", "pagedown")
        await w.d.until(lambda: "r20 has ended" in w.d.text())


async def test_keys_are_answered_between_two_slices_of_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wall(size=(80, 24)) as w:
        slices, answered = 0, 0
        take, move = TileTerminal.take, WallScreen.action_move

        def taken(terminal: TileTerminal, data: bytes, at: float, place: int = 0) -> int:
            nonlocal slices
            slices += 1
            if slices == 3:
                w.d.app.post_message(events.Key("right", None))
            return take(terminal, data, at, place)

        def moved(screen: WallScreen, across: int, down: int) -> None:
            nonlocal answered
            answered = slices
            move(screen, across, down)

        monkeypatch.setattr(TileTerminal, "take", taken)
        monkeypatch.setattr(WallScreen, "action_move", moved)
        for name, value in (("_LEAST_PIECE", 1 << 13), ("_MOST_PIECE", 1 << 13), ("SLICE", 0.0)):
            monkeypatch.setattr(f"qrm_tui.widgets.terminal.{name}", value)
        for number in range(1, 7):
            await w.client.say(f"r{number}", ("y" * 70 + "\r\n") * 900)
        await w.d.until(lambda: slices >= 6 * 8)
        assert w.chosen == "r2" and 3 <= answered < 12
