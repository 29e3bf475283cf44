"""The idle boot-image as the builder makes it, booted: it enlists, beats, obeys, and mounts a root over NFS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.backends import boot
from qrm_tui.core.netboot import BootSettings
from tests.lab.boot_machine import BootMachine, NodeServer, built_image
from tests.lab.exported import exported
from tests.lab.golden import golden
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace
from tests.lab.node_server import TOKEN
from tests.lab.storage_server import StorageServer
from tests.lab.udhcpd import udhcpd

# the group that has a storage server of its own anyway
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("crashes")]

MAC = "52:54:00:77:00:20"
#: QEMU's own network: an address by DHCP, and this machine's loopback as 10.0.2.2.
USER_NETWORK, LOOPBACK = "user,id=n0", "10.0.2.2"
#: What a hostile firmware could say of itself.
HOSTILE = 'type=1,manufacturer=A"}]\\n$(reboot)`,product=Rack\t9,serial=\'--\x1b[2J'


class Clock:
    """Prints how long each part took."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def tell(self, what: str) -> None:
        now = time.monotonic()
        print(f"{now - self._at:6.1f} s  {what}")
        self._at = now


@pytest.fixture
def boot_root(tmp_path: Path) -> Path:
    """A boot root with the machine's nonce."""
    (tmp_path / "nonce").mkdir()
    (tmp_path / "nonce" / MAC.replace(":", "-")).write_text("00ff00ff\n")
    return tmp_path


@pytest.fixture
def server(boot_root: Path) -> Iterator[NodeServer]:
    made = NodeServer(boot_root, "127.0.0.1")
    yield made
    made.stop()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[BootMachine]:
    made = BootMachine(tmp_path, mac=MAC, network=USER_NETWORK)
    yield made
    made.power_cut()


def words(address: str, port: int) -> str:
    return f"qrm.node=http://{address}:{port} qrm.http=http://{address}:{port}/qrm/boot"


def is_enlisting(event: dict[str, Any]) -> bool:
    return event["path"] == "/v1/enlist"


def is_beat(event: dict[str, Any]) -> bool:
    return event["path"] == "/v1/beat"


def test_idle_it_enlists_beats_reboots_and_goes_off(server: NodeServer, machine: BootMachine, boot_root: Path) -> None:
    clock = Clock()
    disk = boot_root / "disk.img"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
    machine.start(built_image(), words(LOOPBACK, server.port), "-smbios", HOSTILE,
                  "-drive", f"file={disk},if=virtio,format=raw")
    first = server.wait_for(machine, "enlistment", is_enlisting)["body"]
    clock.tell("power-on to enlistment")
    assert (first["mac"], first["nonce"], first["stage"], first["runs"]) == (MAC, "00ff00ff", "agent", "idle")
    assert len(first["boot"]) == 32
    has = first["inventory"]
    assert has["cpus"] == 2 and has["mhz"] > 0 and 300 << 20 < has["memory"] < 512 << 20
    assert has["disks"] == [{"name": "vda", "size": 1 << 30}]
    assert has["nics"] == [{"name": "eth0", "mac": MAC}]
    # what is no printable ASCII is gone, and all the rest is as it was said
    assert has["vendor"] == 'A"}]\\n$(reboot)`' and has["product"] == "Rack9" and has["serial"] == "'--[2J"
    assert has["firmware"] == "bios"

    beat = server.wait_for(machine, "beat", is_beat)
    assert beat["token"] == TOKEN and beat["body"]["boot"] == first["boot"] and beat["body"]["load"] >= 0
    server.say("order reboot")
    said = server.wait_for(machine, "good-bye", lambda event: "bye" in event["body"])
    assert said["body"]["bye"] == "reboot"
    server.say("order stay")
    clock.tell("beats, and the order to reboot")
    second = server.wait_for(machine, "enlistment after the reboot", is_enlisting)["body"]
    assert second["boot"] != first["boot"]
    clock.tell("reboot to enlistment")
    server.wait_for(machine, "beat", is_beat)
    server.say("order off")
    machine.wait_for("power-off", lambda: not machine.is_on)
    clock.tell("off")
    assert "qrm: the server knows this machine as r7" in machine.console()
    assert "panic" not in machine.console()


def test_refused_or_away_it_tries_again_and_says_why(server: NodeServer, machine: BootMachine) -> None:
    clock = Clock()
    server.say("refuse")
    machine.start(built_image(), words(LOOPBACK, server.port))
    server.wait_for(machine, "enlistment", is_enlisting)
    server.say("away")
    server.wait_for(machine, "second enlistment", is_enlisting)
    server.say("order stay")
    server.wait_for(machine, "beat", lambda event: is_beat(event) and event["token"] == TOKEN)
    clock.tell("refused, then away, then enlisted")
    assert "qrm: the server answers 403: this nonce was used already" in machine.console()
    assert "qrm: the server answers 503: qrmd is away" in machine.console()


def test_by_its_own_script_as_soon_as_there_is_a_boot_image(server: NodeServer, boot_root: Path) -> None:
    """The scripts of iPXE for real: boot.ipxe, then the machine's own; while the kernel is missing it asks again."""
    image, clock = built_image(), Clock()
    base = f"http://{LOOPBACK}:{server.port}"
    settings = BootSettings(LOOPBACK, f"{base}/qrm/boot", base, "console=ttyS0,115200")
    for path, text in {**boot.default_files(settings), **boot.machine_files(settings, "r7", MAC)}.items():
        file = boot_root / path.removeprefix(f"{boot.ROOT}/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (boot_root / "images").mkdir()
    machine = BootMachine(boot_root, mac=MAC, network=f"{USER_NETWORK},bootfile={base}/qrm/boot/ipxe/boot.ipxe")
    try:
        machine.start_from_network(image)
        asked = server.wait_for(machine, "question for the kernel", lambda event: "vmlinuz" in event["path"])
        assert not asked["found"]
        clock.tell("power-on to iPXE's question for the kernel")
        (boot_root / "images/idle").symlink_to(image)
        body = server.wait_for(machine, "enlistment", is_enlisting)["body"]
        clock.tell("boot-image there to enlistment")
        assert (body["mac"], body["nonce"]) == (MAC, "00ff00ff")
        assert body["inventory"]["nics"] == [{"name": "eth0", "mac": MAC}]
        paths = [event["path"].removeprefix("/qrm/boot/ipxe/") for event in server.seen if "/ipxe/" in event["path"]]
        pair = ["boot.ipxe", "52-54-00-77-00-20.ipxe"]
        assert len(paths) >= 4 and paths == pair * (len(paths) // 2), "it reads its script anew, and takes no other's"
    finally:
        machine.power_cut()


@pytest.fixture
def exported_root(storage_server: StorageServer, lab_namespace: Namespace) -> Iterator[str]:
    """A small Debian in a volume of the storage server, exported; its path."""
    with exported(lab_namespace, storage_server, golden(), "netboot", "700m") as path:
        yield path


@pytest.fixture
def dhcp(lab_namespace: Namespace, tmp_path: Path) -> Iterator[None]:
    """A DHCP server on the bridge."""
    with udhcpd(lab_namespace, tmp_path, "10.77.0.50", {}):
        yield


@pytest.mark.usefixtures("dhcp")
def test_a_root_over_nfs_up_to_its_agent_and_down_again(
    lab_namespace: Namespace, storage_server: StorageServer, exported_root: str, boot_root: Path,
) -> None:
    clock = Clock()
    server = NodeServer(boot_root, BRIDGE_ADDRESS, lab_namespace)
    lab_namespace.add_tap("boot0")
    machine = BootMachine(boot_root, mac=MAC, network="tap,id=n0,ifname=boot0,script=no,downscript=no",
                          namespace=lab_namespace)
    try:
        machine.start(built_image(), f"{words(BRIDGE_ADDRESS, server.port)} qrm.ve=ve-1 "
                      f"qrm.root=nfs:{storage_server.address}:{exported_root} qrm.hostname=customer1")
        server.wait_for(machine, "enlistment", is_enlisting)
        clock.tell("power-on to enlistment")
        beat = server.wait_for(machine, "beat of the system", lambda e: is_beat(e) and e["body"]["stage"] == "system")
        clock.tell("enlistment to system")
        assert beat["body"]["runs"] == "ve-1" and beat["token"] == TOKEN
        stages = [event["body"]["stage"] for event in server.seen if "body" in event]
        assert stages == sorted(stages, key=["agent", "root", "system"].index)
        assert MAC in storage_server.ssh("sh", "-c", "cat /proc/fs/nfsd/clients/*/info").stdout, "it has no name there"
        # it was one enlistment: the token went along
        assert sum(is_enlisting(event) for event in server.seen) == 1
        server.say("order off")
        server.wait_for(machine, "good-bye", lambda event: event.get("body", {}).get("bye") == "off")
        machine.wait_for("power-off", lambda: not machine.is_on)
        clock.tell("ordered off to off")
        root = f"{storage_server.ssh('find', exported_root, '-name', '*qrm*').stdout}"
        assert root == "", "nothing of ours is left in the customer's root"
        assert "panic" not in machine.console()
    except AssertionError as error:
        error.add_note(machine.console()[-6000:])
        raise
    finally:
        machine.power_cut()
        server.stop()
        lab_namespace.remove_tap("boot0")
