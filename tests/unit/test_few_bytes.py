"""The sheet of a serial line: what is sent makes a terminal show what is wanted, and costs little."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from qrm_tui.styles.few_bytes import Sheet
from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.terminal.looks import REVERSE, UNDERLINE
from tests.unit.terminals import screen

COLUMNS, ROWS = 20, 5
PLAIN, REVERSED, UNDERLINED = Style(), Style(reverse=True), Style(underline=True)


def page(*lines: Segment | str) -> LayoutUpdate:
    """A whole screen."""
    strips = []
    for line in (*lines, *[""] * (ROWS - len(lines))):
        segment = line if isinstance(line, Segment) else Segment(line, PLAIN)
        strips.append([Strip([segment]).adjust_cell_length(COLUMNS, PLAIN)])
    return LayoutUpdate(strips, Region(0, 0, COLUMNS, ROWS))  # type: ignore[arg-type]


@pytest.fixture
def sheet() -> Sheet:
    made = Sheet(COLUMNS, ROWS)
    made.take(page("one", "two  three"))
    made.changes()
    return made


def test_the_first_time_all_is_sent_and_then_nothing() -> None:
    sheet = Sheet(COLUMNS, ROWS)
    sheet.take(page("one", Segment("two", REVERSED)))
    assert sheet.changes() == "\x1b[m\x1b[H\x1b[Jone\x1b[2H\x1b[7mtwo\x1b[m"
    sheet.take(page("one", Segment("two", REVERSED)))
    assert sheet.changes() == ""
    sheet.forget()
    assert sheet.changes().startswith("\x1b[m\x1b[H\x1b[J")


@pytest.mark.parametrize(("second", "sent"), [
    ("two  threx", "\x1b[2;10Hx"),
    ("twx  thrxx", "\x1b[2;3Hx\x1b[5Cxx"),
    ("tXo  Xhree", "\x1b[2;2HXo  X"),
    ("two", "\x1b[2;4H\x1b[K"),
    ("two  thre", "\x1b[2;10H "),
    ("", "\x1b[2H\x1b[K"),
])
def test_only_cells_that_differ_are_sent(sheet: Sheet, second: str, sent: str) -> None:
    sheet.take(page("one", second))
    assert sheet.changes() == sent


def test_a_part_of_the_screen(sheet: Sheet) -> None:
    strip = Strip([Segment("xxxxxxxxxx", PLAIN)])
    sheet.take(ChopsUpdate([{}, {4: strip}, {}, {}, {}], [(1, 6, 8)], [[], [14], [], [], []]))
    assert sheet.changes() == "\x1b[2;7Hxx"


def test_what_was_there_for_a_moment_is_never_sent(sheet: Sheet) -> None:
    sheet.take(page("ten", "two  three"))
    sheet.take(page("one", "two  three"))
    assert sheet.changes() == ""


def test_a_terminal_of_another_size_is_sent_all(sheet: Sheet) -> None:
    sheet.resize(10, 2)
    assert sheet.size == (10, 2)
    sheet.take(page("one", "two  three four"))
    assert sheet.changes() == "\x1b[m\x1b[H\x1b[Jone\x1b[2Htwo  three"


looks = st.sampled_from([PLAIN, REVERSED, UNDERLINED])
lines = st.builds(Segment, st.text("ab .é漢", max_size=9), looks)
pages = st.lists(lines, max_size=ROWS)


@settings(max_examples=300, deadline=None)
@given(st.lists(pages, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_a_terminal_shows_what_is_wanted(screens: list[list[Segment]], chance: random.Random) -> None:
    """Whatever the way from one screen to the next; each is also painted from nothing, which must look the same."""
    sheet, terminal = Sheet(COLUMNS, ROWS), BitttyEmulator(COLUMNS, ROWS)
    for wanted in screens:
        sheet.take(page(*wanted))
        if chance.random() < 0.8:
            terminal.feed(sheet.changes().encode(), time.time())
    terminal.feed(sheet.changes().encode(), time.time())
    fresh, other = BitttyEmulator(COLUMNS, ROWS), Sheet(COLUMNS, ROWS)
    other.take(page(*screens[-1]))
    fresh.feed(other.changes().encode(), time.time())
    assert screen(terminal) == screen(fresh)
    assert marks(terminal) == marks(fresh)


def marks(terminal: BitttyEmulator) -> list[list[tuple[str, int]]]:
    """Each cell's character and attributes, without blanks at the end."""
    found = []
    for row in range(ROWS):
        cells = [(character, run.look.attributes & (REVERSE | UNDERLINE)) for run in terminal.line(row)
                 for character in run.text]
        while cells and cells[-1] == (" ", 0):
            cells.pop()
        found.append(cells)
    return found
