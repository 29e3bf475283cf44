"""The part of lvm's selection language that our planners write: FIELD="TEXT", lv_size >= Nb, and && (lvmreport(7))."""
from __future__ import annotations

import re
from collections.abc import Callable

from qrm_tui.practice.effects import NotPractised
from qrm_tui.practice.volumes import SimulatedVolume

_EQUAL = re.compile(r'(lv_name|lv_uuid|lv_tags|origin|lv_device_open)="([^"]*)"')
_AT_LEAST = re.compile(r"lv_size >= ([0-9]+)b")


def selector(text: str, is_open: Callable[[SimulatedVolume], bool]) -> Callable[[SimulatedVolume], bool]:
    """Whether a volume is selected; NotPractised for anything else than the above."""
    terms = [_term(term.strip(), is_open) for term in text.split("&&")]
    return lambda volume: all(term(volume) for term in terms)


def _term(text: str, is_open: Callable[[SimulatedVolume], bool]) -> Callable[[SimulatedVolume], bool]:
    at_least = _AT_LEAST.fullmatch(text)
    if at_least:
        size = int(at_least[1])
        return lambda volume: volume.size >= size
    equal = _EQUAL.fullmatch(text)
    if not equal:
        raise NotPractised(f"the selection {text!r}")
    field, wanted = equal.groups()
    if field == "lv_tags":
        # of a list: one of it is the same
        return lambda volume: wanted in volume.tags
    if field == "lv_device_open":
        return lambda volume: ("open" if is_open(volume) else "") == wanted
    if field == "origin":
        return lambda volume: volume.origin == wanted
    if field == "lv_uuid":
        return lambda volume: volume.id == wanted
    return lambda volume: volume.name == wanted
