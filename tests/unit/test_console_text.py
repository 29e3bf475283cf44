"""A console's bytes for a terminal: as lines, live, and the keys that are ours."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrm_tui.cli.attach import Keys
from qrm_tui.cli.console_text import Guard, Lines
from qrm_tui.cli.consoles import parse_since
from qrm_tui.core.errors import BadInput


@pytest.mark.parametrize(("said", "line"), [
    (b"plain\r\n", "plain"), (b"\x1b[32m[  OK  ]\x1b[0m Started\r\n", "[  OK  ] Started"),
    (b"10%\r50%\r100%\r\n", "100%"), (b"\x1b]0;title\x07text\n", "text"), (b"\x1bP1$qm\x1b\\x\n", "x"),
    (b"roor\b\bot\r\n", "root"), (b"\b\bx\n", "x"), ("gr\u00fc\u00df\n".encode(), "gr\u00fc\u00df"),
    (b"\xff\n", "\ufffd"),
    (b"a\x00b\x07c\x01\n", "abc\\x01"), (b"\x9b31mx\n", "\ufffd31mx"),
    ("\u202eevil\n".encode(), "\\u202eevil"), (b"a\tb\n", "a       b"),
])
def test_lines_are_what_one_would_read_and_harm_nobody(said: bytes, line: str) -> None:
    whole, cut = Lines(), Lines()
    assert list(whole.feed(said)) == [line]
    assert [each for at in range(len(said)) for each in cut.feed(said[at:at + 1])] == [line]


def test_a_line_that_does_not_end_is_given_at_the_end_and_held_to_a_length() -> None:
    lines = Lines()
    assert list(lines.feed(b"login: ")) == []
    assert list(lines.end()) == ["login: "]
    assert sum(len(list(lines.feed(b"x" * 10_000))) for _ in range(20)) > 0


@pytest.mark.parametrize(("said", "shown"), [
    (b"text\x1b[1;31mred\x1b[0m", b"text\x1b[1;31mred\x1b[0m"), (b"\x1b(B\x1b=\x1b[?25l", b"\x1b(B\x1b=\x1b[?25l"),
    (b"a\x1b]52;c;ZXZpbA==\x07b", b"ab"), (b"a\x1b]0;title\x1b\\b", b"ab"), (b"a\x1bPq#0\x1b\\b", b"ab"),
    (b"a\x1b[6nb\x1b[cc\x1b[>cd", b"abcd"), (b"a\x1b[21tb\x1b[?1$pc\x1b[>qd\x1b[?ue\x05\x1bZ", b"abcde"),
    (b"\x1b\x1b]52;c;x\x07y\x1b\n]z", b"y\n]z"),
    (b"a\x1b]evil\x18b", b"ab"), (b"\x1b[ q\x1b[!p", b"\x1b[ q\x1b[!p"), (b"a\x1b]x\x1b[1mb", b"a\x1b[1mb"),
])
def test_live_bytes_show_and_do_no_more(said: bytes, shown: bytes) -> None:
    whole, cut = Guard(), Guard()
    assert whole.feed(said) == shown
    assert b"".join(cut.feed(said[at:at + 1]) for at in range(len(said))) == shown


def test_who_types_gets_answers_for_the_machine() -> None:
    guard = Guard()
    guard.may_answer = True
    assert guard.feed(b"\x1b[6n\x1b[21t") == b"\x1b[6n"


def test_a_sequence_without_end_is_not_awaited_for_ever() -> None:
    guard = Guard()
    assert sum(len(guard.feed(b"\x1b[" + b"1;" * 4000)) for _ in range(5)) == 0
    assert guard.feed(b"\x1b[0mthere").endswith(b"there")
    guard.feed(b"\x1b[?1049h")
    assert guard.other_screen


@pytest.mark.parametrize(("typed", "does"), [
    ([b"ls\r"], [("type", b"ls\r")]), ([b"\x1d"], []), ([b"\x1dt"], [("take", b"")]),
    ([b"a\x1d", b"tb"], [("type", b"a"), ("take", b""), ("type", b"b")]), ([b"\x1d\x1d"], [("type", b"\x1d")]),
    ([b"\x1db"], [("break", b"")]), ([b"\x1dq"], [("leave", b"")]), ([b"\x1d?"], [("help", b"")]),
    ([b"\x1drh"], [("sysrq", b""), ("letter", b"h")]), ([b"a\x1d", b"r", b"ha"], [
        ("type", b"a"), ("sysrq", b""), ("letter", b"h"), ("type", b"a")]),
    ([b"\x1dr\x1dq"], [("sysrq", b""), ("letter", b"\x1d"), ("type", b"q")]),
    ([b"\x03\x04\x1a"], [("type", b"\x03\x04\x1a")]),
])
def test_keys(typed: list[bytes], does: list[tuple[str, bytes]]) -> None:
    keys = Keys()
    assert [one for data in typed for one in keys.feed(data)] == does
    assert keys.pending == (typed == [b"\x1d"])


@pytest.mark.parametrize(("text", "at"), [("90s", 910), ("10m", 400), ("1970-01-01T00:00:05Z", 5)])
def test_since(text: str, at: float) -> None:
    assert parse_since(text, 1000) == at


@pytest.mark.parametrize("text", ["", "yesterday", "10", "-5m", "10y"])
def test_no_since(text: str) -> None:
    with pytest.raises(BadInput, match="10m"):
        parse_since(text)


#: What makes sequences, more often than chance would.
_PIECES = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([
    b"\x1b", b"\x1b[", b"\x1b]0;", b"\x1bP", b"\x07", b"\x1b\\", b"6n", b"\n", b"\r", b"\b", "\u00e9".encode(),
    ])), max_size=40)


@given(_PIECES)
def test_whatever_comes_harms_nobody(pieces: list[bytes]) -> None:
    lines, guard, whole = Lines(), Guard(), Guard()
    said = [line for piece in pieces for line in lines.feed(piece)] + list(lines.end())
    assert all(line.isprintable() for line in said)
    shown = b"".join(guard.feed(piece) for piece in pieces)
    assert shown == whole.feed(b"".join(pieces))
    for word in (b"\x1b]", b"\x1bP", b"\x1b[6n", b"\x1b[c"):
        assert word not in shown
