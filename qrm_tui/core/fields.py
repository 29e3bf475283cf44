"""What rows' fields hold, for those who print them: light, since the command line imports it."""
from __future__ import annotations

from typing import Any

from qrm_tui.core.units import format_time

Row = dict[str, Any]
#: Fields that hold times; seconds inside, RFC 3339 outside.
TIMES = frozenset(("since", "seen_at", "created", "started", "ended", "asked", "full_at", "at", "stage_at",
                   "event_at", "last_in"))
#: Fields that hold bytes.
SIZES = frozenset(("size", "used", "free", "pool_size", "pool_promised", "reserve", "memory", "disk", "disk_free",
                   "memory_free", "memory_given"))


def outside(row: Row) -> Row:
    """A row as scripts read it: times in RFC 3339."""
    return {key: format_time(value) if key in TIMES else
            {stage: format_time(at) for stage, at in value.items()} if key == "stages" else value
            for key, value in row.items()}
