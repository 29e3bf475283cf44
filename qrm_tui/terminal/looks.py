"""How text looks on a terminal: colours, attributes, and lines as runs of one look each."""

from __future__ import annotations

from typing import NamedTuple

#: None is the terminal's own colour, a number one of the 256, three numbers red, green and blue.
Colour = int | tuple[int, int, int] | None

BOLD, DIM, ITALIC, UNDERLINE, BLINK, REVERSE, CONCEAL, STRIKE = (1 << bit for bit in range(8))


class Look(NamedTuple):
    """Colours and attributes (BOLD ...) of a run of text."""

    text: Colour = None
    behind: Colour = None
    attributes: int = 0


PLAIN = Look()


class Run(NamedTuple):
    """Text of one look. `cells` is the width that the emulator gave to it."""

    text: str
    look: Look
    cells: int


#: One line of a screen. What is behind its last run is blank.
Runs = tuple[Run, ...]


def text_of(runs: Runs) -> str:
    """A line's text, without the blanks at its end."""
    return "".join(run.text for run in runs).rstrip(" ")


def plain_runs(text: str) -> Runs:
    """A line of ASCII text without any look."""
    return (Run(text, PLAIN, len(text)),) if text else ()
