"""An object's details as lines: why and what next first, then its fields, aligned."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.cells import cell_len

from qrm_tui.core.fields import SIZES, TIMES
from qrm_tui.core.units import format_age, format_size
from qrm_tui.screens import boots
from qrm_tui.screens.columns import STATE_STYLES, Fact, View
from qrm_tui.screens.live import Live
from qrm_tui.widgets.columns import fit, safe
from qrm_tui.widgets.page import EMPTY, PageLine, line, wrap

#: Always said in the title or above the fields.
_ABOVE = frozenset(("name", "state", "since", "why", "next", "key"))
#: Shares from 0 to 1.
_SHARES = frozenset(("fill", "pool_data", "pool_metadata", "progress"))


def value_text(field: str, value: Any, now: float) -> str:
    """A field's value as a person reads it; empty for nothing."""
    if value is None or value == "" or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field in TIMES and isinstance(value, (int, float)):
        return _time_text(value, now)
    if field in SIZES and isinstance(value, (int, float)):
        return format_size(value)
    if field in _SHARES and isinstance(value, (int, float)):
        return f"{value:.0%}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key}={part}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _time_text(at: float, now: float) -> str:
    age = f"{format_age(now - at)} ago" if at <= now else f"in {format_age(at - now)}"
    return f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(at))} ({age})" if abs(now - at) >= 3600 else age


def title_line(row: Mapping[str, Any], now: float) -> PageLine:
    """The object, its state, since when."""
    state, since = str(row.get("state", "")), row.get("since")
    age = f" for {format_age(now - since)}" if since else ""
    name = safe(str(row["name"]))
    return line((f" {name} ", "title"), (f" {state}{age} " if state else " ", STATE_STYLES.get(state, "")))


def detail_lines(row: Mapping[str, Any], view: View, width: int, live: Live) -> list[PageLine]:
    """What an object's pane says below its title."""
    now = live.clock()
    lines: list[PageLine] = []
    if row.get("why"):
        lines += wrap(str(row["why"]), width - 1, STATE_STYLES.get(str(row.get("state", "")), ""), first=" ")
    if row.get("next"):
        lines += wrap(str(row["next"]), width - 1, "strong", first=" next: ")
    lines += _boots(row, view, width, live)
    if lines:
        lines.append(EMPTY)
    return lines + _fields(row, view, width, now)


def _boots(row: Mapping[str, Any], view: View, width: int, live: Live) -> list[PageLine]:
    """The stages of a machine that boots, or of all machines of a VE."""
    now = live.clock()
    if view.kind == "resource" and boots.is_booting(row):
        return [line(" boot  ", *boots.stages_line(row, now, width - 8))]
    if view.kind != "ve" or not row.get("resources"):
        return []
    images = dict(zip(row["resources"], row.get("images") or (), strict=False))
    others = {name: image for name, image in images.items() if image != row.get("image")}
    return boots.machine_lines(row["resources"], live.rows["resource"].get, now, others, width)


def _texts(row: Mapping[str, Any], view: View, now: float) -> list[tuple[str, str]]:
    """Labels and what stands there, in the order of the view; what has nothing to say is left out."""
    pairs, told = [], set[str]()
    for entry in view.fields:
        if isinstance(entry, Fact):
            told.update(entry.fields)
            pairs.append((entry.label, entry.text(row)))
        elif entry in row:
            told.add(entry)
            pairs.append((entry, value_text(entry, row[entry], now)))
    pairs += [(name, value_text(name, row[name], now)) for name in row
              if name not in told and name not in view.hidden and name not in _ABOVE]
    return [(label.replace("_", " "), text) for label, text in pairs if text]


def _fields(row: Mapping[str, Any], view: View, width: int, now: float) -> list[PageLine]:
    pairs = _texts(row, view, now)
    if not pairs:
        return []
    labels = max(len(label) for label, _ in pairs)
    half = (width - 2) // 2
    short = [pair for pair in pairs if cell_len(safe(pair[1])) <= half - labels - 3]
    lines: list[PageLine] = []
    if width >= 72:  # two columns of what is short, then a line each of what is long
        rows = (len(short) + 1) // 2
        for place in range(rows):
            spans = _pair(*short[place], labels, half)
            if place + rows < len(short):
                spans += _pair(*short[place + rows], labels, half)
            lines.append(spans)
        pairs = [pair for pair in pairs if pair not in short]
    for label, text in pairs:
        lines += [((first if place == 0 else " " * len(first), "muted"), *rest)
                  for place, (first, rest) in enumerate(_long(label, text, labels, width))]
    return lines


def _pair(label: str, text: str, labels: int, width: int) -> PageLine:
    return (f" {label:<{labels}}  ", "muted"), (fit(text, width - labels - 3), "")


def _long(label: str, text: str, labels: int, width: int) -> list[tuple[str, PageLine]]:
    first = f" {label:<{labels}}  "
    return [(first, spans[1:]) for spans in wrap(text, width - 1, first=first)]
