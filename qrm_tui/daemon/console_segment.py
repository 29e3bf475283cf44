"""A segment of a console's log: a file of bytes, and a file of records that tell when they came."""
from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

#: An offset and microseconds since the epoch.
RECORD = struct.Struct(">QQ")


class Piece(NamedTuple):
    """Bytes from an offset on, and when the first of them came (microseconds since the epoch)."""

    offset: int
    at: int
    data: bytes


class Segment:
    """One file of bytes and its file of times."""

    def __init__(self, folder: Path, start: int) -> None:
        self.start, self.size, self.times = start, 0, 0
        self.log_path, self.times_path = folder / f"{start}.log", folder / f"{start}.times"

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def written(self) -> float:
        """When it was written to last."""
        try:
            return self.log_path.stat().st_mtime
        except OSError:
            return 0

    @property
    def total(self) -> int:
        return self.size + self.times * RECORD.size

    def read(self, offset: int, most: int) -> bytes:
        with self.log_path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), min(most, self.end - offset), offset - self.start)

    def records(self, first: int, count: int) -> list[tuple[int, int]]:
        """(offset, microseconds) of some records."""
        count = max(0, min(count, self.times - first))
        with self.times_path.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), count * RECORD.size, first * RECORD.size)
        return list(RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size]))

    def find(self, field: int, value: int) -> int:
        """How many records have a field (0 offset, 1 time) up to `value`."""
        if not self.times:
            return 0
        low, high = 0, self.times
        with self.times_path.open("rb", buffering=0) as file:
            while low < high:
                middle = (low + high) // 2
                record = os.pread(file.fileno(), RECORD.size, middle * RECORD.size)
                if len(record) == RECORD.size and RECORD.unpack(record)[field] <= value:
                    low = middle + 1
                else:
                    high = middle
        return low

    def remove(self) -> None:
        self.log_path.unlink(missing_ok=True)
        self.times_path.unlink(missing_ok=True)
