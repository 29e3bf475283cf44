"""Objects as flat rows: the fields that scripts, filters and screens read."""
from __future__ import annotations

from collections.abc import Callable

import msgspec

from qrm_tui.core import states
from qrm_tui.core.components import ComponentSeen, ComponentWanted
from qrm_tui.core.environments import BootImageWanted, VeWanted
from qrm_tui.core.farm import Farm
from qrm_tui.core.fields import Row
from qrm_tui.core.host_groups import own_groups
from qrm_tui.core.model import ImageWanted, Item, JobRecord, StorageSeen, StorageWanted
from qrm_tui.core.partitionings import technology_on, word_of
from qrm_tui.core.partitions import DomainSeen, DomainWanted, HostSeen, HostWanted, PartitionSeen, PartitionWanted
from qrm_tui.core.resources import STAGES, ResourceSeen, ResourceWanted, is_over, standing_event
from qrm_tui.core.units import format_size
from qrm_tui.core.users import UserSeen, UserWanted


def _storage(item: Item, farm: Farm) -> Row:
    seen = item.seen or StorageSeen()
    return {
        "type": item.wanted.type, "address": item.wanted.address, "env": dict(item.wanted.env),
        "size": seen.size, "free": seen.free, "images": len(farm.images_on(item.name)),
        "pool_size": seen.pool_size, "pool_data": seen.pool_data, "pool_metadata": seen.pool_metadata,
        "pool_promised": seen.pool_promised, "versions": dict(seen.versions), "user": item.wanted.user,
        "port": item.wanted.port, "host_key": item.wanted.host_key,
    }


def _image(item: Item, farm: Farm) -> Row:
    wanted, seen = item.wanted, item.seen
    return {
        "storage": wanted.storage, "path": wanted.path, "size": (seen.size if seen else 0) or wanted.size,
        "used": seen.used if seen else None, "origin": wanted.origin or None,
        "reserve": seen.reserve if seen else None, "fill": seen.fill if seen else None,
        "full_at": seen.full_at if seen else None,
        "used_by": _users(item, farm), "clones": farm.clones(item.name), "fs": wanted.filesystem,
        "thin": wanted.thin, "read_only": wanted.read_only,
        "managed": wanted.managed, "hostname": wanted.hostname, "export_id": wanted.export_id,
        "mounted": bool(seen and seen.mounted), "volume_id": seen.volume_id if seen else "", "id": wanted.id,
    }


def _users(item: Item, farm: Farm) -> list[str]:
    """The virtual environments that run on an image, then addresses of others that may mount it."""
    ves = [name for name in farm.ves_with("image", item.name)
           if any(assigned.image == item.name for assigned in farm.get("ve", name).wanted.assigned)]
    machines = {farm.get("resource", assigned.resource).wanted.address for name in ves
                for assigned in farm.get("ve", name).wanted.assigned if farm.find("resource", assigned.resource)}
    return [*ves, *(address for address in item.wanted.allowed if address not in machines)]


def _job(item: Item, farm: Farm) -> Row:
    fields: Row = msgspec.to_builtins(item.wanted)
    return fields


def _resource(item: Item, farm: Farm) -> Row:
    wanted, seen = item.wanted, item.seen or ResourceSeen()
    has = seen.inventory
    return {
        "maintenance": wanted.maintenance, "kind": wanted.kind, "virtualization": _hosts(item, farm),
        "host": wanted.host or None, "technology": wanted.technology or None, "mac": wanted.mac,
        "address": seen.address or wanted.address,
        "cpus": has.cpus, "mhz": has.mhz, "memory": has.memory, "ve": wanted.ve or None,
        "stage": seen.stage if item.state in _BOOTS else "",
        "stage_at": seen.stage_at if item.state in _BOOTS else None,
        "stages": dict(seen.stages) if item.state in _BOOTS else {},
        "load": seen.load, "filled": seen.filled,
        "model": has.model, "vendor": has.vendor, "product": has.product, "serial": has.serial,
        "firmware": has.firmware, "disks": [f"{disk.name} {format_size(disk.size)}" for disk in has.disks],
        "nics": [f"{nic.name} {nic.mac}" for nic in has.nics], "power": wanted.power.method or "agent",
        "console": wanted.console or "none", "console_command": wanted.console_command or None, "id": wanted.id,
        **event_fields(seen),
    }


def event_fields(seen: ResourceSeen | None) -> Row:
    """What was found last on a machine's console; `event_stands`: as an alert that nobody has seen to yet."""
    event = seen.event if seen is not None and seen.event is not None and not is_over(seen.event, seen) else None
    return {
        "event": event.name if event else None, "event_severity": event.severity if event else None,
        "event_at": event.at if event else None, "event_text": event.text if event else None,
        "event_count": event.count if event else 0, "event_stands": standing_event(seen) is not None,
        "event_seen_by": (event.seen_by or None) if event else None,
    }


def _hosts(item: Item, farm: Farm) -> str | None:
    """The technology that it hosts now."""
    host = farm.find("host", item.name)
    return _technology(host) if host else None


def _technology(host: Item) -> str:
    """What its partitions are, by the word that profiles have for it."""
    seen = host.seen.technology if host.seen else ""
    if host.wanted.technology:
        return word_of("qemu" if (host.wanted.technology, seen) == ("kvm", "qemu") else host.wanted.technology)
    return word_of(technology_on(host.wanted.partitioning, seen))


def _partition(item: Item, farm: Farm) -> Row:
    wanted, seen = item.wanted, item.seen or PartitionSeen()
    resource, domain, host = farm.find("resource", item.name), seen.domain, farm.find("host", wanted.host)
    memory, whole = domain.memory if domain else wanted.memory, host.seen.memory if host and host.seen else 0
    return {
        "host": wanted.host, "technology": wanted.technology, "cpus": domain.cpus if domain else wanted.cpus,
        "mhz": wanted.mhz, "memory": memory, "memory_share": round(memory / whole, 3) if whole else None,
        "disk": wanted.disk, "disk_group": wanted.disk_group or None,
        "busy": seen.busy if item.state == "running" else None, "resource": resource.state if resource else None,
        "ve": resource.wanted.ve or None if resource else None,
        "address": resource.wanted.address if resource else None, "mac": wanted.mac, "power": wanted.power,
        "device": wanted.target, "id": wanted.id,
    }


def _host(item: Item, farm: Farm) -> Row:
    seen = item.seen or HostSeen()
    ours = farm.partitions_on(item.name)
    known = {partition.wanted.id for partition in ours}
    foreign = [domain for domain in seen.all_domains if domain.uuid not in known]
    promised = sum(partition.wanted.memory for partition in ours)
    used = sum((partition.seen.busy or 0) * partition.wanted.cpus for partition in ours
               if partition.seen and partition.state == "running")
    groups = {group.name: group.free for group in own_groups(farm, item).values()}
    return {
        "technology": _technology(item), "added": bool(item.wanted.technology), "ve": item.wanted.ve,
        "address": item.wanted.address,
        "partitions": len(ours), "cpus": seen.cpus, "cpus_given": sum(partition.wanted.cpus for partition in ours),
        "busy": round(min(1.0, used / seen.cpus), 2) if seen.cpus else None,
        "mhz": seen.mhz, "memory": seen.memory, "memory_free": seen.memory_free, "memory_given": promised,
        "groups": groups, "disk_free": max(groups.values(), default=0),
        "foreign": [domain.name for domain in foreign], "libvirt": seen.libvirt, "hypervisor": seen.hypervisor,
    }


def _domain(item: Item, farm: Farm) -> Row:
    host, seen = farm.find("host", item.wanted.host), item.seen or DomainSeen(uuid="", name="", state="off")
    return {
        "host": item.wanted.host, "title": item.wanted.title, "technology": _technology(host) if host else None,
        "cpus": seen.cpus, "memory": seen.memory, "persistent": seen.persistent,
        "nics": [nic.mac for nic in seen.nics], "id": item.wanted.uuid,
    }


def _ve(item: Item, farm: Farm) -> Row:
    wanted = item.wanted
    return {
        "boot_image": wanted.boot_image, "image": wanted.image, "partitioning": wanted.partitioning or None,
        "resources": [assigned.resource for assigned in wanted.assigned],
        "images": [assigned.image for assigned in wanted.assigned],
        "profile": {key: value for key, value in msgspec.to_builtins(wanted.profile).items() if value},
        "multi_server": wanted.multi_server, "same_for_all": wanted.same_for_all,
        "stage": _stage_of(item, farm), "id": wanted.id,
    }


def _stage_of(ve: Item, farm: Farm) -> str:
    """How far the slowest of its machines is; empty where all have come up."""
    members = [farm.find("resource", assigned.resource) for assigned in ve.wanted.assigned]
    stages = [member.seen.stage for member in members if member and member.seen and member.seen.stage in STAGES
              and member.state in _BOOTS]
    return min(stages, key=STAGES.index, default="")


def _boot_image(item: Item, farm: Farm) -> Row:
    version = item.wanted.version or (item.seen.version if item.seen else "")
    return {"type": item.wanted.type, "version": version, "source": item.wanted.source,
            "hypervisor": item.wanted.hypervisor or None,
            "size": item.seen.size if item.seen else 0, "used_by": farm.ves_with("boot-image", item.name),
            "id": item.wanted.id}


def _component(item: Item, farm: Farm) -> Row:
    seen = item.seen or ComponentSeen()
    return {"enabled": item.wanted.enabled, "settings": dict(item.wanted.settings), "services": dict(seen.services),
            "files": sorted(item.wanted.files)}


def _user(item: Item, farm: Farm) -> Row:
    seen = item.seen or UserSeen()
    return {"role": item.wanted.role, "password": item.wanted.whose, "last_in": seen.last_in,
            "last_from": seen.last_from}


#: States in which a stage says something.
_BOOTS = frozenset(("booting", "starting", "stopping", "error"))
_FIELDS: dict[str, Callable[[Item, Farm], Row]] = {
    "storage": _storage, "image": _image, "job": _job, "resource": _resource, "ve": _ve, "boot-image": _boot_image,
    "component": _component, "partition": _partition, "host": _host, "domain": _domain, "user": _user,
}


_SAMPLES = {
    "storage": StorageWanted(type="", address=""), "image": ImageWanted(id="", storage="", path=""),
    "job": JobRecord(id=0, operation="", object="", arguments={}), "resource": ResourceWanted(id="", mac=""),
    "ve": VeWanted(id="", boot_image="", image=""), "boot-image": BootImageWanted(id=""),
    "component": ComponentWanted(), "partition": PartitionWanted(
        id="", host="", technology="test", mac="", target="", memory=0),
    "host": HostWanted(partitioning="", ve="", address="", technology="lxc"),
    "domain": DomainWanted(host="", uuid="", title=""), "user": UserWanted(role="", password=""),
}


def fields_of(kind: str) -> frozenset[str]:
    """The names of a row's fields, also where there is no row yet."""
    return frozenset(row_of(Item(kind=kind, name="", wanted=_SAMPLES[kind]), Farm()))


def row_of(item: Item, farm: Farm) -> Row:
    """The row of an object, times in seconds."""
    return {"name": item.name, "state": item.state, "since": item.since, "seen_at": item.seen_at,
            "revision": item.revision, **_FIELDS[item.kind](item, farm)}


def detail_of(item: Item, farm: Farm) -> Row:
    """The row with *why*: reason, remedy."""
    verdict = states.judge(item, farm)
    why = f"{verdict.why}; {verdict.warning}" if verdict.warning else verdict.why
    return {**row_of(item, farm), "why": why, "next": verdict.remedy}
