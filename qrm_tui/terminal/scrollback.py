"""Lines that left the screen, with the time at which each was last written; bounded in lines and in bytes.

They are kept packed, a string and some bytes a line: half a million small tuples would be looked through by each of
Python's collections, and hold the screen up for half a second. Lines that are text and colours are kept as they came,
and read when somebody looks back: most are forgotten before.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from qrm_tui.terminal.looks import PLAIN, Colour, Look, Run, Runs
from qrm_tui.terminal.sgr import WITHOUT, read

#: Lines kept, and about how many bytes they may take; a line of one look takes a few hundred.
MOST_LINES, MOST_BYTES = 10_000, 16 << 20
_LINE_BYTES = 240
#: Characters and cells of a run; its colours and attributes.
_RUN, _LOOK = struct.Struct("<HH"), struct.Struct("<IIB")
_PACKED = _RUN.size + _LOOK.size
_RGB = 1 << 24

#: Text, looks of its runs (None: the text has its sequences), time, whether it goes on, whether it is a mark.
Packed = tuple[str, bytes | None, float, bool, bool]


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
        self._lines: deque[Packed] = deque()
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
        return _unpacked(self._lines[number - self.first])

    def __iter__(self) -> Iterator[Kept]:
        return map(_unpacked, self._lines)

    def text(self, number: int) -> str:
        """A line's text alone."""
        text, looks, *_ = self._lines[number - self.first]
        return (WITHOUT.sub("", text) if looks is None else text).rstrip(" ")

    @property
    def size(self) -> int:
        """About how many bytes the lines take."""
        return self._bytes

    def append(self, line: Kept) -> None:
        """One more line; the oldest are forgotten where that is too much."""
        self._append(_packed(line))

    def append_raw(self, raw: str, at: float, wrapped: bool = False) -> None:
        """One more line as it came: ASCII text and SGR sequences, beginning in the terminal's own colours."""
        self._append((raw, None, at, wrapped, False) if "\x1b" in raw else (raw.rstrip(" "), b"", at, wrapped, False))

    def _append(self, packed: Packed) -> None:
        self._lines.append(packed)
        self._bytes += _cost(packed)
        while len(self._lines) > self._most_lines or (self._bytes > self._most_bytes and len(self._lines) > 1):
            self._bytes -= _cost(self._lines.popleft())
            self.first += 1

    def clear(self) -> None:
        """Forget all lines; the numbers go on."""
        self.first = self.end
        self._lines.clear()
        self._bytes = 0


def _cost(packed: Packed) -> int:
    text = packed[0]
    return _LINE_BYTES + len(text) * (1 if text.isascii() else 4) + len(packed[1] or b"")


def _packed(line: Kept) -> Packed:
    runs, at, wrapped, mark = line
    if not runs:
        return "", b"", at, wrapped, mark
    if len(runs) == 1:
        text, look, cells = runs[0]
        if look is PLAIN and cells == len(text):
            return text, b"", at, wrapped, mark
    packed = b"".join([_RUN.pack(len(run[0]), run[2]) + _look_bytes(run[1]) for run in runs])
    return "".join([run[0] for run in runs]), packed, at, wrapped, mark


def _unpacked(packed: Packed) -> Kept:
    text, looks, at, wrapped, mark = packed
    if looks is None:
        return Kept(read(text), at, wrapped, mark)
    if not looks:
        return Kept((Run(text, PLAIN, len(text)),) if text else (), at, wrapped, mark)
    runs, first = [], 0
    for place in range(0, len(looks), _PACKED):
        length, cells = _RUN.unpack_from(looks, place)
        runs.append(Run(text[first:first + length], _look(looks[place + _RUN.size:place + _PACKED]), cells))
        first += length
    return Kept(tuple(runs), at, wrapped, mark)


@lru_cache(4096)
def _look_bytes(look: Look) -> bytes:
    return _LOOK.pack(_number(look.text), _number(look.behind), look.attributes)


@lru_cache(4096)
def _look(packed: bytes) -> Look:
    text, behind, attributes = _LOOK.unpack(packed)
    look = Look(_colour(text), _colour(behind), attributes)
    return PLAIN if look == PLAIN else look


def _number(colour: Colour) -> int:
    if colour is None:
        return 0
    if isinstance(colour, tuple):
        return _RGB | colour[0] << 16 | colour[1] << 8 | colour[2]
    return colour + 1


def _colour(number: int) -> Colour:
    if number & _RGB:
        return number >> 16 & 255, number >> 8 & 255, number & 255
    return number - 1 if number else None
