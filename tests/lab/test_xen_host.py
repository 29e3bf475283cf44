"""A virtualization host for real: Xen by the product's boot files, its first domain with a root over NFS, libvirt."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.backends import boot, shared_roots
from qrm_tui.backends.domains import render_domain
from qrm_tui.backends.partition_filter import drop_step, load_step, loaded
from qrm_tui.core.component_table import table
from qrm_tui.core.netboot import BootSettings
from qrm_tui.core.partitionings import BRIDGE
from qrm_tui.core.partitions import DomainWish, PartitionWanted
from qrm_tui.install import planner
from tests.lab.boot_machine import BootMachine, NodeServer
from tests.lab.exported import exported
from tests.lab.fixtures import NETBOOT_PROGRAMS, requirements
from tests.lab.host_roots import XEN, dom0
from tests.lab.machine import Firmware, Hardware, Machine
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace
from tests.lab.services_root import Services, services_root
from tests.lab.storage_server import StorageServer
from tests.lab.system import System
from tests.lab.test_boot_image import LOOPBACK, MAC, USER_NETWORK, Clock, is_beat, is_enlisting
from tests.lab.xen_image import NAME, xen_image
from tests.services.netboot_server import ANSWERS, Server

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("crashes"), pytest.mark.timeout(1200)]

VE = "ve-1"
PROCESSOR = "Nehalem"
WANTED = PartitionWanted(id="p", host="host", technology="xen-pv", mac="00:16:3e:77:00:40", target="qrm00000001",
                         memory=1 << 28)
FILTER = load_step("p", WANTED, "10.77.0.40")
"""What holds a partition to its own address: the kernel's part of it must be there, the root has no modules."""
LOOK = f"""
udevadm settle
for link in {BRIDGE} eth0; do
    cat /sys/class/net/$link/address
    udevadm info /sys/class/net/$link
    ip -o -4 address show dev $link
done
{shlex.join(FILTER.argv)}
{shlex.join(loaded("p", WANTED, "10.77.0.40").argv)}
nft list table bridge {WANTED.target}
{shlex.join(drop_step("p", WANTED).argv)}
test -z "$(nft list tables bridge)"
systemctl --failed --plain --no-legend
"""
GUEST = DomainWish(name="guest", uuid="5b3c6ba0-0a5d-4a54-9a7c-5c5c1e1e1e01", resource="p", technology="xen-pv",
                   memory=1 << 28, kernel="/boot/none", cmdline="quiet")
DEFINE = """
findmnt -n -o FSTYPE /
printf %s "$1" >/run/guest.xml
virsh -q -c xen:///system define /run/guest.xml >/dev/null
find /etc/libvirt/libxl -name '*.xml' -printf '%f\\n'
virsh -q -c xen:///system domstate guest
"""
"""In one go: an emulated processor takes seconds for an ssh login."""


@pytest.fixture(scope="module")
def services(lab_namespace: Namespace) -> Iterator[Services]:
    """dhcpd, tftpd and apache with the boot-image in their root."""
    if lacking := requirements(NETBOOT_PROGRAMS):
        pytest.fail("the lab needs:\n" + "\n".join(lacking), pytrace=False)
    made = Services(lab_namespace)
    asyncio.run(Server(made).do(planner.plan_run, answers=ANSWERS))
    shutil.copytree(xen_image(), place(made, f"{boot.IMAGES}/{NAME}"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def root(lab_namespace: Namespace, storage_server: StorageServer) -> Iterator[str]:
    with exported(lab_namespace, storage_server, dom0(), "host", "1g") as path:
        yield path


def place(services: Services, path: str) -> Path:
    return services.scratch / path.removeprefix("/")


def boot_as_host(services: Services, machine: Machine, node: NodeServer, storage: str, path: str, *,
                 shared: bool) -> None:
    """Its boot files say what they say for a VE with partitions."""
    base = f"http://{BRIDGE_ADDRESS}"
    settings = BootSettings(BRIDGE_ADDRESS, f"{base}/qrm/boot", f"{base}:{node.port}")
    root = boot.Root(VE, "xen_host", NAME, storage, path, "xen-host", type="xen", bridged=True,
                     shared=shared_roots.SIZE if shared else "")
    for name, text in {**boot.default_files(settings),
                       **boot.machine_files(settings, machine.name, machine.mac, root)}.items():
        place(services, name).write_text(text)


@pytest.mark.parametrize(("firmware", "shared"), [("bios", False), ("uefi", True)])
def test_it_boots_into_libvirt_with_its_address_on_a_bridge(
    lab_namespace: Namespace, storage_server: StorageServer, services: Services, root: str, tmp_path: Path,
    firmware: Firmware, shared: bool,
) -> None:
    """Once on a root of its own, once on one that is the same for all: there libvirt keeps its files in memory."""
    clock, number = Clock(), {"bios": 0x30, "uefi": 0x31}[firmware]
    node = NodeServer(tmp_path, BRIDGE_ADDRESS, lab_namespace)
    hardware = Hardware(firmware, cpus=2, memory_mb=2048, vendor="Lab", product="Host", processor=PROCESSOR)
    machine = Machine(lab_namespace, number, hardware)
    boot_as_host(services, machine, node, storage_server.address, root, shared=shared)
    try:
        machine.on()
        machine.await_console(rf"Xen version {XEN}")
        clock.tell("power-on to Xen")
        event = wait_for(node, machine, "enlistment", is_enlisting)
        clock.tell("Xen to enlistment")
        assert event["body"]["mac"] == machine.mac and event["body"]["runs"] == VE
        has = event["body"]["inventory"]
        assert has["nics"] == [{"name": "eth0", "mac": machine.mac}]
        assert has["firmware"] == firmware and has["cpus"] == 2
        assert has["memory"] == hardware.memory_mb << 20, "of the whole machine, not of the first domain"
        wait_for(node, machine, "beat of the system", lambda e: is_beat(e) and e["body"]["stage"] == "system")
        clock.tell("enlistment to system")
        system = System(lab_namespace, event["from"], dom0().key)
        version = system.ssh("virsh", "-c", "xen:///system", "version")
        clock.tell("system to virsh")
        assert f"Running hypervisor: Xen {XEN}" in version, version
        told = system.ssh("sh", "-ec", DEFINE, "sh", render_domain(GUEST))
        assert told.split() == ["overlay" if shared else "nfs4", "guest.xml", "shut", "off"], told
        kept = storage_server.shell(f"find {root}/etc/libvirt -name guest.xml").stdout
        assert bool(kept) is not shared, f"in the image: {kept}"
        system.ssh("virsh", "-q", "-c", "xen:///system", "undefine", GUEST.name)
        clock.tell("a definition")
        told = system.ssh("sh", "-ec", LOOK)
        clock.tell("a look at its network")
        lines = told.splitlines()
        assert lines.count(machine.mac) == 2, told
        assert lines.count("E: ID_NET_LINK_FILE=/run/systemd/network/00-qrm.link") == 2, "udev passed over them"
        assert [line.split()[3] for line in lines if " inet " in line] == [f"{event['from']}/24"], told
        assert "failed" not in told, told
        assert f"table bridge {WANTED.target} {{" in lines, told
        node.say("order off")
        wait_for(node, machine, "good-bye", lambda e: e.get("body", {}).get("bye") == "off")
        machine.await_off()
        clock.tell("ordered off to off")
        assert "panic" not in machine.console()
    except BaseException as error:
        error.add_note(machine.console()[-6000:])
        raise
    finally:
        machine.off()
        node.stop()


def test_a_bios_machine_with_ipxe_goes_on_by_pxelinux(tmp_path: Path) -> None:
    """iPXE's script for real, up to the first domain's init; iPXE of Debian 12 cannot unpack xen.gz."""
    node, clock = NodeServer(tmp_path, "127.0.0.1"), Clock()
    base = f"http://{LOOPBACK}:{node.port}"
    settings = BootSettings(LOOPBACK, f"{base}/qrm/boot", base)
    root = boot.Root(VE, "xen_host", NAME, LOOPBACK, "/vol/host", "xen-host", type="xen", bridged=True)
    files = {path: text.encode() for path, text in {**boot.default_files(settings),
                                                    **boot.machine_files(settings, "r7", MAC, root)}.items()}
    files |= {path: (services_root() / source.lstrip("/")).read_bytes()
              for path, source in table()["tftpd"].copies.items()}
    for path, content in files.items():
        file = tmp_path / path.removeprefix(f"{boot.ROOT}/")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / NAME).symlink_to(xen_image())
    network = f"{USER_NETWORK},tftp={tmp_path},bootfile={base}/qrm/boot/ipxe/boot.ipxe"
    machine = BootMachine(tmp_path, mac=MAC, network=network)
    try:
        machine.start_from_network(xen_image(), "-cpu", PROCESSOR, "-m", "1536")
        machine.wait_for("init of the first domain", lambda: "qrm: kernel" in machine.console())
        clock.tell("power-on to init of the first domain")
        assert f"Xen version {XEN}" in machine.console()
    finally:
        machine.power_cut()
        node.stop()


class Powered:
    """A machine as NodeServer asks it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def is_on(self) -> bool:
        return self._machine.is_on()

    def console(self) -> str:
        return self._machine.console()


def wait_for(node: NodeServer, machine: Machine, what: str, wanted: Any) -> dict[str, Any]:
    return node.wait_for(Powered(machine), what, wanted)
