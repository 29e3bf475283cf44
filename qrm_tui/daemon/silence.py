"""Machines that fall silent: judged again when their time is up, and looked after by ssh where they should be at work.

A heap holds for each machine the next moment at which silence alone may change its state, so that a second in which
nothing happens costs nothing, however large the farm is.
"""
from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable

from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.resources import ANSWERED, MISSED, ResourceSeen, reboots_until, stalls_at
from qrm_tui.daemon.rack import Rack

_log = logging.getLogger("qrmd.silence")

#: Seconds between two sweeps, and between two looks at a silent machine; looks at once.
SWEEP, LOOK, AT_ONCE = 1.0, 20.0, 20
#: Beats after which a machine is looked after: before it counts as not heard of, so that its state does not flicker.
_LATE = MISSED - 1
#: Seconds by which the clock may differ from what went by, until it counts as set by somebody.
CLOCK_SET = 2.0
#: Seconds that an end lies behind its moment: a machine is heard of up to it.
_BEHIND = 0.01


def is_late(seen: ResourceSeen, now: float) -> bool:
    """Whether it has missed more than one heartbeat."""
    return now - seen.heard > seen.beat * _LATE


class Silence:
    """Watches the clock for the rack. `answers(address)` says whether there is an ssh server."""

    def __init__(self, farm: Farm, rack: Rack, answers: Callable[[str], Awaitable[bool]]) -> None:
        self._farm, self._rack, self._answers = farm, rack, answers
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        #: silent ones that should be at work → when they were looked after
        self._late: dict[str, float] = {}
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._offset = farm.clock() - farm.steady()
        farm.listen(self._changed)
        rack.listen(self._retimed)

    def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._run(), name="watch for silence")

    async def stop(self) -> None:
        tasks = [*self._looks.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                self.sweep()
            except Exception:
                _log.exception("silence is not watched")

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        if kind == "resource":
            if item is None:
                self._due.pop(name, None)
                self._late.pop(name, None)
            else:
                self._plan(item)

    def _retimed(self, name: str) -> None:
        item = self._farm.find("resource", name)
        if item is not None:
            self._plan(item)

    def _plan(self, item: Item) -> None:
        """It is judged again at the next moment that counts; a later one than is planned already can wait for that."""
        due = self._next(item)
        if due is not None and due < self._due.get(item.name, float("inf")):
            self._due[item.name] = due
            heapq.heappush(self._heap, (due, item.name))

    def _next(self, item: Item) -> float | None:
        seen = item.seen
        if seen is None:
            return None
        now, ends = self._farm.clock(), []
        if seen.heard:
            ends += [seen.heard + seen.beat * MISSED]
            if item.wanted.ve:
                ends += [seen.heard + seen.beat * _LATE]
        if seen.answered:
            ends += [seen.answered + ANSWERED]
        ends += [end for end in (stalls_at(seen), reboots_until(seen)) if end is not None]
        return min((end + _BEHIND for end in ends if end + _BEHIND > now), default=None)

    def sweep(self) -> None:
        """Judge those again whose time is up, and look after those that should be at work."""
        self._look_at_the_clock()
        now, heap = self._farm.clock(), self._heap
        while heap and heap[0][0] <= now:
            due, name = heapq.heappop(heap)
            if self._due.get(name) != due:
                continue  # planned anew since
            del self._due[name]
            item = self._farm.find("resource", name)
            if item is None:
                continue
            self._rack.judge_again(item)
            if item.wanted.ve and item.seen and is_late(item.seen, now):
                self._late.setdefault(name, 0.0)
            self._plan(item)
        for name in list(self._late):
            self._look_after(name, now)

    def _look_at_the_clock(self) -> None:
        offset = self._farm.clock() - self._farm.steady()
        if abs(by := offset - self._offset) < CLOCK_SET:
            return
        _log.warning("the clock was set by %+.0f s: machines' silence counts on as before", by)
        self._offset = offset
        self._late = {name: at + by for name, at in self._late.items()}
        self._heap.clear()
        self._due.clear()
        self._rack.clock_was_set(by)
        for item in self._farm.all("resource"):
            self._plan(item)

    def _look_after(self, name: str, now: float) -> None:
        item = self._farm.find("resource", name)
        ve = self._farm.find("ve", item.wanted.ve) if item and item.wanted.ve else None
        seen: ResourceSeen | None = item.seen if item else None
        if (item is None or seen is None or ve is None or seen.runs != ve.wanted.id or seen.off
                or seen.stage not in ("root", "system") or not is_late(seen, now)):
            del self._late[name]
            return
        address = seen.address or item.wanted.address
        if address and name not in self._looks and len(self._looks) < AT_ONCE and now - self._late[name] >= LOOK:
            self._late[name] = now
            task = self._looks[name] = asyncio.create_task(self._look(name, seen.boot, address), name=f"look at {name}")
            task.add_done_callback(lambda _: self._looks.pop(name, None))

    async def _look(self, name: str, boot: str, address: str) -> None:
        try:
            answers = await self._answers(address)
        except Exception as error:
            _log.info("%s at %s cannot be looked at: %s", name, address, error)
            return
        item = self._farm.find("resource", name)
        if not answers or item is None or item.seen is None or item.seen.boot != boot:
            return
        now = self._farm.clock()
        if item.seen.stage != "system":  # a system without an agent has taken over
            self._rack.show_and_keep(name, stage="system", stage_at=now, answered=now)
        else:
            self._rack.keep_in_memory(name, answered=now)
        self._retimed(name)

    async def looked(self) -> None:
        """Until no look is under way."""
        await asyncio.gather(*self._looks.values())
