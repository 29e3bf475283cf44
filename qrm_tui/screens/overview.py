"""The farm at a glance: what there is and in which states, room, which machines boot and how far, what runs."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from typing import Any

from textual.timer import Timer

from qrm_tui.core.units import format_size
from qrm_tui.screens import boots
from qrm_tui.screens.columns import STATE_STYLES, job_progress, job_took
from qrm_tui.screens.live import Live
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import EMPTY, Page, PageLine, Span, line, width_of, wrap

#: Kinds that are counted; boot-images are few, and the alerts tell what is wrong with them.
_WORDS = {"resource": "resources", "ve": "VEs", "partition": "partitions", "host": "hosts",
          "domain": "foreign domains", "image": "images",
          "storage": "storage servers", "component": "components", "job": "jobs"}
#: Counted where there are any.
_IF_ANY = frozenset(("partition", "host", "domain"))
_LABELS = 17
_BAR = 20
#: Lines of a part where there is room for more, and seconds between two looks while everything changes.
_MANY, _PAUSE = 8, 0.2
#: Lines of the screen that are not the overview's: the two on top, the keys, the list's head and a few rows of it,
#: and a blank one.
_OTHERS = 10

#: Cells from which on a boot has a line with all its stages; else so many are looked at, their names cut to so much.
_WIDE, _PACKED, _NAME = 94, 24, 12

Part = tuple[str, Sequence[PageLine], str]


def _packed(items: Sequence[PageLine], width: int) -> list[PageLine]:
    """Items in as few lines as they fit."""
    lines: list[PageLine] = []
    for item in items:
        if lines and width_of(lines[-1]) + 3 + width_of(item) <= width:
            lines[-1] = (*lines[-1], ("   ", ""), *item)
        else:
            lines.append(item)
    return lines


class Overview(Page):
    """Above the alerts of the Farm view."""

    DEFAULT_CSS = """
    Overview { height: auto; max-height: 75%; }
    """

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live
        self._stop: Callable[[], None] | None = None
        self._built_at = 0.0
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        self._stop = self._live.listen(lambda what: self._changed())

    def on_unmount(self) -> None:
        if self._stop:
            self._stop()

    def _changed(self) -> None:
        """Look again at once, or a little later where the farm changes all the time."""
        if self._timer is not None:
            return
        wait = self._built_at + _PAUSE - time.monotonic()
        if wait > 0:
            self._timer = self.set_timer(wait, self._look_again)
        else:
            self._look_again()

    def _look_again(self) -> None:
        self._timer = None
        self._built_at = time.monotonic()
        self.rebuild()

    def build(self, width: int) -> list[PageLine]:
        counts = [self._counts(kind, width) for kind in _WORDS
                  if kind in self._live.heard and (kind not in _IF_ANY or self._live.rows[kind])]
        parts = [part for part in (self._room(), self._boots(width), self._at_work(width)) if part[1]]
        if {"storage", "component"} <= self._live.heard and not self._live.rows["storage"]:
            first = "This server is not set up yet: 7, then a." if not self._live.rows["component"] else \
                "A storage server is the first thing a farm needs: 6, then a."
            parts.append(("", wrap(first, width - 1, "strong", " "), ""))
        lines = [*counts, EMPTY]
        for (label, whole, more), size in zip(parts, self._share(parts, len(lines)), strict=True):
            shown = list(whole[:size])
            if len(whole) > size:
                shown[-1] = line((f"and {len(whole) - size + 1} more: {more}", "muted"))
            lines += [line((f" {label if place == 0 else '':<{_LABELS - 1}}", "title"), *spans) if label else spans
                      for place, spans in enumerate(shown)]
        return [*lines, EMPTY] if parts else lines

    def _share(self, parts: Sequence[Part], taken: int) -> list[int]:
        """How many lines each part gets: a line each, then in turns while there is room."""
        left = max(len(parts), self.app.size.height - _OTHERS - taken)
        sizes = [0] * len(parts)
        while left and any(size < min(_MANY, len(part[1])) for size, part in zip(sizes, parts, strict=True)):
            for place, part in enumerate(parts):
                if left and sizes[place] < min(_MANY, len(part[1])):
                    sizes[place] += 1
                    left -= 1
        return sizes

    def _counts(self, kind: str, width: int) -> PageLine:
        spans: list[Span] = [(f" {_WORDS[kind]:<16}", ""), (f"{len(self._live.rows[kind]):>6}", "strong"), ("  ", "")]
        states = sorted(self._live.states[kind].items(), key=lambda item: -item[1])
        words = [(f" {count} {state} ", STATE_STYLES.get(state, "")) for state, count in states if count > 0]
        machines = self._live.farm.get("machines") or {}
        if kind == "resource" and machines.get("maintenance"):
            words.append((f" ({machines['maintenance']} in maintenance)", "muted"))
        for text, style in words:
            if width_of(tuple(spans)) + len(text) < width:
                spans.append((text, style))
        return line(*spans)

    def _room(self) -> Part:
        """Machines that VEs can start on, and the storage servers, the fullest first."""
        lines: list[PageLine] = []
        free = self._live.farm.get("machines") or {}
        if self._live.rows["resource"]:
            text = (f"{free['free']} free: {free['cpus']} CPUs, {format_size(free['memory'])} memory"
                    if free.get("free") else "none free: those that are idle are in maintenance, or none is")
            lines.append(line(f"{fit('machines', 10)} ", text))
        servers = [row for row in self._live.farm.get("capacity", ()) if row.get("size")]
        for row in sorted(servers, key=lambda row: row["free"] / row["size"]):
            used = 1 - row["free"] / row["size"]
            filled = round(used * _BAR)
            style = "bad" if used >= 0.95 else "warning" if used >= 0.8 else ""
            bar = "[" + "#" * filled + "." * (_BAR - filled) + "]"
            lines.append(line(f"{fit(str(row['storage']), 10)} ", (bar, style),
                              f" {used:>4.0%}  {format_size(row['free'])} free of {format_size(row['size'])}"))
        return "room", lines, "6 shows them"

    def _boots(self, width: int) -> Part:
        """Stuck ones first, then those that take longest."""
        live, now = self._live, self._live.clock()
        found = [row for name in live.boots if (row := live.rows["resource"].get(name)) is not None]
        narrow = width < _WIDE
        first = heapq.nsmallest(_PACKED if narrow else _MANY, found,
                                key=lambda row: (row["state"] != "error", row.get("since") or 0))
        lines: list[PageLine] = []
        if narrow:
            lines = _packed([line(f"{str(row['name'])[:_NAME]} ",
                                  (boots.stage_text(row, now) or row["state"], boots.stage_style(row) or "strong"),
                                  " STUCK" if row["state"] == "error" else "") for row in first], width - _LABELS)
        for row in () if narrow else first:
            what = str(row.get("ve") or "idle")
            lines.append(line(f"{fit(str(row['name']), 10)} {fit('> ' + what, 14)} ",
                              *boots.stages_line(row, now, width - _LABELS - 26)))
        return "machines boot", [*lines, *[EMPTY] * (len(found) - len(first))], "2 shows them"

    def _at_work(self, width: int) -> Part:
        jobs: list[dict[str, Any]] = self._live.jobs("running", "undoing", "waiting")
        now = self._live.clock()
        return "jobs at work", [
            line(f"{row['id']:>5}  ", (f"{row['state']:<8}", STATE_STYLES.get(row["state"], "")),
                 f" {job_took(row, now):>5}  {job_progress(row):<8}  {row['operation']}  {row['object']}")
            for row in jobs], "8 shows them"
