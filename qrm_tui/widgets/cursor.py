"""A page of items with a cursor on one of them; an item has one line or more, and some lines are nobody's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from qrm_tui.widgets.page import Page


class CursorPage(Page):
    """The arrows go from item to item, and scroll where there is no further one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("home,g", "go(0)", show=False),
        Binding("end,G", "go(-1)", show=False),
    ]

    class Moved(Message):
        """The cursor is on another item."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=True)
        self._cursor = 0

    @property
    def cursor(self) -> int:
        """The item under the cursor, from 0."""
        return self._cursor

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self.lines)

    def item_at(self, index: int) -> int | None:
        """Whose line that is."""
        return index

    def style_of(self, index: int) -> str:
        return "cursor" if self.item_at(index) == self._cursor else ""

    def go(self, place: int) -> None:
        """Put the cursor on an item."""
        place = max(0, min(place, self.items - 1))
        if not self.items:
            return
        moved, self._cursor = place != self._cursor, place
        lines = self.lines_of(place)
        if lines:
            if place == 0:
                self.show_line(0)  # what stands above the first one
            self.show_line(lines[-1])
            self.show_line(lines[0])
        self.refresh()
        if moved:
            self.post_message(self.Moved())

    def lines_of(self, place: int) -> Sequence[int]:
        """An item's lines."""
        return [index for index in range(len(self.lines)) if self.item_at(index) == place]

    def action_move(self, by: int) -> None:
        place = self._cursor + by
        if 0 <= place < self.items:
            self.go(place)
        else:
            self.scroll_relative(y=by, animate=False)

    def action_go(self, place: int) -> None:
        self.go(place if place >= 0 else self.items - 1)
