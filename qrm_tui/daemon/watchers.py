"""Looks at every storage server, and at the server itself, from time to time and after each job.

What is seen decides the states.
"""
from __future__ import annotations

import asyncio
import logging

import msgspec

from qrm_tui.backends import boot_images, lvm_nfs_seen
from qrm_tui.backends.planning import Probe
from qrm_tui.core.components import ComponentSeen
from qrm_tui.core.errors import Broken, QrmError, StepFailed, Unreachable
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, StorageSeen
from qrm_tui.core.plan import HERE
from qrm_tui.daemon.machines import Machines
from qrm_tui.db.store import Store, Write
from qrm_tui.install import seen as components_seen
from qrm_tui.install import setting_up

_log = logging.getLogger("qrmd.watchers")

#: Seconds between two looks at a storage server, from the end of one to the beginning of the next.
PAUSE = 20.0
#: Warnings of one component that are shown at the same time.
MOST_WARNINGS = 5
#: Every so many looks, versions are asked too.
_VERSIONS_EVERY = 30


class Watchers:
    """One task a storage server, and one for this server."""

    def __init__(self, farm: Farm, store: Store, machines: Machines, pause: float = PAUSE) -> None:
        self._farm, self._store, self._machines, self._pause = farm, store, machines, pause
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looks: dict[str, int] = {}
        self._busy: dict[str, asyncio.Lock] = {}
        #: component → warning → until when it counts
        self._warnings: dict[str, dict[str, float]] = {}

    def start(self) -> None:
        """Watch what is there, and what comes."""
        for name in (HERE, *(item.name for item in self._farm.all("storage"))):
            self._watch(name)
        self._farm.listen(self._changed)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        if kind != "storage":
            return
        if item is None:
            task = self._tasks.pop(name, None)
            if task:
                task.cancel()
        elif name not in self._tasks:
            self._watch(name)

    def _watch(self, name: str) -> None:
        self._tasks[name] = asyncio.create_task(self._loop(name), name=f"watch {name}")

    async def _loop(self, name: str) -> None:
        while True:
            try:
                await self.look(name)
            except QrmError as error:
                _log.info("%s: %s", name, error)
            except Exception:
                _log.exception("%s cannot be watched", name)
            await asyncio.sleep(self._pause)

    async def look(self, name: str) -> None:
        """Look at a storage server, or at this one, now; Unreachable if it does not answer (and it is shown so)."""
        async with self._busy.setdefault(name, asyncio.Lock()):
            await (self._look_here() if name == HERE else self._look(name))

    def warn(self, component: str, text: str, until: float) -> None:
        """Something wants attention though the component works; it is shown until then (seconds since the epoch)."""
        known = self._warnings.setdefault(component, {})
        known[text] = until
        while len(known) > MOST_WARNINGS:  # whoever causes them may go on for ever
            del known[next(iter(known))]
        item = self._farm.find("component", component)
        if item is not None and item.seen is not None:
            warned = msgspec.structs.replace(item.seen, warnings=self._warnings_of(component))
            if warned != item.seen:
                self._farm.put(msgspec.structs.replace(item, seen=warned))

    def _warnings_of(self, component: str) -> tuple[str, ...]:
        now, known = self._farm.clock(), self._warnings.get(component, {})
        for text in [text for text, until in known.items() if until <= now]:
            del known[text]
        return tuple(known)

    async def _look_at_boot_images(self) -> None:
        if not self._farm.count("boot-image"):
            return
        looks = self._looks[HERE] = self._looks.get(HERE, -1) + 1
        # what was found wrong by reading the files whole is not seen well again by their sizes
        deep = looks % _VERSIONS_EVERY == 0 or any(item.seen is None or item.seen.trouble
                                                   for item in self._farm.all("boot-image"))
        argv = boot_images.DEEP_LOOK_ARGV if deep else boot_images.LOOK_ARGV
        done = await self._machines.runner(HERE).run(argv)
        if done.status != 0:
            raise StepFailed(f"boot-images cannot be looked at: {done.complaint()}")
        now = self._farm.clock()
        for name, seen in boot_images.see_images(done.out, list(self._farm.all("boot-image"))).items():
            await self._seen(name, "boot-image", seen, at=now)

    async def _look_here(self) -> None:
        try:
            await self._look_at_boot_images()
        except (Unreachable, StepFailed) as error:
            _log.error("%s", error)
        wanted = setting_up.present(self._farm)
        if not wanted:
            return
        try:
            facts = await self._machines.probe(components_seen.probe(wanted))
        except (Unreachable, StepFailed) as error:
            for name in wanted:
                await self._seen(name, "component", ComponentSeen(troubles=(str(error),)), at=self._farm.clock())
            raise
        # settings may have been changed meanwhile: the look after that job tells
        for name in setting_up.present(self._farm):
            if name in wanted:
                await self._seen(name, "component", components_seen.see(name, wanted, facts, self._warnings_of(name)),
                                 at=self._farm.clock())

    async def _look(self, name: str) -> None:
        item = self._farm.find("storage", name)
        if item is None:
            return
        looks = self._looks[name] = self._looks.get(name, -1) + 1
        registered = tuple(image.wanted.path for image in self._farm.images_on(name) if not image.wanted.managed)
        probe = Probe(name, paths=registered, versions=looks % _VERSIONS_EVERY == 0)
        try:
            facts = await self._machines.probe(probe)
        except (Unreachable, StepFailed) as error:
            silent = msgspec.structs.replace(item.seen or StorageSeen(), silent=str(error))
            await self._seen(name, "storage", silent, at=item.seen_at)
            raise
        item = self._farm.find("storage", name)
        if item is None:
            return
        if not probe.versions and item.seen:
            facts = msgspec.structs.replace(facts, versions=item.seen.versions)
        now = self._farm.clock()
        await self._seen(name, "storage", lvm_nfs_seen.see_storage(facts, item.wanted), at=now)
        images = self._farm.images_on(name)
        for image, seen in lvm_nfs_seen.see_images(facts, images, now).items():
            await self._seen(image, "image", seen, at=now)

    async def _seen(self, name: str, kind: str, seen: object, at: float | None) -> None:
        """Into memory; into the database only if the state is another one then."""
        item = self._farm.find(kind, name)
        if item is None:
            return
        before = item.state
        if item.seen == seen:
            item.seen_at = at
            return
        self._farm.put(msgspec.structs.replace(item, seen=seen, seen_at=at))
        changed = self._farm.get(kind, name)
        if changed.state != before:
            try:
                await self._store.write(Write(seen=[changed]))
            except Broken as error:
                _log.error("%s %s: its state is not kept: %s", kind, name, error)
