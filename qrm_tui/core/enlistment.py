"""What a machine says of itself at enlistment: held to limits, made harmless, compared with what it said before."""
from __future__ import annotations

import re
from collections import Counter

import msgspec

from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import printable
from qrm_tui.core.node_wire import EnlistRequest
from qrm_tui.core.resources import Disk, Inventory, Nic
from qrm_tui.core.units import LARGEST, format_size

#: Disks and cards that are kept of one machine; more are left out.
MOST_PARTS = 64
#: Characters of a name of a part, and of a machine's own words.
_PART_NAME, _WORDS = 32, 64
#: What no machine has more of: Linux takes 8,192 processors (CONFIG_NR_CPUS); clocks in MHz.
_MOST = {"cpus": 8192, "mhz": 20_000, "memory": LARGEST}
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_HEX = re.compile(r"[0-9a-f]*")
#: `idle`, or a virtual environment's id.
RUNS = re.compile(r"[A-Za-z0-9-]{1,64}")
_FIRMWARES = ("bios", "uefi")
#: Words that makers leave in the place of a serial number (dmidecode's lists are full of them).
_NO_SERIALS = frozenset(("", "0", "none", "n/a", "na", "unknown", "default string", "not specified", "not available",
                         "not applicable", "to be filled by o.e.m.", "system serial number", "chassis serial number",
                         "123456789", "0123456789", "1234567890"))


def check_mac(text: str) -> str:
    """A network card's own address, in lower case with colons; ValueError says why not.

    Group addresses (IEEE 802: lowest bit of the first byte) and all zeros are nobody's own."""
    mac = text.strip().lower().replace("-", ":") if len(text) <= 32 else ""
    if not _MAC.fullmatch(mac):
        raise ValueError(f"{printable(text, 24)!r} is no MAC address, as in 52:54:00:77:00:20")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError(f"{mac} is no card's own MAC address: it is a group's, or empty")
    return mac


def _hex(text: str, what: str, least: int, most: int) -> str:
    word = text.strip().lower()
    if not least <= len(word) <= most or not _HEX.fullmatch(word):
        raise ValueError(f"{what}: {printable(text, 24)!r} is no hexadecimal word of {least} to {most} digits")
    return word


def _within(value: int, what: str, most: int) -> int:
    if not 0 <= value <= most:
        raise ValueError(f"{what}: {printable(str(value), 24)} is not between 0 and {most}")
    return value


def _words(text: str, limit: int = _WORDS) -> str:
    return printable(" ".join(text[: limit * 4].split(" ")).strip(), limit)


def _mac_of(nic: Nic) -> str:
    """Empty for what is no Ethernet card: InfiniBand's addresses have 20 bytes, tunnels have none."""
    try:
        return check_mac(nic.mac)
    except ValueError:
        return ""


def _inventory(said: Inventory) -> Inventory:
    disks = tuple(Disk(_words(disk.name, _PART_NAME), _within(disk.size, "size of a disk", LARGEST))
                  for disk in said.disks[:MOST_PARTS])
    nics = tuple(Nic(_words(nic.name, _PART_NAME), mac) for nic in said.nics[:MOST_PARTS] if (mac := _mac_of(nic)))
    numbers = {field: _within(getattr(said, field), field, most) for field, most in _MOST.items()}
    return Inventory(
        **numbers, model=_words(said.model), disks=disks, nics=nics, vendor=_words(said.vendor),
        product=_words(said.product), serial=_words(said.serial),
        firmware=said.firmware if said.firmware in _FIRMWARES else "")


def check_request(request: EnlistRequest) -> EnlistRequest:
    """The same within limits, fit to be kept and shown; BadInput tells what is wrong in it."""
    try:
        if not RUNS.fullmatch(request.runs):
            raise ValueError(f"runs: {printable(request.runs, 24)!r} is neither idle nor an id")
        return msgspec.structs.replace(
            request, mac=check_mac(request.mac), boot=_hex(request.boot, "boot", 8, 64),
            nonce=_hex(request.nonce, "nonce", 0, 128), inventory=_inventory(request.inventory))
    except ValueError as error:
        raise BadInput(str(error)) from None


def identity_of(inventory: Inventory) -> tuple[str, str, str] | None:
    """Vendor, product and serial number, which no other machine has; None where there is no real serial number."""
    if inventory.serial.lower() in _NO_SERIALS or len(set(inventory.serial)) == 1:
        return None
    return inventory.vendor, inventory.product, inventory.serial


def what_got_worse(before: Inventory, now: Inventory) -> str:
    """What a machine has no more, in plain words; empty: nothing."""
    if before == Inventory():
        return ""
    found = []
    # firmware keeps a varying little for itself: a hundredth less is no module that failed
    if now.memory < before.memory * 0.99:
        found.append(f"memory {format_size(before.memory)} before, {format_size(now.memory)} now")
    if now.cpus < before.cpus:
        found.append(f"{before.cpus} CPUs before, {now.cpus} now")
    old, new = ({nic.mac for nic in inventory.nics} for inventory in (before, now))
    if old != new:
        found.append("network cards: " + ", ".join([*(f"{mac} is gone" for mac in sorted(old - new)),
                                                    *(f"{mac} is new" for mac in sorted(new - old))]))
    gone = Counter(disk.size for disk in before.disks) - Counter(disk.size for disk in now.disks)
    if gone:  # by size: names change from boot to boot
        found.append(f"disks that are gone: {', '.join(map(format_size, sorted(gone.elements())))}")
    return printable("; ".join(found), 400)
