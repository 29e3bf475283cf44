"""A terminal's lines as strips: their width whatever is in them, the cursor, what differs between two."""

from __future__ import annotations

import pytest
from rich.style import Style

from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.terminal.looks import PLAIN, Look, Run
from qrm_tui.widgets.terminal_paint import Shown, difference, strip_of

STYLES = {"": Style(color="white"), "muted": Style(dim=True), "chosen": Style(bold=True), "found": Style(bold=True)}


def line(text: str, **more: object) -> Shown:
    emulator = BitttyEmulator(20, 2)
    emulator.feed(text.encode(), 1.0)
    return Shown(emulator.line(0), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "plain", "漢字", "e\u0301", "a\u200db", "👩\u200d👩", "☺️x", "\u0600x", "ﷺ",
                                  "x" * 30, "\x1b[31mred\x1b[44m漢\x1b[0m", "\x1b[8msecret", "\u3164x", "🇩🇪"])
@pytest.mark.parametrize("more", [{}, {"gutter": "12:00:00 "}, {"cursor": 1}, {"words": "a"}, {"chosen": True},
                                  {"reversed": True}], ids=str)
def test_a_line_has_its_width_whatever_is_in_it(text: str, more: dict[str, object]) -> None:
    strip = strip_of(line(text, **more), 20, STYLES.__getitem__)
    assert strip.cell_length == 20 == sum(segment.cell_length for segment in strip)
    assert all(character.isprintable() for character in strip.text)


def test_what_was_hidden_is_hidden_and_the_cursor_covers_a_wide_character() -> None:
    hidden = next(iter(strip_of(line("\x1b[8msecret"), 20, STYLES.__getitem__)))
    assert hidden.style is not None and hidden.style.conceal
    strip = strip_of(line("漢字", cursor=2), 20, STYLES.__getitem__)
    assert [(part.text, part.style.reverse) for part in strip if part.style and part.style.reverse] == [
        ("字", True)]


def test_only_cells_that_differ_are_painted_anew() -> None:
    def shown(text: str, cursor: int | None = None, look: Look = PLAIN) -> Shown:
        return Shown((Run(text, look, len(text)),), cursor=cursor)

    assert difference(shown("login: ", 7), shown("login: r", 8), 80) == (7, 9)
    assert difference(shown("same", 4), shown("same", 4), 80) == (0, 0)
    assert difference(shown("abc"), shown("abc", look=Look(1)), 80) == (0, 3)
    assert difference(None, shown("abc"), 80) == (0, 80) == difference(shown("漢"), shown("字"), 80)
