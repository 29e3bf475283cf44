"""Which fields of which kind are printed, and how a value is written."""
from __future__ import annotations

import time
from typing import Any, NamedTuple

from qrm_tui.core.fields import SIZES, TIMES
from qrm_tui.core.units import format_age, format_size, format_time


class Columns(NamedTuple):
    """`table`: for people, the most important first; `plain`: for scripts, never reordered, only added to."""

    table: tuple[str, ...]
    plain: tuple[str, ...]


COLUMNS = {
    "resource": Columns(("name", "state", "ve", "stage", "maintenance", "address", "cpus", "mhz", "memory", "since",
                         "mac", "kind"),
                        ("name", "state", "maintenance", "kind", "virtualization", "host", "mac", "address", "cpus",
                         "mhz", "memory", "ve", "stage", "since")),
    "ve": Columns(("name", "state", "stage", "resources", "image", "boot_image", "profile", "since"),
                  ("name", "state", "boot_image", "image", "resources", "profile", "since", "multi_server",
                   "same_for_all", "stage", "partitioning")),
    "partition": Columns(("name", "state", "host", "cpus", "mhz", "memory", "busy", "resource", "ve", "since"),
                         ("name", "state", "host", "cpus", "mhz", "memory", "disk", "busy", "resource", "ve", "mac",
                          "address", "technology", "since", "disk_group")),
    "host": Columns(("name", "state", "technology", "partitions", "cpus", "cpus_given", "memory", "memory_free",
                     "foreign", "ve", "since"),
                    ("name", "state", "technology", "ve", "partitions", "cpus", "cpus_given", "mhz", "memory",
                     "memory_free", "memory_given", "foreign", "since", "disk_free")),
    "domain": Columns(("name", "state", "host", "technology", "cpus", "memory", "since"),
                      ("name", "state", "host", "technology", "title", "cpus", "memory", "persistent", "id", "since")),
    "boot-image": Columns(("name", "state", "version", "size", "used_by", "source", "since"),
                          ("name", "state", "type", "version", "source", "size", "used_by", "since")),
    "component": Columns(("name", "state", "services", "settings", "since"),
                         ("name", "state", "enabled", "services", "settings", "since")),
    "console": Columns(("name", "state", "source", "event", "event_at", "since", "size", "watchers", "typist", "reason",
                        "event_text"),
                       ("name", "source", "state", "since", "size", "watchers", "typist", "reason", "event",
                        "event_severity", "event_stands", "event_at", "event_count", "event_text")),
    "storage": Columns(("name", "state", "type", "address", "size", "free", "images", "since"),
                       ("name", "type", "address", "env", "size", "free", "state", "since")),
    "image": Columns(("name", "state", "storage", "size", "used", "origin", "fill", "full_at", "used_by", "since"),
                     ("name", "storage", "path", "size", "used", "origin", "fill", "full_at", "used_by", "state",
                      "since")),
    "user": Columns(("name", "state", "role", "password", "last_in", "last_from", "since"),
                    ("name", "state", "role", "password", "last_in", "last_from", "since")),
    "job": Columns(("id", "state", "operation", "object", "steps", "who", "asked", "error"),
                   ("id", "operation", "object", "state", "step", "steps", "progress", "who", "reason", "started",
                    "ended", "error")),
    "journal": Columns(("seq", "at", "who", "operation", "object", "outcome", "job", "reason"),
                       ("seq", "at", "who", "terminal", "operation", "object", "outcome", "reason", "job", "hash")),
}
#: What stands above a column, where the field's name is too long for it.
TITLES = {"maintenance": "MAINT", "boot_image": "BOOT-IMAGE"}
#: Shares from 0 to 1.
_SHARES = frozenset(("fill", "busy", "progress", "pool_data", "pool_metadata"))
#: Of which each part is a size.
_SIZES_BY_NAME = frozenset(("groups",))
#: States that a person should look at.
STATE_STYLES = {"error": "red", "failed": "red", "crashed": "red", "warning": "yellow", "degraded": "yellow",
                "undone": "yellow", "unknown": "yellow"}


def columns_of(kind: str, row: dict[str, Any]) -> Columns:
    """The columns of a kind; for one without a table here, the fields that a row has."""
    return COLUMNS.get(kind) or Columns(tuple(row), tuple(row))


def for_people(field: str, value: Any, clock: float | None = None) -> str:
    """A value in a table: sizes with units, ages, percentages."""
    if value is None or value in ("", [], {}) or (field == "mhz" and value == 0):  # no limit, or not known
        return "-"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and field in TIMES:
        past = (time.time() if clock is None else clock) - value
        return format_age(past) if past >= 0 else f"in {format_age(-past)}"
    if number and (field in SIZES or field in _SIZES_BY_NAME):
        return format_size(value)
    if number and field in _SHARES:
        return f"{value:.0%}"
    if isinstance(value, dict):
        parts = {key: part if part == "" else for_people(field if field in _SIZES_BY_NAME else key, part, clock)
                 for key, part in value.items()}
        return _text(parts, ", ")
    return _text(value, ", ")


def for_scripts(field: str, value: Any) -> str:
    """A value in `--plain`: bytes, RFC 3339, nothing for what is not known."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and field in TIMES:
        return format_time(value) or ""
    return "" if value is None else _text(value, ",")


def _text(value: Any, comma: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return comma.join(f"{key}={part}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return comma.join(str(part) for part in value)
    return str(value)
