"""What is pictured: programs, and in each the screens one after the other, with the keys that lead there.

Another screen is a line here. Keys are written as they are sent, a word that is typed in one piece; `seen` is what must
be on the screen then.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ENTER, ESCAPE, TAB, SPACE, DOWN, RIGHT, CTRL_P, LEAVE = "\r", "\x1b", "\t", " ", "\x1b[B", "\x1b[C", "\x10", "\x1d"
UP, BACKSPACE, F1 = "\x1b[A", "\x7f", "\x1b[[A"


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
    Scene("filter", ("/", "state=error"), "1 of"),
    Scene("clone-form", (ESCAPE, "c"), "the golden image"),
    Scene("form-wrong", ("new", DOWN, "no_host"), "is no host name"),
    Scene("plan", (ESCAPE, "y", "d"), "cannot be undone"),
    Scene("plan-step", (ENTER,), "undo"),
    Scene("storage", (ESCAPE, "6"), "archive"),
    Scene("components", ("7",), "dhcpd"),
    Scene("jobs", ("8",), "ticket"),
    Scene("job", (DOWN, DOWN, ENTER), "block group 29"),
    Scene("journal", (ESCAPE, "9"), "image.clone"),
    Scene("palette", (CTRL_P, "clone"), "image clone"),
    Scene("help", (ESCAPE, "?"), "Keys"),
    Scene("command", (ESCAPE, ":"), "view 2"),
    Scene("command-words", ("image ",), "clone an image"),
    Scene("resources-again", (ESCAPE, "2"), "xen on r1"),
    Scene("console", ("s",), "login:"),
    Scene("console-keys", ("\x1e",), "SysRq"),
    Scene("wall", (LEAVE, ":", "wall", ENTER), "Kernel panic - not"),
    Scene("left", (ESCAPE, "q"), ""),
))

MACHINE = Path(__file__).parent.parent / "fixtures/machines/ubuntu24-ufw.json"
INSTALLER = Program("installer", (sys.executable, "-m", "qrm_tui.app", "--machine", str(MACHINE)), (
    Scene("welcome", (), "the plan will put right"),
    Scene("checks", (ENTER,), "WRONG firewall"),
    Scene("checks-firewall", (DOWN, DOWN, DOWN), "rules for"),
    Scene("components", (ENTER,), "336K"),
    Scene("components-nagios", (*(DOWN,) * 10, SPACE), "nagios takes its"),
    Scene("config", (ENTER,), "the router that machines"),
    Scene("config-wrong", (TAB, "9"), "! "),
    Scene("config-page", (BACKSPACE, UP, UP, RIGHT, RIGHT, RIGHT, RIGHT), "hypervisor"),
    Scene("config-help", (F1,), "Keys"),
    Scene("plan", (ESCAPE, ENTER), "99-zz-qrm.yaml"),
    Scene("plan-step", (ENTER,), "dhcp4"),
    Scene("fetching", (TAB, ENTER), "fetched"),
    Scene("installing", (), "packages: inst"),
    Scene("done", (), "The server is set up."),
    Scene("farm", (ENTER,), "9 ok"),
    Scene("left", ("q",), ""),
))

PROGRAMS = (FARM, INSTALLER)
