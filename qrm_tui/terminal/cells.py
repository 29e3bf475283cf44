"""From bittty's cells to runs of text: styles become looks, once each, and cells of one style are shared."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from bittty.style import Style
from bittty.video import CONTINUATION
from wcwidth import wcwidth

from qrm_tui.terminal.looks import (
    BLINK,
    BOLD,
    CONCEAL,
    DIM,
    ITALIC,
    PLAIN,
    REVERSE,
    STRIKE,
    UNDERLINE,
    Colour,
    Look,
    Run,
    Runs,
)

Cell = tuple[Style, str]

#: Styles remembered at a time. What has forgotten them makes them anew.
_STYLES = 1024
_STYLE, _TEXT = itemgetter(0), itemgetter(1)
#: bittty packs them in the same order (style.py, _BOLD ...); its properties take ten times as long.
ATTRIBUTES = BOLD | DIM | ITALIC | UNDERLINE | BLINK | REVERSE | CONCEAL | STRIKE


class Row(list[Cell]):
    """A row of the screen that knows when it was last written (seconds since the epoch), and what it says."""

    __slots__ = ("at", "columns", "ink", "raw", "runs", "said", "style")  # those of a Draft too: it becomes a Row

    at: float
    #: cells as they were when it was last asked what it says, and the answer. Whoever writes on it tells nobody, but to
    #: see that all cells are still the same objects takes a twentieth of looking at them
    said: list[Cell] | None
    runs: Runs

    def __init__(self, cells: list[Cell], at: float) -> None:
        super().__init__(cells)
        self.at, self.said = at, None

    def read(self, styles: Styles) -> Runs:
        """What it says."""
        if self != self.said:
            self.said, self.runs = self[:], _runs_of(self, styles)
        return self.runs


class SharedCells(dict[str, Cell]):
    """The cells of one style by their text, each made once: a screen of one style costs a pointer a cell."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self.style = style

    def __missing__(self, text: str) -> Cell:
        cell = self[text] = (self.style, text)
        return cell


class Styles:
    """What follows from a style. Asked by identity: a style's hash costs more than writing a word."""

    def __init__(self) -> None:
        self._looks: dict[int, tuple[Style, Look]] = {}
        self._cells: dict[int, SharedCells] = {}
        self._changes: dict[tuple[int, int], tuple[Style, Any, Style]] = {}
        self._made: dict[Style, Style] = {}

    def look(self, style: Style) -> Look:
        """Colours and attributes of a style."""
        known = self._looks.get(id(style))
        if known is None:
            if len(self._looks) >= _STYLES:
                self._looks.clear()
            known = self._looks[id(style)] = (style, _look(style))  # holds the style, so that its id stays its own
        return known[1]

    def cells(self, style: Style) -> SharedCells:
        """The shared cells of a style."""
        known = self._cells.get(id(style))
        if known is None:
            if len(self._cells) >= _STYLES:
                self._cells.clear()
            known = self._cells[id(style)] = SharedCells(style)
        return known

    def after(self, style: Style, change: Any, default: Style) -> Style:
        """The style after an SGR operation. The same change of the same style is the same object again."""
        key = (id(style), id(change))
        known = self._changes.get(key)
        if known is None:
            addition, reset = change.args
            new = default if reset else style
            if addition is not None:
                new = new.merge(addition)
            if len(self._made) >= _STYLES:
                self._made.clear()
            new = self._made.setdefault(new, new)  # else each change of a change would be one more
            if len(self._changes) >= 4 * _STYLES:
                self._changes.clear()
            known = self._changes[key] = (style, change, new)
        return known[2]


def _look(style: Style) -> Look:
    look = Look(colour_of(style.fg), colour_of(style.bg), style._set & style._val & ATTRIBUTES)
    return PLAIN if look == PLAIN else look


def colour_of(colour: Any) -> Colour:
    if colour is None or colour.mode == "default":
        return None
    value: Colour = colour.value
    if isinstance(value, tuple):
        return value if len(value) == 3 and all(0 <= part <= 255 for part in value) else None
    return value if isinstance(value, int) and 0 <= value <= 255 else None


def runs_of(row: list[Cell], styles: Styles) -> Runs:
    """A row as runs, without the plain blanks at its end."""
    if isinstance(row, Row):
        return row.read(styles)
    return _runs_of(row, styles)


def _runs_of(row: list[Cell], styles: Styles) -> Runs:
    found: list[Run] = []
    texts, first = list(map(_TEXT, row)), 0
    for _, same in groupby(map(id, map(_STYLE, row))):  # to ask whether styles are equal would cost more
        size = len(list(same))
        look, text = styles.look(row[first][0]), "".join(texts[first:first + size])
        first += size
        if found and found[-1].look == look:
            former = found.pop()
            text, size = former.text + text, former.cells + size
        found.append(Run(text, look, size))
    if found and found[-1].look == PLAIN:
        run = found.pop()
        text = run.text.rstrip(" ")
        if text:
            found.append(Run(text, PLAIN, run.cells - len(run.text) + len(text)))
    return tuple(found)


#: What one cell shows, as the inside of a pattern's brackets: ASCII, the letters of Europe, punctuation, currencies,
#: arrows, boxes and blocks. There are others, which take the long way.
ONE_CELL = " -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0377\u037a-\u037f\u0386-\u0482\u048a-\u052f" \
           "\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u21ff\u2500-\u259f"


@lru_cache(4096)
def width(character: str) -> int:
    """Cells of a character as programs on the other side count them: 0 stands on the one before, -1 is not shown."""
    if character.isascii():
        return 1 if character.isprintable() else -1
    category = unicodedata.category(character)
    if category in ("Mn", "Me") or character in "\u200d\ufe0e\ufe0f":
        return 0
    if category in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return -1  # moves the cursor or turns the order round in the terminal that shows it
    return max(1, wcwidth(character))


__all__ = ["ATTRIBUTES", "CONTINUATION", "ONE_CELL", "Cell", "Row", "SharedCells", "Style", "Styles", "colour_of",
           "runs_of", "width"]
