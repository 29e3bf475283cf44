"""What a terminal shows, and the fewest bytes that make it show something else; for looks without colours.

Only what a VT100 knows: places (CUP, CUF), erasing to the end of a line (EL) and of the screen (ED), and SGR for
reversed and underlined (DEC VT100 User Guide, chapter 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

_REVERSED, _UNDERLINED = 1, 2
_SGR = ("", "7", "4", "4;7")
_BLANK = (" ", 0)
#: Cells that are as they should be and are written again nevertheless: a step over them takes four bytes.
_STEP = 4

Cell = tuple[str, int]
Row = list[Cell]


class Sheet:
    """What a terminal shows and what it should show, cell by cell. A character is one cell wide here."""

    def __init__(self, columns: int = 0, rows: int = 0) -> None:
        self._wanted = _blank(columns, rows)
        self._shown: list[Row] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return len(self._wanted[0]) if self._wanted else 0, len(self._wanted)

    def resize(self, columns: int, rows: int) -> None:
        """The terminal is another; nothing is known of what it shows."""
        self._wanted = _blank(columns, rows)
        self._shown = None

    def forget(self) -> None:
        """Something else has written on the terminal: all is sent again."""
        self._shown = None

    def take(self, update: CompositorUpdate) -> None:
        """What it should show from now on, in part or as a whole."""
        for x, y, strip in _strips(update):
            if not 0 <= y < len(self._wanted):
                continue
            row, place = self._wanted[y], x
            for cell in _cells(strip):
                if 0 <= place < len(row):
                    row[place] = cell
                place += 1

    def changes(self) -> str:
        """What is to be sent; it counts as shown then. Empty where all is as it should be."""
        columns, rows = self.size
        pen = _Pen(columns)
        if self._shown is None:
            pen.clear()
            self._shown = _blank(columns, rows)
        for y, (shown, wanted) in enumerate(zip(self._shown, self._wanted, strict=True)):
            if shown != wanted:
                _change(pen, y, shown, wanted)
                shown[:] = wanted
        return pen.done()


class _Pen:
    """Where the terminal writes next, and how; takes the shorter way from place to place."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._parts: list[str] = []
        self._at: tuple[int, int] | None = None
        self._look = 0

    def clear(self) -> None:
        self._parts.append("\x1b[m\x1b[H\x1b[J")
        self._at = (0, 0)

    def write(self, x: int, y: int, cells: Iterable[Cell]) -> None:
        self._go(x, y)
        for character, look in cells:
            self._as(look)
            self._parts.append(character)
            x += 1
        # behind the last column terminals differ in where they are
        self._at = (x, y) if x < self._columns else None

    def erase_rest(self, x: int, y: int) -> None:
        self._go(x, y)
        self._as(0)
        self._parts.append("\x1b[K")

    def done(self) -> str:
        self._as(0)
        return "".join(self._parts)

    def _go(self, x: int, y: int) -> None:
        if self._at == (x, y):
            return
        ways = [f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H" if y else "\x1b[H"]
        if self._at and self._at[1] == y:
            by = x - self._at[0]
            ways += [f"\x1b[{by}C" if by > 1 else "\x1b[C"] if by > 0 else [] if x else ["\r"]
        self._parts.append(min(ways, key=len))
        self._at = (x, y)

    def _as(self, look: int) -> None:
        if look != self._look:
            self._parts.append(f"\x1b[{'0;' if look and self._look else ''}{_SGR[look]}m")
            self._look = look


def _change(pen: _Pen, y: int, shown: Row, wanted: Row) -> None:
    end = len(wanted)
    while end and wanted[end - 1] == _BLANK:
        end -= 1
    for start, stop in _runs(shown[:end], wanted[:end]):
        pen.write(start, y, wanted[start:stop])
    rest = [place for place in range(end, len(shown)) if shown[place] != _BLANK]
    if rest and len(rest) < len("\x1b[K") and rest[-1] - rest[0] < len(rest):
        pen.write(rest[0], y, [_BLANK] * len(rest))
    elif rest:
        pen.erase_rest(end, y)


def _runs(shown: Row, wanted: Row) -> Iterator[tuple[int, int]]:
    """Where cells differ; what lies between two near ones is in it, if that is cheaper than a step over it."""
    start = stop = -1
    for place, (has, wants) in enumerate(zip(shown, wanted, strict=True)):
        if has == wants:
            continue
        if start >= 0 and (place - stop > _STEP or any(look for _, look in wanted[stop:place])):
            yield start, stop
            start = place
        elif start < 0:
            start = place
        stop = place + 1
    if start >= 0:
        yield start, stop


def _blank(columns: int, rows: int) -> list[Row]:
    return [[_BLANK] * columns for _ in range(rows)]


def _strips(update: CompositorUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Column, row and content of each piece."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield x, y, strip
                x += strip.cell_length
    elif isinstance(update, ChopsUpdate):
        for y, start, stop in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
                left, right = max(x, start), min(end, stop)
                if strip is not None and left < right:
                    yield left, y, strip.crop(left - x, right - x)


def _cells(strip: Strip) -> Iterator[Cell]:
    for text, style, control in strip:
        if control:
            continue
        look = (_REVERSED * bool(style.reverse) | _UNDERLINED * bool(style.underline)) if style else 0
        for character in text:
            # the look has made it ASCII already; this holds whatever comes
            yield from [(character, look)] if " " <= character <= "~" else [("?", look)] * cell_len(character)
