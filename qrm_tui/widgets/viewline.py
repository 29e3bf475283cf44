"""The views by their keys, which one is shown, and at the right what is filtered and marked in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len

from qrm_tui.widgets.page import Page, PageLine, Span, line, width_of


class Item(NamedTuple):
    """A view: its digit, its title, a shorter one, how many rows it has (empty: not told)."""

    key: str
    title: str
    short: str
    count: str


#: From roomy to narrow: a blank more between two views, counts, and which title those have that are not shown.
_WAYS = ((True, True, "title"), (False, True, "title"), (True, False, "title"), (False, False, "title"),
         (False, False, "short"), (False, False, ""))


class ViewLine(Page, inherit_bindings=False):
    """One line: `1 Farm  5 Images 12  ...`."""

    DEFAULT_CSS = """
    ViewLine { height: 1; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._items: Sequence[Item] = ()
        self._shown = ""
        self._note = ""

    def show(self, items: Sequence[Item], shown: str, note: str) -> None:
        """`shown` is the title of the present view; `note` stands at the right."""
        if (items, shown, note) == (self._items, self._shown, self._note):
            return
        self._items, self._shown, self._note = items, shown, note
        self.rebuild()

    def build(self, width: int) -> list[PageLine]:
        """The roomiest way that leaves the note whole; in the narrowest it is cut."""
        left: PageLine = ()
        for way in _WAYS:
            left = self._left(*way)
            if width_of(left) + (cell_len(self._note) + 1 if self._note else 0) <= width:
                break
        room = width - width_of(left) - 1
        note = self._note if cell_len(self._note) <= room else self._note[: max(0, room - 1)] + "~"
        if room < 4:
            return [left]
        return [(*left, (" " * (room - cell_len(note)), ""), *line((note, "strong")))]

    def _left(self, roomy: bool, counts: bool, titles: str) -> PageLine:
        spans: list[Span] = []
        for item in self._items:
            chosen = item.title == self._shown
            title = item.title if titles == "title" or chosen else (item.short or item.title) if titles else ""
            spans += [((" " if roomy or not spans else "") + item.key, "key"),
                      (f"[{title}]" if chosen else f" {title} " if title else " ", "title" if chosen else "")]
            if counts and item.count:
                spans.append(((" " if chosen else "") + f"{item.count} ", "muted"))
        return line(*spans)
