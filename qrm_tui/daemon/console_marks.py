"""What is marked in a console's log: where its line ended, and where something is missing."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

#: Marks that are kept of a console, and bytes of their file before it is written anew.
_MOST, _MOST_BYTES = 200, 64 << 10

_log = logging.getLogger("qrmd.consoles")


class Mark(msgspec.Struct, frozen=True):
    """At `offset` the line ended at `since`, and was there again at `until` (seconds; None: not yet)."""

    offset: int
    since: float
    until: float | None
    why: str


class Marks:
    """One console's marks, oldest first; at most one an offset. Kept as lines of JSON, the last of an offset counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: dict[int, Mark] = {}
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            lines = []
        for line in lines:
            try:
                mark = msgspec.json.decode(line, type=Mark)
            except msgspec.DecodeError:
                continue  # power failed in the middle of a line
            self._marks[mark.offset] = mark
        self._hold()

    def ended(self, offset: int, at: float, why: str) -> None:
        """The line ended; where nothing came since the last mark, that one goes on."""
        before = self._marks.get(offset)
        self._put(Mark(offset, before.since if before else at, None, why))

    def begins(self, offset: int, at: float) -> None:
        """The line is there (again)."""
        last = self._marks.get(offset)
        if last is not None and last.until is None:
            self._put(msgspec.structs.replace(last, until=at))

    @property
    def last(self) -> Mark | None:
        return next(reversed(self._marks.values()), None)

    def all(self) -> list[Mark]:
        return list(self._marks.values())

    def gaps(self, begin: int, end: int) -> Iterator[Mark]:
        """Those that are closed, at offsets from `begin` to `end`, both included."""
        return (mark for mark in self.all() if begin <= mark.offset <= end and mark.until is not None)

    def _hold(self) -> None:
        while len(self._marks) > _MOST:
            del self._marks[next(iter(self._marks))]

    def _put(self, mark: Mark) -> None:
        self._marks[mark.offset] = mark
        self._hold()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                if file.tell() <= _MOST_BYTES:
                    # a line that was torn before must not take this one along
                    file.write(b"\n" + msgspec.json.encode(mark) + b"\n")
                    return
            new = self._path.with_suffix(".new")
            new.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in self._marks.values()))
            new.replace(self._path)
        except OSError as error:
            _log.warning("%s: %s", self._path, error.strerror)
