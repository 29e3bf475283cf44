"""What holds a partition to its own addresses, for real: a bridge, the kernel's filter, and root with raw frames."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qrm_tui.backends.partition_filter import DIGEST_ARGV, drop_step, load_step, loaded
from qrm_tui.bootimage.initramfs import BUSYBOX
from qrm_tui.core.partitionings import BRIDGE
from qrm_tui.core.partitions import PartitionWanted
from tests.lab import frames, theft
from tests.lab.fixtures import requirements
from tests.lab.namespace import Namespace
from tests.services.command_line import until

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("faults")]

CARDS = ("card1", "card2")
"""What the partitions have of the cables that end at the bridge."""
SERVER = "10.78.0.2"
"""Not in the network of the namespace itself, which has it on another bridge."""
ADDRESSES = ("10.78.0.11", "10.78.0.12")
PARTITIONS = tuple(PartitionWanted(id=str(number), host="r1", technology="xen-pv", mac=f"00:16:3e:00:00:0{number}",
                                   target=f"qrm0000000{number}", memory=1 << 28) for number in (1, 2))
MACS = tuple(bytes.fromhex(wanted.mac.replace(":", "")) for wanted in PARTITIONS)
ALLOWED = frames.allowed(MACS[0], ADDRESSES[0], ADDRESSES[1])
FORGED = frames.forged(MACS[0], ADDRESSES[0], MACS[1], ADDRESSES[1])
CROOKED = frames.crooked(MACS[0], ADDRESSES[0], MACS[1])
LLDP, LACP = (bytes.fromhex(f"0180c20000{last}") for last in ("0e", "02"))
"""Groups that bridges do not forward (IEEE 802.1Q, table 8-1), and that Linux's learns from nevertheless."""

FORWARDING = "3"
"""A bridge's port that frames go through (linux/if_bridge.h)."""

SETTINGS = """
set_to() { [ ! -e "$2" ] || echo "$1" >"$2"; }
for setting in /proc/sys/net/bridge/bridge-nf-call-*; do set_to 0 "$setting"; done
set_to 1 /proc/sys/net/ipv6/conf/default/disable_ipv6
"""
"""A kernel with br_netfilter looks at what goes over bridges besides; virtualization hosts have none. And cards here
send nothing by themselves, which would tell the bridge where they are."""


class Wire:
    """A virtualization host's bridge with the cables of two partitions."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.run("mount", "-t", "tmpfs", "run", "/run")
        self.run("mount", "-t", "sysfs", "sys", "/sys")  # of this network's devices
        self.run("sh", "-ec", SETTINGS)
        self.run("ip", "link", "add", BRIDGE, "type", "bridge")
        for card, wanted in zip(CARDS, PARTITIONS, strict=True):
            self.run("ip", "link", "add", card, "address", wanted.mac, "type", "veth", "peer", "name", wanted.target)
            self.run("ip", "link", "set", wanted.target, "master", BRIDGE, "up")
            self.run("ip", "link", "set", card, "up")
        self.run("ip", "link", "set", BRIDGE, "up")
        for wanted in PARTITIONS:
            until(f"{wanted.target} forwards", lambda port=wanted.target: self._port_state(port) == FORWARDING)

    def _port_state(self, port: str) -> str:
        return self.run("cat", f"/sys/class/net/{port}/brport/state").strip()

    def attempt(self, *argv: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return self._namespace.run(argv, inside=True, input=input, capture_output=True, text=True)

    def run(self, *argv: str, input: str = "") -> str:
        done = self.attempt(*argv, input=input)
        assert done.returncode == 0, f"{argv[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def hold(self, number: int, address: str = "") -> None:
        """As before its start."""
        wanted, address = PARTITIONS[number], address or ADDRESSES[number]
        self.run(*load_step(f"p{number}", wanted, address).argv)
        assert self.is_held(number, address)

    def let_go(self, number: int) -> None:
        self.run(*drop_step(f"p{number}", PARTITIONS[number]).argv)

    def is_held(self, number: int, address: str = "") -> bool:
        check = loaded(f"p{number}", PARTITIONS[number], address or ADDRESSES[number])
        return self.attempt(*check.argv).returncode == 0

    def tables(self) -> list[str]:
        return sorted(line.split()[-1] for line in self.run("nft", "list", "tables", "bridge").splitlines())

    def send(self, sent: dict[str, bytes], number: int = 0) -> dict[str, list[str]]:
        """Those that a partition sends, and who sees them: the other's card, the host itself."""
        mac, address = MACS[number], ADDRESSES[number]
        fence = frames.ether(mac, frames.IP, frames.ip(address, frames.udp(4000, 4000)))
        asked = {"card": CARDS[number], "frames": {name: frame.hex() for name, frame in sent.items()},
                 "fence": fence.hex(), "witnesses": [CARDS[1 - number], BRIDGE]}
        program = [sys.executable, "-I", str(Path(frames.__file__))]
        seen: dict[str, list[str]] = json.loads(self.run(*program, input=json.dumps(asked)))
        return seen

    @contextmanager
    def system(self) -> Iterator[Callable[..., str]]:
        """The first partition's own network, with what the script of a theft needs; the other one is off."""
        self.run("mkdir", "-p", "/run/qrm")
        self.run("cp", str(BUSYBOX), "/run/qrm/busybox")
        self.run("ip", "address", "add", f"{SERVER}/24", "dev", BRIDGE)
        self.run("ip", "link", "del", CARDS[1])
        kept = self._namespace.popen(["unshare", "--net", "sh", "-c", "echo $$; exec cat"], inside=True, text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert kept.stdout is not None
        network = kept.stdout.readline().strip()
        self.run("ip", "link", "set", CARDS[0], "netns", network)
        enter = ("nsenter", "--target", network, "--net")
        self.run(*enter, "ip", "address", "add", f"{ADDRESSES[0]}/24", "dev", CARDS[0])
        self.run(*enter, "ip", "link", "set", CARDS[0], "up")
        until("it forwards again", lambda: self._port_state(PARTITIONS[0].target) == FORWARDING)
        yield lambda *argv: self.run(*enter, *argv)
        kept.communicate()

    def port_of(self, mac: str) -> str:
        """Where the bridge sends what is for this MAC."""
        entries = json.loads(self.run("bridge", "-json", "fdb", "show", "br", BRIDGE))
        return next((entry["ifname"] for entry in entries if entry["mac"] == mac and entry.get("state") != "permanent"),
                    "")


def seen_by(seen: dict[str, list[str]]) -> set[str]:
    """The witnesses that saw each of the frames; some of them by some alone is an error."""
    alike = {tuple(witnesses) for witnesses in seen.values()}
    assert len(alike) == 1, seen
    return set(alike.pop())


@pytest.fixture
def wire() -> Iterator[Wire]:
    if lacking := requirements():
        pytest.fail("the lab needs:\n" + "\n".join(lacking), pytrace=False)
    with Namespace() as namespace:
        yield Wire(namespace)


def test_root_in_a_partition_has_its_own_addresses_alone(wire: Wire) -> None:
    theirs = frames.allowed(MACS[1], ADDRESSES[1], ADDRESSES[0])
    # without a filter all of it gets through: what is not seen later is held back by nothing else
    wire.send(theirs, 1)
    assert seen_by(wire.send(CROOKED)) == {CARDS[1]}
    assert seen_by(wire.send(FORGED)) == {CARDS[1], BRIDGE}
    wire.hold(0)
    wire.hold(1)
    assert seen_by(wire.send(theirs, 1)) == {CARDS[0], BRIDGE}
    assert seen_by(wire.send(CROOKED)) == set()
    assert seen_by(wire.send(FORGED)) == set()
    assert seen_by(wire.send(ALLOWED)) == {CARDS[1], BRIDGE}


@pytest.mark.parametrize("group", [LLDP, LACP], ids=["LLDP", "LACP"])
def test_it_does_not_teach_the_bridge_that_anothers_mac_is_there(wire: Wire, group: bytes) -> None:
    own, taken = PARTITIONS[1], frames.ether(MACS[1], 0x88B5, b"\0" * 46, group)
    presence = frames.allowed(MACS[1], ADDRESSES[1], ADDRESSES[0])
    wire.send(presence, 1)
    assert wire.port_of(own.mac) == own.target
    wire.send({"another's MAC": taken})
    assert wire.port_of(own.mac) == PARTITIONS[0].target, "nothing has to be held back"
    wire.hold(0)
    wire.send(presence, 1)
    wire.send({"another's MAC": taken})
    assert wire.port_of(own.mac) == own.target
    # such a frame goes over the bridge now, and to partitions nevertheless not
    words = {"words of a switch": frames.ether(MACS[1], 0x88CC, b"\0" * 46, LLDP)}
    assert wire.send(words, 1) == {"words of a switch": [BRIDGE]}


def test_a_filter_is_replaced_whole_and_goes_without_a_trace(wire: Wire) -> None:
    wire.let_go(0)
    assert not wire.is_held(0)
    wire.hold(0)
    wire.hold(1)
    wire.hold(0)
    assert wire.is_held(0) and wire.tables() == [wanted.target for wanted in PARTITIONS]
    wire.hold(0, "10.78.0.77")
    assert not wire.is_held(0)
    assert wire.send({"its former address": ALLOWED["TCP"]}, 1)["its former address"] == []
    wire.hold(0)
    # whatever somebody changed by hand is seen
    wire.run("nft", "flush", "chain", "bridge", PARTITIONS[0].target, "own")
    assert not wire.is_held(0) and wire.is_held(1)
    wire.hold(0)
    wire.run("nft", "flush", "ruleset")
    assert not wire.is_held(0) and not wire.is_held(1)
    wire.hold(1)
    for number in (0, 1, 1):
        wire.let_go(number)
    assert wire.tables() == [] and wire.run("find", "/run/qrm/partitions", "-type", "f") == ""


def test_anothers_address_is_taken_where_nothing_holds_it_back(wire: Wire) -> None:
    with wire.system() as run:
        def steals() -> bool:
            said = run("sh", "-uc", theft.SCRIPT, "sh", SERVER, "/vol/own", ADDRESSES[1], "/vol/other")
            told = theft.outcome(said)
            assert told.keys() == theft.HELD.keys() and told["own address answers"], said
            return told["another's address answers"]

        assert steals()
        wire.hold(0)
        assert not steals()


def test_rules_that_the_kernel_does_not_take_change_nothing(wire: Wire) -> None:
    wire.hold(0)
    argv = load_step("p0", PARTITIONS[0], ADDRESSES[0]).argv
    done = wire.attempt(*argv[:-1], argv[-1].replace("counter drop", "counter dorp"))
    assert done.returncode != 0 and "syntax error" in done.stderr
    assert wire.is_held(0)


@pytest.mark.parametrize("harm", [
    ("nft", "flush", "ruleset"), ("nft", "flush", "table", "bridge", PARTITIONS[1].target),
    ("sh", "-ec", f"echo 0 >/sys/class/net/{BRIDGE}/bridge/group_fwd_mask"),
])
def test_one_short_look_sees_that_a_filter_was_touched(wire: Wire, harm: tuple[str, ...]) -> None:
    for number in (0, 1):
        wire.hold(number)
    before = wire.run(*DIGEST_ARGV)
    wire.send(ALLOWED)  # counts frames in its rules
    assert wire.run(*DIGEST_ARGV) == before
    wire.run(*harm)
    assert wire.run(*DIGEST_ARGV) != before and not wire.is_held(1)
    for number in (0, 1):
        wire.hold(number)
    assert wire.run(*DIGEST_ARGV) == before
