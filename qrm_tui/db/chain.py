"""The journal's hash chain: an entry that was changed, taken out or put in between breaks it."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlmodel import Session, col, select

from qrm_tui.db.tables import JournalRow

#: What the first entry follows.
START = "0" * 64


#: The fields that a hash covers, in this order.
_SEALED = ("seq", "at", "who", "terminal", "operation", "object", "outcome", "reason", "job", "details")


def seal(fields: Mapping[str, Any], before: str) -> str:
    """SHA-256 over the hash before and the entry's fields as canonical JSON."""
    sealed = json.dumps([fields[name] for name in _SEALED], separators=(",", ":"))
    return hashlib.sha256((before + sealed).encode()).hexdigest()


def check(session: Session) -> tuple[int, str]:
    """`first_break` of the whole journal, of which a little is in memory at a time."""
    return first_break(session.exec(
        select(JournalRow).order_by(col(JournalRow.seq)).execution_options(yield_per=100)))


def first_break(rows: Iterable[JournalRow]) -> tuple[int, str]:
    """How many entries hold, and what is wrong with the next (empty: nothing)."""
    before, seq = START, 0
    for row in rows:
        if row.seq != seq + 1:
            return seq, f"entry {seq + 1} is missing"
        if row.hash != seal(vars(row), before):
            return seq, f"entry {row.seq} was changed after it was written"
        before, seq = row.hash, row.seq
    return seq, ""
