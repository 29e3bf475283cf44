"""What machines say, held to limits; and the frames between qrmd-node and qrmd."""
from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qrm_tui.core.enlistment import MOST_PARTS, check_mac, check_request, identity_of, what_got_worse
from qrm_tui.core.errors import BadInput
from qrm_tui.core.node_wire import (
    MOST_FRAME,
    Beat,
    BeatRequest,
    Beats,
    Enlist,
    Enlisted,
    EnlistRequest,
    Entry,
    Frames,
    Table,
    ToNode,
    ToServer,
    frame,
)
from qrm_tui.core.resources import Disk, Inventory, Nic, ResourceSeen
from qrm_tui.node.table import Machines

GIB = 1 << 30
MAC = "52:54:00:77:00:20"
BOOT = "00112233445566778899aabbccddeeff"


def _request(**said: Any) -> EnlistRequest:
    return EnlistRequest(**{"mac": MAC, "boot": BOOT, **said})


@pytest.mark.parametrize("text", ["52:54:00:77:00:20", "52-54-00-77-00-20", " 52:54:00:77:00:20\n",
                                  "52:54:00:77:00:20".upper()])
def test_a_mac_is_written_in_one_way(text: str) -> None:
    assert check_mac(text) == MAC


@pytest.mark.parametrize("text", ["", "52:54:00:77:00", "52:54:00:77:00:2g", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff",
                                  "01:00:5e:00:00:01", "52:54:00:77:00:20:21", "\u06652:54:00:77:00:20", "x" * 10_000])
def test_what_is_no_cards_own_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="MAC address") as told:
        check_request(_request(mac=text))
    assert len(str(told.value)) < 200


@pytest.mark.parametrize(("said", "word"), [
    ({"boot": ""}, "boot"), ({"boot": "abc"}, "boot"), ({"boot": "z" * 32}, "boot"), ({"boot": "a" * 65}, "boot"),
    ({"nonce": "../../x"}, "nonce"), ({"nonce": "a" * 1000}, "nonce"), ({"runs": ""}, "runs"),
    ({"runs": "idle\n"}, "runs"), ({"runs": "x" * 300}, "runs"),
    ({"inventory": Inventory(cpus=-1)}, "cpus"), ({"inventory": Inventory(cpus=1 << 40)}, "cpus"),
    ({"inventory": Inventory(mhz=-5)}, "mhz"), ({"inventory": Inventory(memory=-GIB)}, "memory"),
    ({"inventory": Inventory(memory=10 ** 300)}, "memory"),
    ({"inventory": Inventory(disks=(Disk("vda", -1),))}, "disk"),
])
def test_nonsense_is_told_in_a_line(said: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word) as told:
        check_request(_request(**said))
    assert str(told.value).isprintable() and len(str(told.value)) < 200


def test_words_are_made_harmless_and_parts_are_counted() -> None:
    has = check_request(_request(inventory=Inventory(
        serial="A\x1b[2JB\x07\n", vendor="v" * 300, model="Intel(R)   Xeon(R)", product="\u202eevil",
        firmware="coreboot",
        disks=tuple(Disk("d" * 300, at) for at in range(5000)),
        nics=(Nic("ib0", "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:31:78:f2"), Nic("e\r0", MAC.upper())),
    ))).inventory
    assert all(word.isprintable() for word in (has.serial, has.product, has.nics[0].name))
    assert "\x1b" not in has.serial and has.serial.startswith("A\\x1b")
    assert (len(has.vendor), len(has.disks), len(has.disks[0].name), has.firmware) == (64, MOST_PARTS, 32, "")
    assert [nic.mac for nic in has.nics] == [MAC]


def test_what_got_worse_is_told_in_words() -> None:
    before = Inventory(cpus=8, memory=16 * GIB, disks=(Disk("sda", 480 * GIB),), nics=(Nic("eth0", MAC),))
    assert what_got_worse(before, before) == what_got_worse(Inventory(), before) == ""
    more = msgspec.structs.replace(before, cpus=16, memory=32 * GIB, disks=(Disk("sdb", 480 * GIB), Disk("sda", 1)))
    assert what_got_worse(before, more) == ""
    now = msgspec.structs.replace(before, cpus=4, memory=8 * GIB, disks=(), nics=(Nic("eth0", "52:54:00:77:00:21"),))
    assert what_got_worse(before, now) == (
        "memory 16G before, 8G now; 8 CPUs before, 4 now; network cards: 52:54:00:77:00:20 is gone, "
        "52:54:00:77:00:21 is new; disks that are gone: 480G")
    assert what_got_worse(before, msgspec.structs.replace(before, memory=16 * GIB - (100 << 20))) == ""


@pytest.mark.parametrize("serial", ["", "To Be Filled By O.E.M.", "Default string", "0", "00000000", "123456789"])
def test_words_in_the_place_of_a_serial_number_are_none(serial: str) -> None:
    assert identity_of(Inventory(vendor="v", product="p", serial=serial)) is None


def test_the_protocol_has_no_clock() -> None:
    """A machine's clock may be wrong by a day: nothing that it sends is a time."""
    fields = {field for kind in (EnlistRequest, BeatRequest, Inventory) for field in kind.__struct_fields__}
    assert not {field for field in fields if "time" in field or "clock" in field or field.endswith(("_at", "date"))}
    assert not fields & (set(ResourceSeen.__struct_fields__) & {"heard", "stage_at", "answered"})


def _messages() -> list[Any]:
    return [Enlist(1, "10.0.0.1", "", _request(inventory=Inventory(disks=(Disk("vda", GIB),)))),
            Beats([Beat("r1", BOOT, "agent", "idle", 0.5, "", 10.0),
                   Beat("r2", BOOT, "system", "v", None, "off", 2, 7.5)])]


def test_frames_come_whole_however_they_are_cut() -> None:
    sent = _messages()
    line = b"".join(map(frame, sent))
    for size in (1, 3, 7, len(line)):
        frames, found = Frames(ToServer), []
        for at in range(0, len(line), size):
            found += frames.feed(line[at: at + size])
        assert found == sent
    told = [Table([Entry("r1", "ab", BOOT, 10, "reboot")], ["r2"], True, True), Enlisted(1, 200, token="x", name="r1")]
    assert Frames(ToNode).feed(b"".join(map(frame, told))) == told


@pytest.mark.parametrize("line", [
    (MOST_FRAME + 1).to_bytes(4, "big"), b"\0\0\0\1\xc1", frame(Enlisted(1, 200)),
    frame(Beats([])).replace(b"beats", b"boats"),
    b"GET / HTTP/1.1\r\n\r\n",
])
def test_what_is_no_message_ends_the_line(line: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        Frames(ToServer).feed(line)


def test_a_table_is_whole_or_the_one_before() -> None:
    machines = Machines()
    assert machines.take(Table([Entry("r1", "aa", BOOT, 10), Entry("r2", "bb", BOOT, 10)], first=True, last=True))
    assert not machines.take(Table([Entry("r1", "cc", BOOT, 2, "reboot")]))
    assert machines.find("aa") is None and machines.find("cc") == Entry("r1", "cc", BOOT, 2, "reboot")
    # qrmd comes back, and is killed in the middle of its table
    assert not machines.take(Table([Entry("r9", "dd", BOOT, 10)], first=True))
    assert machines.find("bb") is not None and machines.find("dd") is None
    assert machines.take(Table([], first=True, last=True)) and len(machines) == 0
    machines.take(Table([Entry("r1", "aa", BOOT, 10)]))
    machines.take(Table([], ["r1", "never-there"]))
    assert machines.find("aa") is None
