"""The emulator: what bytes do to the screen, what leaves it, its bounds, and that its short way changes nothing."""

from __future__ import annotations

import gc
import json
import random
import re
import tracemalloc
from pathlib import Path

import pytest
from bittty import XTERM, Board
from hypothesis import given, settings
from hypothesis import strategies as st

from qrm_tui.terminal import looks
from qrm_tui.terminal.bittty_emulator import LONGEST_TITLE, BitttyEmulator
from qrm_tui.terminal.board import LONGEST_STRING
from qrm_tui.terminal.cells import ONE_CELL, Styles, width
from qrm_tui.terminal.emulator import MOST_COLUMNS, MOST_ROWS
from qrm_tui.terminal.looks import PLAIN, Look, Run, text_of
from qrm_tui.terminal.scrollback import Kept, Scrollback
from tests.unit.terminals import boot, coloured, editing, hostile, listing, monitor, paging, repainting, screen

CASES = [json.loads(line) for line in
         (Path(__file__).parent.parent / "fixtures/terminal-cases.jsonl").read_text().splitlines()]


def fed(*chunks: str, columns: int = 20, rows: int = 6) -> BitttyEmulator:
    emulator = BitttyEmulator(columns, rows)
    for chunk in chunks:
        emulator.feed(chunk.encode(), 1.0)
    return emulator


@pytest.mark.parametrize("split", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, object], split: bool) -> None:
    data = str(case["input"]).encode()
    emulator = BitttyEmulator(20, 6)
    for chunk in [data[place:place + 1] for place in range(len(data))] if split else [data]:
        emulator.feed(chunk, 1.0)
    assert screen(emulator) == case["screen"]
    assert emulator.faults == 0


def test_there_are_34_cases() -> None:
    assert len(CASES) == 34 == len({case["name"] for case in CASES})


@pytest.mark.parametrize("sgr, look", [
    ("31", Look(1)), ("94;41", Look(12, 1)), ("38;5;208", Look(208)), ("48;2;1;2;3", Look(None, (1, 2, 3))),
    ("38:2::1:2:3", Look((1, 2, 3))), ("1;4", Look(None, None, looks.BOLD | looks.UNDERLINE)),
    ("7", Look(None, None, looks.REVERSE)), ("2;3;9", Look(None, None, looks.DIM | looks.ITALIC | looks.STRIKE)),
    ("31;0", PLAIN), ("31;39", PLAIN), ("38;5;999", PLAIN), ("38;2;999;0;0", PLAIN),
])
def test_colours_and_attributes(sgr: str, look: Look) -> None:
    assert fed(f"a\x1b[{sgr}mb\x1b[mc").line(0) == (
        (Run("abc", PLAIN, 3),) if look == PLAIN else (Run("a", PLAIN, 1), Run("b", look, 1), Run("c", PLAIN, 1)))


def test_marks_stand_on_the_letter_before_and_take_no_cell() -> None:
    emulator = fed("e\u0301a\u0308\u0308 漢\u0301x")
    assert emulator.cursor == (6, 0)
    assert text_of(emulator.line(0)) == "e\u0301a\u0308\u0308 漢\u0301x"
    assert len(text_of(fed("a" + "\u0301" * 100).line(0))) < 10


def test_what_turns_the_order_round_or_moves_the_cursor_is_not_shown() -> None:
    assert screen(fed("a\u202eb\u2066c\ufeffd\u2028e")) == ["abcde"]


def test_lines_that_leave_are_kept_with_the_time_when_they_were_written() -> None:
    emulator = BitttyEmulator(20, 3)
    for number in range(6):
        emulator.feed(f"line {number}\r\n".encode(), float(number))
    assert [(text_of(line.runs), line.at) for line in emulator.scrollback] == [
        ("line 0", 0.0), ("line 1", 1.0), ("line 2", 2.0), ("line 3", 3.0)]


def test_the_alternate_screen_leaves_no_lines_behind() -> None:
    emulator = fed("kept\r\n\x1b[?1049h" + "gone\r\n" * 20)
    assert emulator.alternate and not emulator.scrollback
    emulator.feed(b"\x1b[?1049l", 1.0)
    assert not emulator.alternate and screen(emulator) == ["kept"]


def test_bell_title_modes() -> None:
    emulator = fed("\x07\x07\x1b]2;root@r1\x1b\\\x1b[?2004h\x1b[?1h\x1b[?25l\x1b[?5h")
    assert (emulator.bells, emulator.title) == (2, "root@r1")
    assert emulator.bracketed_paste and emulator.application_cursor and emulator.cursor is None and emulator.reversed
    emulator.feed(b"\x1bc", 1.0)
    assert not emulator.bracketed_paste and not emulator.application_cursor and emulator.cursor == (0, 0)


def test_questions_that_consoles_ask_are_answered_and_no_others() -> None:
    emulator = fed("ab\x1b[6n\x1b[5n\x1b[c")
    assert emulator.take_replies() == b"\x1b[1;3R\x1b[0n\x1b[?1;2c" and emulator.take_replies() == b""
    # a title, a clipboard or a setting sent back would be typed into a shell
    emulator.feed(b"\x1b]2;rm -r /\r\x07\x1b[21t\x1b]52;c;?\x07\x1bP$qm\x1b\\\x1b[>q\x1b]10;?\x07\x05\x1b[?15n", 1.0)
    assert emulator.take_replies() == b""
    emulator.feed(b"\x1b[6n" * 10_000, 1.0)
    assert len(emulator.take_replies()) <= 512


def test_the_other_side_cannot_change_the_size() -> None:
    emulator = fed("\x1b[8;99;99t\x1b[?40h\x1b[?3h\x1b[132$|\x1b[50t\x1b[?69h\x1b[5;9s")
    assert (emulator.columns, emulator.rows) == (20, 6)


def test_a_smaller_screen_keeps_the_line_of_the_cursor() -> None:
    emulator = fed("".join(f"line {n}\r\n" for n in range(5)) + "prompt")
    emulator.resize(20, 3)
    assert screen(emulator) == ["line 3", "line 4", "prompt"] and emulator.cursor == (6, 2)
    assert [text_of(line.runs) for line in emulator.scrollback] == ["line 0", "line 1", "line 2"]
    emulator.resize(10_000, 10_000)
    assert (emulator.columns, emulator.rows) == (MOST_COLUMNS, MOST_ROWS)
    emulator.resize(0, -1)
    emulator.feed(b"a\r\nb", 1.0)
    assert screen(emulator) == ["b"]


def test_a_mark_comes_behind_what_was_shown() -> None:
    emulator = fed("one\r\ntwo\r\n$ ")
    emulator.mark("nothing\x1b recorded", 5.0)
    assert [(text_of(line.runs), line.mark) for line in emulator.scrollback] == [
        ("one", False), ("two", False), ("nothing recorded", True)]
    assert screen(emulator) == ["$"] and emulator.cursor == (2, 0)


def test_a_row_tells_that_it_changed() -> None:
    emulator = fed("one\r\ntwo")
    emulator.changed()
    assert emulator.changed() == []
    emulator.feed(b"!", 1.0)
    assert emulator.changed() == [1]


def test_a_string_without_an_end_does_not_hide_what_follows() -> None:
    emulator = fed("\x1b]0;", "x" * (LONGEST_STRING + 10), "seen", columns=80)
    assert any("seen" in row for row in screen(emulator))
    assert len(fed(f"\x1b]0;{'t' * 1000}\x07").title) == LONGEST_TITLE


def test_scrollback_is_bounded_in_lines_and_in_bytes_and_its_numbers_stay() -> None:
    kept = Scrollback(most_lines=100, most_bytes=1 << 20)
    for number in range(250):
        kept.append(Kept((Run(f"{number}", PLAIN, 3),), 0.0))
    assert (kept.first, kept.end, len(kept)) == (150, 250, 100) and kept[200].runs[0].text == "200"
    with pytest.raises(IndexError):
        kept[149]
    styled = tuple(Run("x", Look(number), 1) for number in range(200))
    for _ in range(1000):
        kept.append(Kept(styled, 0.0))
    assert kept.size <= 1 << 20
    kept.clear()
    assert (len(kept), kept.size, kept.first) == (0, 0, 1250)


# the short way

def alike(data: bytes, columns: int, rows: int, sizes: list[int]) -> None:
    """The same screens, looks, lines left and cursor with the short ways as without; rows that change tell it."""
    short, long = (BitttyEmulator(columns, rows, short=short) for short in (True, False))
    place, number = 0, 0
    while place < len(data):
        size = sizes[number % len(sizes)]
        number += 1
        before, _ = [short.line(row) for row in range(rows)], short.changed()
        for emulator in (short, long):
            emulator.feed(data[place:place + size], float(number))
        differing = {row for row in range(rows) if short.line(row) != before[row]}
        assert differing <= set(short.changed())
        place += size
    for ending in (b"", b"\x1b[2b\x1b[6nend", b"\x1b8x\x0ey"):
        for emulator in (short, long):
            emulator.feed(ending, 0.0)
        assert short.cursor == long.cursor and short.take_replies() == long.take_replies()
        assert [short.line(row) for row in range(rows)] == [long.line(row) for row in range(rows)]
        for mine, theirs in zip(short._board.blitter.videos, long._board.blitter.videos, strict=True):
            assert [list(row) for row in mine.grid] == [list(row) for row in theirs.grid]
            assert mine.wrapped_lines == theirs.wrapped_lines
        assert short._board.sets == long._board.sets
    assert ([(line.runs, line.wrapped) for line in short.scrollback]
            == [(line.runs, line.wrapped) for line in long.scrollback])
    assert short.faults == long.faults == 0


@pytest.mark.parametrize("columns, rows", [(80, 24), (20, 5), (132, 50), (40, 1)])
@pytest.mark.parametrize("stream", [boot, coloured, repainting, paging, monitor, editing, listing])
def test_the_short_way_ends_where_the_long_one_does(stream: object, columns: int, rows: int) -> None:
    alike(stream(60_000), columns, rows, [1 << 14, 700, 9000])  # type: ignore[operator]


def bare_rows(data: bytes, columns: int, rows: int) -> list[list[tuple[str, Look]]]:
    """What bittty's own board, without anything of ours, shows; the letters' colour where there is none is not seen."""
    board = Board(width=columns, height=rows, model=XTERM)
    board.parser.feed(data.decode())
    styles = Styles()
    return [[seen(text, styles.look(style)) for style, text in row] for row in board.blitter.current_page.grid]


def seen(text: str, look: Look) -> tuple[str, Look]:
    return text, look if text != " " or look.attributes else look._replace(text=None)


@pytest.mark.parametrize("columns, rows", [(80, 24), (20, 5), (160, 50)])
@pytest.mark.parametrize("stream", [boot, coloured, repainting, paging, monitor, editing, listing])
def test_the_screen_is_what_bittty_alone_makes(stream: object, columns: int, rows: int) -> None:
    data = stream(60_000)  # type: ignore[operator]
    emulator = BitttyEmulator(columns, rows)
    for place in range(0, len(data), 5000):
        emulator.feed(data[place:place + 5000], 1.0)
    for row, cells in enumerate(bare_rows(data, columns, rows)):
        shown = [seen(character, run.look) for run in emulator.line(row) for character in run.text]
        assert shown + [(" ", PLAIN)] * (columns - len(shown)) == cells


_TEXT = st.one_of(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=25),
                  st.text(st.sampled_from("aé€жΩßq─→ 漢\u0301\u00ad"), max_size=20))
_LINE = st.lists(st.one_of(
    _TEXT,
    st.sampled_from([
        "\x1b[0m", "\x1b[m", "\x1b[31m", "\x1b[44m", "\x1b[49m", "\x1b[7m", "\x1b[1;38;5;9m",
        "\x1b[48;2;1;2;3m", "\x1b[38;2;1;44;3m", "\x1b[38;5;44m", "\x1b[38;2;;1;2;44m", "\x1b[0044m", "\x1b[K",
        "\x1b[0K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[1J", "\x1b[H", "\x1b[2;1H", "\x0e", "\x0f", "\x1b)0", "\n",
        "\t", "漢", "e\u0301", "\b", "\r", "\x1b[3;1H", "\x1b[2;4r", "\x1b[r",
        "\x1b[?1049h", "\x1b[?1049l", "\x1b[4h", "\x1b[4l", "\x1b(0", "\x1b(B", "\x1b[?7l", "\x1b[?7h",
        "\x1b[2J", "\x1bM", "\x1b[5b",
    ]),
), max_size=6).map("".join)
_WHOLE = st.sampled_from([
    "plain", "x" * 33, "", "\x1b[32mok\x1b[0m", "\x1b[31mred", "all\x1b[K", "\x1b[1mw\x1b[m" * 20 + "\x1b[K",
    "\x1b[H\x1b[J", "\x1b[3;1H", "x" * 16, "x" * 16 + "\x1b[K", "\x1b[44m" + "y" * 20 + "\x1b[m",
    "10% [#]\r20% [##]", "1\t2\t", "\t", "5%\x1b[K\r6%\x1b[K\r", "what was\r\x1b[32mok\x1b[0m", "what was\rab\tc",
    "\ta\r\x1b[Kb", "what\r\x1b[41mw\x1b[K", "\x1b[1mw\ra", "a\tb" * 3, "a\t" + "b" * 20, "1\r" + "x" * 20,
    "1\r\x1b[1m" + "x" * 20 + "\x1b[m", "x" * 15 + "\ty", "x" * 16 + "\rab", "\r", "was\r\x1b[33mn",
])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_LINE, st.lists(_WHOLE, min_size=12, max_size=30).map("\r\n".join)), min_size=1, max_size=8))
def test_the_short_way_ends_where_the_long_one_does_whatever_comes(lines: list[str]) -> None:
    alike("\r\n".join([*[""] * 6, *lines, ""]).encode(), 16, 5, [1 << 14])


#: What a screen is like before something is written here and there: full, of wide characters, with a region ...
_FULL = "".join(letter * 16 for letter in "abcde") + "\x1b[H"
_BEFORE = ("", _FULL, "漢字" * 20 + "\x1b[3;4H", _FULL + "\x1b[2;4r", _FULL + "\x1b[2;4r\x1b[?6h",
           "\x1b[?1049h" + _FULL, _FULL + "\x1b[20h", "\x1b[44m\x1b[2J", "\x1b[4mx" * 20,
           "\x1b(0\x1b[31m", _FULL + "\x1b[5H")
_MOVES = st.sampled_from([
    *(f"\x1b[{to}H" for to in ("", "2;3", ";5", "9;99", "3", "0;0", "2;3;4", "02;003", "1000;1", "1;16", "5", "2;2")),
    *(f"\x1b[{move}" for move in ("2;9f", "A", "3B", "2C", "99C", "0C", "D", "5D", "E", "2F", "4G", "3d", "2`", "a",
                                  "e", "99;1C", "1000D", "?2A", "2;3d", "007B", "6n", "s", "u")),
    "\n", "\r\n", "\r", "\b", "\t", "\x1bM", "\x1bD", "\x1bE", "\x1b7", "\x1b8", "\x1bH",
])
_CHANGES = st.sampled_from([f"\x1b[{change}" for change in (
    "K", "0K", "1K", "2K", "?K", "X", "3X", "99X", "J", "1J", "2J", "L", "2M", "3P", "2@", "S", "2T", "5b", "r", "2;4r",
    "3;3r", "4;2r", "0;0r", "3r", ";3r")])
_LOOKS = st.sampled_from([
    *(f"\x1b[{look}m" for look in ("", "0", "1", "4", "7", "27", "31", "44", "49", "39;49", "1;38;5;9", "48;5;21",
                                   "48;2;1;2;3", "38:2::1:2:3", "30;46", "22;24", "58;5;1", "48")),
    "\x1b[1m\x1b[22m" * 20 + "\x1b[4m",
    "\x1b(0", "\x1b(B", "\x1b)0", "\x1b)B", "\x0e", "\x0f", "\x1b(A", "\x1b*0", "\x1bn", "\x1bN", "\x1b(0lqk\x1b(B",
])
_MODES = st.sampled_from([
    *(f"\x1b[{mode}" for mode in ("?25l", "?25h", "?7l", "?7h", "4h", "4l", "20h", "20l", "?6h", "?6l", "?1049h",
                                  "?1049l", "?47h", "?47l", "!p", "?1h", "?12l")),
    "\x1bc", "\x1b=", "\x07", "\x1b]2;title\x07", "\x1b]2;title\x1b\\", "\x1bPq\x1b\\", "\x9b2J", "\x84", "\x00",
    "\x7f", "\x1b[", "\x1b", "\x18",
])
_WORDS = st.one_of(
    _TEXT,
    st.sampled_from(["─│┌", "█" * 17, "漢", "漢字" * 9, "e\u0301", "é", "q" * 16, "x" * 15, "lqqk", " " * 16,
                     "y" * 40]))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(_BEFORE),
       st.lists(st.one_of(_MOVES, _MOVES, _CHANGES, _LOOKS, _WORDS, _WORDS, _MODES), min_size=4, max_size=30),
       st.lists(st.sampled_from([3, 20, 1 << 14]), min_size=1, max_size=3))
def test_a_screen_written_here_and_there_is_the_one_of_the_long_way(
        before: str, pieces: list[str], sizes: list[int]) -> None:
    alike((before + "".join(pieces)).encode(), 16, 5, sizes)


def test_what_takes_one_cell_in_the_short_way_does_so_everywhere() -> None:
    one = re.compile(f"[{ONE_CELL}]")
    assert {width(character) for character in map(chr, range(0x10000)) if one.match(character)} == {1}


def test_the_short_way_is_taken() -> None:
    emulator = BitttyEmulator(80, 24)
    emulator.feed(b"\r\n" * 24, 1.0)
    assert emulator._flood is not None
    data = boot(10_000).decode()
    assert emulator._flood.take(data, 0, 1.0) == len(data)
    data = "one line\r\nand another one that has not ended"
    assert emulator._flood.take(data, 0, 1.0) == 10
    assert [text_of(emulator.line(row)) for row in (22, 23)] == ["one line", ""]


def test_what_a_row_says_is_told_anew_when_it_was_written_on() -> None:
    emulator = BitttyEmulator(20, 3)
    emulator.feed(b"\r\n\r\nfirst\r\nsecond\r\n", 1.0)
    said = [emulator.line(row) for row in range(3)]
    assert [text_of(runs) for runs in said] == ["first", "second", ""]
    assert emulator.line(0) is said[0]
    for data, text in ((b"\x1b[1;3Hx", "fixst"), (b"\x1b[1;1H\x1b[P", "ixst"), (b"\x1b[1;2H\x1b[K", "i"),
                       (b"\x1b[1;1H\x1b[@", " i"), (b"\x1b[1;1H\x1b[2K", "")):
        emulator.feed(data, 1.0)
        assert text_of(emulator.line(0)) == text
    assert emulator.line(1) is said[1]


# hostile bytes

def test_hostile_bytes_bring_no_exception_and_bounded_memory() -> None:
    chance = random.Random(5)
    emulator = BitttyEmulator(80, 24, scrollback=Scrollback(most_lines=500, most_bytes=1 << 20))
    for chunk in hostile(150_000, 4):  # what is remembered of styles and sequences is filled
        emulator.feed(chunk, 1.0)
    gc.collect()
    tracemalloc.start()
    for chunk in hostile(400_000, 3):
        emulator.feed(chunk, 1.0)
        if chance.random() < 0.02:
            emulator.resize(chance.randrange(1, 200), chance.randrange(1, 60))
        emulator.take_replies()
        for row in range(emulator.rows):
            assert sum(run.cells for run in emulator.line(row)) <= emulator.columns
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert emulator.faults == 0
    assert grown < 24 << 20
    assert emulator.scrollback.size <= 1 << 20 and len(emulator.scrollback) <= 500
    emulator.resize(80, 24)
    emulator.feed(b"\x18\x1bc\x1b[2Jstill here", 1.0)
    assert screen(emulator) == ["still here"]


@pytest.mark.parametrize("long", ["\x1b[{};" + "1;" * 5000 + "H", "\x1b[{}m" + "\x1b[1m\x1b[22m" * 1000],
                         ids=["one", "a run"])
def test_long_sequences_and_long_runs_of_them_are_not_remembered(long: str) -> None:
    emulator = BitttyEmulator(80, 24)
    emulator.feed(long.format(99).encode(), 1.0)
    tracemalloc.start()
    for number in range(100):
        emulator.feed(long.format(number).encode(), 1.0)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1 << 19 and emulator.faults == 0


@pytest.mark.parametrize("sequence", [
    "\x1b[²m", "\x1b[38;5;²m", "\x1b[" + "9" * 5000 + "m", "\x1b[" + "9" * 50 + "@", "\x1b[999999999b",
    "\x1b[99999999S",
    "\x1b]99999999999999999999;x\x07", "\x1b]²;x\x07", "\x1b]" + "9" * 4500 + ";x\x07", "\x1b[\x00\x01m",
    "\x1b[99999999I", "\x1b[99999999Z", "\x1b[?²h", "\x9b²J", "\x1b[-1H", "\x1b[2;1r\x1b[99T", "\x1b(²",
    "\x1b]P²²²²²²²", "\x1bY\xff\xff",
])
def test_sequences_that_other_parsers_fell_over(sequence: str) -> None:
    emulator = fed("x", sequence, "\x1b[m\x18", columns=80, rows=24)
    assert emulator.faults == 0 and emulator.columns == 80


@pytest.mark.parametrize("endless", [b"\x1b]0;", b"\x1bP", b"\x1b_", b"\x1b[", b"\xe6", b"\x1b]52;c;"])
def test_a_sequence_that_never_ends_is_not_kept(endless: bytes) -> None:
    emulator = BitttyEmulator(80, 24)
    emulator.feed(endless, 1.0)
    for _ in range(200):
        emulator.feed(b"1;" * 2000, 1.0)
    assert len(emulator._board.parser.buffer) <= LONGEST_STRING + 4
