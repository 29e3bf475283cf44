"""What a view is made of: columns, facts of the detail pane, and what a state means to the eye."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qrm_tui.core.units import format_age, format_size
from qrm_tui.widgets.columns import Column

Row = Mapping[str, Any]
#: Characters of a bar in a column.
_BAR = 4

#: What a state means to the eye; its word is always shown, too.
STATE_STYLES = {
    "ready": "good", "in use": "good", "ok": "good", "active": "good", "done": "good", "idle": "", "frozen": "",
    "booting": "strong", "starting": "strong", "stopping": "strong", "creating": "strong", "removing": "strong",
    "running": "strong", "waiting": "strong", "warning": "warning", "unknown": "warning", "degraded": "warning",
    "undoing": "warning", "undone": "warning", "error": "bad", "failed": "bad", "off": "muted", "inactive": "muted",
    "defined": "muted", "paused": "warning", "crashed": "bad",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the detail pane that is made of several fields."""

    label: str
    text: Callable[[Row], str]
    #: the fields that it tells of
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    """From a row to what it is besides, or has: the object of the same name, or a filter for its `{name}`."""

    kind: str
    filter: str = ""
    when: Callable[[Row], bool] = lambda row: True


@dataclass(frozen=True, slots=True)
class View:
    """A view: which rows it lists and how."""

    #: its name for `:`
    name: str
    kind: str
    #: its digit; empty: it is reached by `:` alone
    key: str
    title: str
    columns: tuple[Column, ...]
    placeholder: str
    #: field it is ordered by at first, and whether downwards
    order: tuple[str, bool] = ("name", False)
    #: fields of the detail pane, in this order; what else a row has follows
    fields: tuple[str | Fact, ...] = ()
    #: fields that say nothing to a person, or are in the title
    hidden: frozenset[str] = frozenset()
    #: operations that only make sense in some states
    applies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: operations that only make sense on some rows
    only: Mapping[str, Callable[[Row], bool]] = field(default_factory=dict)
    #: what a form begins with, by operation and the state of its object
    begins: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    #: what `enter` does
    enter: str = "details"
    #: its title where there is little room
    short: str = ""
    #: where `t` leads: the first that applies
    leads: tuple[Lead, ...] = ()

    def lead(self, row: Row | None) -> Lead | None:
        """Where this row leads; None: nowhere."""
        return next((lead for lead in self.leads if row is not None and lead.when(row)), None)


def state_style(row: Row) -> str | None:
    """The style of a row's state."""
    return STATE_STYLES.get(row.get("state", "")) or None


def state_column(width: int = 8) -> Column:
    return Column("state", "state", width, priority=9, style=state_style)


def age_column(key: str, label: str, width: int = 6, priority: int = 3) -> Column:
    def show(row: Row, now: float) -> str:
        at = row.get(key)
        return "" if at is None else format_age(now - at)

    return Column(key, label, width, "right", priority=priority, format=show)


def size_column(key: str, label: str, priority: int) -> Column:
    return Column(key, label, 6, "right", priority=priority, format=lambda row, now: format_size(row.get(key)))


def share_column(key: str, label: str, priority: int) -> Column:
    def show(row: Row, now: float) -> str:
        share = row.get(key)
        return "" if share is None else f"{share:.0%}"

    def style(row: Row) -> str | None:
        share = row.get(key) or 0
        return "bad" if share >= 0.95 else "warning" if share >= 0.8 else None

    return Column(key, label, 5, "right", priority=priority, format=show, style=style)


def bar_column(key: str, label: str, priority: int, share_of: Callable[[Row], float | None]) -> Column:
    """A small bar with its share in words, of characters that every terminal has."""
    def show(row: Row, now: float) -> str:
        share = share_of(row)
        if share is None:
            return ""
        return f"{_bar(share)}{share:>5.0%}"

    return Column(key, label, _BAR + 5, priority=priority, format=show)


def memory_column(key: str, share: str, priority: int) -> Column:
    """Memory, behind a small bar of which share it is; without one where that is not known."""
    def show(row: Row, now: float) -> str:
        bar = "" if row.get(share) is None else _bar(row[share])
        return f"{bar:<{_BAR}}{format_size(row[key]):>6}" if row.get(key) else ""

    return Column(key, "memory", _BAR + 6, priority=priority, format=show)


def _bar(share: float) -> str:
    filled = min(_BAR, max(0, round(share * _BAR)))
    return "#" * filled + "." * (_BAR - filled)


def list_column(key: str, label: str, width: int, priority: int) -> Column:
    return Column(key, label, width, flexible=True, priority=priority,
                  format=lambda row, now: ", ".join(map(str, row.get(key) or ())))


def job_progress(row: Row) -> str:
    """`3/8`, with the share of the step that runs, where it can tell."""
    if not row.get("steps"):
        return ""
    at = row["steps"] if row["state"] == "done" else min(row.get("step", 0) + 1, row["steps"])
    share = row.get("progress")
    return f"{at}/{row['steps']}" + (f" {share:.0%}" if share is not None and row["state"] == "running" else "")


def job_took(row: Row, now: float) -> str:
    """How long a job runs or ran."""
    if row.get("started") is None:
        return ""
    return format_age((row.get("ended") or now) - row["started"])


def clock_text(row: Row, now: float) -> str:
    at = row.get("at")
    return "" if at is None else time.strftime("%m-%d %H:%M:%S", time.localtime(at))


def outcome_style(row: Row) -> str | None:
    return STATE_STYLES.get(str(row.get("outcome", ""))) or None
