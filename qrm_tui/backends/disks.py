"""Disks and memory of a machine, from lsblk(8), findmnt(8), vgs(8) and /proc/meminfo (proc_meminfo(5))."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from qrm_tui.core.facts import Group

#: A disk that is smaller holds no golden image.
LEAST_DISK = 1 << 30


class Disk(NamedTuple):
    """A whole disk; `used_by`: what is on it, in words; empty: nothing, so that it is free to take."""

    path: str
    size: int
    model: str
    used_by: str


def parse_disks(text: str) -> list[Disk]:
    """Disks that could hold data (lsblk --json --bytes --paths)."""
    return [Disk(str(row["name"]), int(row.get("size") or 0), str(row.get("model") or "").strip(), _used_by(row))
            for row in _rows(text, "blockdevices")
            if row.get("type") == "disk" and not row.get("ro") and not row.get("rm") and (row.get("size") or 0) > 0
            # compressed memory, and devices over the network that somebody attached
            and not re.match(r"/dev/(zram|nbd|rbd)[0-9]", str(row["name"]))]


def _used_by(row: Mapping[str, Any]) -> str:
    found = []
    for entry in _below(row):
        mounted = [str(place) for place in entry.get("mountpoints") or () if place]
        if mounted == ["[SWAP]"]:
            found.append("swap")
        elif mounted:
            found.append(f"mounted at {', '.join(mounted)}")
        elif entry.get("fstype"):
            found.append(f"{entry['fstype']} on {entry['name']}")
        elif entry.get("type") == "part":
            found.append(f"a partition {entry['name']}")
    return "; ".join(dict.fromkeys(found))


def _below(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield row
    for child in row.get("children") or ():
        yield from _below(child)


def parse_groups(text: str) -> list[Group]:
    """All volume groups (vgs --reportformat json)."""
    try:
        rows = json.loads(text)["report"][0]["vg"]
        return [Group(name=row["vg_name"], id=row["vg_uuid"], size=int(row["vg_size"]), free=int(row["vg_free"]),
                      extent=int(row["vg_extent_size"])) for row in rows]
    except (ValueError, KeyError, IndexError, TypeError):
        return []


class Room(NamedTuple):
    """A file system's room, in bytes."""

    target: str
    size: int
    free: int


def parse_rooms(text: str) -> dict[str, Room]:
    """Mounted file systems by where they are (findmnt --json --bytes --list)."""
    return {str(row["target"]): Room(str(row["target"]), int(row.get("size") or 0), int(row.get("avail") or 0))
            for row in _rows(text, "filesystems") if row.get("target")}


def room_of(rooms: Mapping[str, Room], path: str) -> Room | None:
    """The file system that a path is on."""
    fitting = [target for target in rooms if path == target or path.startswith(target.rstrip("/") + "/")]
    return rooms[max(fitting, key=len)] if fitting else None


def parse_memory(text: str) -> int:
    """MemTotal in bytes; 0 where it is not told."""
    match = re.search(r"^MemTotal:\s+([0-9]+) kB$", text, re.MULTILINE)
    return int(match[1]) << 10 if match else 0


def _rows(text: str, name: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text)[name]
        return [row for row in found if isinstance(row, dict)]
    except (ValueError, KeyError, TypeError):
        return []
