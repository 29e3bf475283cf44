"""Rows that are kept as they came, text and colours, and get their cells when somebody touches them.

Most lines of a console are gone before a frame is painted. A row of cells costs ten times what its text costs, so it is
made only for what bittty edits; what is painted, and what leaves the screen, is read from the text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qrm_tui.terminal.cells import Cell, Row, Style, Styles
from qrm_tui.terminal.ink import Ink
from qrm_tui.terminal.looks import PLAIN, Runs
from qrm_tui.terminal.sgr import read, runs_of_pieces


class Draft(Row):
    """A row whose cells are not made yet: `raw`, a line of ASCII text and SGR sequences that begins in `style`.

    It is a Row from the first touch on. What reads a list without asking its class (`list.extend` and the like are not
    among these) would see no cells; bittty indexes, slices and iterates.
    """

    __slots__ = ()

    columns: int
    ink: Ink
    raw: str
    style: Style

    def __init__(self, ink: Ink, columns: int, at: float, raw: str = "", style: Style | None = None) -> None:
        self.ink, self.columns, self.at, self.raw = ink, columns, at, raw
        self.style = ink.default if style is None else style
        self.said = None

    @property
    def blank(self) -> bool:
        """Whether nothing is written on it; False is not a proof that something is."""
        return not self.raw

    def write(self) -> None:
        """Make its cells: it is a Row like any other."""
        ink = self.ink
        self.__class__ = Row  # type: ignore[assignment]
        cells: list[Cell] = []
        if self.raw:
            for text, style, _ in ink.pieces(self.raw, self.style):
                cells += map(ink.styles.cells(style).__getitem__, text)
        cells += [ink.blank] * (self.columns - len(cells))
        self += cells
        if self.said is not None:
            self.said = cells

    def read(self, styles: Styles) -> Runs:
        """What it says."""
        if self.said is None:
            self.said = []
            self.runs = (read(self.raw) if styles.look(self.style) is PLAIN
                         else runs_of_pieces(self.ink.pieces(self.raw, self.style)))
        return self.runs


def _touching(name: str) -> Callable[..., Any]:
    method = getattr(list, name)

    def touch(row: Draft, *arguments: Any) -> Any:
        row.write()
        return method(row, *arguments)

    return touch


for _name in ("__getitem__", "__setitem__", "__delitem__", "__iter__", "__reversed__", "__len__", "__contains__",
              "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__add__", "__mul__", "__rmul__",
              "__iadd__", "__imul__", "append", "extend", "insert", "pop", "remove", "clear", "copy", "index",
              "count", "reverse", "sort"):
    setattr(Draft, _name, _touching(_name))
