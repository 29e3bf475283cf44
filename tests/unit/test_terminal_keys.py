"""Keys and pasted text as bytes; lines by number: what is found and copied."""

from __future__ import annotations

import pytest

from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.terminal.keys import key_bytes, pasted, wants_asking
from qrm_tui.terminal.view import Lines, gap_text, place_of


@pytest.mark.parametrize("key, character, sent", [
    ("a", "a", b"a"), ("A", "A", b"A"), ("plus", "+", b"+"), ("eacute", "é", "é".encode()), ("space", " ", b" "),
    ("enter", "\r", b"\r"), ("tab", "\t", b"\t"), ("escape", "\x1b", b"\x1b"), ("backspace", "\x7f", b"\x7f"),
    ("ctrl+c", "\x03", b"\x03"), ("ctrl+z", "\x1a", b"\x1a"), ("ctrl+@", "\x00", b"\x00"),
    ("ctrl+backslash", "\x1c", b"\x1c"), ("ctrl+right_square_bracket", "\x1d", b"\x1d"),
    ("up", None, b"\x1b[A"), ("shift+up", None, b"\x1b[1;2A"), ("ctrl+left", None, b"\x1b[1;5D"),
    ("home", None, b"\x1b[H"), ("delete", None, b"\x1b[3~"), ("pageup", None, b"\x1b[5~"),
    ("ctrl+pageup", None, b"\x1b[5;5~"), ("f1", None, b"\x1bOP"), ("f12", None, b"\x1b[24~"),
    ("shift+f5", None, b"\x1b[15;2~"), ("shift+tab", None, b"\x1b[Z"),
    ("alt+b", "b", b"\x1bb"), ("alt+b", None, b"\x1bb"),
    ("alt+enter", None, b"\x1b\r"), ("f13", None, b""), ("hyper+x", None, b""),
])
def test_key(key: str, character: str | None, sent: bytes) -> None:
    assert key_bytes(key, character) == sent


def test_arrows_for_applications() -> None:
    assert key_bytes("up", None, True) == b"\x1bOA" and key_bytes("ctrl+up", None, True) == b"\x1b[1;5A"


def test_pasted_text_can_neither_end_the_paste_nor_send_sequences() -> None:
    assert pasted("a\r\nb\nc\x1b[201~\x03\t", True) == b"\x1b[200~a\rb\rc[201~\t\x1b[201~"
    assert pasted("word", False) == b"word"
    assert wants_asking("a\n") and wants_asking("a\rb") and not wants_asking("a word")


def test_lines_are_found_and_copied_whole() -> None:
    emulator = BitttyEmulator(10, 3)
    emulator.feed(b"one\r\na line that is longer\r\nPanic\r\n$ ", 1.0)
    lines = Lines(emulator)
    assert lines.copied(lines.first, lines.end - 1) == "one\na line that is longer\nPanic\n$\n"
    assert lines.find("panic", lines.end - 1, -1) == lines.end - 2 and lines.find("PANIC", lines.first, 1) is None
    assert lines.find("[", lines.first, 1) is None
    assert place_of("anic", "a Panic") == (3, 7)


def test_a_gap_says_from_when_to_when_and_why() -> None:
    assert gap_text(0, 90, "qrmd was started anew").endswith("qrmd was started anew")
    assert gap_text(0, 200_000, "").startswith("nothing recorded 19")
