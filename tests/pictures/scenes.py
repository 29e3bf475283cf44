"""What is pictured: programs, and in each the screens one after the other, with the keys that lead there.

Another screen is a line here. Keys are written as they are sent; `seen` is what must be on the screen then.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

ENTER, ESCAPE, TAB, SPACE, DOWN, RIGHT, CTRL_P, LEAVE = "\r", "\x1b", "\t", " ", "\x1b[B", "\x1b[C", "\x10", "\x1d"


@dataclass(frozen=True)
class Scene:
    name: str
    keys: tuple[str, ...]
    seen: str


@dataclass(frozen=True)
class Program:
    """Started once; its scenes follow each other. It ends by itself after the last scene's keys."""

    name: str
    command: tuple[str, ...]
    scenes: tuple[Scene, ...]


FARM = Program("farm", (sys.executable, "-m", "tests.pictures.farm"), (
    Scene("overview", (), "r13"),
    Scene("resources", ("2", DOWN, DOWN, DOWN, SPACE, DOWN), "r4"),
    Scene("resource-details", (ENTER,), "PowerEdge"),
    Scene("why", (ESCAPE, "w"), "loader"),
    Scene("ves", (ESCAPE, "3", DOWN), "its reboot is awaited"),
    Scene("ve-form", ("a",), "define a virtual environment"),
    Scene("partitions", (ESCAPE, ESCAPE, "4", DOWN, DOWN, DOWN), "its kernel panicked"),
    Scene("images", ("5", DOWN, DOWN), "give it more now"),
    Scene("filter", ("/", *"state=error"), "1 of"),
    Scene("clone-form", (ESCAPE, "c"), "the golden image"),
    Scene("form-wrong", (*"new", DOWN, *"no_host"), "is no host name"),
    Scene("plan", (ESCAPE, "y", "d"), "cannot be undone"),
    Scene("plan-step", (ENTER,), "undo"),
    Scene("storage", (ESCAPE, "6"), "archive"),
    Scene("components", ("7",), "dhcpd"),
    Scene("jobs", ("8",), "ticket"),
    Scene("job", (DOWN, DOWN, ENTER), "block group 29"),
    Scene("journal", (ESCAPE, "9"), "image.clone"),
    Scene("palette", (CTRL_P, *"clone"), "image clone"),
    Scene("help", (ESCAPE, "?"), "Keys"),
    Scene("command", (ESCAPE, ":"), "view 2"),
    Scene("command-words", tuple("image "), "clone an image"),
    Scene("resources-again", (ESCAPE, "2"), "xen on r1"),
    Scene("console", ("s",), "login:"),
    Scene("console-keys", ("\x1e",), "SysRq"),
    Scene("wall", (LEAVE, ":", *"wall", ENTER), "Kernel panic - not"),
    Scene("left", (ESCAPE, "q"), ""),
))

PROGRAMS = (FARM,)
