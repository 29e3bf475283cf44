"""A wall: up to 24 consoles at once, live, with what was found on them in words.

Each tile has its own watch, and an emulator that gets every byte. They are fed by turns, a slice at a time, and painted
together: however much comes, a key waits for one slice, and frames are skipped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.timer import Timer

from qrm_tui.client import console as consoles
from qrm_tui.client.console_follow import Lost, follow_console
from qrm_tui.core.errors import NoServer
from qrm_tui.core.names import printable
from qrm_tui.screens.base import Answer, FarmScreen, Sections
from qrm_tui.screens.views import BY_KIND
from qrm_tui.screens.wall_layout import MOST, Layout, layout_of, tile_title
from qrm_tui.widgets.columns import safe
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import Page, line, width_of
from qrm_tui.widgets.tile import Tile

#: Lines of what was recorded that a tile begins with: a screenful.
LINES = 50
#: Seconds between two frames, at the least and at the most, and how many times what a frame took is left to others. So
#: many screens are glanced at, not read: half the frames of a console's own screen cost half.
FRAME, _LONGEST_PAUSE, _SHARE = 0.1, 1.0, 3


class WallScreen(FarmScreen[None]):
    """Consoles side by side. The order stays as it was when it was opened: nothing jumps while one reads."""

    DEFAULT_CSS = """
    WallScreen { layout: vertical; }
    WallScreen > #wall-title { height: 1; background: $primary; color: $background; }
    WallScreen:nocolor > #wall-title { text-style: reverse; }
    WallScreen > #tiles { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", key_display="enter", id="wall.open",
                tooltip="The console itself: to type, search, look back"),
        Binding("left,h", "move(-1, 0)", "Left", show=False, id="wall.left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, id="wall.right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, id="wall.up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, id="wall.down"),
        Binding("pagedown,space", "page(1)", "next page", key_display="pgdn", id="wall.next"),
        Binding("pageup", "page(-1)", "page back", show=False, id="wall.previous"),
        Binding("n", "next_alert", "next alert", id="wall.alert", tooltip="To the next console with an alert"),
        Binding("w", "why", "why", id="wall.why", tooltip="Why this machine is in its state, and what next"),
        Binding("escape,q", "leave", "back", key_display="esc", id="wall.leave"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="wall.help"),
    ]

    class Came(Answer):
        """Output of a console, to be written from `place` on. `taken`: it is, up to what `place` is then."""

        def __init__(self, tile: Tile, output: consoles.Output, place: int) -> None:
            super().__init__()
            self.tile, self.output, self.place, self.taken = tile, output, place, asyncio.Event()

    class Told(Answer):
        """How a console's line stands, or what is missing."""

        def __init__(self, tile: Tile, event: consoles.Status | consoles.Gap | Lost) -> None:
            super().__init__()
            self.tile, self.event = tile, event

    def __init__(self, machines: Sequence[str], more: int = 0) -> None:
        """`more`: so many others were meant and are not shown."""
        super().__init__()
        self.tiles = [Tile(name, self._later) for name in machines[:MOST]]
        self._more = more + len(machines[MOST:])
        self.chosen = 0
        self._grid = Layout(1, 1)
        self._turns: dict[Tile, tuple[consoles.Output, asyncio.Event]] = {}
        self._some = asyncio.Event()
        self._timer: Timer | None = None
        self._painting = self._due = False
        self._painted_at, self._pause = 0.0, FRAME
        self.frames = 0

    def compose(self) -> ComposeResult:
        yield Page(id="wall-title")
        with Grid(id="tiles"):
            yield from self.tiles
        yield Keys()

    def on_mount(self) -> None:
        self._lay_out()
        self.feed()
        for tile in self.tiles:
            self.follow(tile)

    # what comes

    @work(group="follow", exit_on_error=False)
    async def follow(self, tile: Tile) -> None:
        """Watch one console. Its next piece is asked for when it has had its turn: the server's log is the queue."""
        async for event in follow_console(lambda: self.qrm.client, tile.machine, lines=LINES, glance=True):
            if isinstance(event, consoles.Output):
                taken = asyncio.Event()
                self._turns[tile] = event, taken
                self._some.set()
                await taken.wait()
            else:
                self.post_message(self.Told(tile, event))

    @work(group="feed", exit_on_error=False)
    async def feed(self) -> None:
        """One slice of each console that has something, by turns."""
        places: dict[Tile, int] = {}
        while True:
            await self._some.wait()
            self._some.clear()
            while self._turns:
                for tile, (output, done) in list(self._turns.items()):
                    came = self.Came(tile, output, places.get(tile, 0))
                    self.post_message(came)
                    await came.taken.wait()
                    places[tile] = came.place
                    if came.place >= len(output.data):
                        del places[tile], self._turns[tile]
                        done.set()

    @on(Came)
    def _came(self, event: Came) -> None:
        tile, output = event.tile, event.output
        event.place = tile.terminal.take(output.data, output.at, event.place)
        tile.terminal.emulator.take_replies()  # what it asks is answered where somebody types
        first, tile.at = not tile.at, max(tile.at, output.at)
        event.taken.set()
        if first:
            self._show_title(tile)

    @on(Told)
    def _told(self, message: Told) -> None:
        tile, event = message.tile, message.event
        if isinstance(event, consoles.Gap):
            return  # the console itself tells what is missing
        stood, tile.stands = tile.stands, _standing(event)
        if tile.stands != stood and isinstance(event, Lost) and not tile.at and not isinstance(event.error, NoServer):
            tile.terminal.take(f"{printable(str(event.error), 400)}\r\n".encode(), 0.0)
        tile.set_class(isinstance(event, Lost), "-stale")
        self._show_title(tile)

    # frames

    def _later(self) -> None:
        """Something was written: paint it, as soon as the last frame is long enough ago."""
        self._due = True
        if (self._timer is None and not self._painting and self.is_mounted and self.is_current
                and any(tile.dirty for tile in self.shown)):
            wait = self._painted_at + self._pause - time.monotonic()
            self._timer = self.set_timer(max(0.001, wait), self._frame)

    def _frame(self) -> None:
        self._timer = None
        started = time.monotonic()
        self._painting, self._due = True, False
        for tile in self.shown:
            if tile.dirty:
                tile.paint()
        self.frames += 1
        self.call_after_refresh(self._painted, started)

    def _painted(self, started: float) -> None:
        """The next frame is timed from here: the dearer they are, the fewer there are."""
        self._painting = False
        self._painted_at = time.monotonic()
        self._pause = min(_LONGEST_PAUSE, max(FRAME, _SHARE * (self._painted_at - started)))
        if self._due:
            self._later()

    @on(events.ScreenResume)
    def _resumed(self) -> None:
        self._show_titles()
        self._later()

    # pages

    @property
    def shown(self) -> list[Tile]:
        """The tiles of the page that is looked at."""
        first = self.chosen // self._grid.tiles * self._grid.tiles
        return self.tiles[first:first + self._grid.tiles]

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.tiles) // self._grid.tiles))

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        self._grid = layout_of(len(self.tiles), self.size.width, self.size.height - 2)
        grid = self.query_one("#tiles", Grid)
        grid.styles.grid_size_columns, grid.styles.grid_size_rows = self._grid
        self._show_page()

    def _show_page(self) -> None:
        """Show the page that the chosen tile is on."""
        shown = self.shown
        for tile in self.tiles:
            tile.display = tile in shown
        for place, tile in enumerate(shown):
            tile.set_class(place % self._grid.columns > 0, "-inner")
        self._choose(self.chosen)
        self.call_after_refresh(self._show_titles)  # those that were not on the screen have their size by then

    def _choose(self, number: int) -> None:
        page = self.shown
        self.chosen = max(0, min(len(self.tiles) - 1, number))
        if self.tiles and self.tiles[self.chosen] not in page:
            self._show_page()
            return
        for at, tile in enumerate(self.tiles):
            tile.set_class(at == self.chosen, "-chosen")
        self._show_titles()

    # what it says

    def farm_changed(self, what: frozenset[str]) -> None:
        if what & {"resource", "line"}:
            self._show_titles()

    def tick(self) -> None:
        self._show_titles()

    def _row(self, tile: Tile) -> dict[str, Any] | None:
        return self.live.rows["resource"].get(tile.machine)

    def _alerts(self) -> list[int]:
        return [at for at, tile in enumerate(self.tiles) if (self._row(tile) or {}).get("event_stands")]

    def _show_titles(self) -> None:
        if self.is_mounted and self.is_current:
            for tile in self.shown:
                self._show_title(tile)
            self._show_head()
            self.refresh_bindings()

    def _show_title(self, tile: Tile) -> None:
        if tile.is_mounted and tile.size.width:
            tile.show_title(tile_title(tile.size.width - 1, tile.machine, self._row(tile), tile.at, self.live.clock(),
                                       stands=tile.stands, chosen=self.tiles.index(tile) == self.chosen))

    def _show_head(self) -> None:
        count, alerts = len(self.tiles), self._alerts()
        shown = f"{count} of {count + self._more}" if self._more else str(count)
        left = f" Wall: {shown} console{'s' if count != 1 else ''}"
        if self.pages > 1:
            left += f"  page {self.chosen // self._grid.tiles + 1} of {self.pages}"
        names = ", ".join(self.tiles[at].machine for at in alerts)
        right = f" {len(alerts)} alert{'s' if len(alerts) != 1 else ''}: {names} " if alerts else ""
        right += (" NO LINE " if self.live.line == "lost" else "")
        right += " PRACTICE " if self.live.hello.get("practice") else ""
        room = max(0, self.size.width - width_of(line(left)) - 1)
        right = safe(right) if width_of(line(right)) <= room else safe(right)[:max(0, room - 1)] + "~"
        blanks = " " * max(0, self.size.width - width_of(line(left)) - width_of(line(right)))
        self.query_one("#wall-title", Page).set_lines([line((left, ""), (blanks, ""), (right, "reverse"))])

    # keys

    def action_move(self, across: int, down: int) -> None:
        """To the tile beside or below, and on to the next page at an edge."""
        self._choose(self.chosen + across + down * self._grid.columns)

    def action_page(self, by: int) -> None:
        first = (self.chosen // self._grid.tiles + by) * self._grid.tiles
        if 0 <= first < len(self.tiles):
            self._choose(first)

    def action_next_alert(self) -> None:
        alerts = self._alerts()
        if alerts:
            self._choose(next((at for at in alerts if at > self.chosen), alerts[0]))

    @on(Tile.Clicked)
    def _clicked(self, event: Tile.Clicked) -> None:
        self._choose(self.tiles.index(event.tile))

    def action_open(self) -> None:
        if self.tiles:
            self.qrm.open_console(self.tiles[self.chosen].machine)

    def action_why(self) -> None:
        if self.tiles:
            self.qrm.open_why(BY_KIND["resource"], self.tiles[self.chosen].machine)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_help(self) -> None:
        self.qrm.open_help()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "page":
            return self.pages > 1
        if action == "next_alert":
            return bool(self._alerts())
        return True

    def help_sections(self) -> Sections:
        return [("A wall", [
            ("", "Consoles as they are now, each the part of its screen with the cursor. The server looks for words "
                 "such as Kernel panic, Out of memory and login: on all of them, whether anyone watches or not."),
            ("ALERT", "such words were found, and the farm's alerts have it. It stands until somebody who may type has "
                      "opened that console, the machine has come up anew, or login: was found there later."),
            ("seen", "somebody has opened the console since."),
            ("", f"A wall has {MOST} consoles at the most: those of marked resources (s), of machines and VEs that "
                 ":wall NAME NAME ... names, of those that :wall FILTER finds, or of all (:wall); with the last two, "
                 "those with an alert come first."),
            ("3s ago", "when the last byte came. A machine that says nothing is not off."),
        ])]


def _standing(event: consoles.Status | Lost) -> str:
    """How a line stands, in a word or two; empty while all is well."""
    if isinstance(event, Lost):
        return "LINE LOST" if isinstance(event.error, NoServer) else "NO CONSOLE"
    return "" if event.state == "connected" else event.state
