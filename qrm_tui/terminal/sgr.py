"""Sequences of colours and attributes (SGR, ECMA-48 8.3.117): what they are, and what lines of text with them say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from bittty.operations import Operation
from bittty.style import parse_sgr_with_reset

from qrm_tui.terminal.cells import ATTRIBUTES, colour_of
from qrm_tui.terminal.looks import PLAIN, Look, Run, Runs

#: Parameters above it are of no use on any screen, and some would be made into strings of that length.
_LARGE = re.compile("[0-9]{5,}")
#: Those that are performed; and those that stand in a line that is kept as it came, with nothing else but text.
_SGR = re.compile(r"\x1b\[(?:[0-9]{0,4}[;:]){0,48}[0-9]{0,4}m")
SEQUENCE = r"\x1b\[[0-9;]{0,48}m"
_IN_LINE = re.compile(f"({SEQUENCE})")
WITHOUT = re.compile(SEQUENCE)


def shortened(sequence: str) -> str:
    """The sequence without numbers that no screen has."""
    return _LARGE.sub("9999", sequence)


def operation_of(sequence: str) -> Operation | None:
    """bittty's operation of an SGR sequence; None where it is none."""
    sequence = shortened(sequence)
    return Operation("SGR", parse_sgr_with_reset(sequence), sequence) if _SGR.fullmatch(sequence) else None


def parts_of(raw: str) -> list[str]:
    """A line as text, sequence, text, sequence ... text; texts may be empty."""
    return _IN_LINE.split(raw)


def runs_of_pieces(pieces: Iterable[tuple[str, Any, Look]]) -> Runs:
    """What the cells of these pieces (text, style, look) say as a row, without the plain blanks at its end."""
    runs: list[Run] = []
    for text, _, look in pieces:
        if runs and runs[-1].look == look:
            text = runs.pop().text + text
        if text:
            runs.append(Run(text, look, len(text)))
    if runs and runs[-1].look == PLAIN:
        text = runs.pop().text.rstrip(" ")
        if text:
            runs.append(Run(text, PLAIN, len(text)))
    return tuple(runs)


def read(raw: str) -> Runs:
    """What a line of ASCII text and SGR sequences says that begins in the terminal's own colours."""
    if "\x1b" not in raw:
        return runs_of_pieces([(raw, None, PLAIN)])
    pieces, look = [], PLAIN
    for number, part in enumerate(parts_of(raw)):
        if number % 2:
            look = _turned(look, part)
        elif part:
            pieces.append((part, None, look))
    return runs_of_pieces(pieces)


@lru_cache(8192)
def _turned(look: Look, sequence: str) -> Look:
    operation = operation_of(sequence)
    addition, reset = (None, False) if operation is None else operation.args
    if reset:
        look = PLAIN
    if addition is None:
        return look
    covered = addition._set
    look = Look(look.text if addition.fg is None else colour_of(addition.fg),
                look.behind if addition.bg is None else colour_of(addition.bg),
                (look.attributes & ~covered | addition._val & covered) & ATTRIBUTES)
    return PLAIN if look == PLAIN else look
