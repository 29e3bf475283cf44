"""Lines of a terminal on our screen: what one says as plain data, what differs between two, and the strip of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from qrm_tui.terminal.cells import width as cells_of
from qrm_tui.terminal.looks import BOLD, CONCEAL, DIM, ITALIC, REVERSE, STRIKE, UNDERLINE, Colour, Look, Runs
from qrm_tui.terminal.view import place_of

_REVERSED = Style(reverse=True)
_MARK = "--"


class Shown(NamedTuple):
    """What a line of the widget says."""

    runs: Runs = ()
    #: before the line: its time
    gutter: str = ""
    #: a word of ours, not of the other side
    mark: bool = False
    #: one of the lines chosen to be copied
    chosen: bool = False
    #: cell that the cursor is on
    cursor: int | None = None
    #: words that are looked for
    words: str = ""
    #: the whole screen is shown in reverse
    reversed: bool = False


def difference(old: Shown | None, new: Shown, width: int) -> tuple[int, int]:
    """The cells start <= x < stop that must be painted anew when `old` is on the screen."""
    if old == new:
        return 0, 0
    if old is None or old._replace(runs=(), cursor=None) != new._replace(runs=(), cursor=None) or old.words:
        return 0, width
    before, after = _cells(old, width), _cells(new, width)
    if before is None or after is None:
        return 0, width
    places = [x for x in range(width) if before[x] != after[x]]
    return (places[0], places[-1] + 1) if places else (0, 0)


def _cells(shown: Shown, width: int) -> list[tuple[str, Look | None, bool]] | None:
    """Each cell's character, look and cursor; None where a character may take more than a cell."""
    cells: list[tuple[str, Look | None, bool]] = [(character, None, False) for character in shown.gutter]
    left = len(cells)
    for text, look, _ in shown.runs:
        if not text.isascii():
            return None
        cells += [(character, look, False) for character in text]
    cells = cells[:width] + [(" ", None, False)] * (width - len(cells))
    if shown.cursor is not None and left + shown.cursor < width:
        character, look, _ = cells[left + shown.cursor]
        cells[left + shown.cursor] = (character, look, True)
    return cells


def strip_of(shown: Shown, width: int, style: Callable[[str], Style]) -> Strip:
    """The line in `width` cells; `style` gives our own words' styles: muted, chosen, found."""
    base = style("")
    if shown.mark:
        words = f" {_MARK} {shown.runs[0].text if shown.runs else ''} {_MARK}"
        return Strip([Segment(words[:width], style("muted"))]).adjust_cell_length(width, style("muted"))
    ground = base + _REVERSED if shown.reversed else base
    segments = [Segment(_fitted(text, cells), ground + _style(look)) for text, look, cells in shown.runs]
    strip = Strip(segments)
    if shown.words and (place := place_of(shown.words, text := strip.text)):
        first = cell_len(text[:place[0]])
        strip = _over(strip, first, first + cell_len(text[place[0]:place[1]]), style("found"))
    room = max(1, width - len(shown.gutter))
    strip = strip.adjust_cell_length(room, ground)
    if shown.chosen:
        strip = Strip([Segment(strip.text, style("chosen"))])
    if shown.cursor is not None:
        head = strip.crop(shown.cursor, shown.cursor + 2).text[:1]
        wide = 2 if head and cell_len(head) == 2 else 1
        strip = _over(strip, shown.cursor, shown.cursor + wide, _REVERSED)
    if shown.gutter:
        strip = Strip.join([Strip([Segment(shown.gutter, style("muted"))]), strip])
    return strip.adjust_cell_length(width, ground)


def _over(strip: Strip, start: int, stop: int, style: Style) -> Strip:
    """The strip with a style laid over some of its cells."""
    middle = [Segment(text, (own or Style.null()) + _turned(own, style)) for text, own, _ in strip.crop(start, stop)]
    return Strip.join([strip.crop(0, start), Strip(middle), strip.crop(stop, strip.cell_length)])


def _turned(own: Style | None, style: Style) -> Style:
    """Reverse on what is reversed already is plain."""
    return Style(reverse=False) if style == _REVERSED and own is not None and own.reverse else style


@lru_cache(4096)
def _fitted(text: str, cells: int) -> str:
    """The text in as many cells as the emulator gave to it, whatever this terminal thinks of a character."""
    if text.isascii() and len(text) == cells:
        return text
    if cell_len(text) != cells or not text.isprintable():
        text = "".join(_character(character) for character in text)
    return set_cell_size(text, cells)


def _character(character: str) -> str:
    wide = cells_of(character)
    if wide <= 0:
        return ""
    return character if cell_len(character) == wide else "?" * wide


@lru_cache(2048)
def _style(look: Look) -> Style:
    attributes = look.attributes
    if attributes & CONCEAL:
        return Style(color=_colour(look.behind), bgcolor=_colour(look.behind), conceal=True)
    return Style(
        color=_colour(look.text), bgcolor=_colour(look.behind), bold=bool(attributes & BOLD) or None,
        dim=bool(attributes & DIM) or None, italic=bool(attributes & ITALIC) or None,
        underline=bool(attributes & UNDERLINE) or None, strike=bool(attributes & STRIKE) or None,
        reverse=bool(attributes & REVERSE) or None,
    )


def _colour(colour: Colour) -> Color | None:
    if colour is None:
        return None
    return Color.from_rgb(*colour) if isinstance(colour, tuple) else Color.from_ansi(colour)
