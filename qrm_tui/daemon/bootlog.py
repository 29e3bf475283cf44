"""Follows the server's journal: how far machines are that have no agent yet, and machines that nobody knows."""
from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

from qrm_tui.backends import bootlog
from qrm_tui.core.enlistment import check_mac
from qrm_tui.core.errors import Broken, QrmError
from qrm_tui.core.farm import Farm
from qrm_tui.core.netboot import find_boot_settings
from qrm_tui.core.plan import HERE
from qrm_tui.core.resources import STAGES, ResourceSeen
from qrm_tui.daemon.machines import Machines
from qrm_tui.daemon.rack import Rack

_log = logging.getLogger("qrmd.bootlog")

#: Steps that may wait, addresses that are remembered, and unknown machines that may appear in a minute: what more there
#: is, is a flood, and dropped.
MOST_WAITING, MOST_ADDRESSES, MOST_NEW, MINUTE = 20_000, 70_000, 500, 60.0
#: Seconds: the first pause after the journal ended, doubled up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds in which a loader may ask for an address itself: that is no new boot.
SAME_BOOT = 60.0

#: Seconds that another DHCP server counts as there after its offer was taken.
FOREIGN = 3600.0

#: Shows a warning of a component until a time.
Warn = Callable[[str, str, float], None]
#: Makes a resource of a MAC that nobody knows, and what was seen of it; its name.
Appear = Callable[[str, ResourceSeen], Awaitable[str]]


class BootLog:
    """Stages of boots, from what dhcpd, tftpd and apache write down."""

    def __init__(self, farm: Farm, machines: Machines, rack: Rack, appear: Appear,
                 warn: Warn = lambda component, text, until: None) -> None:
        self._farm, self._machines, self._rack, self._appear, self._warn = farm, machines, rack, appear, warn
        self._waiting: deque[bootlog.Step] = deque()
        self._some, self._set_up = asyncio.Event(), asyncio.Event()
        #: address → MAC, the latest last
        self._leases: OrderedDict[str, str] = OrderedDict()
        self._new: deque[float] = deque()
        self._dropped = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Follow the journal from now on, once the server is set up for netboot."""
        self._farm.listen(lambda kind, name, item: self._look_at_settings() if kind == "component" else None)
        self._look_at_settings()
        self._tasks = [asyncio.create_task(self._follow(), name="follow the journal"),
                       asyncio.create_task(self._work(), name="see boots")]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _look_at_settings(self) -> None:
        if find_boot_settings(self._farm) is not None:
            self._set_up.set()

    async def _follow(self) -> None:
        await self._set_up.wait()
        pause, told = FIRST_PAUSE, ""
        while True:
            began = self._farm.steady()
            try:
                done = await self._machines.runner(HERE).run(bootlog.ARGV, seconds=0, on_line=self._line)
                why = done.complaint() if done.status else "it ended"
            except (QrmError, OSError) as error:
                why = str(error)
            if self._farm.steady() - began > LONGEST_PAUSE:
                pause, told = FIRST_PAUSE, ""
            if why != told:
                _log.warning("the journal cannot be followed, so boots are not seen before their agent speaks: %s", why)
                told = why
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _line(self, stream: str, text: str) -> None:
        if stream != "out":
            return
        step = bootlog.parse_entry(text)
        if step is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(step)
        self._some.set()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                try:
                    await self.take(self._waiting.popleft())
                except Broken as error:
                    _log.error("a boot is not kept: %s", error)
                except Exception:
                    _log.exception("a line of the journal")
            if self._dropped:
                _log.warning("%d lines of the journal were dropped: machines write faster than they can be read",
                             self._dropped)
                self._dropped = 0

    async def take(self, step: bootlog.Step) -> None:
        """One step of a machine."""
        if step.server:
            self._see_server(step.server)
            return
        mac = self._mac_of(step)
        if step.mac and step.address:
            self._leases[step.address] = step.mac
            self._leases.move_to_end(step.address)
            if len(self._leases) > MOST_ADDRESSES:
                self._leases.popitem(last=False)
        if not mac or not step.stage:
            return
        item = self._farm.resource_of(mac)
        if item is None:
            # a file by its MAC may be fetched by anybody; who speaks DHCP as firmware does is one
            if step.stage != "dhcp" or self._too_many():
                return
            name = await self._appear(mac, ResourceSeen(stage=step.stage, stage_at=self._farm.clock()))
            if name:
                _log.info("%s boots from the network, and is %s from now on", mac, name)
            return
        seen, now = item.seen or ResourceSeen(), self._farm.clock()
        if self._is_new(step.stage, seen, now):
            self._rack.show_and_keep(item.name, stage=step.stage, stage_at=now, off="", trouble="",
                                     address=step.address or seen.address)

    def _see_server(self, server: str) -> None:
        """A machine takes some server's offer: if it is not ours, it will load what that one says."""
        settings = find_boot_settings(self._farm)
        if settings is not None and server != settings.server:
            self._warn("dhcpd", f"another DHCP server answers here, and machines take its offers: {server}",
                       self._farm.clock() + FOREIGN)

    def _mac_of(self, step: bootlog.Step) -> str:
        mac = step.mac or self._leases.get(step.address, "")
        try:
            return check_mac(mac) if mac else ""
        except ValueError:
            return ""

    def _too_many(self) -> bool:
        now = self._farm.steady()
        while self._new and now - self._new[0] > MINUTE:
            self._new.popleft()
        if len(self._new) >= MOST_NEW:
            return True
        self._new.append(now)
        return False

    @staticmethod
    def _is_new(stage: str, seen: ResourceSeen, now: float) -> bool:
        """Whether this is a step forward, or the first of another boot."""
        if stage == "dhcp":
            # who gets no address asks again and again, and a boot loader asks once more
            same = seen.stage == "dhcp" or (seen.stage == "loader" and now - seen.stage_at <= SAME_BOOT)
            return bool(seen.off) or not same
        # others fetch files too: they count after firmware that asked for an address, and never lead back
        return seen.stage in ("", "dhcp", "loader") and (not seen.stage or STAGES.index(stage) > STAGES.index(
            seen.stage))
