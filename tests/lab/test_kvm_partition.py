"""A partition of a host without KVM, by the product's own plans on a real libvirtd, netboots from our boot files."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from qrm_tui.backends import boot, dhcpd, partitions
from qrm_tui.backends.bootlog import parse_line
from qrm_tui.backends.partition_filter import loaded
from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.environments import VeWanted
from qrm_tui.core.facts import MachineFacts, Reading
from qrm_tui.core.model import Item, convert_wanted
from qrm_tui.core.netboot import boot_settings
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.registry import find
from qrm_tui.core.partitionings import BRIDGE
from qrm_tui.core.plan import HERE, Domain, Record, Run
from qrm_tui.core.resources import ResourceSeen, ResourceWanted
from qrm_tui.daemon.hosts import Hosts
from qrm_tui.install import planner
from qrm_tui.runners import steps
from qrm_tui.runners.base import SHORT, Completed, OnLine
from qrm_tui.runners.command import CommandRunner
from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach
from tests.lab.boot_machine import NodeServer, built_image
from tests.lab.fixtures import NETBOOT_PROGRAMS, requirements
from tests.lab.libvirtd import PROGRAMS, Libvirtd
from tests.lab.namespace import BRIDGE as UPLINK
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace
from tests.lab.services_root import Services
from tests.lab.test_boot_image import Clock, is_beat, is_enlisting
from tests.services.libvirt_room import FIRMWARE, PATIENCE, Recorded
from tests.services.netboot_server import ANSWERS, Server

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("crashes"), pytest.mark.timeout(600)]

HOST, NAME = "r1", "r1-1"
HELP = b"sysrq: HELP"
"""What its kernel says to SysRq h (drivers/tty/sysrq.c)."""
BRIDGES = f"""
mount -t tmpfs run /run
mount -t sysfs sys /sys
ip link add {BRIDGE} type bridge
ip link add uplink type veth peer name card
ip link set uplink master {UPLINK} up
ip link set card master {BRIDGE} up
ip link set {BRIDGE} up
"""


class HostRunner(CommandRunner):
    """Commands on the virtualization host, which is that namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.name, self._namespace = HOST, namespace

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        done = await asyncio.to_thread(self._namespace.run, argv, inside=True, input=input, text=True,
                                       capture_output=True)
        return Completed(done.returncode, done.stdout, done.stderr)


class Machines:
    """The host alone."""

    def __init__(self, namespace: Namespace, libvirtd: Libvirtd) -> None:
        self._runner, self.made = HostRunner(namespace), LibvirtHypervisor(HOST, LocalReach(libvirtd.uri))

    def hypervisor(self, item: Item, wanted: object) -> LibvirtHypervisor:
        return self.made

    def runner(self, name: str) -> HostRunner:
        return self._runner


class Rack:
    """Told of resources that are off; nobody looks."""

    def show_and_keep(self, name: str, **changes: Any) -> None:
        return


class Farm:
    """A server, a host, and plans that run there as a job runs them."""

    def __init__(self, namespace: Namespace, server: Server, libvirtd: Libvirtd, node: NodeServer,
                 folder: Path) -> None:
        self.server, self.libvirtd, self.node, self._folder = server, libvirtd, node, folder
        self.machines = Machines(namespace, libvirtd)
        self.hosts = Hosts(server.farm, self.machines, Rack(), self._recorded, self._addressed)  # type: ignore[arg-type]
        self.console: Recorded | None = None

    async def start(self) -> None:
        farm = self.server.farm
        farm.put(Item(kind="component", name="node", wanted=ComponentWanted(settings={"port": str(self.node.port)})))
        farm.put(Item(kind="ve", name="hosts", wanted=VeWanted(id="ve", boot_image="b", image="i", partitioning="kvm")))
        farm.put(Item(kind="resource", name=HOST, wanted=ResourceWanted(id="h", mac="52:54:00:77:00:99", ve="hosts"),
                      seen=ResourceSeen(runs="ve", stage="system", heard=farm.clock() + 3600, boot="b")))
        self.hosts.start()
        async with asyncio.timeout(PATIENCE):
            while farm.get("host", HOST).seen is None:
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        if self.console is not None:
            await self.console.console.stop()
        await self.hosts.stop()

    async def _addressed(self, name: str) -> None:
        """As the server's upkeep keeps boot files and addresses."""
        services, wanted = self.server.services, self.server.farm.get("resource", name).wanted
        done = await services.run(dhcpd.omapi_argv("add", name, wanted.mac, wanted.address))
        assert done.status == 0, done.err
        settings = boot_settings(self.server.farm)
        files = {**boot.default_files(settings), **boot.machine_files(
            boot.settings_for(settings, wanted), name, wanted.mac)}
        for path, text in files.items():
            await services.write_file(path, text, 0o644, ())

    async def _recorded(self, name: str) -> None:
        room = SimpleNamespace(host=self.machines.made, folder=self._folder)
        if self.console is None:
            wished = SimpleNamespace(name=name, uuid=self.server.farm.get("partition", name).wanted.id)
            self.console = Recorded(room, wished)  # type: ignore[arg-type]
            self.console.console.start()
        await self.console.until_state("connected")

    async def do(self, operation: str, **given: Any) -> Draft:
        farm, declared = self.server.farm, find(operation)
        plan = {"partition.create": partitions.plan_create, "partition.reset": partitions.plan_reset,
                "partition.remove": partitions.plan_remove}[operation]
        arguments = check_arguments(declared.arguments, given)
        probes = partitions.probe_files(farm, arguments) if operation == "partition.remove" else []
        read = {path: await self.server.services.read_file(path) for probe in probes for path in probe.files}
        reading = Reading(farm, {HERE: MachineFacts(files=read)})
        draft = plan(Call(arguments, reading, lambda purpose: str(uuid.uuid5(uuid.NAMESPACE_OID, purpose))))
        for step in draft.steps:
            await self._perform(step)
        return draft

    async def _perform(self, step: Any) -> None:
        farm = self.server.farm
        if isinstance(step, Record):
            for change in step.changes:
                if change.wanted is None:
                    farm.delete(change.kind, change.name)
                else:
                    item = farm.find(change.kind, change.name)
                    farm.put(Item(kind=change.kind, name=change.name, wanted=convert_wanted(change.kind, change.wanted),
                                  seen=item.seen if item else None))
        elif isinstance(step, Domain):
            await self.hosts.perform(step, print)
        else:
            runner: Any = self.server.services if step.machine == HERE else self.machines.runner(step.machine)
            await steps.perform(step, steps.Stage(runner, "unit", None, lambda *line: None,  # type: ignore[arg-type]
                                                  lambda share: None))


@pytest.fixture
def network() -> Iterator[Namespace]:
    if lacking := requirements({**NETBOOT_PROGRAMS, **PROGRAMS}):
        pytest.fail("the lab needs:\n" + "\n".join(lacking), pytrace=False)
    with Namespace() as namespace:
        namespace.run(["sh", "-ec", BRIDGES], inside=True, check=True)
        yield namespace


@pytest_asyncio.fixture
async def farm(network: Namespace, tmp_path: Path) -> AsyncIterator[Farm]:
    services = Services(network)
    server = Server(services)
    await server.do(planner.plan_run, answers=ANSWERS)
    shutil.copytree(built_image(), services.scratch / boot.IMAGES.removeprefix("/") / "idle")
    libvirtd = Libvirtd(network, kvm=False)
    libvirtd.start()
    node = NodeServer(tmp_path, BRIDGE_ADDRESS, network)
    made = Farm(network, server, libvirtd, node, tmp_path)
    await made.start()
    yield made
    await made.end()
    node.stop()
    libvirtd.end()
    services.close()


class Watched:
    """A partition as NodeServer asks it."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm

    @property
    def is_on(self) -> bool:
        return "running" in self._farm.libvirtd.virsh("domstate", NAME)

    def console(self) -> str:
        console = self._farm.console
        return console.said().decode(errors="replace") if console else ""


async def test_it_netboots_from_our_boot_files_held_to_its_address(farm: Farm) -> None:
    clock, model = Clock(), farm.server.farm
    assert model.get("host", HOST).seen.technology == "qemu", "this libvirtd has no KVM"
    draft = await farm.do("partition.create", host=HOST, memory="320M", cpus="1")
    clock.tell("made and started")
    assert not [step for step in draft.steps if isinstance(step, Run) and "images" in str(step.argv)], "nothing fetched"
    assert farm.console is not None
    resource, partition = model.get("resource", NAME).wanted, model.get("partition", NAME).wanted
    assert (resource.technology, partition.technology) == ("qemu", "qemu")

    async def enlistment(what: str) -> dict[str, Any]:
        event = await asyncio.to_thread(farm.node.wait_for, Watched(farm), what, is_enlisting)
        clock.tell(what)
        return event

    event = await enlistment("start to enlistment")
    assert (event["from"], event["body"]["mac"]) == (resource.address, resource.mac)
    has = event["body"]["inventory"]
    assert has["vendor"] == "QEMU" and has["nics"] == [{"name": "eth0", "mac": resource.mac}]
    assert 200 << 20 < has["memory"] < 320 << 20
    await farm.console.until_said(FIRMWARE)
    await farm.console.until_said(b"nothing to do: waiting for work")
    await farm.console.send_sysrq("h")
    await farm.console.until_said(HELP)
    end = farm.console.end
    await farm.console.send_break()
    await farm.console.type(b"h")
    await farm.console.until_said(HELP, since=end)
    clock.tell("a break and SysRq")
    # what the server's log tells of it are the stages of a machine
    tags = ("dhcpd", "in.tftpd", "qrm-http")
    told = [step for line in farm.server.services.log for tag in tags
            if tag in line and (step := parse_line(tag, line.partition(": ")[2])) is not None]
    stages = [step.stage for step in told if step.mac == resource.mac or step.address == resource.address]
    assert [stage for at, stage in enumerate(stages) if stage and stage not in stages[:at]] == ["dhcp", "loader",
                                                                                               "kernel"]
    assert {step.address for step in told if step.mac == resource.mac and step.address} == {resource.address}
    check = loaded(NAME, partition, resource.address)
    assert (await farm.machines.runner(HOST).run(check.argv)).status == 0, "it is held to its address all the while"

    await farm.do("partition.reset", name=NAME)
    again = await enlistment("reset in place to enlistment")
    assert again["body"]["boot"] != event["body"]["boot"] and again["from"] == resource.address
    farm.node.say("order off")
    await asyncio.to_thread(farm.node.wait_for, Watched(farm), "its beat", is_beat)
    async with asyncio.timeout(PATIENCE):
        while model.get("partition", NAME).state != "off":
            await asyncio.sleep(0.1)
    clock.tell("told to go off, and off")
    await farm.do("partition.remove", name=NAME)
    assert farm.libvirtd.virsh("list", "--all", "--name").split() == []
    assert (await farm.machines.runner(HOST).run(("nft", "list", "tables", "bridge"))).out == ""
    assert [domain.name for domain in model.get("host", HOST).seen.domains] == []
