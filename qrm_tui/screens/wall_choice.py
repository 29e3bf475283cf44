"""Which consoles a wall shows: machines and VEs by name, those that a filter names, or all. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from qrm_tui.core.errors import BadInput
from qrm_tui.core.filters import compile_filter
from qrm_tui.screens.live import Live

Row = Mapping[str, Any]


class Choice(NamedTuple):
    """Names of machines, and whether somebody named each."""

    names: list[str]
    named: bool


def machines_of(words: Sequence[str], live: Live) -> Choice:
    """Machines in the order in which they are named; else those with an alert first, then by name. BadInput where
    there is none, or a word is neither a name nor a filter."""
    rows, ves = live.rows["resource"], live.rows["ve"]
    if words and all(word in rows or word in ves for word in words):
        named = [name for word in words for name in ([word] if word in rows else ves[word]["resources"])]
        if not named:
            raise BadInput(f"{', '.join(words)}: no machine runs that, so there is no console")
        return Choice(list(dict.fromkeys(named)), True)
    chosen: Iterable[Row] = rows.values()
    if words:
        holds = compile_filter(" ".join(words), frozenset(next(iter(rows.values()), {})) or None, live.clock)
        chosen = [row for row in chosen if holds(row)]
    names = [str(row["name"]) for row in sorted(chosen, key=_order)]
    if not names:
        strange = [word for word in words if word not in rows and word not in ves]
        if len(strange) < len(words):
            raise BadInput(f"{', '.join(strange)}: there is no machine and no VE of that name")
        raise BadInput("no machine matches that" if words else "there are no machines, and so no consoles")
    return Choice(names, False)


def _order(row: Row) -> tuple[bool, list[tuple[int, str]]]:
    parts = re.split(r"([0-9]+)", str(row["name"]))
    return not row.get("event_stands"), [(int(part), "") if part.isdigit() else (0, part) for part in parts]
