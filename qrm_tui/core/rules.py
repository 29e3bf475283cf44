"""What a rule of a state is, and what it tells."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrm_tui.core.farm import Farm
    from qrm_tui.core.model import Item

Words = Callable[["Item", "Farm"], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """In this state if `holds`; `why` and `remedy` are what a person reads."""

    state: str
    holds: Callable[[Item, Farm], Any]
    why: Words
    remedy: Words = lambda item, farm: ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with its reason, and what threatens though the state is good (empty: nothing)."""

    state: str
    why: str
    remedy: str
    warning: str = ""
