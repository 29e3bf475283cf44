"""How long qrm-tui takes to its first full screen with live data, beside a bare Textual app, both under a pty.

    .venv/bin/python tests/bench/paint.py [RUNS]

The bare app has a header, a table with a row and a footer. qrm-tui is started on a practice server that runs already.
Runs alternate; the least of each counts. The budget is in DESIGN.md.
"""

from __future__ import annotations

import os
import pty
import select
import struct
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from tests.practice_server import ROOT, practice_server

BUDGET = 1.5
#: Seconds after which a start is given up.
PATIENCE = 30.0
#: Images of the farm that is looked at.
FARM = "small"

BARE = """
from textual.app import App
from textual.widgets import DataTable, Footer, Header

class Bare(App):
    BINDINGS = [("q", "quit", "leave-marker")]
    def compose(self):
        yield Header()
        yield DataTable()
        yield Footer()
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("name", "state")
        table.add_row("table-marker", "ready")

Bare().run()
"""


def to_paint(command: list[str], markers: list[bytes]) -> float:
    """Milliseconds from the start of the process until the terminal has been sent all markers."""
    begun = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LINES": "24", "COLUMNS": "80"}
        os.execv(command[0], command)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen = b""
    try:
        while not all(marker in seen for marker in markers):
            ready, _, _ = select.select([terminal], [], [], PATIENCE)
            if not ready:
                raise TimeoutError(f"{command[1:4]} never painted {markers}: {seen[-500:]!r}")
            seen += os.read(terminal, 1 << 16)
        return (time.perf_counter() - begun) * 1000
    finally:
        os.kill(child, 15)
        drain(terminal)
        os.waitpid(child, 0)
        os.close(terminal)


def drain(terminal: int) -> None:
    """Read what it still says, so that it can end."""
    while select.select([terminal], [], [], 1)[0]:
        try:
            if not os.read(terminal, 1 << 16):
                return
        except OSError:  # the other end is closed
            return


def main() -> None:
    """Measure and print; nothing is asserted."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    with practice_server(FARM) as socket:
        bare_command = [sys.executable, "-c", BARE]
        # the overview's room comes last of all: rows, then what the server says of the whole farm
        full_command = [sys.executable, "-m", "qrm_tui.app", "--connect", str(socket)]
        bare = full = float("inf")
        for _ in range(runs):
            bare = min(bare, to_paint(bare_command, [b"table-marker", b"leave-marker"]))
            full = min(full, to_paint(full_command, [b"PRACTICE", b"storage servers", b"free of", b"help"]))
    print(f"bare Textual app   {bare:7.0f} ms\nqrm-tui            {full:7.0f} ms\nratio              {full / bare:7.2f}"
          f"  (budget {BUDGET})")


if __name__ == "__main__":
    main()
