"""What raises an event on a console: however it is cut and coloured, once a line, and whatever else comes."""
from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qrm_tui.core.console_text import PlainBytes
from qrm_tui.daemon.console_patterns import LONGEST_LINE, LONGEST_TEXT, Matcher, patterns

PANIC = b"[   12.345678] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n"


def names(*pieces: bytes) -> list[str]:
    """The patterns that are found in these pieces; lines that are told whole a second time do not count."""
    matcher = Matcher()
    return [hit.pattern.name for piece in pieces for hit in matcher.feed(piece) if not hit.whole]


def cut(data: bytes, size: int = 1) -> list[bytes]:
    return [data[at:at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(("said", "found"), [
    (PANIC, ["Kernel panic"]),
    (b"[    1.2] VFS: Cannot open root device \"nfs\" or unknown-block(0,255): error -6\r\n", ["root not found"]),
    (b"[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n", ["Kernel panic"]),
    (b"[   99.9] Out of memory: Killed process 412 (mysqld) total-vm:912345kB\r\n", ["Out of memory"]),
    (b"[   99.9] Memory cgroup out of memory: Killed process 7 (java)\r\n", ["Out of memory"]),
    (b"[    3.1] BUG: unable to handle page fault for address: ffffffffc0de\r\n", ["kernel bug"]),
    (b"[  242.1] INFO: task dpkg:812 blocked for more than 120 seconds.\r\n", ["hung"]),
    (b"[  242.1] nfs: server 192.168.88.179 not responding, still trying\r\n", ["nfs: no answer"]),
    (b"[    9.1] EXT4-fs error (device sda1): ext4_lookup:1855: inode #2\r\n", ["file system error"]),
    (b"You are in emergency mode. After logging in, type \"journalctl -xb\"\r\n", ["emergency mode"]),
    (b"\r\nDebian GNU/Linux 12 r1 ttyS0\r\n\r\nr1 login: ", ["login:"]),
    (b"Last login: Sun Nov 22 10:00:00 UTC 2026 on ttyS0\r\n", []),
    (b"pam_unix(login:session): session opened for user root\r\n", []),
    (b"---[ end Kernel panic - not syncing: Attempted to kill init! ]---\r\n", []),
    (b"kernel panic, kernel panic, said the crow\r\n", []),
])
def test_what_is_found(said: bytes, found: list[str]) -> None:
    assert names(said) == found
    assert names(*cut(said)) == found
    assert names(b"no end before it\r" + said) == found


def test_colours_titles_and_moves_in_between_hide_nothing() -> None:
    said = b"\x1b[1;31mKernel\x1b[0m p\x1b]0;a title\x07an\x1b(Bic\x00 - \x1b[?25lnot syncing\x1b[0m: \x1b[Kdead\r\n"
    for size in (1, 2, 3, 7, len(said)):
        assert names(*cut(said, size)) == ["Kernel panic"]


@pytest.mark.parametrize("before", [
    b"\x1b]0;a title that never ends\r\n", b"\x1bP" + b"q" * 5000, b"\x1b[" + b"1;" * 500, b"\x1b\x1b\x1b[",
    b"\xff\xfe\x00\x9b", b"x" * 100_000, b"\x1b_\n", b"\x1b[31",
])
def test_what_a_broken_line_opens_swallows_no_later_line(before: bytes) -> None:
    said = before + b"\r\n" + PANIC
    assert names(said) == names(*cut(said)) == ["Kernel panic"]


def test_a_line_raises_once_and_the_most_important_counts() -> None:
    line = b"Kernel panic - not syncing: Out of memory: Killed process 1; Kernel panic - not syncing\r\n"
    assert names(line) == names(*cut(line)) == ["Kernel panic"]
    assert names(PANIC * 5000) == ["Kernel panic"] * 5000


def test_a_line_that_was_found_before_its_end_is_told_whole_then() -> None:
    matcher = Matcher()
    (first,) = matcher.feed(PANIC[:45])
    assert (first.text, first.whole) == ("[   12.345678] Kernel panic - not syncing: At", False)
    assert matcher.feed(PANIC[45:50]) == []
    (whole,) = matcher.feed(PANIC[50:])
    assert (whole.text, whole.whole) == (PANIC.decode().strip(), True)


def test_what_is_told_is_harmless_and_short() -> None:
    (hit,) = Matcher().feed("evil \u202e\x01 Kernel panic - not syncing \x1b[2J".encode() + b"\xff" * 500 + b"\n")
    assert hit.text.isprintable() and len(hit.text) <= LONGEST_TEXT


def test_a_line_without_end_is_found_again_only_after_a_while_and_costs_little() -> None:
    matcher = Matcher()
    found = [hit for _ in range(2000) for hit in matcher.feed(b"x" * 100 + b"Kernel panic - not syncing")]
    assert 1 < len(found) <= 2000 * 126 / LONGEST_LINE
    assert len(matcher._line) <= LONGEST_LINE + 200


def test_each_row_of_the_table_is_whole() -> None:
    assert len({pattern.name for pattern in patterns()}) == len(patterns())
    for pattern in patterns():
        assert pattern.severity in ("alert", "note") and pattern.texts and pattern.next
        assert all(len(text) >= 8 for text in pattern.texts), "too short to mean something"
        (hit,) = Matcher().feed(b"[    1.0] " + pattern.texts[0] + b"\n")
        assert hit.pattern == pattern


#: Bytes that mean something to a terminal, and to the table.
PARTS = st.sampled_from([b"\x1b", b"\x1b[", b"\x1b]", b"\x1bP", b"1;31", b"m", b"H", b"C", b"\x07", b"\x1b\\", b"\x18",
                         b"\n", b"\r", b"Kernel panic", b" - not syncing", b" login: ", b"Last", b"x" * 50, b"\x00",
                         b"\xe2\x82"])


@example([b"\x1b", b"\x1b[", b"C", b"1;31"], [1])
@given(st.lists(PARTS | st.binary(max_size=8), max_size=60), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_it_does_not_matter_how_bytes_are_cut(parts: list[bytes], sizes: list[int]) -> None:
    said = b"".join(parts) + b"\n"
    pieces, place = [], 0
    while place < len(said):
        for size in sizes:
            pieces.append(said[place:place + size])
            place += size
    plain, whole = PlainBytes(), PlainBytes()
    text = whole.feed(said)
    assert b"".join(map(plain.feed, pieces)) == text
    assert not set(text) & (set(range(32)) - {9, 10})
    found = Matcher()
    for piece in pieces:
        found.feed(piece)
    # whatever came before, what comes on a line of its own is found
    assert "Kernel panic" in [hit.pattern.name for hit in found.feed(b"\n" + PANIC)]
