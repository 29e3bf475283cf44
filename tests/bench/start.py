"""How long `qrm --help` takes beside `python -c pass`: the least of N runs each, taken in turns.

    .venv/bin/python tests/bench/start.py [N]
"""
from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BARE = [sys.executable, "-c", "pass"]
#: What the installed script `qrm` does.
HELP = [sys.executable, "-c", "from qrm_tui.cli.main import main; main()", "--help"]
#: The budget in DESIGN.md: this many times the bare start, and these milliseconds.
TIMES, MORE = 2, 60


def milliseconds(command: list[str]) -> float:
    """One run's wall time."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    """Measure and print; nothing is asserted."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    bare, full = float("inf"), float("inf")
    for _ in range(runs):
        bare, full = min(bare, milliseconds(BARE)), min(full, milliseconds(HELP))
    budget = TIMES * bare + MORE
    print(f"python -c pass  {bare:6.1f} ms\nqrm --help      {full:6.1f} ms\nratio           {full / bare:6.2f}\n"
          f"of the budget   {full / budget:6.2f}  ({budget:.1f} ms = {TIMES} x bare + {MORE} ms)")


if __name__ == "__main__":
    main()
