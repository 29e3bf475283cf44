"""The kernel's SysRq: its letters, and what the common ones do (admin-guide/sysrq)."""
from __future__ import annotations

from typing import NamedTuple

from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import printable

_ANY = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


class Letter(NamedTuple):
    """What it does, and whether what is not written yet, or a process, is lost."""

    words: str
    loses: bool = False


LETTERS = {
    "h": Letter("help, on the console"),
    "s": Letter("write all file systems"),
    "u": Letter("mount all file systems read-only"),
    "t": Letter("list all tasks"),
    "w": Letter("list tasks that are blocked"),
    "m": Letter("tell of the memory"),
    "l": Letter("what each CPU does"),
    "f": Letter("kill the task that takes most memory", loses=True),
    "e": Letter("ask all processes to end", loses=True),
    "i": Letter("kill all processes", loses=True),
    "c": Letter("crash: dump, or panic", loses=True),
    "o": Letter("switch off", loses=True),
    "b": Letter("reboot at once", loses=True),
}


def check_letter(letter: str) -> str:
    """The letter; BadInput where SysRq has no such one."""
    if letter not in _ANY:
        raise BadInput(f"letter: {printable(letter, 20)!r} is no letter of SysRq: one of a-z or 0-9, as in h, which "
                       "lists them on the console")
    return letter


def loses(letter: str) -> bool:
    """Whether something is lost by it."""
    return letter in LETTERS and LETTERS[letter].loses
