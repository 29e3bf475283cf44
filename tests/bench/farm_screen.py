"""The whole screen on a farm of 10,000 machines while 2,000 of them change each second:

    .venv/bin/python tests/bench/farm_screen.py [MACHINES] [CHANGES]

The app runs headless on a client that sends what qrmd's watch would: a snapshot, then deltas that hold what changed
within 50 ms (daemon/changes.py). qrmd sends none for a heartbeat that changes nothing, so this is the worst case, in
which each heartbeat does. Times are on the wall clock from a key to the bytes for the terminal of the frame after it,
as in table.py, and of the processor, which is what counts where the machine is busy with other things. Nothing is
asserted: the budgets are in DESIGN.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TEXTUAL_FPS"] = "2000"  # read when textual is imported
sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from textual import events

from qrm_tui.screens.application import QrmApp
from qrm_tui.styles import themes
from qrm_tui.widgets.lineinput import LineInput
from qrm_tui.widgets.prompt import Prompt  # loaded already when one types the second filter
from qrm_tui.widgets.spans import send_only_changes
from tests.screens.fake_client import FakeClient, Row, resource, ve

#: Milliseconds.
BUDGETS = {"filter keystroke": 50.0, "key to paint": 20.0, "page down": 20.0}
STATES = ("idle", "active", "booting", "off", "unknown")
STAGES = ("dhcp", "loader", "kernel", "agent", "root")
#: Keys by the character that they type, where that is not their name.
_NAMES = {" ": "space", "=": "equals_sign"}
#: Seconds that a delta gathers.
TOGETHER = 0.05


def machine(number: int, turn: int) -> Row:
    """A machine in one of its states."""
    state = STATES[(number + turn) % 5]
    booting = state == "booting"
    return resource(f"r{number}", state, revision=turn, ve=f"ve{number % 500}" if state == "active" else None,
                    address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", maintenance=number % 7 == 0,
                    stage=STAGES[turn % 5] if booting else "", since=time.time() - number % 999,
                    stage_at=time.time() - number % 99 if booting else None)


class Busy(FakeClient):
    """Changes all the time, as the farm would tell it."""

    def __init__(self, machines: int, changes: int) -> None:
        super().__init__(rows={"resource": [machine(n, 0) for n in range(machines)],
                               "ve": [ve(f"ve{n}", "active", resources=[f"r{n}"]) for n in range(500)]})
        self.machines, self.changes, self.sent = machines, changes, 0

    async def watch(self, kinds: Iterable[str], since: int | None = None) -> AsyncIterator[Row]:
        async for event in super().watch(kinds, since):
            yield event

    async def change(self) -> None:
        """For ever."""
        place, begun = 0, time.monotonic()
        while True:
            await asyncio.sleep(TOGETHER)
            due = int((time.monotonic() - begun) * self.changes) - self.sent
            if due > 0:
                rows = [machine((place + n) * 7919 % self.machines, self.sent // self.machines + 1)
                        for n in range(due)]
                place += due
                self.sent += due
                self.push({"resource": list({row["name"]: row for row in rows}.values())})


class Bench(QrmApp):
    """Encodes and counts what would go to the terminal."""

    painted: asyncio.Event

    def _display(self, screen: Any, renderable: Any) -> None:
        if hasattr(renderable, "render_segments"):
            renderable.render_segments(self.console)
            self.painted.set()

    async def key(self, key: str, until: Callable[[], bool]) -> tuple[float, float]:
        """Milliseconds from a key until a frame that shows what it did: on the wall, and of the processor."""
        start, worked = time.perf_counter(), time.process_time()
        self.post_message(events.Key(_NAMES.get(key, key), key if len(key) == 1 else None))
        while True:
            self.painted.clear()
            await asyncio.wait_for(self.painted.wait(), 10)
            if until():
                return (time.perf_counter() - start) * 1000, (time.process_time() - worked) * 1000


def _typed(prompt: Prompt, count: int) -> bool:
    return len(prompt.query_one(LineInput).value) >= count


Figures = dict[str, list[tuple[float, float]]]


async def measure(machines: int, changes: int) -> tuple[Figures, Busy, float]:
    """Milliseconds by what was done."""
    client = Busy(machines, changes)
    app = Bench(client.where, connect=lambda where: client, look=themes.DARK)  # type: ignore[arg-type, return-value]
    app.painted = asyncio.Event()
    found: Figures = {name: [] for name in BUDGETS}
    async with app.run_test(size=(80, 24)) as pilot:
        while len(app.live.rows["resource"]) < machines:
            await pilot.pause()
        await pilot.press("2")
        await pilot.pause()
        gc.collect()
        changing = asyncio.create_task(client.change()) if changes else None
        await asyncio.sleep(1)
        table = app.main.shown.table
        began = time.monotonic()
        for name, key, times in (("key to paint", "down", 60), ("page down", "pagedown", 30)):
            for _ in range(times):
                before = table.cursor
                found[name].append(await app.key(key, lambda before=before: table.cursor != before))  # type: ignore[misc]
                await asyncio.sleep(0.031)
        for _ in range(4):
            await pilot.press("slash")
            prompt = app.main.query_one(Prompt)
            for count, letter in enumerate("state=booting stage=root", 1):
                found["filter keystroke"].append(await app.key(letter, partial(_typed, prompt, count)))
                await asyncio.sleep(0.031)
            await pilot.press("escape")
        spent = time.monotonic() - began
        if changing:
            changing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await changing
    return found, client, client.sent / spent


def main() -> None:
    """Quiet first, then busy."""
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    changes = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000
    send_only_changes()
    for each_second in (0, changes):
        found, _, rate = asyncio.run(measure(machines, each_second))
        print(f"\n{machines:,} machines, {each_second:,} changes/s asked for, {rate:,.0f} done\n"
              f"{'':18}{'median':>11}{'p95':>11}{'budget':>11}{'p95/budget':>12}{'processor p95':>16}")
        for name, spent in found.items():
            wall, work = ([each[side] for each in spent] for side in (0, 1))
            p95, worked = (statistics.quantiles(values, n=20)[18] for values in (wall, work))
            print(f"{name:18}{statistics.median(wall):8.1f} ms{p95:8.1f} ms{BUDGETS[name]:8.0f} ms"
                  f"{p95 / BUDGETS[name]:11.2f}x{worked:13.1f} ms")


if __name__ == "__main__":
    main()
