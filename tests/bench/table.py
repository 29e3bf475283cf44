"""Speed of VirtualTable beside Textual's DataTable: `python tests/bench/table.py [rows ...]` (default 10000 100000).

How it measures. A headless app of 80x24 holds one table. Each act (a key posted to the app, or a delta to the source)
is timed on the wall clock until the frame that follows has been laid out, composited (`render_line`) and handed to
`App._display`, where this app encodes it to terminal bytes as the real driver would, and counts them. Textual's wait
for its next frame is made small (TEXTUAL_FPS), because it is the same for both and would hide them. Medians,
milliseconds. DataTable with 100,000 rows takes a minute: it runs with --all only. Nothing is asserted: budgets are in
the last column.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TEXTUAL_FPS"] = "2000"  # read when textual is imported
sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from textual import events
from textual.app import App, ComposeResult
from textual.widgets import DataTable

from qrm_tui.widgets.columns import Column
from qrm_tui.widgets.rows import ListSource, Row
from qrm_tui.widgets.spans import send_only_changes
from qrm_tui.widgets.table import VirtualTable

BUDGETS = {"fill": 60.0, "key to paint": 10.0, "page down": 25.0}  # DESIGN.md, for 100,000 rows
STATES = ("idle", "active", "booting", "error", "off")
FIELDS = ("name", "state", "address", "memory", "load", "seen")


def age(row: Row, now: float) -> str:
    """Seconds since the row was last seen."""
    return f"{now - row['seen']:.0f}s"


COLUMNS = (
    Column("name", "Name", 12, flexible=True, priority=9),
    Column("state", "State", 8, priority=8, style=lambda row: "bad" if row["state"] == "error" else None),
    Column("address", "Address", 15),
    Column("memory", "Memory", 7, justify="right"),
    Column("load", "Load", 5, justify="right"),
    Column("seen", "Seen", 6, justify="right", format=age),
)


def farm(count: int) -> list[dict[str, Any]]:
    """Rows as a server would send them; ages from 0 to 90 seconds, so a tick of one second changes all of them."""
    return [
        {
            "name": f"node-{n}",
            "state": STATES[n % 5],
            "address": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",
            "memory": 1024 << n % 6,
            "load": n % 97 / 10,
            "seen": -float(n % 90),
        }
        for n in range(count)
    ]


class Bench(App[None]):
    """Encodes and counts what would go to the terminal."""

    CSS = "Screen { overflow: hidden; } DataTable { height: 1fr; }"

    def __init__(self, table: VirtualTable | DataTable[Any]) -> None:
        super().__init__()
        self.table = table
        self.sent = 0
        self.painted = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield self.table

    def _display(self, screen: Any, renderable: Any) -> None:
        if hasattr(renderable, "render_segments"):
            self.sent += len(renderable.render_segments(self.console).encode())
            self.painted.set()

    def key(self, key: str) -> None:
        """A key of the user."""
        self.post_message(events.Key(key, key if len(key) == 1 else None))

    async def measure(
        self, act: Callable[[], object], times: int = 30, frame: bool = True, until: Callable[[], bool] = lambda: True
    ) -> tuple[float, int]:
        """Median milliseconds and bytes of one act with its paint; without `frame` of the act alone."""
        spent, sent = [], []
        for _ in range(times):
            await asyncio.sleep(0.06)  # let Textual come to rest
            self.sent = 0
            self.painted.clear()
            start = time.perf_counter()
            act()
            while frame:
                await asyncio.wait_for(self.painted.wait(), 600)
                self.painted.clear()
                if until():
                    break
            spent.append((time.perf_counter() - start) * 1000)
            sent.append(self.sent)
        return statistics.median(spent), round(statistics.median(sent))


Figures = dict[str, tuple[float, int]]


async def keys(app: Bench, found: Figures) -> None:
    """The keys that both tables know."""
    await asyncio.sleep(0.2)
    found["key to paint"] = await app.measure(lambda: app.key("down"), 15)
    found["key to paint, scrolling"] = await app.measure(lambda: app.key("down"))
    found["page down"] = await app.measure(lambda: app.key("pagedown"))


async def virtual(count: int) -> Figures:
    """Figures of VirtualTable."""
    data = farm(count)
    now = [0.0]
    found: Figures = {}
    source = ListSource("name")
    table = VirtualTable(COLUMNS, source, clock=lambda: now[0])
    app = Bench(table)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        gc.collect()
        found["fill"] = await app.measure(lambda: source.set(data), 1)
        await keys(app, found)
        found["to the end and back"] = await app.measure(lambda: app.key("home" if table.cursor else "end"))
        row = data[count // 2]
        table.show_cursor_on(row["name"])
        turn = iter(range(1000))

        def load(value: Callable[[int], float]) -> None:
            source.update([row | {"load": value(next(turn))}])

        def tick() -> None:
            now[0] += 1
            table.tick()

        found["update of a row on screen"] = await app.measure(lambda: load(float))
        found["update of a row elsewhere"] = await app.measure(lambda: source.update([data[0]]), frame=False)
        found["tick of one second"] = await app.measure(tick)
        found["tick, nothing to say"] = await app.measure(table.tick, frame=False)
        found["sort by name, first time"] = await app.measure(lambda: table.sort_by("name"), 1)
        found["reverse"] = await app.measure(lambda: table.sort_by("name", not source.reverse))
        table.sort_by("load")
        found["update that moves a row"] = await app.measure(lambda: load(lambda n: n % 9 + 0.05))
        found["filter"] = await app.measure(lambda: source.filter(lambda row: row["state"] == "error"), 1)
    return found


async def datatable(count: int) -> Figures:
    """Figures of DataTable with the same data."""
    data = [[str(row[field]) for field in FIELDS] for row in farm(count)]
    names = [row[0] for row in data]
    found: Figures = {}
    table: DataTable[Any] = DataTable(cursor_type="row")
    app = Bench(table)
    async with app.run_test(size=(80, 24)) as pilot:
        for field in FIELDS:
            table.add_column(field, key=field)
        await pilot.pause()

        def fill() -> None:
            for row in data:
                table.add_row(*row, key=row[0])

        found["fill"] = await app.measure(fill, 1, until=lambda: table.virtual_size.height > count)
        await keys(app, found)
        turn = iter(range(1000))
        table.move_cursor(row=count // 2)

        def update(cells: int) -> None:
            for place in range(cells):
                table.update_cell(names[count // 2 - place], "load", str(next(turn)), update_width=True)

        found["update of a row on screen"] = await app.measure(lambda: update(1), 5)
        found["tick of one second"] = await app.measure(lambda: update(20), 3)
        found["sort by name, first time"] = await app.measure(lambda: table.sort("name"), 1)
    return found


def report(count: int, ours: Figures, theirs: Figures) -> None:
    """Print one table: milliseconds, bytes, ratio, budget."""
    print(f"\n{count:,} rows, 80x24{'VirtualTable':>27}{'DataTable':>23}{'ratio':>9}{'budget':>9}")
    for what, (spent, sent) in ours.items():
        other = f"{theirs[what][0]:10.2f} ms{theirs[what][1]:7} B" if what in theirs else f"{'-':>22}"
        ratio = f"{theirs[what][0] / spent:8.0f}x" if what in theirs else f"{'':9}"
        budget = f"{BUDGETS[what]:6.0f} ms" if what in BUDGETS else ""
        print(f"{what:28}{spent:10.2f} ms{sent:7} B {other}{ratio}{budget:>9}")


def main() -> None:
    """Run for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--all", action="store_true", help="DataTable with more than 10,000 rows, too")
    arguments = parser.parse_args()
    send_only_changes()
    for count in arguments.rows:
        ours = asyncio.run(virtual(count))
        theirs = asyncio.run(datatable(count)) if arguments.all or count <= 10_000 else {}
        report(count, ours, theirs)


if __name__ == "__main__":
    main()
