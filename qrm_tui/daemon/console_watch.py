"""What one watcher of a console is sent: how things stand, gaps, and what was recorded, at the watcher's own pace.

Everything is read from the log by offset when the watcher has taken what was before it, so a watcher who stalls costs
one piece of memory and holds nobody up.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from qrm_tui.core.console_wire import GAP, MOST_OUTPUT, STATUS, frame, output_frame
from qrm_tui.daemon.console_recorder import Console, Session

#: Seconds in which what comes is sent together, after the first of it was sent at once.
PACE = 0.02


class Reader:
    """The log from an offset on, as frames."""

    def __init__(self, console: Console, offset: int) -> None:
        self._console = console
        self.offset = offset
        #: the mark that was told last
        self._told: tuple[int, float | None] | None = None

    @property
    def at_end(self) -> bool:
        return self.offset >= self._console.log.end

    def batch(self) -> bytes:
        """The frames that come next, a piece or more; empty: that was all for now."""
        frames = bytearray()
        while len(frames) < MOST_OUTPUT and self._next(frames):
            pass
        return bytes(frames)

    def _next(self, frames: bytearray) -> bool:
        """One piece with what is to be told before it; whether there was one."""
        console, before = self._console, self.offset
        piece = console.log.read(self.offset)
        if piece and piece.offset > self.offset:
            frames += self._skipped(piece.offset)
        begin, end = (piece.offset, piece.offset + len(piece.data)) if piece else (before, before)
        for mark in console.marks.gaps(before, end):
            if mark.offset > begin:
                # no further than to the next gap, which is told in its place
                end = min(end, mark.offset)
                break
            if self._told != (mark.offset, mark.until):
                self._told = (mark.offset, mark.until)
                frames += _gap(mark.offset, mark.since, mark.until or 0, mark.why)
        if piece is None:
            return False
        self.offset = end
        frames += output_frame(begin, piece.at, piece.data[: end - begin])
        return True

    def _skipped(self, until: int) -> bytes:
        """Bytes that are not kept any more, or never were."""
        log = self._console.log
        there = log.read(until, 1)
        at = there.at / 1e6 if there else self._console.clock()
        why = "older output was rotated away" if until <= log.start else \
            f"{until - self.offset} bytes were not recorded: the disk took nothing"
        return _gap(until, at, at, why)


def _gap(offset: int, since: float, until: float, why: str) -> bytes:
    return frame(GAP, msgspec.json.encode({"offset": offset, "from": since, "to": until, "why": why}))


async def watch(console: Console, offset: int, session: Session) -> AsyncIterator[bytes]:
    """Frames from `offset` on, until the server ends; the first says how things stand."""
    reader, told = Reader(console, offset), -1
    while not console.parted:
        changed = console.changed
        if told != console.revision:
            told = console.revision
            yield frame(STATUS, msgspec.json.encode(console.status(session)))
        frames = reader.batch()
        if frames:
            yield frames
            if reader.at_end:
                await asyncio.sleep(PACE)
        elif told == console.revision:
            await changed.wait()


async def recorded(console: Console, offset: int) -> AsyncIterator[bytes]:
    """Frames from `offset` to the end of what is recorded by now; this is no session."""
    reader, end = Reader(console, offset), console.log.end
    yield frame(STATUS, msgspec.json.encode(console.status(None)))
    while reader.offset < end and (frames := reader.batch()):
        yield frames
