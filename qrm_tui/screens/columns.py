"""The views and their columns: a new kind of list is a table here, not a class."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qrm_tui.core.units import format_age, format_size
from qrm_tui.widgets.columns import Column

Row = Mapping[str, Any]

#: What a state means to the eye; its word is always shown, too.
STATE_STYLES = {
    "ready": "good", "in use": "good", "ok": "good", "active": "good", "done": "good",
    "warning": "warning", "unknown": "warning", "creating": "strong", "running": "strong", "waiting": "strong",
    "undoing": "warning", "undone": "warning", "error": "bad", "failed": "bad", "off": "muted", "frozen": "",
}


@dataclass(frozen=True, slots=True)
class View:
    """A numbered view: which rows it lists and how."""

    #: its name for `:`
    name: str
    kind: str
    key: str
    title: str
    columns: tuple[Column, ...]
    placeholder: str
    #: field it is ordered by at first, and whether downwards
    order: tuple[str, bool] = ("name", False)
    #: fields of the detail pane, in this order; what else a row has follows
    fields: tuple[str, ...] = ()
    #: fields that say nothing to a person, or are in the title
    hidden: frozenset[str] = frozenset()
    #: operations that only make sense in some states
    applies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: what `enter` does
    enter: str = "details"


def state_style(row: Row) -> str | None:
    """The style of a row's state."""
    return STATE_STYLES.get(row.get("state", "")) or None


def _state(width: int = 8) -> Column:
    return Column("state", "state", width, priority=9, style=state_style)


def _age(key: str, label: str, width: int = 6, priority: int = 3) -> Column:
    def show(row: Row, now: float) -> str:
        at = row.get(key)
        return "" if at is None else format_age(now - at)

    return Column(key, label, width, "right", priority=priority, format=show)


def _size(key: str, label: str, priority: int) -> Column:
    return Column(key, label, 6, "right", priority=priority, format=lambda row, now: format_size(row.get(key)))


def _share(key: str, label: str, priority: int) -> Column:
    def show(row: Row, now: float) -> str:
        share = row.get(key)
        return "" if share is None else f"{share:.0%}"

    def style(row: Row) -> str | None:
        share = row.get(key) or 0
        return "bad" if share >= 0.95 else "warning" if share >= 0.8 else None

    return Column(key, label, 5, "right", priority=priority, format=show, style=style)


def _list(key: str, label: str, width: int, priority: int) -> Column:
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


def _clock(row: Row, now: float) -> str:
    at = row.get("at")
    return "" if at is None else time.strftime("%m-%d %H:%M:%S", time.localtime(at))


def _outcome_style(row: Row) -> str | None:
    return STATE_STYLES.get(str(row.get("outcome", ""))) or None


_UNFINISHED = frozenset(("waiting", "running"))

VIEWS: tuple[View, ...] = (
    View(
        "farm", "alert", "1", "Farm",
        (
            Column("kind", "kind", 8, priority=5),
            Column("name", "name", 16, priority=10),
            _state(),
            Column("why", "needs attention, because", 24, flexible=True, priority=8),
            _age("since", "since"),
        ),
        "nothing needs attention", order=("since", False), enter="goto",
        hidden=frozenset(("key", "kind")),
    ),
    View(
        "images", "image", "5", "Images",
        (
            Column("name", "name", 15, flexible=True, priority=10),
            _state(),
            _size("size", "size", 8),
            _size("used", "used", 6),
            _share("fill", "fill", 7),
            Column("origin", "clone of", 11, flexible=True, priority=5),
            Column("storage", "storage", 10, priority=4),
            _age("since", "since"),
            _list("used_by", "used by", 14, 2),
        ),
        "no images yet: a makes an empty one, or :image add",
        fields=("storage", "path", "size", "used", "fill", "full_at", "origin", "clones", "used_by", "hostname", "fs",
                "mounted", "thin", "managed", "seen_at", "created", "export_id", "volume_id"),
        hidden=frozenset(("id", "revision")),
    ),
    View(
        "storage", "storage", "6", "Storage",
        (
            Column("name", "name", 16, flexible=True, priority=10),
            _state(),
            Column("type", "type", 9, priority=3),
            Column("address", "address", 15, priority=6),
            _size("size", "size", 7),
            _size("free", "free", 8),
            _share("pool_data", "pool", 5),
            Column("images", "images", 6, "right", priority=4),
            _age("since", "since"),
        ),
        "no storage server yet: a registers one",
        fields=("address", "type", "env", "size", "free", "images", "pool_size", "pool_data", "pool_metadata",
                "pool_promised", "user", "port", "seen_at", "versions", "host_key"),
        hidden=frozenset(("revision",)),
    ),
    View(
        "jobs", "job", "8", "Jobs",
        (
            Column("id", "job", 5, "right", priority=10),
            _state(),
            Column("operation", "operation", 14, priority=7),
            Column("object", "object", 16, flexible=True, priority=8),
            Column("step", "step", 8, priority=6, format=lambda row, now: job_progress(row)),
            Column("started", "took", 6, "right", priority=5, format=job_took),
            _age("ended", "ended", priority=4),
            Column("who", "who", 10, priority=2),
            Column("reason", "reason", 16, flexible=True, priority=1),
        ),
        "no jobs yet: everything that changes a machine will be listed here",
        order=("id", True), enter="job",
        fields=("error", "doing", "waits_for", "operation", "object", "arguments", "reason", "who", "terminal", "step",
                "steps", "asked", "started", "ended", "cancelling"),
        hidden=frozenset(("id", "revision", "progress", "seen_at")),
        applies={"job.cancel": _UNFINISHED, "job.undo": frozenset(("done",))},
    ),
    View(
        "journal", "journal", "9", "Journal",
        (
            Column("seq", "no", 5, "right", priority=8),
            Column("at", "when", 14, priority=9, format=_clock),
            Column("outcome", "outcome", 8, priority=7, style=_outcome_style),
            Column("operation", "operation", 14, priority=7),
            Column("object", "object", 16, flexible=True, priority=6),
            Column("who", "who", 10, priority=5),
            Column("reason", "reason", 16, flexible=True, priority=1),
        ),
        "no entries yet", order=("seq", True),
        fields=("at", "who", "terminal", "operation", "object", "outcome", "reason", "job", "hash"),
        hidden=frozenset(("seq",)),
    ),
)

BY_NAME = {view.name: view for view in VIEWS}
BY_KIND = {view.kind: view for view in VIEWS}
