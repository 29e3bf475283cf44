"""The journal's hash chain: an entry that was changed, taken out or put in between breaks it."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from qrm_tui.db.tables import JournalRow

#: What the first entry follows.
START = "0" * 64


def seal(row: JournalRow, before: str) -> str:
    """SHA-256 over the hash before and the entry's fields as canonical JSON."""
    fields = [row.seq, row.at, row.who, row.terminal, row.operation, row.object, row.outcome, row.reason, row.job,
              row.details]
    return hashlib.sha256((before + json.dumps(fields, separators=(",", ":"))).encode()).hexdigest()


def first_break(rows: Iterable[JournalRow]) -> tuple[int, str]:
    """How many entries hold, and what is wrong with the next (empty: nothing)."""
    before, seq = START, 0
    for row in rows:
        if row.seq != seq + 1:
            return seq, f"entry {seq + 1} is missing"
        if row.hash != seal(row, before):
            return seq, f"entry {row.seq} was changed after it was written"
        before, seq = row.hash, row.seq
    return seq, ""
