"""Which look a terminal gets: from what it calls itself, and from the line that it hangs on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qrm_tui.styles.themes import BASIC, DARK, LINUX, LOOKS, MONO, Look

if TYPE_CHECKING:
    from textual.driver import Driver

#: Lines that are slow, and whose far end nobody knows: serial ports, those of boards, and hypervisors' consoles.
_SERIAL_LINE = re.compile(r"/dev/(ttyS|ttyAMA|ttyUSB|ttyACM|ttymxc|ttyO|ttyPS|ttySC|ttyMSM|ttySAC|ttyHSL|hvc|hvsi|xvc)"
                          r"\d+")
_VIRTUAL_CONSOLE = re.compile(r"/dev/tty\d+")
#: Beginnings of TERM that promise no more than ASCII: getty on a serial line says vt220.
_BASIC_TERMINALS = ("dumb", "unknown", "vt", "ansi", "wy", "network", "tvi", "adm", "hp", "qvt")
_MANY_COLOURS = ("256", "direct", "truecolor", "24bit", "kitty", "alacritty", "foot", "ghostty", "wezterm", "iterm")


def choose(environ: Mapping[str, str], device: str = "") -> Look:
    """The look for a terminal, from NO_COLOR, TERM, COLORTERM and its device.

    QRM_LOOK (a look's name) overrules them: tmux on a Linux console doesn't tell where it is.
    """
    wanted = environ.get("QRM_LOOK", "")
    if wanted in LOOKS:
        return LOOKS[wanted]
    term = environ.get("TERM", "").lower()
    if _SERIAL_LINE.fullmatch(device) or not term or term.startswith(_BASIC_TERMINALS):
        return BASIC
    if environ.get("NO_COLOR"):
        return MONO
    if is_linux_console(term):
        return LINUX
    if any(word in term or word in environ.get("COLORTERM", "").lower() for word in _MANY_COLOURS):
        return DARK
    return LINUX  # sixteen colours


def looks_for(environ: Mapping[str, str], descriptor: int, asked: str, glyphs: bool) -> dict[str, Look]:
    """What the looks' names mean on this terminal: `auto` as it can, `back` from the basic mode.

    `asked`: the name that was asked for; `glyphs`: whether all of the console's looks can be shown.
    """
    can = choose(environ)
    full = LOOKS.get(asked, can)
    named = {**LOOKS, "auto": choose(environ, device_of(descriptor)), "back": MONO if full is BASIC else full}
    return named if glyphs else {name: replace(look, ascii=True) for name, look in named.items()}


def glyphs_on(descriptor: int) -> AbstractContextManager[bool]:
    """Whether the console's glyphs can be shown on this terminal, within; so it is where it is no virtual console."""
    device = device_of(descriptor)
    if not _VIRTUAL_CONSOLE.fullmatch(device):
        return nullcontext(True)
    from qrm_tui.styles.console_font import console_font

    return console_font(descriptor, device)


def driver_for(look: Look, environ: Mapping[str, str]) -> type[Driver] | None:
    """What writes to the terminal and reads its keys; None where Textual's own is right."""
    if not look.few_bytes and not is_linux_console(environ.get("TERM", "").lower()):
        return None
    from qrm_tui.styles.plain_driver import PlainDriver, SerialDriver

    return SerialDriver if look.few_bytes else PlainDriver


def is_linux_console(term: str) -> bool:
    """Also below screen, which says screen.linux."""
    return term.startswith("linux") or term.endswith(".linux")


def device_of(descriptor: int, active: Path = Path("/sys/class/tty/console/active")) -> str:
    """The device of a terminal, as in /dev/ttyS0; empty where it is none.

    /dev/console is the last one that the kernel's words go to (Documentation/ABI/testing/sysfs-tty).
    """
    try:
        device = os.ttyname(descriptor)
        return f"/dev/{active.read_text().split()[-1]}" if device == "/dev/console" else device
    except (OSError, IndexError):
        return ""
