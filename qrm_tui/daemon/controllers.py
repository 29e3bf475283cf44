"""Management controllers: where a machine is silent, its controller is asked whether it is off; only then it counts."""
from __future__ import annotations

import asyncio
import logging

from qrm_tui.backends import power
from qrm_tui.core.errors import QrmError
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.plan import HERE
from qrm_tui.core.resources import ResourceSeen, is_heard
from qrm_tui.daemon.machines import Machines
from qrm_tui.daemon.rack import Rack

_log = logging.getLogger("qrmd.controllers")

#: Seconds between two rounds, and how many controllers are asked at the same time: each takes a process and a second.
PAUSE, AT_ONCE = 30.0, 4


class Controllers:
    """Asks them, round by round."""

    def __init__(self, farm: Farm, machines: Machines, rack: Rack, pause: float = PAUSE) -> None:
        self._farm, self._machines, self._rack, self._pause = farm, machines, rack, pause
        self._places = asyncio.Semaphore(AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the rounds."""
        self._task = asyncio.create_task(self._rounds(), name="controllers")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _rounds(self) -> None:
        while True:
            await self.ask_all()
            await asyncio.sleep(self._pause)

    async def ask_all(self) -> None:
        """One round: every machine that has a controller and is silent."""
        now = self._farm.clock()
        silent = [item for item in self._farm.all("resource") if item.wanted.power.method == "ipmi"
                  and not is_heard(item.seen, now)]
        await asyncio.gather(*(self._ask(item) for item in silent))

    async def _ask(self, item: Item) -> None:
        async with self._places:
            try:
                done = await self._machines.runner(HERE).run(power.status_argv(item.wanted.power))
            except QrmError as error:
                _log.info("%s: %s", item.name, error)
                return
            is_on = power.parse_status(done.out) if done.status == 0 else None
            seen = item.seen or ResourceSeen()
            if is_on is False and seen.off != "proved":
                await self._see(item.name, off="proved", stage="")
            elif is_on and seen.off:
                await self._see(item.name, off="")
            elif is_on is None:
                _log.info("%s: its management controller at %s: %s", item.name, item.wanted.power.address,
                          done.complaint())

    async def _see(self, name: str, **changes: str) -> None:
        try:
            await self._rack.see(name, **changes)
        except QrmError as error:
            _log.error("%s: %s", name, error)
