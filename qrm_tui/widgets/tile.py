"""A tile of a wall: one console's title and the part of its screen that fits, painted when the wall says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message

from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.terminal.scrollback import Scrollback
from qrm_tui.widgets.page import Page, PageLine
from qrm_tui.widgets.terminal import Terminal

#: Lines and bytes that are kept above a tile's screen: nobody looks back in a tile.
_LINES, _BYTES = 50, 1 << 16


class TileTerminal(Terminal, can_focus=False, inherit_bindings=False):
    """A terminal that is only looked at, and tells when it has something to paint instead of painting it."""

    DEFAULT_CSS = """
    TileTerminal { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(BitttyEmulator(scrollback=Scrollback(_LINES, _BYTES)))
        self._changed = changed

    def _later(self) -> None:
        self._changed()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.prevent_default()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.prevent_default()


class Tile(Vertical, can_focus=False):
    """One console."""

    DEFAULT_CSS = """
    Tile { height: 1fr; width: 1fr; }
    Tile.-inner { border-left: solid $panel; }
    Tile > .tile-title { height: 1; background: $panel; color: $foreground; }
    Tile.-chosen > .tile-title { background: $block-cursor-background; color: $block-cursor-foreground; }
    Tile.-chosen:nocolor > .tile-title { text-style: reverse; }
    Tile.-stale > TileTerminal { color: $text-muted; }
    """

    class Clicked(Message):
        """This one is meant."""

        def __init__(self, tile: Tile) -> None:
            super().__init__()
            self.tile = tile

    def __init__(self, machine: str, changed: Callable[[], None]) -> None:
        super().__init__()
        self.machine = machine
        self.terminal = TileTerminal(self._written)
        #: something was written that is not painted yet
        self.dirty = True
        #: when the last byte came (seconds since the epoch); 0: none has
        self.at = 0.0
        #: how its line stands; empty while it is connected
        self.stands = "connecting"
        self._changed = changed

    def compose(self) -> ComposeResult:
        yield Page(classes="tile-title")
        yield self.terminal

    def _written(self) -> None:
        self.dirty = True
        self._changed()

    def show_title(self, title: PageLine) -> None:
        """Its first line."""
        self.query_one(".tile-title", Page).set_lines([title])

    def paint(self) -> None:
        """A frame."""
        self.dirty = False
        self.terminal.show_changes()

    def on_click(self) -> None:
        self.post_message(self.Clicked(self))
