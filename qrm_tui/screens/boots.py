"""Boots as stages with running clocks: in a column, and as a row of all stages. ASCII, and nothing by colour alone.

The row in words: `dhcp 3s > loader 2s > [kernel 12s] > agent > root > system`. Left of the brackets is done, right of
them is to come; a boot that is stuck says so inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qrm_tui.core.stages import STAGES
from qrm_tui.core.units import format_age
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import PageLine, Span, line, width_of

Row = Mapping[str, Any]
Find = Callable[[str], Row | None]

#: States in which a machine's stage is shown as news, and those in which a boot is awaited first.
UNDER_WAY = frozenset(("booting", "starting", "stopping"))
_AWAITED = frozenset(("starting", "stopping"))


def clock(seconds: float) -> str:
    """`12s`, `2m05s`: it moves each second for an hour."""
    seconds = max(0, int(seconds))
    return f"{seconds // 60}m{seconds % 60:02d}s" if 60 <= seconds < 3600 else format_age(seconds)


def is_awaited(row: Row) -> bool:
    """Whether what was seen last is from the boot before: it is to boot anew, and has not begun."""
    return row.get("state") in _AWAITED and (row.get("stage_at") or 0) < (row.get("since") or 0)


def is_booting(row: Row) -> bool:
    """Whether a boot is under way, or stuck."""
    stage = row.get("stage")
    return row.get("state") in UNDER_WAY or bool(row.get("state") == "error" and stage and stage != STAGES[-1])


def stage_text(row: Row, now: float) -> str:
    """The present stage and since when: `kernel 12s`."""
    stage, at = row.get("stage"), row.get("stage_at")
    if not stage:
        return ""
    if is_awaited(row):
        return "reboots"
    return str(stage) if at is None else f"{stage} {clock(now - at)}"


def stage_style(row: Row) -> str | None:
    """Of the stage in a column."""
    return "bad" if row.get("state") == "error" and row.get("stage") else None


def stages_line(row: Row, now: float, width: int = 0) -> PageLine:
    """All stages of a machine's boot in a row, closer or without the clocks of what is done where `width` is small."""
    state, stage = str(row.get("state", "")), str(row.get("stage") or "")
    if state == "active":
        return line(("active", "good"), f" for {format_age(now - row['since'])}" if row.get("since") else "")
    if stage not in STAGES or is_awaited(row):
        words = "its reboot is awaited" if state in _AWAITED else f"{state}: no stage of a boot was seen"
        return line((words, "muted"))
    spans: PageLine = ()
    for between, clocks in ((" > ", True), (">", True), (" > ", False), (">", False)):
        spans = _stages(row, stage, (row.get("stages") or {}) if clocks else {}, now, between)
        if not width or width_of(spans) <= width:
            break
    return spans


def _stages(row: Row, stage: str, began: Mapping[str, float], now: float, between: str) -> PageLine:
    place, spans = STAGES.index(stage), list[Span]()
    for number, name in enumerate(STAGES):
        if number:
            spans.append((between, "muted"))
        if number != place:
            spans.append((name + _lasted(name, began), "") if number < place else (name, "muted"))
            continue
        stuck, at = row.get("state") == "error", row.get("stage_at")
        text = f"{name} {clock(now - at)}" if at is not None else name
        spans.append((f"[{text}{' STUCK' if stuck else ''}]", "bad" if stuck else "strong"))
    return line(*spans)


def _lasted(stage: str, began: Mapping[str, float]) -> str:
    """How long a stage took, where its end was seen, too."""
    start = began.get(stage)
    ends = [at for name, at in began.items() if name in STAGES and STAGES.index(name) > STAGES.index(stage)]
    return f" {clock(min(ends) - start)}" if start is not None and ends else ""


def machine_lines(names: Iterable[str], find: Find, now: float,
                  images: Mapping[str, str], width: int) -> list[PageLine]:
    """The machines of a VE, each with its stages and, where it differs from the VE's, its image."""
    names = list(names)
    label = min(16, max((len(name) for name in names), default=0))
    lines: list[PageLine] = []
    for name in names:
        row = find(name)
        head = line((f" {fit(name, label)}  ", "key"))
        stages = line(("not known", "muted")) if row is None else stages_line(
            row, now, width - width_of(head) - 1)
        spans: PageLine = (*head, *stages)
        if images.get(name):
            tail = line((f"  {images[name]}", "muted"))
            if width_of(spans) + width_of(tail) > width:
                lines.append(spans)
                spans = line((" " * (label + 3) + "its image is ", "muted"), (images[name], "muted"))
            else:
                spans = (*spans, *tail)
        lines.append(spans)
    return lines


def slowest(ve: Row, find: Find) -> Row:
    """A VE's row with the stage of its slowest machine; the same row where nothing differs."""
    found = [row for name in ve.get("resources") or () if (row := find(name)) is not None
             and row.get("stage") in STAGES and is_booting(row)]
    stages = [row for row in found if not is_awaited(row)]
    last = min(stages, key=lambda row: (STAGES.index(row["stage"]), row.get("stage_at") or 0), default={})
    stage, at = last.get("stage", ""), last.get("stage_at")
    if found and len(stages) < len(found):
        stage, at = "reboots", None
    same = ve.get("stage", "") == stage and ve.get("stage_at") == at
    return ve if same else {**ve, "stage": stage, "stage_at": at}
