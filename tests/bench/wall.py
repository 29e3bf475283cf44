"""A wall of 24 consoles in a running app at 160x50: `python tests/bench/wall.py [SECONDS]`.

All consoles speak at a rate; told is the app's share of a core, with its paints encoded as a real driver would, beside
what bittty alone takes for the same bytes (a ratio: the machine's own speed cancels out). Then all of them print as
fast as they are read, as machines that boot and in colours; told are MB/s of all together, how long a key waits and how
many frames there were. Budget: 24 tiled, with 200 recorded and 50 watchers in qrmd, in one core; keys within 100 ms.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from bittty import XTERM, Board
from textual import events

from qrm_tui.core.console_wire import MOST_OUTPUT, STATUS, frame, output_frame
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.wall import WallScreen
from qrm_tui.styles import themes
from tests.screens.fake_client import FakeClient, resource
from tests.unit.terminals import boot, coloured

SIZE, TILES = (160, 50), 24
#: Bytes a second of each console.
RATES = (1_000, 5_000, 20_000)
#: Seconds between two pieces of one console.
BEAT = 0.1


class Talkers(FakeClient):
    """Consoles that all say the same, each at its own moments."""

    def __init__(self, stream: Callable[[int], bytes], rate: int) -> None:
        super().__init__(rows={"resource": [resource(f"r{number}") for number in range(TILES)]})
        self._said, self.rate = stream(1_000_000), rate
        self.sent = 0
        self.going = asyncio.Event()

    async def pieces(self, parts: Sequence[str], query: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        yield frame(STATUS, json.dumps({"session": "s", "typist": None, "watchers": 1, "state": "connected",
                                        "reason": "", "marks": []}).encode())
        await self.going.wait()
        size = round(self.rate * BEAT) or MOST_OUTPUT
        offset, due = 0, time.monotonic() + hash(parts[2]) % 100 / 1000
        while True:
            place = offset % (len(self._said) - size)
            self.sent += size
            yield output_frame(offset, round(time.time() * 1e6), self._said[place:place + size])
            offset, due = offset + size, due + BEAT
            await asyncio.sleep(max(0.0, due - time.monotonic()) if self.rate else 0)

    async def ask(self, method: str, parts: Sequence[str], *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return {"consoles": [{"name": name} for name in self.rows["resource"]]}


class Bench(QrmApp):
    """The app, its paints encoded and dropped."""

    painted = 0

    def _display(self, screen: Any, renderable: Any) -> None:
        if hasattr(renderable, "render_segments"):
            self.painted += len(renderable.render_segments(self.console).encode())


async def shown(stream: Callable[[int], bytes], rate: int | None, seconds: float) -> dict[str, float]:
    """Share of a core, bytes a second, waits of keys in ms, frames a second, bytes painted a second."""
    client = Talkers(stream, rate or 0)
    app = Bench(client.where, connect=lambda where: client, look=themes.DARK)  # type: ignore[arg-type]
    async with app.run_test(size=SIZE) as pilot:
        while len(app.live.rows["resource"]) < TILES:
            await pilot.pause()
        app.push_wall([f"r{number}" for number in range(TILES)])
        while not (isinstance(app.screen, WallScreen) and app.screen.shown and not app.screen.tiles[-1].stands):
            await pilot.pause()
        wall = app.screen
        if rate is not None:
            client.going.set()
        waits: list[float] = []
        begun, used, sent, frames, painted = (time.monotonic(), time.process_time(), client.sent, wall.frames,
                                              app.painted)
        while time.monotonic() - begun < seconds:
            before, asked = wall.chosen, time.monotonic()
            app.post_message(events.Key("right" if before < TILES - 1 else "home", None))
            if before == TILES - 1:
                wall._choose(0)
            while wall.chosen == before:
                await asyncio.sleep(0)
            waits.append((time.monotonic() - asked) * 1000)
            await asyncio.sleep(0.25)
        took = time.monotonic() - begun
        found = {"share": (time.process_time() - used) / took, "bytes": (client.sent - sent) / took,
                 "frames": (wall.frames - frames) / took, "painted": (app.painted - painted) / took,
                 "median": statistics.median(waits), "most": max(waits)}
        app.exit()
    return found


def bare(stream: Callable[[int], bytes]) -> float:
    """Bytes a second that bittty takes."""
    board, data = Board(width=80, height=24, model=XTERM), stream(1_000_000)
    start = time.process_time()
    board.parser.feed(data.decode())
    return len(data) / (time.process_time() - start)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    print(f"{TILES} consoles at {SIZE[0]}x{SIZE[1]}{'':16}{'of a core':>10}{'times bittty':>14}{'frames/s':>10}"
          f"{'painted':>11}{'key p50':>9}{'most':>8}")
    runs: list[tuple[str, Callable[[int], bytes], int | None]] = [("nothing said", boot, None)]
    for words, stream in (("", boot), (", colours", coloured)):
        runs += [(f"{rate // 1000} kB/s each{words}", stream, rate) for rate in RATES]
        runs.append((f"a flood{words}", stream, 0))
    for name, stream, rate in runs:
        alone = bare(stream)
        found = asyncio.run(shown(stream, rate, seconds))
        ratio = found["share"] / (found["bytes"] / alone) if found["bytes"] else 0.0
        print(f"{name:22} {found['bytes'] / 1e6:6.2f} MB/s in all {found['share']:9.0%}{ratio:14.1f}"
              f"{found['frames']:10.1f}{found['painted'] / 1e3:7.0f} kB/s{found['median']:6.0f} ms"
              f"{found['most']:5.0f} ms")


if __name__ == "__main__":
    main()
