"""A console whose source hears when it is worth trying again: it is opened then, and not after a pause."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from qrm_tui.daemon.console_log import ConsoleLog
from qrm_tui.daemon.console_recorder import Console
from qrm_tui.runners.console import Ended, NoLine, Received
from tests.daemon.console_room import PATIENCE, FarEnd


class Partition(FarEnd):
    """It is off until it is started."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()

    async def open(self, received: Received, ended: Ended) -> FarEnd:
        self.refuses = None if self.started.is_set() else NoLine("it is off")
        return await super().open(received, ended)

    async def worth_trying(self) -> None:
        await self.started.wait()


def console_of(source: Partition, folder: Path) -> Console:
    return Console("p1", source, ConsoleLog(folder / "p1"), lambda: 1.0, lambda more: None,
                   lambda name, hits: None, first_pause=10_000)


async def until(console: Console, so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while (changed := console.changed) and not so():
            await changed.wait()


async def test_it_is_opened_when_its_source_tells(tmp_path: Path) -> None:
    source = Partition()
    console = console_of(source, tmp_path)
    console.start()
    await until(console, lambda: console.reason == "it is off")
    source.started.set()
    await until(console, lambda: console.state == "connected")
    source.started.clear()
    source.die("it was switched off")
    await until(console, lambda: console.state == "waiting")
    source.started.set()
    await until(console, lambda: console.state == "connected")
    assert source.opened == 2
    await console.stop()


async def test_a_recorder_that_stops_asks_its_source_no_more(tmp_path: Path) -> None:
    source = Partition()
    console = console_of(source, tmp_path)
    before = asyncio.all_tasks()
    console.start()
    await until(console, lambda: console.reason == "it is off")
    await console.stop()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
