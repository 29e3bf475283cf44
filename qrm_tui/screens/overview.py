"""The farm at a glance: what there is and in which states, room on the storage servers, what runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qrm_tui.core.units import format_size
from qrm_tui.screens.columns import STATE_STYLES, job_progress, job_took
from qrm_tui.screens.live import WATCHED, Live
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import EMPTY, Page, PageLine, Span, line, wrap

_WORDS = {"storage": "storage servers", "image": "images", "job": "jobs"}
#: Jobs and storage servers shown; more are counted.
_MANY = 4
_BAR = 20


class Overview(Page):
    """Above the alerts of the Farm view."""

    DEFAULT_CSS = """
    Overview { height: auto; max-height: 75%; }
    """

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live
        self._stop: Callable[[], None] | None = None

    def on_mount(self) -> None:
        self._stop = self._live.listen(lambda what: self.rebuild())

    def on_unmount(self) -> None:
        if self._stop:
            self._stop()

    def build(self, width: int) -> list[PageLine]:
        lines = [*(self._counts(kind) for kind in WATCHED), EMPTY]
        lines += self._capacity(width)
        lines += self._at_work(width)
        if not self._live.rows["storage"] and self._live.line == "up":
            lines += [*wrap("A storage server is the first thing a farm needs: 6, then a.", width - 1, "strong", " "),
                      EMPTY]
        return lines

    def _counts(self, kind: str) -> PageLine:
        states = self._live.states[kind]
        total = len(self._live.rows[kind])
        spans: list[Span] = [(f" {_WORDS[kind]:<16}", ""), (f"{total:>6}", "strong"), ("   ", "")]
        for state, count in sorted(states.items(), key=lambda item: -item[1]):
            if count > 0:
                spans.append((f"{count} {state}   ", STATE_STYLES.get(state, "")))
        return line(*spans)

    def _capacity(self, width: int) -> list[PageLine]:
        servers = [row for row in self._live.farm.get("capacity", ()) if row.get("size")]
        if not servers:
            return []
        lines = [line((" room", "title"))]
        for row in sorted(servers, key=lambda row: row["free"] / row["size"])[:_MANY]:
            used = 1 - row["free"] / row["size"]
            filled = round(used * _BAR)
            style = "bad" if used >= 0.95 else "warning" if used >= 0.8 else ""
            bar = "[" + "#" * filled + "." * (_BAR - filled) + "]"
            lines.append(line(f" {fit(str(row['storage']), 16)}", (bar, style),
                              f" {used:>4.0%}  {format_size(row['free'])} free of {format_size(row['size'])}"))
        if len(servers) > _MANY:
            lines.append(line((f" and {len(servers) - _MANY} more with more room", "muted")))
        return [*lines, EMPTY]

    def _at_work(self, width: int) -> list[PageLine]:
        jobs: list[dict[str, Any]] = self._live.jobs("running", "undoing", "waiting")
        if not jobs:
            return []
        now = self._live.clock()
        lines = [line((" jobs at work", "title"))]
        for row in jobs[:_MANY]:
            lines.append(line(f" {row['id']:>5}  ", (f"{row['state']:<8}", STATE_STYLES.get(row["state"], "")),
                              f" {job_took(row, now):>5}  {job_progress(row):<8}  {row['operation']}  {row['object']}"))
        if len(jobs) > _MANY:
            lines.append(line((f" and {len(jobs) - _MANY} more: 8 shows them", "muted")))
        return [*lines, EMPTY]
