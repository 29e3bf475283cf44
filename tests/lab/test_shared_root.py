"""One root for two machines, for real: each has its own name and files over it, and nobody writes into the image."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.backends import boot, nfs, shared_roots
from tests.lab.boot_machine import NodeServer
from tests.lab.exported import exported
from tests.lab.golden import golden
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace
from tests.lab.storage_server import StorageServer
from tests.lab.system import System
from tests.lab.test_boot_image import Clock, is_beat, words
from tests.lab.udhcpd import udhcpd
from tests.lab.uml_node import MEMORY_MB, UmlNode

# the group that has a storage server of its own anyway
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("crashes"), pytest.mark.timeout(900)]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVua25vd24= qrmd"


@dataclass(frozen=True)
class Node:
    """A machine of the shared root."""

    name: str
    address: str
    mac: str


NODES = (Node("r1", "10.77.0.50", "52:54:00:77:00:21"), Node("r2", "10.77.0.51", "52:54:00:77:00:22"))
LOOK = """
cat /proc/sys/kernel/hostname /etc/hostname /etc/machine-id /var/lib/dbus/machine-id 2>/dev/null
findmnt -n -o FSTYPE,SOURCE /
cat /etc/app.conf /root/.ssh/authorized_keys2
ls -d /.qrm 2>/dev/null || echo "no folder of ours"
systemctl --failed --plain --no-legend
"""
WRITE = """
echo "$1" >/root/mark; echo "$1" >>/etc/motd; rm /etc/issue; mv /etc/hosts /etc/hosts.former; sync; cat /root/mark
"""
FILL = """
if dd if=/dev/zero of=/root/fill bs=1M 2>/run/said; then echo "no bound"; fi
cat /run/said; df --output=size,pcent / | tail -n 1; rm /root/fill; cat /root/mark
"""
#: As root of a machine could try: the image once more, to be written into.
THEFT = """
mkdir -p /mnt/again
mount -i -t nfs -o "rw,$1,proto=tcp,addr=$2" "$2:$3" /mnt/again || { echo "not mounted"; exit 0; }
touch /mnt/again/root/mark 2>&1; echo "touch: $?"; rm /mnt/again/etc/motd 2>&1; echo "rm: $?"; umount /mnt/again
"""
"""As few logins as possible: programs start slowly in user-mode-linux."""


def digest(server: StorageServer, path: str) -> str:
    """Of all content, names, owners, modes and times of the image."""
    return server.shell(f'tar -c --sort=name --numeric-owner -C "{path}" . | sha256sum').stdout.split()[0]


@pytest.fixture
def image(storage_server: StorageServer, lab_namespace: Namespace) -> Iterator[str]:
    """A small Debian in a volume, exported as by a plan; r1 has files of its own in it."""
    with exported(lab_namespace, storage_server, golden(), "shared", "700m") as path:
        storage_server.shell(f"mkdir -pm 700 {path}/.qrm/nodes/r1/etc && echo of all >{path}/etc/app.conf && "
                             f"echo of r1 >{path}/.qrm/nodes/r1/etc/app.conf && echo of all >{path}/etc/motd && sync")
        addresses = [node.address for node in NODES]
        storage_server.write(nfs.export_path("shared"),
                             nfs.export_text("shared", path, str(uuid.uuid4()), addresses, read_only=True))
        storage_server.ssh("exportfs", "-r")
        listed = storage_server.ssh("cat", "/var/lib/nfs/etab").stdout
        assert all(f"{path}\t{address}(ro," in listed for address in addresses), listed
        yield path


@pytest.fixture
def dhcp(lab_namespace: Namespace, tmp_path: Path) -> Iterator[None]:
    """A DHCP server on the bridge that knows both machines."""
    with udhcpd(lab_namespace, tmp_path, "10.77.0.52", {node.mac: node.address for node in NODES}):
        yield


class Both:
    """The two machines as one that is waited for."""

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        self.machines = {node: UmlNode(namespace, folder, name=node.name, mac=node.mac) for node in NODES}

    @property
    def is_on(self) -> bool:
        return all(machine.is_on for machine in self.machines.values())

    def console(self) -> str:
        return "\n".join(machine.console()[-6000:] for machine in self.machines.values())

    def end(self) -> None:
        for machine in self.machines.values():
            machine.power_cut()


@pytest.fixture
def both(lab_namespace: Namespace, tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path, lab_namespace)
    yield made
    made.end()


@pytest.fixture
def server(lab_namespace: Namespace, tmp_path: Path) -> Iterator[NodeServer]:
    made = NodeServer(tmp_path, BRIDGE_ADDRESS, lab_namespace)
    yield made
    made.stop()


def own_words(node: Node, storage: str, path: str) -> str:
    """What the boot files of a machine say."""
    root = boot.Root("ve-1", "farm", "debian12", storage, path, node.name, shared=shared_roots.SIZE, let_in=KEY)
    return boot.own_words(root)


def await_systems(server: NodeServer, both: Both) -> None:
    """Until both systems have spoken."""
    heard: set[str] = set()

    def all_up(event: dict[str, Any]) -> bool:
        if is_beat(event) and event["body"]["stage"] == "system":
            heard.add(event["from"])
        return heard == {node.address for node in NODES}

    server.wait_for(both, "system on both machines", all_up)


@pytest.mark.usefixtures("dhcp")
def test_two_machines_on_one_root(
    lab_namespace: Namespace, storage_server: StorageServer, image: str, server: NodeServer, both: Both,
) -> None:
    clock, before = Clock(), digest(storage_server, image)
    clock.tell("digest of the image")
    try:
        for node, machine in both.machines.items():
            machine.start(f"{words(BRIDGE_ADDRESS, server.port)} {own_words(node, storage_server.address, image)}")
        await_systems(server, both)
        clock.tell("power-on to both systems")
        systems = {node: System(lab_namespace, node.address, golden().key) for node in NODES}
        identities = set()
        for node, system in systems.items():
            lines = system.ssh("sh", "-c", LOOK).splitlines()
            assert lines[:2] == [node.name] * 2, lines
            identities.add(lines[2])
            assert len(lines[2]) == 32, lines
            mounted = [line.split() for line in lines if line.startswith("overlay")]
            assert mounted == [["overlay", f"nfs:{storage_server.address}:{image}"]], lines
            assert ("of r1" if node.name == "r1" else "of all") in lines, lines
            assert KEY.rpartition(" ")[0] in lines, lines
            assert lines[-1] == "no folder of ours", f"a unit failed, or others' files are to be seen: {lines}"
        assert len(identities) == 2, "each has a machine id of its own"
        clock.tell("a look at both")
        for node, system in systems.items():
            assert system.ssh("sh", "-ec", WRITE, "sh", node.name) == f"{node.name}\n"
        told = systems[NODES[0]].ssh("sh", "-ec", "cat /root/mark /etc/motd; ls /etc/hosts.former")
        assert told == "r1\nof all\nr1\n/etc/hosts.former\n", "what r2 wrote is nowhere to be seen"
        clock.tell("writes of both")
        full = systems[NODES[0]].ssh("sh", "-ec", FILL)
        assert "No space left on device" in full and "no bound" not in full, full
        size = int(full.splitlines()[-2].split()[0])
        assert MEMORY_MB * 400 < size <= MEMORY_MB * 512, f"half of its memory, in KiB: {full}"
        assert full.endswith("r1\n"), "its other files are as they were, and the system goes on"
        clock.tell("one has filled what it has")
        for versions in ("vers=4.2", "vers=3,nolock"):
            said = systems[NODES[1]].ssh("sh", "-c", THEFT, "sh", versions, storage_server.address, image)
            assert said.count("Read-only file system") == 2 and "touch: 1" in said and "rm: 1" in said, said
        clock.tell("one tries to write into the image")
        assert digest(storage_server, image) == before
        told = [event["body"] for event in server.seen if is_beat(event) and event["body"]["stage"] == "system"]
        assert told and all(0 <= body["filled"] < 1 for body in told), "how full it is comes with each beat"
        server.say("order off")
        for machine in both.machines.values():
            machine.wait_for("power-off", lambda machine=machine: not machine.is_on)  # type: ignore[misc]
        clock.tell("ordered off to off")
        assert digest(storage_server, image) == before
        assert "panic" not in both.console()
    except AssertionError as error:
        error.add_note(both.console())
        raise
