"""The rack's machines as the server knows them: what was seen of each, what each is told, and how jobs await them."""
from __future__ import annotations

import asyncio
import hmac
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from qrm_tui.core.enlistment import RUNS
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.node_wire import Beat, Entry
from qrm_tui.core.plan import Await, Order
from qrm_tui.core.resources import BEAT, IDLE, ResourceSeen, is_heard, is_up
from qrm_tui.core.stages import passed
from qrm_tui.core.states import judge
from qrm_tui.daemon.keeper import Keeper
from qrm_tui.db.store import Store, Write

#: Fields of what is seen that must survive a restart of the server: who it is, what it is told, what it shows next.
_KEPT = frozenset(("token", "nonce", "nonce_former", "nonce_kept", "order", "order_for", "inventory", "boot", "runs",
                   "off", "warning", "trouble", "event"))
#: States of a machine that speaks.
_SPEAKS = frozenset(("idle", "active"))
#: Seconds between two heartbeats of a machine that a job waits for, and of each in a farm of more than `MANY`.
QUICK_BEAT, MANY_BEAT, MANY = 2.0, 20.0, 5000
#: Seconds after which watchers are told a load anew, and by how much it must differ.
LOAD_TOLD, LOAD_DIFFERS = 30.0, 0.1
#: Seconds that a machine has to speak to a server that takes a job up, however long nobody was there to hear it.
HEARD_AGAIN = 60.0
#: Boots that do not come up as they should, until nobody tells the machine any more.
MOST_ASTRAY = 3


class Upkeep(Protocol):
    """What keeps boot files as the farm is."""

    def wanted(self, name: str) -> None:
        """The nonce or the address of this resource is new."""


class NoUpkeep:
    """Keeps nothing."""

    def wanted(self, name: str) -> None:
        """Nothing is to be done."""


class Rack:
    """Resources: what is seen of them goes into the farm at once, and into the database where it must be kept."""

    def __init__(self, farm: Farm, store: Store) -> None:
        self._farm, self._store = farm, store
        #: set, and replaced, when anything is seen of a resource
        self._changed: dict[str, asyncio.Event] = {}
        #: how many jobs wait for a resource
        self._awaited: Counter[str] = Counter()
        self._loads: dict[str, tuple[float, float]] = {}
        self._listeners: list[Callable[[str], None]] = []
        self.keeper = Keeper(farm, store)

    def start(self) -> None:
        """Begin to write down what changes by itself."""
        self.keeper.start()

    async def stop(self) -> None:
        """End, with everything written."""
        await self.keeper.stop()

    def listen(self, listener: Callable[[str], None]) -> None:
        """`listener(name)` is called when the pace of a machine's heartbeats is, or ought to be, another one."""
        self._listeners.append(listener)

    def _retimed(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    def taken_up(self, item: Item) -> Item:
        """An object from the database as this server begins with it: the silence of a machine that spoke counts from
        now, since nobody could hear it before."""
        if item.kind != "resource" or item.seen is None or item.state not in _SPEAKS:
            return item
        seen = msgspec.structs.replace(item.seen, heard=self._farm.clock(), beat=MANY_BEAT)
        return msgspec.structs.replace(item, seen=seen)

    # what is seen

    async def see(self, name: str, **changes: Any) -> None:
        """Something was seen of a resource; Broken if it must be kept, and the database cannot."""
        if self.show(name, **changes):
            await self._store.write(Write(seen=[self._farm.get("resource", name)]))

    async def written(self) -> None:
        """Until the database has all that was seen so far; Broken if it cannot be used."""
        await self._store.write(Write())

    async def store(self, item: Item) -> None:
        """A new resource goes into the database; Broken if it cannot."""
        await self._store.write(Write(put=[item]))

    def show(self, name: str, **changes: Any) -> bool:
        """Something was seen of a resource: into memory, and told; whether it must be kept too."""
        item = self._farm.find("resource", name)
        if item is None:
            return False
        state, before = item.state, item.seen or ResourceSeen()
        seen = msgspec.structs.replace(before, **changes)
        if seen == before and item.seen is not None:
            return False
        if (seen.stage, seen.stage_at) != (before.stage, before.stage_at):
            seen = msgspec.structs.replace(seen, stages=passed(before.stages, seen.stage, seen.stage_at))
        self._farm.put(msgspec.structs.replace(item, seen=seen, seen_at=self._farm.clock()))
        self._wake(name)
        return (self._farm.get("resource", name).state != state
                or any(getattr(before, field) != getattr(seen, field) for field in _KEPT))

    def show_and_keep(self, name: str, **changes: Any) -> None:
        """Something was seen of a resource; what must be kept of it is written soon."""
        if self.show(name, **changes):
            self.keeper.soon(name)

    def keep_in_memory(self, name: str, **changes: Any) -> None:
        """What every heartbeat says: into memory, and told to nobody unless its state is another one then."""
        item = self._farm.find("resource", name)
        if item is None or item.seen is None:
            return
        item.seen = msgspec.structs.replace(item.seen, **changes)
        self.judge_again(item)
        self._wake(name)

    def clock_was_set(self, by: float) -> None:
        """Somebody set the server's clock, by so many seconds: how long machines have been silent or in a stage is
        what it was."""
        now = self._farm.clock()
        for item in list(self._farm.all("resource")):
            seen = item.seen
            if seen is not None:
                moved = {field: min(at + by, now) for field in ("heard", "answered", "stage_at")
                         if (at := getattr(seen, field))}
                stages = {stage: min(at + by, now) for stage, at in seen.stages.items()}
                event = seen.event and msgspec.structs.replace(seen.event, since=min(seen.event.since + by, now),
                                                               at=min(seen.event.at + by, now))
                item.seen = msgspec.structs.replace(seen, **moved, stages=stages, event=event)
                self._farm.put(item)
                self.keeper.soon(item.name)

    def judge_again(self, item: Item) -> None:
        """Time went by, or it was heard again: another state is told, and written soon."""
        before = item.state
        self._farm.judge_again("resource", item.name)
        if item.state != before:
            self.keeper.soon(item.name)

    async def nonce_kept(self, name: str, nonce: str) -> None:
        """Its boot files give this nonce from now on: the one before it is used up. Broken if that cannot be kept."""
        seen = self._seen(name)
        if seen is not None and hmac.compare_digest(seen.nonce, nonce):
            await self.see(name, nonce_kept=True)

    def _wake(self, name: str) -> None:
        event = self._changed.pop(name, None)
        if event:
            event.set()

    # heartbeats

    def hear(self, beats: Iterable[Beat]) -> None:
        """Machines spoke."""
        now = self._farm.clock()
        for beat in beats:
            self._hear(beat, now)

    def _hear(self, beat: Beat, now: float) -> None:
        item = self._farm.find("resource", beat.name)
        seen: ResourceSeen | None = item.seen if item else None
        if item is None or seen is None or seen.boot != beat.boot:
            return  # removed meanwhile, or booted anew
        heard = max(seen.heard, now - max(beat.ago, 0.0))
        if beat.bye:
            # one that boots anew is not awaited to speak; one that is off is off
            down = {"off": "said"} if beat.bye == "off" else {"off": "", "beat": 0.0}
            self.show_and_keep(item.name, heard=heard, stage="", load=None, filled=None, answered=0.0, **down)
            self._retimed(item.name)
            return
        load = beat.load if beat.load is not None and math.isfinite(beat.load) and beat.load >= 0 else None
        filled = beat.filled if beat.filled is not None and 0 <= beat.filled <= 1 else None
        told = min(max(beat.told, 1.0), 60.0)
        if (seen.stage, seen.runs, seen.off) != (beat.stage, beat.runs, ""):
            if RUNS.fullmatch(beat.runs):
                since = seen.stage_at if seen.stage == beat.stage else heard
                self.show_and_keep(item.name, heard=heard, beat=told, load=load, filled=filled, stage=beat.stage,
                                   stage_at=since, runs=beat.runs, off="")
            return
        item.seen_at = now
        self.keep_in_memory(item.name, heard=heard, beat=told, load=load, filled=filled)
        if seen.beat != told:
            self._retimed(item.name)
        if seen.filled != filled:  # whole percents
            self._farm.put(item)
        if load is not None:
            self._tell_load(item, load, now)

    def _tell_load(self, item: Item, load: float, now: float) -> None:
        at, told = self._loads.get(item.name, (0.0, -1.0))
        if now - at >= LOAD_TOLD and abs(load - told) >= max(LOAD_DIFFERS, LOAD_DIFFERS * told):
            self._loads[item.name] = now, load
            self._farm.put(item)

    # what machines are told

    def beat_of(self, name: str) -> float:
        """Seconds until its next heartbeat: few where somebody waits for it, more in a large farm."""
        seen = self._seen(name)
        if name in self._awaited or (seen is not None and seen.order):
            return QUICK_BEAT
        return MANY_BEAT if self._farm.count("resource") > MANY else BEAT

    def entry_of(self, name: str) -> Entry | None:
        """What its heartbeats are answered with; None for one that has not enlisted."""
        seen = self._seen(name)
        if seen is None or not seen.token:
            return None
        return Entry(name, seen.token, seen.boot, self.beat_of(name), seen.order if seen.order_for == seen.boot else "")

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

    # how jobs await them

    async def until(self, step: Await, started: float, note: Callable[[str], None]) -> None:
        """Wait until a machine is so far; StepFailed when it is not in time, or was seen to fail."""
        self._awaited[step.resource] += 1
        self._retimed(step.resource)
        try:
            await self._until(step, started, note)
        finally:
            self._awaited[step.resource] -= 1
            if not self._awaited[step.resource]:
                del self._awaited[step.resource]
            self._retimed(step.resource)

    async def _until(self, step: Await, started: float, note: Callable[[str], None]) -> None:
        told, astray = "", set[str]()
        left = started + step.seconds - self._farm.clock()
        deadline = self._farm.steady() + min(max(left, HEARD_AGAIN), step.seconds)
        while True:
            changed = self._changed.setdefault(step.resource, asyncio.Event())
            item = self._farm.find("resource", step.resource)
            if item is None:
                raise StepFailed(f"resource {step.resource} was removed meanwhile")
            if self.reached(step, item):
                return
            seen = item.seen or ResourceSeen()
            if self._went_astray(step, seen) and seen.boot not in astray and len(astray) < MOST_ASTRAY:
                astray.add(seen.boot)
                note(f"{step.resource} came up {'idle' if seen.runs == IDLE else 'as it was'}: it is told to reboot")
                await self._order(step.resource, "reboot", seen.boot)
            if seen.stage and (words := f"{step.resource}: {seen.stage}") != told:
                told = words
                note(words)
            left = deadline - self._farm.steady()
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

    def _went_astray(self, step: Await, seen: ResourceSeen) -> bool:
        """It booted, and not what it is awaited in: its boot files were not there yet, or it did not get them."""
        if step.until == "off" or seen.boot == step.not_boot or not is_heard(seen, self._farm.clock()):
            return False
        return seen.runs == IDLE and seen.stage == "agent" if step.until == "active" else (
            seen.runs not in ("", IDLE) and seen.stage == "system")

    def _seen(self, name: str) -> ResourceSeen | None:
        item = self._farm.find("resource", name)
        return item.seen if item else None
