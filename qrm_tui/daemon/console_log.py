"""A console's log on disk: segments of raw bytes, with the times at which they came, capped and rotated.

A segment is `OFFSET.log`, named by the offset of its first byte, and `OFFSET.times`: records of 16 bytes, big-endian,
an offset and microseconds since the epoch, one for each piece that came. Whoever watches is served from here, so
nothing waits in memory for a slow one. While the disk takes nothing, the newest bytes are kept in memory.
"""
from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from qrm_tui.core.console_wire import MOST_OUTPUT
from qrm_tui.daemon.console_segment import RECORD, Piece, Segment

#: Bytes of a segment, and of all of one console (with their times).
SEGMENT, MOST = 4 << 20, 16 << 20
#: Bytes that are kept in memory while the disk takes nothing.
_HELD = 256 << 10
#: Logs whose files are open at the same time.
_OPEN = 256
#: Pieces that came within so many microseconds are given out together.
_TOGETHER = 100_000
_BLOCK = 64 << 10


class OpenFiles:
    """Which logs have their files open: the ones written to last."""

    def __init__(self, most: int = _OPEN) -> None:
        self._most = most
        self._logs: OrderedDict[int, ConsoleLog] = OrderedDict()

    def used(self, log: ConsoleLog) -> None:
        """It has just been written to; the one that was not for the longest time closes its files."""
        self._logs[id(log)] = log
        self._logs.move_to_end(id(log))
        while len(self._logs) > self._most:
            self._logs.popitem(last=False)[1].release()

    def forget(self, log: ConsoleLog) -> None:
        self._logs.pop(id(log), None)


class ConsoleLog:
    """One console's bytes. Offsets count from its first byte ever, and never begin anew."""

    def __init__(self, folder: Path, files: OpenFiles | None = None, *, segment: int = SEGMENT,
                 most: int = MOST) -> None:
        self.folder = folder
        self._files = files or OpenFiles()
        self._segment, self._most = segment, most
        self.segments: list[Segment] = []
        #: what is wrong with the disk, in words; empty: nothing
        self.trouble = ""
        self._log = self._times = -1
        self._held, self._held_start = bytearray(), 0
        self._held_times: list[tuple[int, int]] = []
        self._last: Piece | None = None
        self._load()

    def _load(self) -> None:
        starts = sorted(int(path.stem) for path in self.folder.glob("*.log") if path.stem.isdigit())
        for start in starts:
            segment = Segment(self.folder, start)
            segment.size = segment.log_path.stat().st_size
            with contextlib.suppress(OSError):
                # a record that was torn by a power failure does not count
                segment.times = segment.times_path.stat().st_size // RECORD.size
            self.segments.append(segment)
        self._held_start = self.segments[-1].end if self.segments else 0

    # what there is

    @property
    def start(self) -> int:
        """The oldest byte that is kept."""
        return self.segments[0].start if self.segments else self._held_start

    @property
    def end(self) -> int:
        return self._held_start + len(self._held)

    @property
    def size(self) -> int:
        """Bytes on disk, with times."""
        return sum(segment.total for segment in self.segments)

    @property
    def last_at(self) -> int:
        """When the last piece came, in microseconds; 0: nothing is recorded."""
        if self._held_times:
            return self._held_times[-1][1]
        for segment in reversed(self.segments):
            with contextlib.suppress(OSError):
                if records := segment.records(segment.times - 1, 1):
                    return records[0][1]
        return 0

    # writing

    def append(self, data: bytes, at: int) -> None:
        """Bytes that came at `at` (microseconds). A disk that takes nothing is told in `trouble`, and costs the oldest
        of what is held in memory."""
        if not (self.trouble and self._held_times and at - self._held_times[-1][1] < _TOGETHER):
            self._held_times.append((self.end, at))
        self._held += data
        try:
            self._write()
            self.trouble = ""
        except OSError as error:
            self.release()
            self.trouble = f"the log cannot be written: {error.strerror or error}"
            self._hold()

    def _write(self) -> None:
        """All that is held, to disk; OSError."""
        while self._held:
            segment = self._current()
            room = max(self._segment - segment.total, MOST_OUTPUT)
            written = os.write(self._log, self._held[:room])
            segment.size += written
            self._held_start += written
            del self._held[:written]
            passed = sum(1 for offset, _ in self._held_times if offset < self._held_start)
            records = b"".join(RECORD.pack(*record) for record in self._held_times[:passed])
            if records:
                if os.write(self._times, records) != len(records):
                    os.ftruncate(self._times, segment.times * RECORD.size)
                    raise OSError(28, "No space left on device")
                segment.times += passed
                del self._held_times[:passed]

    def _current(self) -> Segment:
        """The segment that is written to, its files open; OSError."""
        last = self.segments[-1] if self.segments else None
        if last is not None and not last.size and last.start != self._held_start:
            # begun when the disk took nothing
            self.release()
            self.segments.pop().remove()
            last = self.segments[-1] if self.segments else None
        if last is None or last.total >= self._segment or last.end != self._held_start:
            self.release()
            self.folder.mkdir(parents=True, exist_ok=True)
            last = Segment(self.folder, self._held_start)
            self._open(last)
            self.segments.append(last)
            self._rotate()
        elif self._log < 0:
            self._open(last)
        self._files.used(self)
        return last

    def _open(self, segment: Segment) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._log = os.open(segment.log_path, flags, 0o600)
        self._times = os.open(segment.times_path, flags, 0o600)
        os.ftruncate(self._times, segment.times * RECORD.size)
        os.ftruncate(self._log, segment.size)

    def _hold(self) -> None:
        """What is too much for memory is lost, the oldest first."""
        lost = len(self._held) - _HELD
        if lost > 0:
            del self._held[:lost]
            self._held_start += lost
        kept = [record for record in self._held_times if record[0] >= self._held_start]
        if self._held and (not kept or kept[0][0] > self._held_start):
            before = [at for offset, at in self._held_times if offset < self._held_start]
            kept.insert(0, (self._held_start, before[-1] if before else kept[0][1]))
        self._held_times = kept[-_HELD:]

    def _rotate(self) -> None:
        while len(self.segments) > 1 and self.size > self._most:
            self.drop_oldest()

    def drop_oldest(self) -> int:
        """Remove the oldest segment, even the one that is written to; how many bytes that freed."""
        if not self.segments:
            return 0
        oldest = self.segments.pop(0)
        if not self.segments:
            self.release()
        with contextlib.suppress(OSError):
            oldest.remove()
        self._last = None
        return oldest.total

    def release(self) -> None:
        """Close its files; the next byte opens them again."""
        for descriptor in (self._log, self._times):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._times = -1
        self._files.forget(self)

    # reading

    def read(self, offset: int, most: int = MOST_OUTPUT) -> Piece | None:
        """What was recorded from `offset` on, as far as it came at about the same time; a later offset where that is
        not kept; None where nothing is left."""
        if self._last is not None and self._last.offset == offset and offset + len(self._last.data) == self.end:
            return self._last
        for segment in self.segments:
            if segment.end > offset and segment.size:
                try:
                    piece = self._from(segment, max(offset, segment.start), most)
                except OSError:
                    continue
                if piece.data:
                    self._last = piece
                    return piece
        if offset < self.end and self._held:
            begin = max(offset, self._held_start)
            at = [at for start, at in self._held_times if start <= begin] or [self.last_at]
            return Piece(begin, at[-1], bytes(self._held[begin - self._held_start:][:most]))
        return None

    @staticmethod
    def _from(segment: Segment, offset: int, most: int) -> Piece:
        number = max(segment.find(0, offset) - 1, 0)
        records = segment.records(number, 512)
        at = records[0][1] if records else int(segment.log_path.stat().st_mtime * 1e6)
        until = next((start for start, when in records if start > offset and when - at > _TOGETHER), None)
        if until is None and number + len(records) < segment.times:
            until = records[-1][0] if records[-1][0] > offset else None
        return Piece(offset, at, segment.read(offset, most if until is None else min(most, until - offset)))

    def offset_of_time(self, at: int) -> int:
        """The first byte that came at `at` (microseconds) or later; the end if none did."""
        for segment in self.segments:
            with contextlib.suppress(OSError):
                last = segment.records(segment.times - 1, 1)
                if last and last[0][1] >= at:
                    records = segment.records(segment.find(1, at - 1), 1)
                    return records[0][0] if records else segment.start
        return next((offset for offset, when in self._held_times if when >= at), self.end)

    def offset_of_lines(self, lines: int) -> int:
        """Where the last `lines` lines begin; one that has not ended yet is a line."""
        if lines <= 0:
            return self.end
        wanted, place = lines, self.end
        for start, block in self._backwards():
            if start + len(block) == self.end:
                wanted += block.endswith(b"\n")
            found = block.count(b"\n")
            if found >= wanted:
                at = len(block)
                for _ in range(wanted):
                    at = block.rfind(b"\n", 0, at)
                return start + at + 1
            wanted, place = wanted - found, start
        return place

    def _backwards(self) -> Iterator[tuple[int, bytes]]:
        if self._held:
            yield self._held_start, bytes(self._held)
        for segment in reversed(self.segments):
            end = segment.end
            while end > segment.start:
                begin = max(segment.start, end - _BLOCK)
                try:
                    yield begin, segment.read(begin, end - begin)
                except OSError:
                    return
                end = begin
