"""Virtualization hosts: which there are, how they and their domains stand, and what jobs ask of them.

A resource that runs a VE with partitioning is one, from the moment that VE is active on it until it is taken out of
it; others were added as they are. What its hypervisor shows decides the partitions' states, and which domains there are
that are none of ours; it is asked after each event, and from time to time.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
from collections.abc import Awaitable, Callable

import msgspec

from qrm_tui.backends import partition_disk, xl
from qrm_tui.backends.planning import machine_of
from qrm_tui.core.errors import GuardRefused, QrmError, StepFailed, Unreachable
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.names import LONGEST
from qrm_tui.core.partition_states import keeps_no_domains
from qrm_tui.core.partitions import DomainEvent, DomainSeen, DomainWanted, HostSeen, HostWanted, PartitionSeen
from qrm_tui.core.plan import Domain
from qrm_tui.core.resources import ResourceSeen
from qrm_tui.daemon.holding import Holding
from qrm_tui.daemon.machines import RESOURCE, Machines
from qrm_tui.daemon.rack import Rack
from qrm_tui.runners.console import ConsoleLine, Ended, NoLine, Received, Source
from qrm_tui.runners.hypervisor import Hypervisor
from qrm_tui.runners.steps import holds

#: Seconds until a host is asked by ssh again what libvirt does not tell, unless a partition came or went.
BESIDES_PAUSE = 60.0
#: Seconds between two looks at a host; and from an event to the look that follows, so that many are one.
PAUSE, SETTLES = 10.0, 0.1
#: Seconds that a partition waits for its address with dhcpd, and that it stands and waits for its recorder.
ADDRESSED, RECORDED = 10.0, 10.0

_log = logging.getLogger("qrmd.hosts")


class Hosts:
    """All virtualization hosts of the farm, by their resource's name."""

    def __init__(self, farm: Farm, machines: Machines, rack: Rack, recorded: Callable[[str], Awaitable[None]],
                 addressed: Callable[[str], Awaitable[None]], pause: float = PAUSE) -> None:
        """`recorded(name)`: returns when the console of that resource is being recorded; `addressed(name)`: when dhcpd
        gives it its own address."""
        self._farm, self._machines, self._rack, self._recorded = farm, machines, rack, recorded
        self._addressed, self._pause = addressed, pause
        self._holding = Holding(farm, lambda host: machines.runner(f"{RESOURCE}{host}"))
        self._hosts: dict[str, _Host] = {}
        self._came = asyncio.Event()
        self._running = False
        self._ending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Watch those that are there, and those that come."""
        self._running = True
        self._farm.listen(self._changed)
        for kind in ("host", "resource"):
            for item in list(self._farm.all(kind)):
                self._changed(kind, item.name, item)

    async def stop(self) -> None:
        """Let go of every line; what runs there goes on."""
        self._running = False
        await asyncio.gather(*(host.end() for host in self._hosts.values()), *self._ending)
        self._hosts.clear()

    # which there are

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        if not self._running:
            return
        if kind == "resource":
            self._consider(name, item)
        elif kind == "host":
            self._consider_added(name, item)
        elif kind == "ve" and item is not None:
            for assigned in item.wanted.assigned:
                self._consider(assigned.resource, self._farm.find("resource", assigned.resource))

    def _consider(self, name: str, item: Item | None) -> None:
        known, wanted = self._hosts.get(name), self._wanted(item)
        if known is not None and known.wanted != wanted and (wanted is None or item is None or item.state == "active"):
            self._let_go(name, known)
            self._farm.delete("host", name)
            self._holding.forget(name)
            known = None
        up = item is not None and item.state == "active"
        if known is not None:
            known.is_up(up)
        elif wanted is not None and item is not None and up:
            self._begin(name, item, wanted)

    def _consider_added(self, name: str, item: Item | None) -> None:
        """One that was added is a host from then on until it is forgotten, whether it answers or not."""
        known = self._hosts.get(name)
        if known is not None and known.wanted.technology and (item is None or item.wanted != known.wanted):
            self._let_go(name, known)
            known = None
        if known is None and item is not None and item.wanted.technology:
            wanted: HostWanted = item.wanted
            host = self._hosts[name] = _Host(name, wanted, lambda: self._machines.added(name, wanted), self._publish,
                                             self._holding.look, self._pause, self._besides)
            host.start()

    def _let_go(self, name: str, known: _Host) -> None:
        del self._hosts[name]
        for item in [item for item in self._farm.all("domain") if item.wanted.host == name]:
            self._farm.delete("domain", item.name)
        task = asyncio.create_task(known.end(), name=f"host {name} ends")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _wanted(self, item: Item | None) -> HostWanted | None:
        ve = self._farm.find("ve", item.wanted.ve) if item is not None and item.wanted.ve else None
        if item is None or ve is None or not ve.wanted.partitioning:
            return None
        return HostWanted(partitioning=ve.wanted.partitioning, ve=ve.name, address=item.wanted.address)

    def _begin(self, name: str, item: Item, wanted: HostWanted) -> None:
        host = self._hosts[name] = _Host(name, wanted, lambda: self._machines.hypervisor(item, wanted), self._publish,
                                         self._holding.look, self._pause, self._besides)
        self._farm.put(Item(kind="host", name=name, wanted=wanted, created=self._farm.clock()))
        host.start()
        _log.info("%s is a virtualization host (%s)", name, wanted.partitioning)
        came, self._came = self._came, asyncio.Event()
        came.set()

    # what is seen

    async def _besides(self, name: str, former: HostSeen) -> HostSeen:
        """What libvirt does not tell of a host, asked by ssh: its volume groups, and domains that were made without it;
        as they were known where that does not answer."""
        if self._farm.find("resource", name) is None:
            return former  # no partitions are made there
        listing = (xl.LIST_ARGV,) if self._farm.get("host", name).wanted.partitioning == "xen" else ()
        listed = former.listed
        try:
            groups, tags, *found = await self._machines.runner(machine_of(name)).ask(
                (*partition_disk.QUESTIONS, *listing))
            listed = tuple(domain for done in found for domain in xl.parse_list(done.out))
            if groups.status == 127:
                raise StepFailed("lvm2 is not installed in its image")
            for done in (groups, tags):
                if done.status != 0:
                    raise StepFailed(done.complaint())
            shown = partition_disk.host_groups(groups.out, tags.out)
        except Unreachable:
            return former
        except QrmError as error:
            return msgspec.structs.replace(former, listed=listed, groups=(), groups_trouble=str(error))
        return msgspec.structs.replace(former, listed=listed, groups=shown, groups_trouble="")

    def _publish(self, name: str, seen: HostSeen, busy: dict[str, float]) -> None:
        item = self._farm.find("host", name)
        if item is None:
            return
        now, seen = self._farm.clock(), self._holding.tell(name, seen)
        if item.seen != seen:
            self._farm.put(msgspec.structs.replace(item, seen=seen, seen_at=now))
        else:
            item.seen_at = now
        if seen.silent:
            return
        self._show_foreign(name, seen)
        domains = {domain.uuid: domain for domain in seen.domains}
        for partition in self._farm.partitions_on(name):
            domain = domains.get(partition.wanted.id)
            shown = PartitionSeen(domain=domain, busy=busy.get(partition.wanted.id),
                                  unheld=self._holding.unheld.get(partition.name, ""))
            if partition.seen != shown:
                self._farm.put(msgspec.structs.replace(partition, seen=shown, seen_at=now))
            else:
                partition.seen_at = now
            self._tell_resource(partition.name, domain, forgets=keeps_no_domains(item, self._farm))

    def _show_foreign(self, name: str, seen: HostSeen) -> None:
        """Domains there that are none of ours, as objects of their own; they are no more than what was seen."""
        ours = {partition.wanted.id for partition in self._farm.partitions_on(name)}
        known = {item.wanted.uuid: item for item in self._farm.all("domain") if item.wanted.host == name}
        now = self._farm.clock()
        for domain in seen.all_domains:
            if domain.uuid in ours:
                continue
            item, shown = known.pop(domain.uuid, None), msgspec.structs.replace(domain, cpu_time=0)
            wanted = DomainWanted(host=name, uuid=domain.uuid, title=domain.name)
            if item is None or item.wanted != wanted:
                if item is not None:
                    self._farm.delete("domain", item.name)
                self._farm.put(Item(kind="domain", name=self._name_of(wanted), wanted=wanted, seen=shown, seen_at=now,
                                    created=now))
            elif item.seen != shown:
                self._farm.put(msgspec.structs.replace(item, seen=shown, seen_at=now))
            else:
                item.seen_at = now
        for item in known.values():
            self._farm.delete("domain", item.name)

    def _name_of(self, wanted: DomainWanted) -> str:
        """HOST.NAME, as far as that is a name here."""
        plain = re.sub("[^A-Za-z0-9_-]+", "_", wanted.title).strip("_") or wanted.uuid
        name = f"{wanted.host}.{plain}"[:LONGEST]
        taken = self._farm.find("domain", name)
        return f"{name[:LONGEST - 9]}-{wanted.uuid[:8]}" if taken is not None else name

    def _tell_resource(self, name: str, domain: DomainSeen | None, *, forgets: bool) -> None:
        """Its resource is proved off, or is not, by its host; one that `forgets` domains runs none that it does not
        know."""
        item = self._farm.find("resource", name)
        seen = (item.seen if item else None) or ResourceSeen()
        on = domain is not None and domain.state in ("running", "paused")
        if on and seen.off == "proved":
            self._rack.show_and_keep(name, off="")
        elif (domain is not None or forgets) and not on and seen.off != "proved":
            self._rack.show_and_keep(name, off="proved", stage="", runs="", boot="")

    # what jobs ask

    def _get(self, name: str) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            item = self._farm.find("resource", name)
            raise Unreachable(f"{name} is {item.state if item else 'gone'}, and no virtualization host now")
        return host

    async def look(self, name: str) -> None:
        """Look at a host, at all of it, and at its filters now; Unreachable if it does not answer."""
        host = self._get(name)
        await host.look(besides=True)
        await host.hold()

    async def perform(self, step: Domain, note: Callable[[str], None]) -> None:
        """Do what a step says; Unreachable, StepFailed, GuardRefused."""
        host = self._get(step.host)
        for guard in step.guards:
            if not await holds(guard, self._machines.runner(f"{RESOURCE}{step.host}")):
                raise GuardRefused(guard.otherwise)
        await self._ask(host, step.do, step, note, step.xml, step.number)
        await host.look(besides=step.do in ("define", "undefine"))

    async def take_back(self, step: Domain, note: Callable[[str], None]) -> None:
        """Do what takes it back; a host that is none any more has nothing of it."""
        if step.undo:
            host = self._get(step.host)
            if step.undo == "undefine":
                await host.hypervisor.destroy(step.domain)
            await self._ask(host, step.undo, step, note, step.former_xml, step.former_number)
            await host.look(besides=step.undo == "undefine")

    async def _ask(self, host: _Host, do: str, step: Domain, note: Callable[[str], None], xml: str,
                   number: int) -> None:
        hypervisor, uuid = host.hypervisor, step.domain
        if do == "define":
            await hypervisor.define(xml)
        elif do == "undefine":
            await hypervisor.undefine(uuid)
        elif do == "start":
            await self._start(hypervisor, step, note)
        elif do == "switch-on":
            await hypervisor.start(uuid)
        elif do == "shut-down":
            await hypervisor.shutdown(uuid)
        elif do in ("stop", "switch-off"):
            await hypervisor.destroy(uuid)
        elif do == "pause":
            await hypervisor.suspend(uuid)
        elif do == "resume":
            await hypervisor.resume(uuid)
        elif do == "reset":
            await hypervisor.reset(uuid)
        elif do == "memory":
            await hypervisor.set_memory(uuid, number)
        elif do == "cpus":
            await hypervisor.set_cpus(uuid, number)
        else:
            await hypervisor.set_schedule(uuid, step.parameters)

    async def _start(self, hypervisor: Hypervisor, step: Domain, note: Callable[[str], None]) -> None:
        """It stands before its first instruction until somebody records it; what does not come holds up nobody."""
        name = next((item.name for item in self._farm.partitions_on(step.host) if item.wanted.id == step.domain), "")
        try:
            async with asyncio.timeout(ADDRESSED):
                await self._addressed(name)
        except TimeoutError:
            note(f"dhcpd was not told the address of {name} yet: with another one it is held off the network")
        await hypervisor.start(step.domain, paused=True)
        try:
            async with asyncio.timeout(RECORDED):
                await self._recorded(name)
        except TimeoutError:
            note(f"the console of {name} is not recorded yet: what it says first may be lost")
        except QrmError as error:
            note(f"the console of {name} is not recorded: {error}")
        if step.parameters:
            await hypervisor.set_schedule(step.domain, step.parameters)
        await hypervisor.resume(step.domain)

    # consoles

    def console(self, item: Item) -> Source | None:
        """The console of a partition, whether its host is there now or not."""
        partition = self._farm.find("partition", item.name)
        return PartitionSource(self, partition.wanted.host, partition.wanted.id) if partition is not None else None

    def hypervisor_of(self, name: str) -> Hypervisor | None:
        """The hypervisor of a host, while it is one."""
        host = self._hosts.get(name)
        return host.hypervisor if host else None

    async def came(self) -> None:
        """Until there is another host."""
        await self._came.wait()


class _Host:
    """One host: its hypervisor, looked at after events and from time to time."""

    def __init__(self, name: str, wanted: HostWanted, make: Callable[[], Hypervisor],
                 publish: Callable[[str, HostSeen, dict[str, float]], None],
                 hold: Callable[[str], Awaitable[bool]], pause: float,
                 besides: Callable[[str, HostSeen], Awaitable[HostSeen]]) -> None:
        self.name, self.wanted = name, wanted
        self.hypervisor = make()
        self._publish, self._hold, self._pause, self._besides = publish, hold, pause, besides
        self._besides_at = -math.inf
        self._happened, self._looking, self._holding = asyncio.Event(), asyncio.Lock(), asyncio.Lock()
        self._forget = self.hypervisor.listen(self._befell)
        self._task: asyncio.Task[None] | None = None
        #: its system runs, by what its agent says
        self._up = True
        self._seen = HostSeen()
        self._used: dict[str, tuple[float, float]] = {}
        self._busy: dict[str, float] = {}

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name=f"host {self.name}")

    async def end(self) -> None:
        self._forget()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.hypervisor.close()

    def is_up(self, up: bool) -> None:
        """Its agent says so; one that is back is looked at now."""
        if up and not self._up:
            self._happened.set()
        self._up = up

    def _befell(self, event: DomainEvent) -> None:
        self._happened.set()

    async def _watch(self) -> None:
        await self.hypervisor.start_line()
        while True:
            self._happened.clear()
            with contextlib.suppress(QrmError):  # it is shown
                await self.look()
                await self.hold()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._happened.wait()
                    await asyncio.sleep(SETTLES)

    async def look(self, *, besides: bool = False) -> None:
        """Look now, at what libvirt does not tell too if that may be otherwise, and show what is seen; Unreachable."""
        async with self._looking:
            try:
                seen = await self.hypervisor.look()
                seen = msgspec.structs.replace(seen, groups=self._seen.groups, groups_trouble=self._seen.groups_trouble,
                                               listed=self._seen.listed)
                now = asyncio.get_running_loop().time()
                if besides or now - self._besides_at > BESIDES_PAUSE:
                    seen, self._besides_at = await self._besides(self.name, seen), now
                self._seen = seen
            except QrmError as error:
                self._seen = msgspec.structs.replace(self._seen, silent=str(error))
                self._publish(self.name, self._seen, {})
                raise
            self._busy = self._used_lately()
            self._publish(self.name, self._seen, self._busy)

    async def hold(self) -> None:
        """Have what runs there held to its addresses, and show what was found; Unreachable."""
        async with self._holding:
            if await self._hold(self.name):
                self._publish(self.name, self._seen, self._busy)

    def _used_lately(self) -> dict[str, float]:
        """By domain, how much of its CPUs it used since the look before."""
        now, found, used = asyncio.get_running_loop().time(), {}, {}
        for domain in self._seen.domains:
            at, before = self._used.get(domain.uuid, (now, domain.cpu_time))
            if now > at and domain.cpu_time >= before:
                found[domain.uuid] = round(min(1.0, (domain.cpu_time - before) / (now - at) / max(1, domain.cpus)), 2)
            used[domain.uuid] = (now, domain.cpu_time)
        self._used = used
        return found


class PartitionSource:
    """A partition's console, through whatever its host is at the moment."""

    kind = "libvirt"

    def __init__(self, hosts: Hosts, host: str, uuid: str) -> None:
        self._hosts, self._host, self._uuid = hosts, host, uuid
        self._inner: Source | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSource) and (self._host, self._uuid) == (other._host, other._uuid)

    def __hash__(self) -> int:
        return hash((self._host, self._uuid))

    async def open(self, received: Received, ended: Ended) -> ConsoleLine:
        """It is there while the host is, and the domain is on."""
        hypervisor = self._hosts.hypervisor_of(self._host)
        if hypervisor is None:
            self._inner = None
            raise NoLine(f"{self._host} is no virtualization host now")
        self._inner = hypervisor.console(self._uuid)
        if self._inner is None:
            raise NoLine(f"partitions of {self._host} have no console", lasting=True)
        return await self._inner.open(received, ended)

    async def worth_trying(self) -> None:
        """Until its domain was started, or its host came back."""
        from qrm_tui.runners.console import Telling

        if isinstance(self._inner, Telling):
            await self._inner.worth_trying()
        elif self._inner is not None or self._hosts.hypervisor_of(self._host) is None:  # it may have come meanwhile
            await self._hosts.came()
