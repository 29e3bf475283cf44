"""What would still fit on a virtualization host, told while a form for partitions is filled in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrm_tui.core.partitionings import little_memory
from qrm_tui.core.units import format_size

Row = Mapping[str, Any]
#: Operations whose forms tell it.
OPERATIONS = frozenset(("partition.create",))
#: Arguments that are no numbers, and that it depends on nevertheless.
NAMES = frozenset(("disk_group",))


def words(host: Row | None, wanted: Row) -> str:
    """What a host has left, and how many of those wanted it takes; empty where no host is named."""
    if host is None:
        return ""
    if host.get("added"):
        return f"{host['name']} was added as it is: no partitions are made there"
    if host["state"] != "ok":
        return f"{host['name']} is {host['state']}: what it has left is not known now (:host why {host['name']})"
    parts = []
    if host.get("memory"):
        parts.append(f"{format_size(host['memory_free'])} of {format_size(host['memory'])} free")
    if host.get("cpus"):
        clock = f" ({host['mhz']} MHz)" if host.get("mhz") else ""
        parts.append(f"{host['cpus_given']} of {host['cpus']} CPUs given{clock}")
    memory = wanted.get("memory")
    if memory and host.get("memory"):
        fit = host["memory_free"] // memory
        parts.append(f"{fit if fit else 'not one'} of {format_size(memory)} still fit")
    groups = host.get("groups") or {}
    if groups:
        parts.append("for disks " + ", ".join(f"{format_size(free)} in {group}" for group, free in groups.items()))
    if groups and wanted.get("disk"):
        fit = _group_free(host, wanted) // wanted["disk"]
        parts.append(f"{fit if fit else 'no'} disk{'s' if fit != 1 else ''} of {format_size(wanted['disk'])} still fit")
    little = little_memory(memory) if memory else ""
    return f"{host['name']}: {', '.join(parts)}" + (f"; {little}" if little else "")


def _group_free(host: Row, wanted: Row) -> int:
    """Bytes free in the group that is named, or that would be taken."""
    groups: Mapping[str, int] = host.get("groups") or {}
    named = wanted.get("disk_group")
    return groups.get(named, 0) if named else max(groups.values(), default=0)


def _disk_trouble(argument: str, host: Row, wanted: Row) -> str:
    groups, named, disk = host.get("groups") or {}, wanted.get("disk_group"), wanted.get("disk")
    if argument == "disk_group" and named and named not in groups:
        return f"{host['name']} has no volume group {named} for disks"
    if argument != "disk" or not disk:
        return ""
    if not groups:
        return f"{host['name']} has no volume group of its own for disks"
    free, count = _group_free(host, wanted), wanted.get("count") or 1
    return f"{format_size(free)} are free for disks on {host['name']}, {format_size(count * disk)} are wanted" \
        if count * disk > free and (not named or named in groups) else ""


def trouble(argument: str, host: Row | None, wanted: Row) -> str:
    """Why an argument is not possible on that host, as the server will say, too; empty if it is, or nobody knows."""
    if host is None or host["state"] != "ok":
        return ""
    if argument in ("disk", "disk_group"):
        return _disk_trouble(argument, host, wanted)
    name, free, memory, count = host["name"], host.get("memory_free"), wanted.get("memory"), wanted.get("count") or 1
    if argument in ("cpus", "mhz") and host.get(argument) and (wanted.get(argument) or 0) > host[argument]:
        return f"{name} has {host['cpus']} CPUs" + (f" of {host['mhz']} MHz" if argument == "mhz" else "")
    if free is None or not memory or not host.get("memory"):
        return ""
    if argument == "memory" and memory > free:
        return f"{name} has {format_size(free)} of its memory free"
    if argument == "count" and memory <= free < count * memory:
        return f"{free // memory} of {format_size(memory)} would fit on {name}"
    return ""
