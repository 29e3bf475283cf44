"""A partition's local disk: a volume of one of its host's own volume groups.

It carries our tag and its partition's id from the moment it exists (the same LVM commit), and is selected by it.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qrm_tui.backends import lvm
from qrm_tui.backends.planning import machine_of
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.host_groups import own_groups
from qrm_tui.core.model import Item
from qrm_tui.core.names import check_volume_name, there_are
from qrm_tui.core.partitions import HostGroup, HostSeen, PartitionWanted
from qrm_tui.core.plan import Run, Step, Wait
from qrm_tui.core.units import format_size

#: What a host is asked: its volume groups, and the tags of the volumes in them.
QUESTIONS = (lvm.GROUPS_ARGV, lvm.TAGS_ARGV)
#: Seconds until whatever had a disk open has let go of it: Xen's scripts do so a moment after a domain is off.
_CLOSES = 60.0


def host_groups(groups: str, tags: str) -> tuple[HostGroup, ...]:
    """A host's volume groups from the answers to QUESTIONS; StepFailed."""
    held = lvm.parse_tags(tags)
    return tuple(HostGroup(
        name=group.name, size=group.size, free=group.free, extent=group.extent,
        unfit=unfit or ("filesystem-images of this farm are in it" if any(
            tag.startswith(lvm.image_tag("")) for tag in held.get(group.name, ())) else ""))
        for group, unfit in lvm.parse_groups(groups))


def device(wanted: PartitionWanted, name: str) -> str:
    """Its disk on the host; empty: it has none."""
    return lvm.device(wanted.disk_group, _volume(name)) if wanted.disk else ""


def _volume(name: str) -> str:
    return f"qrm-{name}"


def _tag(wanted: PartitionWanted) -> str:
    return f"{lvm.TAG}.partition.{wanted.id}"


def choose(farm: Farm, host: Item, names: Sequence[str], arguments: Mapping[str, Any]) -> tuple[str, int]:
    """Group and bytes of the disks of these partitions; Refused where there is no room for them."""
    size, asked, count = arguments["disk"], arguments["disk_group"], len(names)
    if not size:
        if asked:
            raise BadInput("disk_group: is for partitions with a --disk")
        return "", 0
    try:
        for name in names:
            check_volume_name(_volume(name))
    except ValueError as error:
        raise BadInput(f"name: {error}") from None
    groups = own_groups(farm, host)
    if asked and asked not in groups:
        raise Refused(f"disk_group: {_no_group(host, asked)}; {_there(groups.values())}" if groups else
                      _none(host))
    if not groups:
        raise Refused(_none(host))
    group = groups[asked] if asked else max(groups.values(), key=lambda group: (group.free, group.name))
    each = -(-size // group.extent) * group.extent
    if count * each > group.free:
        fit = group.free // each
        most = "" if asked or len(groups) == 1 else "the most room, "
        raise Refused(f"disk: volume group {group.name} of host {host.name} has {most}{format_size(group.free)}: " + (
            f"{fit} disks of {format_size(each)} would fit, {count} are wanted" if fit else
            f"no disk of {format_size(each)} fits"))
    return group.name, each


def _there(groups: Iterable[HostGroup]) -> str:
    return there_are([f"{group.name} ({format_size(group.free)} free)" for group in groups])


def _no_group(host: Item, name: str) -> str:
    known = next((group for group in host.seen.groups if group.name == name), None)
    if known is None:
        return f"host {host.name} has no volume group {name}"
    return f"volume group {name} of host {host.name} is not taken: " + (
        known.unfit or "a storage server keeps filesystem-images in it")


def _none(host: Item) -> str:
    seen: HostSeen = host.seen
    why = f" ({seen.groups_trouble})" if seen.groups_trouble else "".join(
        f" ({_no_group(host, group.name)})" for group in seen.groups[:3])
    return (f"disk: host {host.name} has no volume group of its own for disks{why}: leave the disk out, or make one "
            "there from its local disks (vgcreate local /dev/sdX)")


def make_steps(name: str, wanted: PartitionWanted) -> list[Step]:
    """Its disk is there and empty, whoever had that place before."""
    if not wanted.disk:
        return []
    machine, path = machine_of(wanted.host), device(wanted, name)
    return [lvm.create_tagged(machine, wanted.disk_group, _volume(name), wanted.disk, _tag(wanted)),
            # what other customers left in those extents is nobody's to read
            Run(machine=machine, summary=f"fill {path} with zeros", argv=("blkdiscard", "--zeroout", "--force", path),
                long=True)]


def remove_steps(farm: Farm, name: str, wanted: PartitionWanted) -> list[Step]:
    """Its disk goes, with all that is in it."""
    host = farm.find("host", wanted.host)
    if not wanted.disk or host is None or not is_there(host, wanted):
        return []
    machine, group = machine_of(wanted.host), wanted.disk_group
    closed = lvm.closed(group, _volume(name), _tag(wanted), f"something on {wanted.host} still has its disk open")
    return [Wait(machine=machine, summary=f"nothing has the disk of {name} open", check=closed, seconds=_CLOSES),
            lvm.remove_tagged(machine, group, _volume(name), _tag(wanted))]


def is_there(host: Item, wanted: PartitionWanted) -> bool:
    """Whether its host has the group that its disk is from."""
    return any(group.name == wanted.disk_group for group in host.seen.groups)
