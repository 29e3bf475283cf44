"""How a wall's tiles lie: a grid that fits the terminal, pages of it, and what stands in a tile's title. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.cells import cell_len

from qrm_tui.core.units import format_age
from qrm_tui.screens.columns import STATE_STYLES
from qrm_tui.screens.views import event_words
from qrm_tui.widgets.columns import fit, safe
from qrm_tui.widgets.page import PageLine

#: Consoles of a wall.
MOST = 24
#: The smallest tile in which a line says something: half of a line of 80, and six lines below its title.
LEAST_COLUMNS, LEAST_ROWS = 39, 7
#: What a console's programs take the screen for, and a title: a larger tile shows nothing more.
_COLUMNS, _ROWS = 80, 25
#: Cells that a name has at least.
_LEAST_NAME = 10


class Layout(NamedTuple):
    """Tiles side by side, and below each other."""

    columns: int
    rows: int

    @property
    def tiles(self) -> int:
        return self.columns * self.rows


def layout_of(count: int, width: int, height: int) -> Layout:
    """The grid in which `count` tiles show the most; where they do not fit, the one with the most tiles a page."""
    most = Layout(max(1, width // LEAST_COLUMNS), max(1, height // LEAST_ROWS))
    wanted = min(max(1, count), most.tiles)

    def shows(grid: Layout) -> tuple[int, int]:
        cells = min(width // grid.columns, _COLUMNS) * min(height // grid.rows, _ROWS)
        return cells, -grid.tiles

    return max((Layout(columns, rows) for columns in range(1, most.columns + 1) for rows in range(1, most.rows + 1)
                if columns * rows >= wanted), key=shows)


def tile_title(width: int, machine: str, row: Mapping[str, Any] | None, at: float, now: float, *, stands: str,
               chosen: bool) -> PageLine:
    """Name, state, age of the last byte, what was found: in this order, the last first where there is no room for all.

    `stands`: how its line is, where it is not connected; `at`: when the last byte came, 0 where none has.
    """
    row = row or {}
    name, alert = safe(machine), bool(row.get("event_stands"))
    room = width - 1 - min(cell_len(name), _LEAST_NAME)
    state = str(row.get("state", ""))
    words = {"state": (stands, "warning") if stands else (state, STATE_STYLES.get(state, "")),
             "age": (f"{format_age(max(0.0, now - at))} ago" if at else "silent", ""),
             "said": (safe(event_words(row)), "reverse" if alert else "")}
    order = ("state", "said", "age") if stands else ("said", "state", "age")
    kept = {}
    for key in order:
        text, style = safe(words[key][0]), words[key][1]
        if text and key == order[0]:
            text = fit(text, max(0, min(cell_len(text), room - 2)))
        size = cell_len(text) + 2
        if text and size <= room:
            # on the cursor's bar every word has the bar's colours
            kept[key] = text, style if style == "reverse" or not chosen else ""
            room -= size
    most = min(cell_len(name), _LEAST_NAME) + room
    spans: PageLine = ((">" if chosen else " ", ""), (fit(name, min(cell_len(name), most)), ""))
    for key in words:
        if key in kept:
            spans += (("  ", ""), kept[key])
    return spans
