"""Sizes, ages and times: how people write them and how they are shown.

Sizes are bytes everywhere inside. `K M G T P` are powers of 1024, as in LVM's own tools; a bare number is bytes.
Times are seconds since the epoch inside, RFC 3339 UTC outside.
"""
from __future__ import annotations

import re

_UNITS = "BKMGTP"
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([BKMGTP]?)(?:i?B)?", re.IGNORECASE)
#: Largest size taken: ext4's own limit with 4 KiB blocks is 1 EiB; nobody's volume group is larger.
LARGEST = 1 << 60


def parse_size(text: str) -> int:
    """Bytes of `5000M`, `5G`, `1.5T`, `4096`; ValueError says what is wrong."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size: write a number and K, M, G or T, as in 5000M")
    number, unit = match.groups()
    size = int(float(number) * 1024 ** max(0, _UNITS.index(unit.upper() or "B")))
    if size <= 0:
        raise ValueError(f"{text!r}: a size is more than 0")
    if size > LARGEST:
        raise ValueError(f"{text!r} is larger than any file system can be")
    return size


def format_size(size: int | float | None) -> str:
    """`4.9G`: three significant figures at the most, powers of 1024; `-` when not known."""
    if size is None:
        return "-"
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    if unit == 0:
        return f"{int(value)}B"
    digits = 0 if value >= 99.95 or value == int(value) else 1
    return f"{value:.{digits}f}{_UNITS[unit]}"


def write_size(size: int) -> str:
    """A size as one would type it, exactly: `256M`, `5000M`, `4097`."""
    unit = next((unit for unit in (4, 3, 2, 1) if size and size % 1024 ** unit == 0), 0)
    return f"{size // 1024 ** unit}{_UNITS[unit] if unit else ''}"


def format_age(seconds: float) -> str:
    """`45s`, `12m`, `3h05m`, `4d`: short enough for a column."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 48 * 3600:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 86400}d"


def format_time(at: float | None) -> str | None:
    """RFC 3339 UTC with seconds, as in `2026-11-22T10:00:00Z`."""
    from datetime import UTC, datetime  # only where it is needed: the command line starts without it

    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
