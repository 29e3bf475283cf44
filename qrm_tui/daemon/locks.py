"""Locks on objects, held by jobs: many share one, or one has it alone. All of a job's are taken at once, or none."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from qrm_tui.core.plan import Lock


class Locks:
    """Who holds what. First come, first served among those that want the same object."""

    def __init__(self) -> None:
        self._held: dict[str, dict[int, bool]] = {}
        self._waiting: list[tuple[int, Sequence[Lock]]] = []
        self._changed = asyncio.Event()

    def blocker(self, job: int, locks: Sequence[Lock], *, queued: bool = True) -> tuple[str, int] | None:
        """The first object that cannot be had now, and the job in the way; earlier waiters count too."""
        earlier: list[tuple[int, Sequence[Lock]]] = []
        for waiter in self._waiting if queued else ():
            if waiter[0] == job:
                break
            earlier.append(waiter)
        for lock in sorted(locks):
            for holder, shared in self._held.get(lock.object, {}).items():
                if holder != job and not (shared and lock.shared):
                    return lock.object, holder
            for waiter, wants in earlier:
                for want in wants:
                    if want.object == lock.object and not (want.shared and lock.shared):
                        return lock.object, waiter
        return None

    def take(self, job: int, locks: Sequence[Lock]) -> bool:
        """All of them now, or False."""
        if self.blocker(job, locks):
            return False
        for lock in locks:
            self._held.setdefault(lock.object, {})[job] = lock.shared
        return True

    async def acquire(self, job: int, locks: Sequence[Lock], on_wait: Callable[[str, int], None]) -> None:
        """Wait until all can be had; `on_wait(object, job)` tells for whom."""
        self._waiting.append((job, locks))
        told = None
        try:
            while not self.take(job, locks):
                blocker = self.blocker(job, locks)
                if blocker and blocker != told:
                    told = blocker
                    on_wait(*blocker)
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._waiting = [entry for entry in self._waiting if entry[0] != job]
            self._changed.set()

    def release(self, job: int) -> None:
        """Everything that a job holds."""
        for holders in self._held.values():
            holders.pop(job, None)
        self._held = {name: holders for name, holders in self._held.items() if holders}
        self._changed.set()
