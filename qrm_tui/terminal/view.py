"""Scroll-back and screen as one row of numbered lines: what is searched, copied and looked through."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from qrm_tui.terminal.emulator import Emulator
from qrm_tui.terminal.looks import text_of
from qrm_tui.terminal.scrollback import Kept


class Lines:
    """The lines of an emulator by number: those of the scroll-back keep theirs, the screen's follow on them."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    @property
    def first(self) -> int:
        return self._emulator.scrollback.first

    @property
    def screen(self) -> int:
        """The number of the screen's first row."""
        return self._emulator.scrollback.end

    @property
    def end(self) -> int:
        return self.screen + self._emulator.rows

    def __getitem__(self, number: int) -> Kept:
        if number < self.screen:
            return self._emulator.scrollback[number]
        row = number - self.screen
        return Kept(self._emulator.line(row), self._emulator.written(row))

    def text(self, number: int) -> str:
        return self._emulator.scrollback.text(number) if number < self.screen else text_of(self[number].runs)

    def find(self, words: str, start: int, step: int) -> int | None:
        """The next line with these words from `start` on (it included), up (-1) or down (1). No case, unless typed."""
        flags = re.IGNORECASE if words == words.lower() else re.NOFLAG
        pattern = re.compile(re.escape(words), flags)
        number = start
        while self.first <= number < self.end:
            if pattern.search(self.text(number)):
                return number
            number += step
        return None

    def copied(self, first: int, last: int) -> str:
        """The text of lines first to last, those that were broken for want of room whole again."""
        return "".join(self._texts(first, last)).rstrip("\n") + "\n"

    def _texts(self, first: int, last: int) -> Iterator[str]:
        for number in range(max(first, self.first), min(last, self.end - 1) + 1):
            line = self[number]
            yield text_of(line.runs) + ("" if line.wrapped else "\n")


def place_of(words: str, text: str) -> tuple[int, int] | None:
    """Where the words begin and end in a text, as `find` looks for them."""
    flags = re.IGNORECASE if words == words.lower() else re.NOFLAG
    found = re.search(re.escape(words), text, flags)
    return found.span() if found else None


def clock_text(at: float) -> str:
    """A time as the gutter shows it; nothing for one that is not known."""
    return time.strftime("%H:%M:%S", time.localtime(at)) if at else " " * 8


def gap_text(since: float, until: float, why: str) -> str:
    """What a mark in the scroll-back says of missing output."""
    days = "" if until - since < 86400 else time.strftime("%Y-%m-%d ", time.localtime(since))
    span = f"{days}{clock_text(since)} - {clock_text(until)}"
    return f"nothing recorded {span}" + (f": {why}" if why else "")
