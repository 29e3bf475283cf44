"""Lines that left the screen, with the time at which each was last written; bounded in lines and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from qrm_tui.terminal.emulator import Runs

#: Lines kept, and about how many bytes they may take; a line of one look takes a few hundred.
MOST_LINES, MOST_BYTES = 10_000, 16 << 20
_LINE_BYTES, _RUN_BYTES = 200, 160


class Kept(NamedTuple):
    """A line of the scroll-back."""

    runs: Runs
    #: seconds since the epoch
    at: float
    #: it goes on in the next line
    wrapped: bool = False
    #: not the other side's words but ours: why something is missing here
    mark: bool = False


class Scrollback:
    """Lines are numbered for good: what a number names stays the same, until it is forgotten."""

    def __init__(self, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> None:
        self._most_lines, self._most_bytes = most_lines, most_bytes
        self._lines: deque[Kept] = deque()
        self._costs: deque[int] = deque()
        self._bytes = 0
        #: number of the oldest line kept
        self.first = 0

    @property
    def end(self) -> int:
        """One more than the number of the newest line."""
        return self.first + len(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> Kept:
        if not self.first <= number < self.end:
            raise IndexError(number)
        return self._lines[number - self.first]

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._lines)

    @property
    def size(self) -> int:
        """About how many bytes the lines take."""
        return self._bytes

    def append(self, line: Kept) -> None:
        """One more line; the oldest are forgotten where that is too much."""
        cost = _LINE_BYTES
        for text, _, _ in line.runs:
            cost += _RUN_BYTES + len(text) * (1 if text.isascii() else 4)
        self._lines.append(line)
        self._costs.append(cost)
        self._bytes += cost
        while len(self._lines) > self._most_lines or (self._bytes > self._most_bytes and len(self._lines) > 1):
            self._lines.popleft()
            self._bytes -= self._costs.popleft()
            self.first += 1

    def clear(self) -> None:
        """Forget all lines; the numbers go on."""
        self.first = self.end
        self._lines.clear()
        self._costs.clear()
        self._bytes = 0
