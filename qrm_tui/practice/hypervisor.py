"""Simulated virtualization hosts: libvirt's own simulated driver behind the real calls, and a machine for each domain.

`test:///` keeps definitions and states, and runs nothing; what a domain would do, a simulated machine does.
"""
from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libvirt
import msgspec

from qrm_tui.backends.domain_console import sysrq_to_kernel, typed_to_kernel
from qrm_tui.backends.domains import Domain, parse_domain
from qrm_tui.backends.partition_boot import FOLDER as BOOT_FOLDER
from qrm_tui.backends.partition_filter import FOLDER
from qrm_tui.core.errors import QrmError, Unreachable
from qrm_tui.core.partitions import HostSeen
from qrm_tui.practice.console import PracticeLine
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.node import AGAIN, Model, Network, SimulatedNode, Wire
from qrm_tui.practice.volumes import SimulatedGroup
from qrm_tui.runners.console import SYSRQ, ConsoleLine, Ended, NoLine, NotTaken, Received
from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach
from qrm_tui.runners.libvirt_console import NO_BREAK
from qrm_tui.runners.libvirt_line import SHORT

if TYPE_CHECKING:
    from qrm_tui.practice.rack import PracticeRack

_HOST = """<node><cpu><mhz>{mhz}</mhz><model>x86_64</model><active>{cpus}</active><nodes>1</nodes><sockets>1</sockets>
<cores>{cpus}</cores><threads>1</threads></cpu><memory>{memory}</memory></node>"""
#: Its driver has one type of domains alone.
_TYPE = re.compile('<domain type="(?:xen|kvm|qemu)">')
#: Numbers of machines that are partitions begin here.
_FIRST = 100_000


class PartitionNode(SimulatedNode):
    """A domain as a machine: its host gives it kernel and command line, or it has firmware and netboots."""

    has_button = False
    domain: Domain
    #: called when it went off by itself, and when it crashed
    gone: Callable[[], None]
    crashed: Callable[[], None]

    def __init__(self, model: Model, number: int, network: Network, wire: Wire, *, pace: float = 0) -> None:
        super().__init__(model, number, network, wire, pace=pace)
        self._used, self._used_at = 0.0, time.monotonic()
        self._died = False

    def used(self, runs: bool) -> float:
        """Seconds of CPU time until now."""
        now = time.monotonic()
        self._used += (now - self._used_at) * min(self.load, self.model.cpus) * runs
        self._used_at = now
        return self._used

    async def _firmware(self) -> None:
        if self.domain.kernel:
            self.console.dark()
        else:
            await super()._firmware()

    async def _load(self) -> dict[str, str]:
        if not self.domain.kernel:
            return await super()._load()
        await self._reach("kernel")
        await self._spend("loader")
        while True:
            self.address = self.network.lease(self.mac)
            if self.address:
                return {"files": "", "words": self.domain.cmdline}
            await asyncio.sleep(AGAIN * max(self.pace, 0.02))

    async def _live(self, panics: float | None = None) -> None:
        await super()._live(panics)
        (self.crashed if self._died else self.gone)()

    async def _boot(self) -> bool:
        self._died = False
        return await super()._boot()

    async def _panicked(self, reboot: float) -> bool:
        """Its host takes one away whose kernel has panicked for good."""
        if reboot:
            return await super()._panicked(reboot)
        self.console.panic(0)
        self._died, self.stage, self.address = True, "", ""
        return False

    async def unplug(self) -> None:
        await super().unplug()
        self.gone()


class _XenLine(PracticeLine):
    """As one to a Xen partition is."""

    means = frozenset((SYSRQ,))

    async def type(self, data: bytes) -> None:
        await super().type(typed_to_kernel(data))

    async def send_break(self) -> None:
        raise NotTaken(NO_BREAK)

    async def send_sysrq(self, letter: str) -> None:
        await super().type(sysrq_to_kernel(letter))


class _GuestSource:
    """The console of a domain, while that is on."""

    kind = "practice"

    def __init__(self, host: PracticeHypervisor, uuid: str) -> None:
        self._host, self._uuid = host, uuid

    async def open(self, received: Received, ended: Ended) -> ConsoleLine:
        """At once, where there is such a domain and it is on."""
        guest = self._host.guests.get(self._uuid)
        if guest is None or not self._host.up[self._uuid].is_set():
            raise NoLine("the domain is not running")
        self._host.listeners[self._uuid] = ended
        guest.console.plug(received)
        return (_XenLine if guest.domain.kernel else PracticeLine)(guest.console)

    async def worth_trying(self) -> None:
        """Until it was started."""
        await self._host.up[self._uuid].wait()


class PracticeHypervisor(LibvirtHypervisor):
    """The hypervisor of a simulated machine. It outlives every qrmd that speaks with it."""

    def __init__(self, node: SimulatedNode, rack: PracticeRack, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / "host.xml"
        place.write_text(_HOST.format(mhz=node.model.mhz, cpus=node.model.cpus, memory=node.model.memory >> 10))
        super().__init__(f"node-{node.number}", LocalReach(f"test://{place}"))
        self._node, self._rack = node, rack
        self.guests: dict[str, PartitionNode] = {}
        #: by domain whether it is on, and who hears its console
        self.up: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.listeners: dict[str, Ended] = {}
        self._falling: set[asyncio.Task[None]] = set()
        call = self._call = self.line.call

        async def answers(what: str, function: object, seconds: float = SHORT, **more: object) -> object:
            if node.stage != "system":
                raise Unreachable("no answer on ssh")
            return await call(what, function, seconds, **more)  # type: ignore[arg-type]

        self.line.call = answers  # type: ignore[assignment,method-assign]
        node.fell = self._host_fell
        #: called after each effect; what it raises ends the caller there
        self.half: Callable[[str], None] | None = None
        #: what plans' commands run on
        self.machine = SimulatedMachine(self.name, "", folder / "machine",
                                        SimulatedGroup("local", sum(node.model.disks)))
        self.machine.host.rack = rack

    async def close(self) -> None:
        """It is asked for again by the next server."""

    async def end(self) -> None:
        """The end of the practice farm."""
        for guest in self.guests.values():
            await guest.power_off()
        await asyncio.gather(*self._falling, return_exceptions=True)
        await super().close()

    def console(self, uuid: str) -> _GuestSource:
        return _GuestSource(self, uuid)

    def _host_fell(self) -> None:
        """Power is gone, or it boots anew: what ran there is off, and the kernel's filters are gone."""
        host = self.machine.host
        host.filters.clear()
        shutil.rmtree(host.root.here(FOLDER), ignore_errors=True)
        shared = "qrm.shared" in self._node.words
        if shared:
            shutil.rmtree(host.root.here(BOOT_FOLDER), ignore_errors=True)
        for uuid, guest in list(self.guests.items()):
            if guest.on:
                guest.pull(again=False)
            if shared:
                self._down(uuid)
                self._spawn(self._forget(uuid), uuid)
            else:
                self._fall(uuid)

    def _fall(self, uuid: str, *, crashed: bool = False) -> None:
        self._down(uuid)
        self._spawn(self._crash(uuid) if crashed else self._destroy(uuid), uuid)

    def _down(self, uuid: str) -> None:
        """It is off: its console ends."""
        self.up[uuid].clear()
        if ended := self.listeners.pop(uuid, None):
            ended("it was switched off")

    def _spawn(self, work: Coroutine[Any, Any, None], uuid: str) -> None:
        task = asyncio.create_task(work, name=f"domain {uuid} falls")
        self._falling.add(task)
        task.add_done_callback(self._falling.discard)

    async def _destroy(self, uuid: str) -> None:
        with contextlib.suppress(QrmError):  # it is off already
            await self._call("stop a domain", lambda connection: connection.lookupByUUIDString(uuid).destroy())

    async def _forget(self, uuid: str) -> None:
        """Its definition lay in the host's memory, as all that is written on a shared root."""

        def forget(connection: libvirt.virConnect) -> None:
            domain = connection.lookupByUUIDString(uuid)
            if domain.isActive():
                domain.destroy()
            domain.undefine()

        guest = self.guests.pop(uuid, None)
        if guest is not None:
            self._rack.unhang(guest)
        with contextlib.suppress(QrmError):
            await self._call("forget a domain", forget)
        self._look.forget(uuid)

    async def _crash(self, uuid: str) -> None:
        """Its driver keeps how a domain ended only where somebody takes a dump of it."""
        with contextlib.suppress(QrmError):
            await self._call("crash a domain", lambda connection: connection.lookupByUUIDString(uuid).coreDump(
                "/dev/null", libvirt.VIR_DUMP_CRASH))

    async def look(self) -> HostSeen:
        """Domains have used as much of their CPUs as their machines say; for its driver all are busy all the time."""
        seen = await super().look()
        return msgspec.structs.replace(seen, domains=tuple(
            msgspec.structs.replace(domain, cpu_time=guest.used(domain.state == "running"))
            if (guest := self.guests.get(domain.uuid)) else domain for domain in seen.domains))

    # domains

    def _half(self, what: str) -> None:
        if self.half is not None:
            self.half(f"{self.name}: {what}")

    async def define(self, xml: str) -> None:
        domain = parse_domain(xml)
        await super().define(_TYPE.sub('<domain type="test">', xml, count=1).replace(' machine="xenpv"', "")
                             .replace('<target type="xen" port="0"/>', '<target type="serial" port="0"/>'))
        guest = self.guests.get(domain.uuid)
        if guest is None:
            number = _FIRST + self._rack.next_number()
            vendor, product = ("Xen", "domU") if domain.kernel else ("QEMU", "Standard PC (i440FX + PIIX, 1996)")
            disks = [volume.size for path in domain.disks if (volume := self.machine.host.volume(path))]
            model = Model(domain.name, vendor, product, self._node.model.cpu, domain.cpus, self._node.model.mhz,
                          domain.memory, disks=tuple(disks))
            guest = self.guests[domain.uuid] = PartitionNode(model, number, self._rack, self._node.wire,
                                                              pace=self._node.pace)
            guest.line = "hvc0" if domain.kernel else "ttyS0"
            guest.mac = domain.nics[0].mac if domain.nics else guest.mac
            guest.gone = lambda: self._fall(domain.uuid)
            guest.crashed = lambda: self._fall(domain.uuid, crashed=True)
            self._rack.hang(domain.name, guest)
        guest.domain = domain
        self._half("define")

    async def undefine(self, uuid: str) -> None:
        await super().undefine(uuid)
        self._down(uuid)
        guest = self.guests.pop(uuid, None)
        if guest is not None:
            self._rack.unhang(guest)
        self._half("undefine")

    async def start(self, uuid: str, *, paused: bool = False) -> None:
        await super().start(uuid, paused=paused)
        self.up[uuid].set()
        if not paused:
            self.guests[uuid].power_on()
        self._half("start")

    async def resume(self, uuid: str) -> None:
        await super().resume(uuid)
        guest = self.guests[uuid]
        guest.trouble.silent = False
        guest.power_on()
        self._half("resume")

    async def suspend(self, uuid: str) -> None:
        await super().suspend(uuid)
        self.guests[uuid].trouble.silent = True
        self._half("pause")

    async def destroy(self, uuid: str) -> None:
        await super().destroy(uuid)
        if uuid in self.guests:
            await self.guests[uuid].power_off()
        self._down(uuid)
        self._half("stop")

    async def reset(self, uuid: str) -> None:
        await super().reset(uuid)
        self.guests[uuid].pull(again=True)
        self._half("reset")

    async def set_memory(self, uuid: str, size: int) -> None:
        await super().set_memory(uuid, size)
        self._half("memory")

    async def set_schedule(self, uuid: str, parameters: Mapping[str, int]) -> None:
        await super().set_schedule(uuid, {name: value for name, value in parameters.items() if name == "weight"})
