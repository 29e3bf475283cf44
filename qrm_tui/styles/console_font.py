"""The font of a Linux console: whether it has our glyphs, another one where it has not, and the former one afterwards.

The kernel's own fonts and Debian's have them; some old ones, and those of some languages, have not. A font belongs to
whoever sits there: it is changed by root alone, on a virtual console alone, and put back (setfont(8) of package kbd).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qrm_tui.styles.glyphs import SAFE

#: Requests of ioctl_console(2): the keyboard's mode, which follows whether text is UTF-8; the font's map of characters.
_KDGKBMODE, _GIO_UNIMAP = 0x4B44, 0x4B66
_NOT_UTF8 = (0, 1, 2)  # K_RAW, K_XLATE, K_MEDIUMRAW
_MOST_CHARACTERS = 0xFFFF
#: Debian's (package console-setup-linux), the most like the kernel's first.
FONTS = ("Lat15-VGA16", "Lat15-Fixed16", "Lat15-Terminus16")
#: Seconds that setfont gets.
_PATIENCE = 5


class _Pair(ctypes.Structure):
    _fields_ = (("character", ctypes.c_ushort), ("place", ctypes.c_ushort))


class _Map(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("pairs", ctypes.POINTER(_Pair)))


def lacking(descriptor: int) -> frozenset[str]:
    """Which of our glyphs this virtual console cannot show; all but ASCII where it does not take UTF-8 or tell."""
    beyond_ascii = frozenset(glyph for glyph in SAFE if not glyph.isascii())
    pairs = (_Pair * _MOST_CHARACTERS)()
    font = _Map(_MOST_CHARACTERS, pairs)
    try:
        (mode,) = struct.unpack("i", fcntl.ioctl(descriptor, _KDGKBMODE, struct.pack("i", 0)))
        fcntl.ioctl(descriptor, _GIO_UNIMAP, font, True)
    except OSError:
        return beyond_ascii
    if mode in _NOT_UTF8:
        return beyond_ascii
    return beyond_ascii - {chr(pair.character) for pair in pairs[: font.count]}


@contextmanager
def console_font(descriptor: int, device: str) -> Iterator[bool]:
    """Whether our glyphs can be shown on this virtual console, within."""
    if not lacking(descriptor):
        yield True
    elif os.geteuid() != 0:
        yield False
    else:
        with tempfile.TemporaryDirectory(prefix="qrm-font-") as folder:
            former = Path(folder) / "former.psf"
            there = any(_set(device, name, former) and not lacking(descriptor) for name in FONTS)
            try:
                yield there
            finally:
                if former.exists():
                    _set(device, str(former), former)


def _set(device: str, font: str, former: Path) -> bool:
    """The font before the first one is kept in a file."""
    keep = () if former.exists() else ("-O", str(former))
    try:
        done = subprocess.run(["setfont", "-C", device, *keep, font], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
