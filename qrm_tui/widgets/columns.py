"""Columns of a table: what they show, which of them fit a width, and cell text that is safe on any terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size

from qrm_tui.widgets.rows import Row

GAP = 2  # cells between two columns
MARK = 2  # cells before the first column: the mark and a blank
CUT = "~"  # ends a text that did not fit; ASCII, because the Linux console's fonts have no ellipsis
_STACKED = 2  # combining characters kept on one letter; more is an attack on the lines above (Zalgo)


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    `width` is in cells and is never undercut (label and sort mark fit, too); a flexible column grows beyond it. Where
    the screen is too narrow for all, columns of the lowest `priority` are left out first, of equals the rightmost.
    `format(row, now)` makes the text, `now` in seconds since the epoch; without it the value of `key` is shown.
    `style(row)` names a component class (`good`, `warning`, `bad`, `muted`, `strong`) or is None. The text must say the
    same: colour never carries meaning alone.
    """

    key: str
    label: str
    width: int
    justify: Literal["left", "right"] = "left"
    flexible: bool = False
    priority: int = 0
    format: Callable[[Row, float], str] | None = None
    style: Callable[[Row], str | None] | None = None

    @property
    def least(self) -> int:
        """The smallest useful width, in cells."""
        return max(self.width, cell_len(self.label) + 1)

    def text(self, row: Row, now: float) -> str:
        """The text of this column's cell, not yet made safe."""
        if self.format is not None:
            return self.format(row, now)
        value = row.get(self.key)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Slot:
    """A column at its place: `x` and `width` in cells from the table's left edge, `gap` blanks before it."""

    column: Column
    x: int
    width: int
    gap: int

    def fit(self, text: str) -> str:
        """The text, made safe, at exactly this slot's width, with the gap before it."""
        return " " * self.gap + fit(text, self.width, self.column.justify)


def layout(columns: Sequence[Column], width: int) -> list[Slot]:
    """Choose the columns that fit `width` cells and share out what remains among the flexible ones."""
    chosen = list(columns)
    while len(chosen) > 1 and _needed(chosen) > width:
        lowest = min(column.priority for column in chosen)
        last = max(place for place, column in enumerate(chosen) if column.priority == lowest)
        del chosen[last]
    flexible = sum(column.flexible for column in chosen)
    spare = max(0, width - _needed(chosen))
    slots: list[Slot] = []
    x = MARK
    for column in chosen:
        extra = 0
        if column.flexible:
            extra = spare // flexible
            spare, flexible = spare - extra, flexible - 1
        # a lone column is the only one that may be narrower than it asks for
        size = max(0, min(column.least + extra, width - x))
        slots.append(Slot(column, x, size, GAP if slots else 0))
        x += size + GAP
    return slots


def _needed(columns: Sequence[Column]) -> int:
    return MARK + sum(column.least for column in columns) + GAP * (len(columns) - 1)


def fit(text: str, width: int, justify: Literal["left", "right"] = "left") -> str:
    """Safe text of exactly `width` cells: padded, or cut with a mark at the end."""
    if len(text) > 8 * width + 64:  # a machine may send megabytes as its name
        text = text[: 8 * width + 64]
    text = safe(text)
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + CUT if width else ""
    blank = " " * (width - size)
    return blank + text if justify == "right" else text + blank


def safe(text: str) -> str:
    """Text that moves no cursor and reorders nothing: control, format and unassigned characters are shown as `?`."""
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    stacked = 0
    for character in unicodedata.normalize("NFC", text):
        if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
            # terminals disagree on the width of variation selectors; a mark needs a letter to stand on
            stacked += 1
            if kept and kept[-1] != " " and stacked <= _STACKED and not "\ufe00" <= character <= "\ufe0f":
                kept.append(character)
            continue
        stacked = 0
        if character.isprintable():
            kept.append(character)
        else:
            kept.append(" " if unicodedata.category(character) == "Zs" else "?")
    return "".join(kept)
