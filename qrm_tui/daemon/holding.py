"""Partitions that run are held to their addresses: asked for with each look at their host, and held again at once.

Somebody who flushes the kernel's rules there (`nft flush ruleset`, a restart of nftables.service) lets all of them take
any address. One short command tells whether the rules are as they were last time; only else each filter is compared.
"""
from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from qrm_tui.backends import partition_filter
from qrm_tui.core.errors import Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.partitions import HostSeen
from qrm_tui.core.states import some
from qrm_tui.runners.base import Runner

#: Seconds that a host tells that filters were gone.
_TOLD = 3600.0

_log = logging.getLogger("qrmd.holding")


class Holding:
    """The filters of all partitions that run."""

    def __init__(self, farm: Farm, runner: Callable[[str], Runner]) -> None:
        """`runner(host)`: the one of a virtualization host."""
        self._farm, self._runner = farm, runner
        self._digests: dict[str, str] = {}
        self._lost: dict[str, tuple[tuple[str, ...], float]] = {}
        #: partitions that run and are not held, and why
        self.unheld: dict[str, str] = {}

    def forget(self, host: str) -> None:
        """It is no virtualization host any more."""
        self._digests.pop(host, None)
        self._lost.pop(host, None)

    def tell(self, host: str, seen: HostSeen) -> HostSeen:
        """What was seen of a host, with the partitions that were not held lately."""
        names, at = self._lost.get(host, ((), 0.0))
        if not names or self._farm.clock() - at > _TOLD:
            self._lost.pop(host, None)
            return seen
        return msgspec.structs.replace(seen, unheld=names, unheld_at=at)

    async def look(self, host: str) -> bool:
        """Ask a host, and load again what is gone; whether there is something new to tell. Unreachable."""
        there = self._farm.partitions_on(host)
        running = [item for item in there if _runs(item)]
        for item in there:
            if item not in running:
                self.unheld.pop(item.name, None)
        # a job loads and drops filters itself
        idle = [item for item in running if not self._farm.open_jobs(f"partition/{item.name}")
                and not self._farm.open_jobs(f"resource/{item.name}")]
        if not idle:
            self._digests.pop(host, None)
            return False
        runner = self._runner(host)
        digest = await self._digest(runner)
        if digest and digest == self._digests.get(host):
            return False
        lost, unheld = await self._load_lost(runner, idle)
        before = {item.name: self.unheld.pop(item.name, "") for item in idle}
        self.unheld.update(unheld)
        if len(idle) == len(running) and not unheld:
            self._digests[host] = await self._digest(runner) if lost else digest
        else:
            self._digests.pop(host, None)
        gone = tuple(name for name in lost if not before[name])
        if gone:
            self._lost[host] = gone, self._farm.clock()
            _log.warning("%s did not hold %s to their addresses: somebody has removed their filters", host, some(gone))
        return bool(gone) or any(unheld.get(name, "") != why for name, why in before.items())

    @staticmethod
    async def _digest(runner: Runner) -> str:
        """Of all rules on the bridge; empty: it cannot be told."""
        done = await runner.run(partition_filter.DIGEST_ARGV)
        return done.out if done.status == 0 else ""

    async def _load_lost(self, runner: Runner, items: list[Item]) -> tuple[list[str], dict[str, str]]:
        """Load those that are not as they should be: their names, and of those that cannot be held, why."""
        lost: list[str] = []
        unheld, steps = {}, {}
        for item in items:
            resource = self._farm.find("resource", item.name)
            address = resource.wanted.address if resource is not None else ""
            try:
                steps[item.name] = (partition_filter.load_step(item.name, item.wanted, address).argv,
                                    partition_filter.loaded(item.name, item.wanted, address).argv)
            except Refused as error:
                unheld[item.name] = str(error)
        asked = await runner.ask([held for _, held in steps.values()])
        for (name, (load, held)), answer in zip(steps.items(), asked, strict=True):
            if answer.status == 0:
                continue
            lost.append(name)
            for argv in (load, held):
                done = await runner.run(argv)
                if done.status != 0:
                    unheld[name] = f"its filter cannot be loaded: {done.complaint()}"
                    break
        return lost, unheld


def _runs(item: Item) -> bool:
    domain = item.seen.domain if item.seen else None
    return item.wanted.life == "present" and domain is not None and domain.state in ("running", "paused")
