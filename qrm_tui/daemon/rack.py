"""The rack's machines as the server knows them: what was seen of each, what each is told, and how jobs await them."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from qrm_tui.core.errors import StepFailed
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.plan import Await, Order
from qrm_tui.core.resources import IDLE, ResourceSeen, is_heard, is_up
from qrm_tui.core.states import judge
from qrm_tui.db.store import Store, Write

_log = logging.getLogger("qrmd.rack")

#: Fields of what is seen that must survive a restart of the server: who it is, what it is told, what it shows next.
_KEPT = frozenset(("token", "nonce", "nonce_kept", "order", "order_for", "inventory", "boot", "runs", "off"))


class Rack:
    """Resources: what is seen of them goes into the farm at once, and into the database where it must be kept."""

    def __init__(self, farm: Farm, store: Store) -> None:
        self._farm, self._store = farm, store
        #: set, and replaced, when anything is seen of a resource
        self._changed: dict[str, asyncio.Event] = {}

    # what is seen

    async def see(self, name: str, **changes: Any) -> None:
        """Something was seen of a resource; Broken if it must be kept, and the database cannot."""
        item = self._farm.find("resource", name)
        if item is None:
            return
        state, before = item.state, item.seen or ResourceSeen()
        seen = msgspec.structs.replace(before, **changes)
        if seen == before and item.seen is not None:
            return
        self._farm.put(msgspec.structs.replace(item, seen=seen, seen_at=self._farm.clock()))
        changed = self._farm.get("resource", name)
        if changed.state != state or any(getattr(before, field) != getattr(seen, field) for field in _KEPT):
            await self._store.write(Write(seen=[changed]))
        self._wake(name)

    def _wake(self, name: str) -> None:
        event = self._changed.pop(name, None)
        if event:
            event.set()

    # what jobs do with them

    async def tell(self, step: Order) -> None:
        """Its agent will be told at its next heartbeat; told again, it is the same order."""
        if step.order:
            await self._order(step.resource, step.order, step.boot)

    async def take_back(self, step: Order) -> None:
        """An order that nobody has fetched yet is forgotten; one that left its boot is told what `undo` says."""
        seen = self._seen(step.resource)
        if seen is None:
            return
        if step.order and seen.order == step.order and seen.order_for == step.boot:
            await self.see(step.resource, order="", order_for="")
        if step.undo and seen.boot != step.boot:
            await self._order(step.resource, step.undo, seen.boot)

    async def _order(self, name: str, order: str, boot: str) -> None:
        seen = self._seen(name)
        if seen is not None and seen.boot == boot:  # else it has left that boot already
            await self.see(name, order=order, order_for=boot)

    async def until(self, step: Await, started: float, note: Callable[[str], None]) -> None:
        """Wait until a machine is so far; StepFailed when it is not in time, or was seen to fail."""
        told = ""
        deadline = started + step.seconds
        while True:
            changed = self._changed.setdefault(step.resource, asyncio.Event())
            item = self._farm.find("resource", step.resource)
            if item is None:
                raise StepFailed(f"resource {step.resource} was removed meanwhile")
            if self.reached(step, item):
                return
            seen = item.seen or ResourceSeen()
            if seen.stage and (words := f"{step.resource}: {seen.stage}") != told:
                told = words
                note(words)
            left = deadline - self._farm.clock()
            if left <= 0:
                verdict = judge(item, self._farm)
                raise StepFailed(f"{step.summary}: not so after {step.seconds:.0f} s: {step.resource} is {item.state}: "
                                 f"{verdict.why}")
            try:
                async with asyncio.timeout(min(left, 5.0)):
                    await changed.wait()
            except TimeoutError:
                continue

    def reached(self, step: Await, item: Item) -> bool:
        """Whether the machine is so far."""
        seen, now = item.seen, self._farm.clock()
        if seen is None:
            return False
        if step.until == "off":
            return bool(seen.off)
        if seen.boot == step.not_boot:
            return False
        if step.until == "idle":
            return seen.runs == IDLE and is_heard(seen, now)
        return seen.runs == step.ve and seen.stage == "system" and is_up(seen, now)

    def _seen(self, name: str) -> ResourceSeen | None:
        item = self._farm.find("resource", name)
        return item.seen if item else None

    def keep_in_memory(self, name: str, **changes: Any) -> None:
        """What every heartbeat says: into memory, and told to nobody unless its state is another one then."""
        item = self._farm.find("resource", name)
        if item is None or item.seen is None:
            return
        item.seen = msgspec.structs.replace(item.seen, **changes)
        self._farm.judge_again("resource", name)
        self._wake(name)

