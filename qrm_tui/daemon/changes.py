"""Watching: a snapshot, then every change with its revision; resumable, and bounded whatever a reader does.

A slow reader costs no memory: what waits for it is the set of names that changed, and it gets their newest rows.
"""
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.rows import row_of

#: Changes that are remembered for those who come back, and rows in one line of a snapshot.
REMEMBERED, PART = 20_000, 500
#: Seconds between two signs of life; and after the first change, how long others are awaited to go with it.
ALIVE, TOGETHER = 10.0, 0.05

Event = dict[str, Any]


class Changes:
    """What changed in the farm, for any number of watchers."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._ring: deque[tuple[int, str, str]] = deque(maxlen=REMEMBERED)
        #: the revision before the oldest change remembered
        self._from = farm.revision
        self._watchers: set[_Watcher] = set()
        self._parted = False
        farm.listen(self._changed)

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        if len(self._ring) == REMEMBERED:
            self._from = self._ring[0][0]
        self._ring.append((self._farm.revision, kind, name))
        for watcher in self._watchers:
            watcher.note(kind, name)

    def part(self) -> None:
        """The server is about to end: watchers are let go; those who go on come back, to whoever is there then."""
        self._parted = True
        for watcher in self._watchers:
            watcher.wake()

    async def watch(self, kinds: Sequence[str], since: int | None = None) -> AsyncIterator[Event]:
        """Events of these kinds, until the server ends; from revision `since` on where that is still remembered."""
        watcher = _Watcher(kinds)
        self._watchers.add(watcher)
        try:
            if since is not None and self._from <= since <= self._farm.revision:
                for revision, kind, name in self._ring:
                    if revision > since:
                        watcher.note(kind, name)
            else:
                for event in self._snapshot(kinds):
                    yield event
            while not self._parted:
                if await watcher.wait(ALIVE):
                    await asyncio.sleep(TOGETHER)
                    if names := watcher.take():
                        yield self._delta(names)
                else:
                    yield {"event": "alive", "revision": self._farm.revision}
        finally:
            self._watchers.discard(watcher)

    def _snapshot(self, kinds: Sequence[str]) -> list[Event]:
        events = []
        for kind in kinds:
            rows = [row_of(item, self._farm) for item in self._farm.all(kind)]
            for at in range(0, max(len(rows), 1), PART):
                events.append({"event": "snapshot", "kind": kind, "rows": rows[at: at + PART], "first": at == 0,
                               "last": at + PART >= len(rows), "revision": self._farm.revision})
        return events

    def _delta(self, names: dict[tuple[str, str], None]) -> Event:
        changed: dict[str, list[Any]] = {}
        removed: dict[str, list[str]] = {}
        for kind, name in names:
            item = self._farm.find(kind, name)
            if item is None:
                removed.setdefault(kind, []).append(name)
            else:
                changed.setdefault(kind, []).append(row_of(item, self._farm))
        return {"event": "delta", "revision": self._farm.revision, "changed": changed, "removed": removed}


class _Watcher:
    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = frozenset(kinds)
        self._names: dict[tuple[str, str], None] = {}
        self._some = asyncio.Event()

    def note(self, kind: str, name: str) -> None:
        if kind in self._kinds:
            self._names[(kind, name)] = None
            self._some.set()

    def wake(self) -> None:
        self._some.set()

    async def wait(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._some.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> dict[tuple[str, str], None]:
        names, self._names = self._names, {}
        self._some.clear()
        return names
