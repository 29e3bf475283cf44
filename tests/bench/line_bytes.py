"""Bytes over the line at 80x24, in basic mode and as on the Linux console, side by side:

    .venv/bin/python tests/bench/line_bytes.py [SECONDS]

The real program on a pseudo-terminal, on a practice server that runs already. Told are the bytes to its first full
screen, those while nobody types (SECONDS, a minute by default) with clocks that go, those for ten steps down a list, a
page and the way back, and those for a job from its plan to its end. Beside them the seconds that a line of 9600 baud
takes. Nothing is asserted.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from tests.on_terminal import APP, OnTerminal
from tests.practice_server import practice_server

LOOKS = ("linux", "basic")
DOWN, PAGE_DOWN, PAGE_UP = "\x1b[B", "\x1b[6~", "\x1b[5~"
#: Bytes a second: 8 bits, a start and a stop.
SLOW = 960
Figures = dict[str, int]


def measure(socket: Path, look: str, minute: float) -> Figures:
    """Bytes by what was done."""
    found: Figures = {}
    with OnTerminal([*APP, "--connect", str(socket), "--look", look], term="linux") as terminal:
        done = 0

        def note(what: str) -> None:
            nonlocal done
            found[what] = len(terminal.sent) - done
            done = len(terminal.sent)

        terminal.wait_for("PRACTICE", "free of", "q quit")
        note("to open it")
        until = time.monotonic() + minute
        while (left := until - time.monotonic()) > 0:
            terminal.read(left)
        note("while nobody types")
        terminal.press("5")
        terminal.wait_for("clone of")
        note("another view")
        terminal.press(*[DOWN] * 10, PAGE_DOWN, PAGE_UP)
        terminal.settle()
        note("to walk a list")
        terminal.press(":", *f"image clone webserver {look}", "\r")
        terminal.wait_for("qrm image clone", "run")
        note("a plan")
        terminal.press("r")
        terminal.wait_for("100%")
        note("a job to its end")
        terminal.press("\x1b", "q")
    return found


def main() -> None:
    """Measure and print."""
    minute = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with practice_server("small") as socket:
        figures = {look: measure(socket, look, minute) for look in LOOKS}
    print(f"{'':20}" + "".join(f"{look:>10}{'9600 baud':>12}" for look in LOOKS) + f"{'basic/linux':>14}")
    for what, linux in figures["linux"].items():
        basic = figures["basic"][what]
        print(f"{what:20}" + "".join(f"{size:10,}{size / SLOW:10.1f} s" for size in (linux, basic))
              + f"{basic / max(1, linux):13.2f}x")


if __name__ == "__main__":
    main()
