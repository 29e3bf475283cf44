"""What text is written with: styles, the sequences that change them, and the cells that texts become."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bittty.charsets import get_charset
from bittty.style import get_background, parse_sgr_sequence, style_to_ansi

from qrm_tui.terminal.cells import Cell, Style, Styles
from qrm_tui.terminal.looks import Look
from qrm_tui.terminal.sgr import SEQUENCE, parts_of

Piece = tuple[str, Style, Look]
#: Which of G0 to G3 is in use, and what they are.
Sets = tuple[int, tuple[str, ...]]
ASCII: Sets = (0, ("B", "B", "B", "B"))
#: A change of a pen: SGR, ASCII or line drawing as G0 and G1, SO, SI; and some of them, no more than are remembered.
CHANGE = rf"(?:{SEQUENCE}|\x1b[()][0B]|[\x0e\x0f])"
RUN = f"{CHANGE}{{0,8}}"
_CHANGE = re.compile(CHANGE)
#: Pens that are remembered, and ways from one to another.
_PENS, _WAYS = 1024, 4096


class Pen:
    """A style with sets of characters. `next` is the pen after changes (`RUN`)."""

    __slots__ = ("cell", "fill", "filled", "look", "next", "sets", "style")

    def __init__(self, ink: Ink, style: Style, sets: Sets) -> None:
        self.style, self.sets = style, sets
        self.look = ink.styles.look(style)
        #: whether what is erased gets a background, and the cell of it
        self.filled, self.fill = filled(style), ink.blank
        if self.filled:
            self.fill = ink.styles.cells(parse_sgr_sequence(get_background(style_to_ansi(style))))[" "]
        using, designated = sets
        #: gives the cell of a character; None where bittty must
        self.cell: Callable[[str], Cell] | None = None
        if designated[using] == "B":
            self.cell = ink.styles.cells(style).__getitem__
        elif designated[using] == "0":
            self.cell = _Drawn(style).__getitem__
        self.next = _Ways(ink, self)


class _Drawn(dict[str, Cell]):
    """The cells of characters where lines are drawn."""

    _LINES = get_charset("0")

    def __init__(self, style: Style) -> None:
        super().__init__()
        self._style = style

    def __missing__(self, text: str) -> Cell:
        cell = self[text] = (self._style, self._LINES.get(text, text))
        return cell


class _Ways(dict[str, Pen]):
    """The pens after changes of one."""

    def __init__(self, ink: Ink, pen: Pen) -> None:
        super().__init__()
        self._ink, self._pen = ink, pen

    def __missing__(self, run: str) -> Pen:
        pen = self[run] = self._ink.changed(self._pen, run)
        return pen


class Ink:
    """What sequences make of styles, and the cells of texts in them. `operation` gives that of a sequence."""

    def __init__(self, styles: Styles, operation: Callable[[str], Any], default: Style) -> None:
        self.styles, self.default = styles, default
        self.blank = styles.cells(default)[" "]
        self._operation = operation
        self._pens: dict[tuple[int, Sets], Pen] = {}
        self._ways = 0

    def pen(self, style: Style, sets: Sets = ASCII) -> Pen:
        """The pen of a style, remembered."""
        pen = self._pens.get((id(style), sets))
        if pen is None:
            if len(self._pens) >= _PENS:
                self._forget()
                self._pens.clear()
            pen = self._pens[id(style), sets] = Pen(self, style, sets)  # holds the style: its id is its own
        return pen

    def changed(self, pen: Pen, run: str) -> Pen:
        """The pen after changes: what one asks `Pen.next` for is remembered."""
        if self._ways >= _WAYS:
            self._forget()
        self._ways += 1
        style, (using, designated) = pen.style, pen.sets
        for change in _CHANGE.findall(run):
            if change == "\x0f":
                using = 0
            elif change == "\x0e":
                using = 1
            elif change[1] == "[":
                style = self.styles.after(style, self._operation(change), self.default)
            elif change[1] == "(":
                designated = (change[2], *designated[1:])
            else:
                designated = (designated[0], change[2], *designated[2:])
        return self.pen(style, (using, designated))

    def _forget(self) -> None:
        for pen in self._pens.values():
            pen.next.clear()
        self._ways = 0

    def pieces(self, raw: str, style: Style) -> list[Piece]:
        """The texts of a line that begins in this style."""
        pen = self.pen(style)
        if "\x1b" not in raw:
            return [(raw, style, pen.look)]
        pieces = []
        for number, part in enumerate(parts_of(raw)):
            if number % 2:
                pen = pen.next[part]
            elif part:
                pieces.append((part, pen.style, pen.look))
        return pieces

    def after(self, raw: str, style: Style) -> Style:
        """The style behind a line that begins in this one: that of what stands behind its last reset."""
        for reset in ("\x1b[0m", "\x1b[m"):
            place = raw.rfind(reset)
            if place >= 0:
                raw, style = raw[place + len(reset):], self.default
        if "\x1b" in raw:
            pen = self.pen(style)
            for sequence in parts_of(raw)[1::2]:
                pen = pen.next[sequence]
            style = pen.style
        return style


def filled(style: Style) -> bool:
    """Whether what is erased in this style gets its background."""
    return style.bg is not None and style.bg.mode != "default"
