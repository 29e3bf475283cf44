"""Speed and endurance of a console's terminal: `python tests/bench/terminal.py [--hostile MEGABYTES] [--bytes N]`.

Streams as machines print them (a boot, words in many colours, a screen painted again and again, a shell; programs that
write here and there: one made up, one as curses would send it, and what vim did send) go through bittty alone, through
our emulator (scroll-back with times, bounds, the short ways) and through the widget in a running app with its paints,
in turns within one run, on a small screen and a large one. Told are MB/s and ratios to bittty alone: the machine's own
speed cancels out. Frames are timed by the clock: beside other work there are more of them for each MB.
While the widget is fed, keys are posted; told is how long the median and the slowest waited, and how many frames were
painted. Then hostile bytes (10 MB by default) go through the emulator; told are its faults (0, or the run fails) and
what it grew by.
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import gc
import statistics
import sys
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from bittty import XTERM, Board
from textual import events
from textual.app import App, ComposeResult

from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.widgets.terminal import Terminal
from tests.unit.terminals import boot, coloured, editing, hostile, listing, monitor, paging, repainting

SIZES = (80, 24), (160, 50)
PIECE = 1 << 16  # bytes of one frame of the wire, at most
STREAMS = {"a boot": boot, "many colours": coloured, "repainting": repainting, "a shell": listing,
           "moving about": paging, "a monitor": monitor, "vim": editing}
BUDGET = 5.0  # MB/s in the app, on the processor


def pieces(data: bytes) -> list[bytes]:
    """As they come over the wire."""
    return [data[place:place + PIECE] for place in range(0, len(data), PIECE)]


def bare(data: bytes, size: tuple[int, int]) -> float:
    """Seconds that bittty takes, without scroll-back."""
    board = Board(width=size[0], height=size[1], model=XTERM)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    start = time.process_time()
    for piece in pieces(data):
        board.parser.feed(decoder.decode(piece))
    return time.process_time() - start


def emulated(data: bytes, size: tuple[int, int]) -> float:
    """Seconds that the emulator takes."""
    emulator = BitttyEmulator(*size)
    start = time.process_time()
    for piece in pieces(data):
        emulator.feed(piece, 1.0)
    return time.process_time() - start


class Bench(App[None]):
    """A terminal in an app whose paints are encoded as the real driver would, and dropped."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.terminal = Terminal(BitttyEmulator(*size))
        self.sent = 0
        self.waits: list[float] = []
        self._asked = 0.0

    def compose(self) -> ComposeResult:
        yield self.terminal

    def on_mount(self) -> None:
        self.terminal.typing = True
        self.terminal.focus()

    def _display(self, screen: object, renderable: object) -> None:
        if hasattr(renderable, "render_segments"):
            self.sent += len(renderable.render_segments(self.console).encode())

    def press(self) -> None:
        """A key of the user, if the last one was answered."""
        if not self._asked:
            self._asked = time.perf_counter()
            self.post_message(events.Key("x", "x"))

    def on_terminal_typed(self) -> None:
        self.waits.append((time.perf_counter() - self._asked) * 1000)
        self._asked = 0.0


async def shown(data: bytes, size: tuple[int, int]) -> tuple[float, Bench]:
    """Seconds on the processor until all is fed and painted, with a key posted between slices."""
    app = Bench(size)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        terminal = app.terminal
        start = time.process_time()
        for piece in pieces(data):
            place = 0
            while place < len(piece):
                place = terminal.take(piece, 1.0, place)
                app.press()
                await asyncio.sleep(0)
        await pilot.pause()
        return time.process_time() - start, app


def endure(megabytes: float, seed: int) -> int:
    """Hostile bytes; the number of faults."""
    emulator = BitttyEmulator(*SIZES[0])
    for chunk in hostile(500_000, seed + 1):
        emulator.feed(chunk, 1.0)
    gc.collect()
    tracemalloc.start(1)
    start, fed = time.perf_counter(), 0
    most = 0
    for chunk in hostile(round(megabytes * 1e6), seed):
        emulator.feed(chunk, 1.0)
        emulator.take_replies()
        fed += len(chunk)
        if fed >> 20 != (fed - len(chunk)) >> 20:
            most = max(most, tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    print(f"\n{fed / 1e6:.1f} MB of hostile bytes, seed {seed}, in {time.perf_counter() - start:.0f} s: "
          f"{emulator.faults} faults, at most {most / 1e6:.1f} MB more, "
          f"scroll-back {emulator.scrollback.size / 1e6:.1f} MB")
    return emulator.faults


def measure(count: int, size: tuple[int, int]) -> None:
    """So many bytes of each stream, on a screen of this size."""
    print(f"{'MB/s at {}x{}'.format(*size):16}{'bittty':>8}{'emulator':>10}{'ratio':>7}{'app':>8}{'ratio':>7}"
          f"{'key p50':>9}{'most':>8}{'frames':>8}")
    for name, stream in STREAMS.items():
        data = stream(count)
        runs = [(bare(data, size), emulated(data, size), asyncio.run(shown(data, size))) for _ in range(3)]
        alone, ours = (len(data) / 1e6 / statistics.median(run[place] for run in runs) for place in (0, 1))
        in_app = len(data) / 1e6 / statistics.median(run[2][0] for run in runs)
        waits = sorted(wait for run in runs for wait in run[2][1].waits)
        print(f"{name:16}{alone:8.2f}{ours:10.2f}{ours / alone:7.2f}{in_app:8.2f}{in_app / alone:7.2f}"
              f"{statistics.median(waits):6.0f} ms{waits[-1]:5.0f} ms{runs[-1][2][1].terminal.frames:8}")


def main() -> int:
    """Run all; 1 where hostile bytes brought a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=2_000_000, help="of each stream")
    parser.add_argument("--hostile", type=float, default=10.0, metavar="MEGABYTES")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    for size in SIZES:
        measure(given.bytes, size)
    print(f"budget: {BUDGET:.0f} MB/s sustained in the app; keys within 100 ms")
    return 1 if given.hostile and endure(given.hostile, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
