"""Which terminal gets which look, driver and glyphs."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest
from textual.drivers.linux_driver import LinuxDriver

from qrm_tui.styles.choosing import choose, device_of, driver_for, glyphs_on, looks_for
from qrm_tui.styles.console_colours import ascii_text
from qrm_tui.styles.console_font import lacking
from qrm_tui.styles.glyphs import SAFE
from qrm_tui.styles.plain_driver import PlainDriver, SerialDriver
from qrm_tui.styles.themes import BASIC, DARK, LINUX, LOOKS, MONO, Look


@pytest.mark.parametrize(
    ("environ", "look"),
    [
        ({"TERM": "linux"}, LINUX),
        ({"TERM": "linux", "COLORTERM": "truecolor"}, LINUX),
        ({"TERM": "screen.linux"}, LINUX),
        ({"TERM": "xterm-256color"}, DARK),
        ({"TERM": "tmux-256color"}, DARK),
        ({"TERM": "xterm-kitty"}, DARK),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, DARK),
        ({"TERM": "xterm"}, LINUX),
        ({"TERM": "screen"}, LINUX),
        ({"TERM": "vt100"}, BASIC),
        ({"TERM": "vt102"}, BASIC),
        ({"TERM": "vt220"}, BASIC),
        ({"TERM": "dumb"}, BASIC),
        ({"TERM": "ansi"}, BASIC),
        ({}, BASIC),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, MONO),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, DARK),
        ({"TERM": "linux", "NO_COLOR": "1"}, MONO),
        ({"TERM": "vt220", "NO_COLOR": "1"}, BASIC),
        ({"TERM": "tmux-256color", "QRM_LOOK": "linux"}, LINUX),
        ({"TERM": "linux", "QRM_LOOK": "pink"}, LINUX),
        ({"TERM": "vt220", "QRM_LOOK": "dark"}, DARK),
    ],
)
def test_a_terminal_gets_its_look(environ: dict[str, str], look: Look) -> None:
    assert choose(environ) is look
    assert choose(environ, "/dev/pts/3") is look
    assert choose(environ, "/dev/tty1") is look


@pytest.mark.parametrize("device", ["/dev/ttyS0", "/dev/ttyS12", "/dev/ttyAMA0", "/dev/hvc0", "/dev/ttyUSB1",
                                    "/dev/ttyACM0", "/dev/xvc0"])
@pytest.mark.parametrize("term", ["linux", "xterm-256color", "vt220", ""])
def test_a_serial_line_gets_the_basic_mode_whatever_it_calls_itself(device: str, term: str) -> None:
    assert choose({"TERM": term}, device) is BASIC
    assert choose({"TERM": term, "QRM_LOOK": "linux"}, device) is LINUX, "but not where another one is asked for"


@pytest.mark.parametrize("term, theme, back", [
    ("xterm-256color", "auto", DARK), ("linux", "auto", LINUX), ("xterm-256color", "mono", MONO),
    ("xterm-256color", "basic", MONO), ("vt220", "auto", MONO)])
def test_back_from_the_basic_mode(term: str, theme: str, back: Look) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    looks = looks_for({"TERM": term}, nowhere, theme, glyphs=True)
    os.close(nowhere)
    assert looks["back"] is back
    assert {name: looks[name] for name in LOOKS} == LOOKS


def test_a_console_without_our_glyphs_gets_ascii_and_its_colours() -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    look = looks_for({"TERM": "linux"}, nowhere, "auto", glyphs=False)["auto"]
    os.close(nowhere)
    assert look.ascii and look.colours and not look.few_bytes


def test_drivers() -> None:
    assert driver_for(LINUX, {"TERM": "linux"}) is driver_for(MONO, {"TERM": "screen.linux"}) is PlainDriver
    assert driver_for(LINUX, {"TERM": "xterm"}) is driver_for(DARK, {"TERM": "xterm-256color"}) is None
    assert driver_for(BASIC, {"TERM": "linux"}) is SerialDriver
    assert issubclass(SerialDriver, LinuxDriver)


def test_the_device_of_a_terminal(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    try:
        assert device_of(terminal) == os.ttyname(terminal)
    finally:
        os.close(master)
        os.close(terminal)
    reading, writing = os.pipe()
    assert device_of(reading) == ""
    os.close(reading)
    os.close(writing)


def test_only_a_virtual_console_has_a_font_of_ours_to_set() -> None:
    master, terminal = pty.openpty()
    try:
        assert lacking(terminal) == {glyph for glyph in SAFE if not glyph.isascii()}, "it tells of no font"
        with glyphs_on(terminal) as glyphs:
            assert glyphs, "and is none of the consoles whose font is theirs alone"
    finally:
        os.close(master)
        os.close(terminal)


@pytest.mark.parametrize(("text", "ascii"), [
    ("┌─┬─┐│ ║╔═╗", "+-+-+| |+-+"), ("█▒░▄", "#:.#"), ("←→↑↓ •", "<>^v *"), ("Müller", "Muller"), ("wait…", "wait~"),
    ("漢字", "????"), ("e\u0301", "e"), ("½ ✓", "? ?"), ("plain ~", "plain ~")])
def test_ascii_in_as_many_cells(text: str, ascii: str) -> None:
    assert ascii_text(text) == ascii
