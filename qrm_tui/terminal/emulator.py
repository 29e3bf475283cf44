"""What a terminal emulator is to us: bytes go in, lines of text with their looks come out."""

from __future__ import annotations

from typing import Protocol

from qrm_tui.terminal.looks import Runs
from qrm_tui.terminal.scrollback import Scrollback

#: The smallest and the largest screen that an emulator takes.
LEAST_COLUMNS, LEAST_ROWS, MOST_COLUMNS, MOST_ROWS = 2, 1, 512, 256


class Emulator(Protocol):
    """A screen that bytes write on. No bytes, however hostile, raise anything or make it grow beyond its bounds."""

    @property
    def columns(self) -> int: ...

    @property
    def rows(self) -> int: ...

    @property
    def scrollback(self) -> Scrollback:
        """Lines that left the screen at its top."""

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Column and row from 0; None while it is hidden."""

    @property
    def title(self) -> str:
        """What the other side calls itself: short, and without control characters. Empty at first."""

    @property
    def bells(self) -> int:
        """How often the bell has rung so far."""

    @property
    def alternate(self) -> bool:
        """Whether a program has the alternate screen, which leaves no lines behind."""

    @property
    def reversed(self) -> bool:
        """Whether the whole screen is shown in reverse."""

    @property
    def application_cursor(self) -> bool:
        """Whether arrows are sent as ESC O and a letter (DECCKM)."""

    @property
    def bracketed_paste(self) -> bool:
        """Whether pasted text is to be marked as such (mode 2004)."""

    def feed(self, data: bytes, at: float) -> None:
        """Bytes of the other side, which came at this time (seconds since the epoch)."""

    def line(self, row: int) -> Runs:
        """What a row of the screen shows, from 0."""

    def written(self, row: int) -> float:
        """When a row of the screen was last written (seconds since the epoch); 0: nobody knows, or nothing is there."""

    def changed(self) -> list[int]:
        """The rows that may show something else than at the last call."""

    def take_replies(self) -> bytes:
        """What the terminal answers to questions in the bytes fed since the last call."""

    def mark(self, text: str, at: float) -> None:
        """A word of ours behind what came so far: the lines above the cursor's go into the scroll-back, it follows."""

    def resize(self, columns: int, rows: int) -> None:
        """Another size, held to the least and the most; lines that no longer fit go into the scroll-back."""
