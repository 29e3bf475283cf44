"""Which lines of a widget stand on the terminal, so that only what differs is sent.

Textual (8.2.8) renders more than it sends: every line of every widget within the rectangle around all that is updated.
That a line was rendered therefore does not tell that it is on the terminal; only what the widget asked for is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from textual.geometry import Region

Line = TypeVar("Line")


class Painted(Generic[Line]):
    """By number what a line says on the terminal; none where that is not known: it is painted whole then."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}

    def get(self, y: int) -> Line | None:
        """What line `y` says there."""
        return self._lines.get(y)

    def asked(self, y: int, line: Line) -> None:
        """What differs from it was asked for."""
        self._lines[y] = line

    def sent(self, regions: Iterable[Region], width: int, line_of: Callable[[int], Line]) -> None:
        """These regions are rendered and sent now."""
        for region in regions:
            if region.x <= 0 and region.right >= width:
                for y in region.line_range:
                    self._lines[y] = line_of(y)

    def rendered(self, y: int, line: Line) -> None:
        """It may be sent, or not: what is not as it was asked for is painted again."""
        if self._lines.get(y) != line:
            self._lines.pop(y, None)

    def forget(self) -> None:
        """Nothing is known any more."""
        self._lines.clear()
