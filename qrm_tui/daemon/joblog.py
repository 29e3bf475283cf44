"""What a job's steps printed: kept in a file a job, followed live by any number of readers."""
from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

#: Lines kept in memory of a job that runs, and bytes kept of each job on disk.
_TAIL = 2000
_MOST_BYTES = 8 << 20

_log = logging.getLogger("qrmd.jobs")


class Line(msgspec.Struct, frozen=True):
    """One line: number, time, step (from 0), stream (`out`, `err`, `note`) and text."""

    n: int
    at: float
    step: int | None
    stream: str
    text: str


class JobLog:
    """One job's lines."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._tail: deque[Line] = deque(maxlen=_TAIL)
        self._changed = asyncio.Event()
        self._size = 0
        self.count = sum(1 for _ in self._stored()) if path.exists() else 0
        self.ended = False

    def add(self, step: int | None, stream: str, text: str) -> None:
        """A line more; a full disk costs the file, not the job."""
        line = Line(self.count, self._clock(), step, stream, text[:2000])
        self.count += 1
        self._tail.append(line)
        if self._size < _MOST_BYTES:
            try:
                with self._path.open("ab") as file:
                    self._size += file.write(msgspec.json.encode(line) + b"\n")
            except OSError as error:
                _log.warning("the log of a job cannot be written: %s", error)
                self._size = _MOST_BYTES
        self._wake()

    def end(self) -> None:
        """No more lines come."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _stored(self) -> list[Line]:
        lines = []
        for text in self._path.read_bytes().splitlines():
            try:
                lines.append(msgspec.json.decode(text, type=Line))
            except msgspec.DecodeError:
                continue  # power failed in the middle of a line
        return lines

    def lines(self, start: int) -> list[Line]:
        """Lines from number `start` on."""
        if self._tail and self._tail[0].n <= start:
            return [line for line in self._tail if line.n >= start]
        return [line for line in (self._stored() if self._path.exists() else self._tail) if line.n >= start]

    async def read(self, start: int, follow: bool) -> AsyncIterator[Line]:
        """Lines from `start` on; with `follow` until the job has ended."""
        at = start
        while True:
            changed = self._changed
            for line in self.lines(at):
                at = line.n + 1
                yield line
            if not follow or self.ended:
                return
            await changed.wait()
