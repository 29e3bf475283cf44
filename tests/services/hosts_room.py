"""qrmd with one virtualization host, whose hypervisor is a real libvirtd with QEMU."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from qrm_tui.backends.domains import render_domain
from qrm_tui.core.environments import Assignment, VeWanted
from qrm_tui.core.model import Item
from qrm_tui.core.partitions import DomainWish, HostWanted, PartitionWanted
from qrm_tui.core.plan import Domain
from qrm_tui.core.resources import Inventory, ResourceSeen, ResourceWanted
from qrm_tui.daemon.console_recorder import Console
from qrm_tui.daemon.machines import RealMachines
from qrm_tui.daemon.server import Qrmd
from qrm_tui.db.store import Write
from qrm_tui.runners.base import Runner
from qrm_tui.runners.hypervisor import Hypervisor
from qrm_tui.runners.libvirt import LibvirtHypervisor
from qrm_tui.runners.libvirt_line import Reach
from tests.services.libvirt_room import PATIENCE
from tests.unit.practice import make_machine

HOST, VE = "host1", "hosts"


class HostMachines(RealMachines):
    """The host's libvirtd is real; its commands (filters on a bridge that is not here) a simulated machine answers."""

    def __init__(self, state: Path, reach: Reach) -> None:
        super().__init__(state)
        self._reach, self._machine = reach, make_machine(state / "host1")

    def on_resource(self, item: Item, host_key: Callable[[], Awaitable[str]]) -> Runner:
        return self._machine

    def hypervisor(self, item: Item, wanted: HostWanted, runner: Runner) -> Hypervisor:
        return LibvirtHypervisor(item.name, self._reach)

    async def answers(self, address: str) -> bool:
        return True


class HostsRoom:
    """A server in process, and what happens to the partitions of its host."""

    def __init__(self, folder: Path, reach: Reach) -> None:
        self.qrmd = Qrmd(folder, HostMachines(folder, reach), look_every=3600.0, first_pause=0.1)
        #: states that each partition has been in, in their order
        self.states: dict[str, list[str]] = {}
        self._changed = asyncio.Event()

    async def start(self) -> None:
        await self.qrmd.start()
        self.qrmd.farm.listen(self._befell)
        ve = VeWanted(id="ve-hosts", boot_image="xen", image="hosts", partitioning="xen", life="started",
                      assigned=(Assignment(HOST, "hosts"),))
        host = ResourceWanted(id="id-host1", mac="52:54:00:77:02:01", address="127.0.0.1", ve=VE, maintenance=False)
        await self.qrmd.records.bring([Item(kind="ve", name=VE, wanted=ve), Item(
            kind="resource", name=HOST, wanted=host, seen=ResourceSeen(
                inventory=Inventory(cpus=2), runs=ve.id, stage="system", boot="1", heard=self.qrmd.clock()))], Write())
        await self.until(lambda: (item := self.qrmd.farm.find("host", HOST)) is not None and item.state == "ok")

    def _befell(self, kind: str, name: str, item: Item | None) -> None:
        if kind == "partition" and item is not None:
            known = self.states.setdefault(name, [])
            if known[-1:] != [item.state]:
                known.append(item.state)
        self._changed.set()

    async def until(self, so: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not so():
                self._changed.clear()
                await self._changed.wait()

    async def until_state(self, name: str, state: str) -> None:
        await self.until(lambda: self.qrmd.farm.get("partition", name).state == state)

    async def add(self, wished: DomainWish) -> None:
        """A partition as its job leaves it before its first start."""
        wanted = PartitionWanted(id=wished.uuid, host=HOST, technology=wished.technology, mac=wished.mac,
                                 target=wished.target, memory=wished.memory)
        await self.qrmd.records.bring([
            Item(kind="partition", name=wished.name, wanted=wanted),
            Item(kind="resource", name=wished.name, wanted=ResourceWanted(
                id=wished.resource, mac=wished.mac, address="10.77.0.30", kind="partition", host=HOST))], Write())
        await self.ask(wished, "define", xml=render_domain(wished))

    async def ask(self, wished: DomainWish, do: str, **more: object) -> None:
        """As a job's step does."""
        await self.qrmd.hosts.perform(msgspec.convert(
            {"type": "domain", "summary": do, "host": HOST, "domain": wished.uuid, "do": do, **more}, Domain),
            lambda word: None)

    async def why(self, name: str) -> str:
        return str((await self.qrmd.show("partition", name))["why"])

    def console(self, name: str) -> Console:
        return self.qrmd.consoles.find(name)

    async def until_said(self, name: str, word: bytes) -> None:
        console = self.console(name)
        async with asyncio.timeout(PATIENCE):
            while word not in said(console):
                await console.changed.wait()


def said(console: Console) -> bytes:
    """All that was recorded."""
    found, offset = b"", 0
    while piece := console.log.read(offset):
        found, offset = found + piece.data, piece.offset + len(piece.data)
    return found


@asynccontextmanager
async def hosts_room(folder: Path, reach: Reach) -> AsyncIterator[HostsRoom]:
    """With it, its domains go."""
    made = HostsRoom(folder, reach)
    await made.start()
    try:
        yield made
        hypervisor = made.qrmd.hosts.hypervisor_of(HOST)
        assert hypervisor is not None
        for item in made.qrmd.farm.partitions_on(HOST):
            await hypervisor.destroy(item.wanted.id)
            await hypervisor.undefine(item.wanted.id)
    finally:
        await made.qrmd.stop()
