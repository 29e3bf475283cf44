"""Lines of a table as plain data: made from rows, compared with what is on screen, turned into strips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from qrm_tui.widgets.columns import MARK, Slot, fit
from qrm_tui.widgets.rows import Row


class Line(NamedTuple):
    """What one line of the screen says: for each cell its text, at full width, and the name of its style.

    `kind` (`header`, `cursor`, `placeholder` or none) names the style of cells that have none of their own.
    """

    kind: str
    cells: tuple[tuple[str, str | None], ...]


BLANK = Line("", ())


def header_line(slots: Sequence[Slot], column: str | None, reverse: bool) -> Line:
    """The labels, with an arrow up (ascending) or down on the column that the rows are sorted by."""
    arrow = "↓" if reverse else "↑"
    labels = (slot.column.label + (arrow if slot.column.key == column else "") for slot in slots)
    cells = ((slot.fit(label), None) for slot, label in zip(slots, labels, strict=True))
    return Line("header", ((" " * MARK, None), *cells))


def row_line(slots: Sequence[Slot], row: Row, now: float, *, marked: bool, under_cursor: bool) -> Line:
    """A row: `*` where it is marked, else `>` under the cursor, then its cells."""
    mark = "*" if marked else ">" if under_cursor else " "
    cells: list[tuple[str, str | None]] = [(mark + " ", None)]
    for slot in slots:
        column = slot.column
        # on the cursor's background a state's colour may vanish; its word stays
        style = None if under_cursor or column.style is None else column.style(row)
        cells.append((slot.fit(column.text(row, now)), style))
    return Line("cursor" if under_cursor else "", tuple(cells))


def placeholder_line(text: str, width: int) -> Line:
    """What an empty table says."""
    return Line("placeholder", ((fit(" " * MARK + text, width), None),))


def difference(old: Line | None, new: Line, slots: Sequence[Slot], width: int) -> tuple[int, int]:
    """The cells start <= x < stop that must be painted anew when `old` is on screen."""
    if old == new:
        return 0, 0
    if old is None or old.kind != new.kind or not len(old.cells) == len(new.cells) == len(slots) + 1:
        return 0, width
    differing = [place for place, cell in enumerate(old.cells) if cell != new.cells[place]]
    if not differing:
        return 0, 0
    first, last = differing[0], differing[-1]
    start = slots[first - 1].x if first else 0
    stop = slots[last - 1].x + slots[last - 1].width if last else MARK
    return start, stop


def line_strip(line: Line, width: int, style: Callable[[str], Style]) -> Strip:
    """The line in `width` cells; `style` gives the colours of a name. Neighbours of one style share a segment."""
    base = style(line.kind)
    segments: list[Segment] = []
    run, run_style = "", base
    for text, name in line.cells:
        cell_style = base if name is None else style(name)
        if cell_style is not run_style and run:
            segments.append(Segment(run, run_style))
            run = ""
        run, run_style = run + text, cell_style
    segments.append(Segment(run, run_style))
    return Strip(segments).adjust_cell_length(width, base)
