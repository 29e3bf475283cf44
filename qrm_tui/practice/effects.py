"""How a simulated command is written: a generator that changes the machine bit by bit, and ends with its answer.

Between two changes it yields a Point. There a test may end the server, and what was changed so far stays; a command
with a name of its own stays where it is and goes on later, as a real one outlives who started it.
"""
from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from qrm_tui.runners.base import Completed


@dataclass(frozen=True, slots=True)
class Point:
    """Something was just done; of mere progress `what` is empty, and no test ends the server there."""

    what: str
    #: time that the next bit takes, for commands that are long
    seconds: float = 0.0
    #: a line that it printed: progress
    says: str = ""


Effects = Generator[Point, None, Completed]


class NotPractised(Exception):
    """The simulation does not know this command: a planner emits something new, or a probe."""


def good(out: str = "") -> Completed:
    """It went well."""
    return Completed(0, out, "")


def bad(status: int, err: str, out: str = "") -> Completed:
    """It did not."""
    return Completed(status, out, err)


def only(what: str, done: Completed) -> Effects:
    """The end of a command whose effect came all at once."""
    yield Point(what)
    return done
