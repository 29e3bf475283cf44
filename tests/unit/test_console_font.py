"""A console's font: another one where it lacks glyphs of ours, and the former one afterwards. Kernel and setfont are
stand-ins here: what the kernel of a real console answers was seen on one."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.styles.console_font import FONTS, console_font, lacking
from qrm_tui.styles.glyphs import SAFE

BEYOND_ASCII = frozenset(glyph for glyph in SAFE if not glyph.isascii())
UNICODE, XLATE = 3, 1
#: Takes its words as setfont(8) of kbd 2.5 does; a console's font is a file with its characters here.
SETFONT = """#!/bin/sh -e
echo "$*" >>log
[ "$1" = -C ] && shift 2
[ "$1" = -O ] && { cp font "$2"; shift 2; }
case $1 in
/*) cp "$1" font ;;
*) [ -e "known/$1" ] && cp "known/$1" font ;;
esac
"""


class Console:
    """What the kernel knows of one."""

    def __init__(self, folder: Path, mode: int = UNICODE) -> None:
        self.folder, self.mode = folder, mode
        (folder / "known").mkdir()
        (folder / "setfont").write_text(SETFONT)
        (folder / "setfont").chmod(0o755)
        self.font = "abc"

    @property
    def font(self) -> str:
        return (self.folder / "font").read_text()

    @font.setter
    def font(self, characters: str) -> None:
        (self.folder / "font").write_text(characters)

    def know(self, name: str, characters: str) -> None:
        (self.folder / "known" / name).write_text(characters)

    @property
    def said(self) -> list[str]:
        """What setfont was told."""
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def ioctl(self, descriptor: int, request: int, argument: Any, mutate: bool = True) -> Any:
        if request == 0x4B44:
            return struct.pack("i", self.mode)
        assert request == 0x4B66
        for place, character in enumerate(self.font):
            argument.pairs[place].character, argument.pairs[place].place = ord(character), place
        argument.count = len(self.font)
        return 0


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    made = Console(tmp_path)
    monkeypatch.setattr(fcntl, "ioctl", made.ioctl)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return made


def test_a_font_with_our_glyphs_is_left_alone(console: Console) -> None:
    console.font = "".join(SAFE)
    with console_font(0, "/dev/tty1") as glyphs:
        assert glyphs
    assert console.said == []


def test_another_font_and_then_the_former_one(console: Console) -> None:
    console.know(FONTS[1], "".join(SAFE))
    with console_font(0, "/dev/tty1") as glyphs:
        assert glyphs and not lacking(0)
    assert console.font == "abc"
    assert {line.split()[1] for line in console.said} == {"/dev/tty1"}, "that console alone"


def test_it_comes_back_after_an_error(console: Console) -> None:
    console.know(FONTS[0], "".join(SAFE))
    with pytest.raises(RuntimeError), console_font(0, "/dev/tty1"):
        raise RuntimeError
    assert console.font == "abc"


def test_without_a_font_that_has_them_it_stays_and_is_told(console: Console) -> None:
    console.know(FONTS[0], "still not")
    with console_font(0, "/dev/tty1") as glyphs:
        assert not glyphs
    assert console.font == "abc"


def test_without_setfont_it_is_told(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with console_font(0, "/dev/tty1") as glyphs:
        assert not glyphs


def test_only_root_changes_a_font(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    console.know(FONTS[0], "".join(SAFE))
    with console_font(0, "/dev/tty1") as glyphs:
        assert not glyphs
    assert console.said == []


def test_a_console_that_takes_no_utf8_shows_none_of_them(console: Console) -> None:
    console.font, console.mode = "".join(SAFE), XLATE
    assert lacking(0) == BEYOND_ASCII
