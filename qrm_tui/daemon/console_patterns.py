"""What on a console raises an event: the table data/console_patterns.toml, and lines looked at as they come.

Only texts are looked for, and each byte a bounded number of times, however it is cut: no console, however hostile,
makes it slow or large.
"""
from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import NamedTuple

from qrm_tui.core.console_text import PlainBytes, plain
from qrm_tui.core.names import printable
from qrm_tui.core.places import data_folder
from qrm_tui.core.resources import Severity

#: Bytes that are remembered of a line that has not ended, and characters of a line that are told.
LONGEST_LINE, LONGEST_TEXT = 1024, 200


class Pattern(NamedTuple):
    """A row of the table."""

    name: str
    texts: tuple[bytes, ...]
    without: tuple[bytes, ...]
    severity: Severity
    next: str


class Hit(NamedTuple):
    """A pattern was found in a line; `whole`: the line that was found before has ended now, and this is all of it."""

    pattern: Pattern
    text: str
    whole: bool = False


@cache
def patterns() -> tuple[Pattern, ...]:
    """The table, the most important first."""
    with (data_folder() / "console_patterns.toml").open("rb") as file:
        rows = tomllib.load(file)["pattern"]
    return tuple(Pattern(row["name"], tuple(text.encode() for text in row["texts"]),
                         tuple(text.encode() for text in row.get("without", ())), row["severity"], row["next"])
                 for row in rows)


class Matcher:
    """Looks at one console."""

    def __init__(self, table: tuple[Pattern, ...] | None = None) -> None:
        self._table = patterns() if table is None else table
        self._texts = tuple(dict.fromkeys(text for pattern in self._table for text in pattern.texts))
        self._any = re.compile(b"|".join(map(re.escape, self._texts)))
        self._before = max(map(len, self._texts)) - 1
        self._plain = PlainBytes()
        #: the line that has not ended: its bytes, and what was found in it
        self._line = b""
        self._found: Pattern | None = None

    def feed(self, data: bytes) -> list[Hit]:
        """What is found in bytes that have just come; a line raises one event at the most."""
        text = self._plain.feed(data)
        known = len(self._line)
        text = self._line + text
        hits: list[Hit] = []
        place = 0
        if self._found is not None:
            end = text.find(b"\n")
            if end >= 0:
                hits.append(Hit(self._found, _text(text[:end]), whole=True))
                self._found = None
            place = end + 1 or len(text)
        begin = max(place, known - self._before)
        if any(text.find(one, begin) >= 0 for one in self._texts):
            self._look(text, begin, hits)
        self._remember(text)
        return hits

    def _look(self, text: bytes, place: int, hits: list[Hit]) -> None:
        """Line by line, only those that have something."""
        while (candidate := self._any.search(text, place)) is not None:
            start, end = text.rfind(b"\n", 0, candidate.start()) + 1, text.find(b"\n", candidate.end())
            line = text[start:] if end < 0 else text[start:end]
            found = next((pattern for pattern in self._table if any(one in line for one in pattern.texts)
                          and not any(one in line for one in pattern.without)), None)
            if found is not None:
                hits.append(Hit(found, _text(line)))
            if end < 0:
                self._found = found
                return
            place = end + 1

    def _remember(self, text: bytes) -> None:
        self._line = text[text.rfind(b"\n") + 1:]
        if len(self._line) > LONGEST_LINE:
            # what was found is told once, and a line that does not end begins anew
            self._line = b"" if self._found else self._line[-self._before:]
            self._found = None


def _text(line: bytes) -> str:
    return printable(plain(line.decode(errors="replace")).strip(), LONGEST_TEXT)
