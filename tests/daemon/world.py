"""A small farm of simulated machines with a server that can be killed and started again, in one process."""
from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import URL

from qrm_tui.backends.boot import IMAGES, ROOT, machine_paths
from qrm_tui.backends.partition_filter import FOLDER, render_filter
from qrm_tui.bootimage.build import trouble_of
from qrm_tui.core.environments import HOST_KEY
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import HERE, Change
from qrm_tui.daemon.practice import PracticeMachines
from qrm_tui.daemon.records import Author
from qrm_tui.daemon.server import Qrmd
from qrm_tui.db.store import Write
from qrm_tui.practice.farms import PracticeFarm, make_server
from qrm_tui.practice.foreign import PracticeForeign
from qrm_tui.practice.hypervisor import PartitionNode, PracticeHypervisor
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.packages import plant_server
from qrm_tui.practice.software import Software
from qrm_tui.practice.volumes import SimulatedGroup, SimulatedVolume
from tests.daemon.rack_world import Rack

GIB = 1 << 30
ADMIN = Author("admin", "/dev/pts/1")
#: Nobody looks by itself in these tests: what is seen is what jobs looked at.
NEVER = 3600.0


#: How the server of the simulated network is set up.
ANSWERS = """
[tftpd]
address = "192.168.88.1"
[apache]
[dhcpd]
interface = "eth0"
address = "192.168.88.1"
subnet = "192.168.88.0/24"
range = "192.168.88.100-192.168.88.199"
machines = "192.168.88.10-192.168.88.99"
[node]
"""


class ServerKilled(BaseException):
    """The server ends here, without a word."""


class Kept(NamedTuple):
    """A server that is set up, to be put back."""

    folder: Path
    software: Software
    #: what is wanted of each
    components: dict[str, dict[str, Any]]


class World:
    """Machines that outlive the server, and the server."""

    def __init__(self, folder: Path, database: str | URL = "") -> None:
        self.folder, self.database = folder, database
        self.state = folder / "state"
        self.state.mkdir()
        self.classic = SimulatedMachine("s1", "10.0.0.1", folder / "s1", SimulatedGroup("vol", 100 * GIB))
        self.thin = SimulatedMachine("s2", "10.0.0.2", folder / "s2", SimulatedGroup("vol", 100 * GIB))
        self.thin.host.add(SimulatedVolume("pool", self.thin.host.new_id(), "pool", 50 * GIB))
        self.machines = {machine.address: machine for machine in (self.classic, self.thin)}
        for machine in self.machines.values():
            machine.host.add(SimulatedVolume("foreign", machine.host.new_id(), "plain", GIB))
            machine.host.root.write("/etc/exports.d/foreign.exports", "# another admin's\n", 0o600)
            machine.reboot()
        self.server = make_server(folder)
        #: the server runs; machines of the rack speak with nobody meanwhile
        self.alive = False
        self.rack = Rack(self)
        self.rack.simulated.add_foreign("lxc1", "10.0.0.9", ("web", "db"))
        self._kept: dict[str, Kept] = {}
        self.qrmd = self._make()

    def _make(self) -> Qrmd:
        farm = PracticeFarm("test", self.machines, [], self.server)
        return Qrmd(self.state, PracticeMachines(farm, self.rack.simulated), name="test", practice=True,
                    database=self.database, look_every=NEVER, hosts_every=NEVER, first_pause=0.01)

    async def start(self) -> None:
        await self.qrmd.start()
        self.alive = True

    async def add_storage(self) -> None:
        await self.do("storage.add", name="s1", address="10.0.0.1", env={"SERVER_VOL": "vol"})
        await self.do("storage.add", name="s2", address="10.0.0.2", env={"SERVER_VOL": "vol", "THIN_POOL": "pool"})

    async def stop(self) -> None:
        self.alive = False
        await self.rack.stop()
        await self.qrmd.stop()

    async def set_up(self) -> None:
        """The server is set up for netboot, with boot-images `idle` and `debian12`; done once."""
        if self.qrmd.farm.find("boot-image", "debian12") is None:
            assert await self.do("install.run", answers=ANSWERS) == "done"
            for name in ("idle", "debian12"):
                assert await self.do("boot-image.create", name=name, package="linux-image-amd64") == "done"

    async def machine(self) -> str:
        """One more machine of the rack, idle and out of maintenance; its name."""
        await self.set_up()
        name = await self.rack.boot(self.rack.add())
        await self.do("resource.maintenance", name=name, off=True)
        return name

    async def host(self, partitioning: str = "xen", *, same_for_all: bool = False) -> str:
        """A machine that runs VE `hosts` with partitioning; its name."""
        name = await self.machine()
        assert await self.do("boot-image.create", name="xen", package="linux-image-amd64", hypervisor="xen") == "done"
        assert await self.do("image.add", name="xen_host", storage="s1", size="1G") == "done"
        self.classic.host.root.write(f"/vol/xen_host{HOST_KEY}", "ssh-ed25519 AAAAhost root@xen-host\n")
        await self.do("ve.create", name="hosts", boot_image="xen" if partitioning == "xen" else "debian12",
                      image="xen_host", partitioning=partitioning, same_for_all=same_for_all)
        assert await self.do("ve.start", name="hosts") == "done"
        await self.rack.until(lambda: (item := self.qrmd.farm.find("host", name)) and item.state == "ok")
        return name

    def _simulated(self) -> list[SimulatedMachine | PracticeHypervisor | PracticeForeign]:
        """What tests put faults into."""
        hypervisors = self.rack.simulated.hypervisors.values()
        return [*self.machines.values(), self.server, *hypervisors, *(one.machine for one in hypervisors),
                *self.rack.simulated.foreign.values()]

    async def kill_and_start(self) -> None:
        """The server is gone; another one takes over its database and the same machines."""
        self.alive = False
        await self.qrmd.stop()
        for machine in self._simulated():
            machine.half = None
        self.qrmd = self._make()
        await self.start()

    async def submit(self, operation: str, role: Role = Role.administrator, **arguments: Any) -> int:
        """A job's number."""
        plan = await self.qrmd.plan(operation, arguments, role)
        return int((await self.qrmd.run(plan.id, ADMIN, role))["job"]["id"])

    async def do(self, operation: str, **arguments: Any) -> str:
        """The state that the job ends in (of a record operation: done)."""
        plan = await self.qrmd.plan(operation, arguments, Role.administrator)
        outcome = await self.qrmd.run(plan.id, ADMIN, Role.administrator)
        if "job" not in outcome:
            return "done"
        return (await self.qrmd.jobs.wait(outcome["job"]["id"])).state

    def half_at(self, number: int, then: Callable[[], None]) -> None:
        """`then` is called in the middle of the machines' effects, at the number-th chance (from 0)."""
        chances = iter(range(1 << 30))

        def half(what: str) -> None:
            task = asyncio.current_task()
            # what the server keeps by itself has effects of its own, at any moment
            kept = what.startswith("omshell") or (task is not None and task.get_name().startswith("upkeep"))
            if not kept and next(chances) == number:
                then()

        for machine in self._simulated():
            machine.half = half

    async def wipe_server(self) -> None:
        """The machine that qrmd serves from is a fresh one; nothing is known of components."""
        gone = [Change(kind="component", name=item.name, wanted=None) for item in self.qrmd.farm.all("component")]
        await self.qrmd.records.apply(gone, Write())
        shutil.rmtree(self.server.folder)
        self.server.folder.mkdir()
        self.server.host.software = Software()
        plant_server(self.server.host, self.server.address)

    async def set_server_up(self, answers: str) -> None:
        """It is as these answers make of a fresh one; made once, and put back from then on."""
        if answers not in self._kept:
            await self.wipe_server()
            assert await self.do("install.run", answers=answers) == "done"
            copy = self.folder / f"kept-{len(self._kept)}"
            shutil.copytree(self.server.folder, copy, symlinks=True)
            self._kept[answers] = Kept(copy, deepcopy(self.server.host.software), {
                item.name: msgspec.to_builtins(item.wanted) for item in self.qrmd.farm.all("component")})
        kept = self._kept[answers]
        await self.wipe_server()
        shutil.copytree(kept.folder, self.server.folder, symlinks=True, dirs_exist_ok=True)
        self.server.host.software = deepcopy(kept.software)
        await self.qrmd.records.apply([Change(kind="component", name=name, wanted=wanted)
                                       for name, wanted in kept.components.items()], Write())

    async def leftovers(self) -> list[str]:
        """Everything on the machines that no image accounts for, and everything that an image lacks; [] is right."""
        wrong: list[str] = []
        for name, machine in (("s1", self.classic), ("s2", self.thin)):
            await self.qrmd.watchers.look(name)
            images = {item.name: item for item in self.qrmd.farm.images_on(name)}
            host = machine.host
            ours = {volume.name for volume in host.group.volumes.values() if "qrm" in volume.tags}
            places = {"volumes": ours}
            root = machine.folder
            places["exports"] = {path.stem for path in (root / "etc/exports.d").glob("*")} - {"foreign"}
            places["units"] = {path.stem.removeprefix("vol-").replace("\\x2d", "-")
                               for path in (root / "etc/systemd/system").glob("*.mount")}
            places["mounts"] = {path.removeprefix("/vol/") for path in await self._mounts(machine)}
            places["folders"] = {path.name for path in (root / "vol").glob("*")}
            wrong += [f"{name}: {what} {sorted(there ^ set(images))}" for what, there in places.items()
                      if there != set(images)]
            wrong += [f"{name}: {path}" for path in root.rglob("*.qrm-new*")]
            wrong += [f"{name}: command {unit}" for unit in machine.named]
            wrong += [f"{name}: {item.name} is {item.state}" for item in images.values()
                      if item.state not in ("ready", "frozen", "in use")]
            if "foreign" not in host.group.volumes or host.group.volumes["foreign"].tags:
                wrong.append(f"{name}: the foreign volume was touched")
            if (root / "etc/exports.d/foreign.exports").read_text() != "# another admin's\n":
                wrong.append(f"{name}: the foreign export was touched")
        place = self.server.host.root.here(IMAGES)
        there = {path.name for path in place.glob("*")} if place.is_dir() else set()
        known = {item.name: item.wanted.id for item in self.qrmd.farm.all("boot-image")}
        wrong += [f"boot-images: {sorted(there ^ set(known))}"] if there != set(known) else []
        wrong += [f"boot-image {name}: {trouble}" for name, identity in known.items()
                  if (trouble := trouble_of(place / name, identity))]
        wrong += [f"server: command {unit}" for unit in self.server.named]
        wrong += await self._host_leftovers()
        wrong += await self._server_leftovers()
        wrong += await self._rack_leftovers()
        held, trouble = await self.qrmd.store.verify_journal()
        if trouble:
            wrong.append(f"journal: {trouble} (after {held})")
        return wrong

    async def _host_leftovers(self) -> list[str]:
        """Domains that are not as the farm says, and machines that are no domains'."""
        wrong: list[str] = []
        for item in list(self.qrmd.farm.all("host")):
            await self.qrmd.hosts.look(item.name)
            if item.wanted.technology:
                continue
            partitions = {found.wanted.id: found for found in self.qrmd.farm.partitions_on(item.name)}
            domains = {domain.uuid: domain for domain in self.qrmd.farm.get("host", item.name).seen.domains}
            # one that is off, and was off before its host booted on a shared root, is not defined there
            due = {uuid for uuid, found in partitions.items() if uuid in domains or found.state != "off"}
            wrong += [f"{item.name}: domains {sorted(due ^ domains.keys())}"] if due != domains.keys() else []
            wrong += self._filter_leftovers(item.name, list(partitions.values()))
            due = {f"qrm-{found.name}": ("qrm", f"qrm.partition.{identity}")
                   for identity, found in partitions.items() if found.wanted.disk}
            there = {volume.name: volume.tags for volume in self.machine_of(item.name).host.group.volumes.values()}
            wrong += [f"{item.name}: volumes {there}, wanted {due}"] if there != due else []
            wrong += [f"{item.name}: command {unit}" for unit in self.machine_of(item.name).named]
            wrong += [f"{found.name} is {found.state}, and wanted {found.wanted.power}" for found in partitions.values()
                      if {"on": "running"}.get(found.wanted.power, found.wanted.power) != found.state]
        nodes = {node.mac for node in self.rack.simulated.nodes.values() if isinstance(node, PartitionNode)}
        known = {item.wanted.mac for item in self.qrmd.farm.all("partition")
                 if item.state != "off" or item.seen.domain is not None}
        return wrong + ([f"partitions' machines: {sorted(nodes ^ known)}"] if nodes != known else [])

    def machine_of(self, name: str) -> SimulatedMachine:
        """What commands on a virtualization host run on."""
        runner = self.qrmd.machines.runner(f"resource/{name}")
        assert isinstance(runner, SimulatedMachine)
        return runner

    def _filter_leftovers(self, name: str, partitions: list[Item]) -> list[str]:
        """Filters in a host's kernel: of each partition that runs its own, and no others; and their files."""
        host, farm = self.machine_of(name).host, self.qrmd.farm
        due = {item.wanted.target: render_filter(item.name, item.wanted, farm.get("resource", item.name).wanted.address)
               for item in partitions if item.state in ("running", "paused")}
        files = {path.read_text() for path in host.root.here(FOLDER).glob("*")}
        return [f"{name}: {what}" for what, wrong in (
            (f"filters of {sorted(host.filters)}, wanted of {sorted(due)}", host.filters != due),
            (f"{len(files)} files of filters, wanted {len(due)}", files != set(due.values()))) if wrong]

    async def _rack_leftovers(self) -> list[str]:
        """Machines and virtual environments that are not as the farm says."""
        await self.qrmd.upkeep.settle()
        farm, root = self.qrmd.farm, self.server.host.root
        wrong = [f"VE {ve.name} is {ve.state}" for ve in farm.all("ve") if ve.state not in ("inactive", "active")]
        runs = {assigned.resource: (ve.name, assigned.image) for ve in farm.all("ve")
                for assigned in ve.wanted.assigned}
        may = {image.name: set(image.wanted.allowed) - {"10.9.9.9"} for image in farm.all("image")}
        for item in farm.all("resource"):
            ve, image = runs.get(item.name, ("", ""))
            if item.wanted.ve != ve or item.wanted.leaving:
                wrong.append(f"{item.name} is noted for {item.wanted.ve!r}, and {ve!r} has it")
            if image and item.wanted.address not in may[image]:
                wrong.append(f"{item.name} may not mount {image}")
            may.get(image, set()).discard(item.wanted.address)
            for path in machine_paths(item.wanted.mac):
                if not root.exists(path) or ("qrm.ve=" in root.read(path)) != bool(ve):
                    wrong.append(f"{path} is not that of a machine that runs {ve or 'nothing'}")
        wrong += [f"{', '.join(left)} may mount {name}" for name, left in may.items() if left]
        # one that was forgotten and brought back shows nothing until it has enlisted anew
        macs, shown = (({item.wanted.mac.replace(":", "-") for item in farm.all("resource") if all_ or (
            item.seen and item.seen.nonce)}) for all_ in (True, False))
        for pattern, there in (("pxelinux.cfg/01-*", macs), ("ipxe/??-??-??-??-??-??.ipxe", macs), ("nonce/*", shown)):
            found = {path.name.removeprefix("01-").removesuffix(".ipxe") for path in root.here(ROOT).glob(pattern)}
            wrong += [f"{pattern}: {sorted(found ^ there)}"] if found != there else []
        return wrong

    async def _server_leftovers(self) -> list[str]:
        await self.qrmd.watchers.look(HERE)
        root, software = self.server.folder, self.server.host.software
        components = {item.name: item for item in self.qrmd.farm.all("component")}
        wrong = [f"server: {item.name} is {item.state}: {item.seen}" for item in components.values()
                 if item.state != ("ok" if item.wanted.enabled else "off")]
        wrong += [f"server: {path}" for path in root.rglob("*.qrm-new*")]
        wrong += [f"server: command {unit}" for unit in self.server.named]
        ours = {path for path in root.rglob("*") if path.is_file() and path.name.startswith(("qrm", "pxelinux.0"))
                and path.is_relative_to(root / "usr") is False}
        ours |= set((root / "etc/systemd/system").glob("*.service"))
        if not components:
            wrong += [f"server: {path}" for path in sorted(ours)]
            # what a package brought runs as it did; of ours nothing does
            wrong += [f"server: {unit} runs" for unit in software.active & {"isc-dhcp-server.service",
                                                                          "qrm-node.service"}]
        return wrong

    @staticmethod
    async def _mounts(machine: SimulatedMachine) -> list[str]:
        from qrm_tui.backends import mounts

        done = await machine.run(mounts.LIST_ARGV)
        return [path for path in mounts.parse_mounts(done.out) if path.startswith("/vol/")]
