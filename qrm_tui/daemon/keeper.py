"""What is seen of resources is written a little later, many together; what the database cannot take is tried again."""
from __future__ import annotations

import asyncio
import contextlib
import logging

from qrm_tui.core.errors import Broken
from qrm_tui.core.farm import Farm
from qrm_tui.db.store import Store, Write

_log = logging.getLogger("qrmd.rack")

#: Rows in one transaction, and seconds until a database that could not take them is asked again.
TOGETHER, AGAIN = 500, 5.0


class Keeper:
    """Names of resources whose newest is to be written: a set, however often each changes."""

    def __init__(self, farm: Farm, store: Store) -> None:
        self._farm, self._store = farm, store
        self._waiting: dict[str, None] = {}
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="keep what was heard")

    async def stop(self) -> None:
        """End, with everything written that the database takes."""
        self.kill()
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)
            with contextlib.suppress(Broken):
                await self.now()

    def kill(self) -> None:
        """End without a word."""
        if self._task:
            self._task.cancel()

    def soon(self, name: str) -> None:
        """What is seen of it is written with what others have to write."""
        self._waiting[name] = None
        self._some.set()

    async def now(self) -> None:
        """Write what waits; Broken, with nothing forgotten, if the database cannot."""
        while self._waiting:
            names = list(self._waiting)[:TOGETHER]
            found = [item for name in names if (item := self._farm.find("resource", name))]
            for name in names:
                del self._waiting[name]
            try:
                await self._store.write(Write(seen=found))
            except Broken:
                self._waiting.update(dict.fromkeys(names))
                raise

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            try:
                await self.now()
            except Broken as error:
                _log.error("states of resources are not kept, and tried again: %s", error)
                await asyncio.sleep(AGAIN)
                self._some.set()
