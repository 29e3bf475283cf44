"""What must hold before an image is made or changed; each refusal names the thing and what to do."""
from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn

from qrm_tui.backends import lvm, mounts, nfs
from qrm_tui.backends.planning import Call
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.facts import Group, MachineFacts, Volume, promised
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, StorageWanted
from qrm_tui.core.units import format_size

#: A group named like one of these would be mounted over the system (hier(7)).
_SYSTEM_FOLDERS = frozenset((
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc", "root",
    "run", "sbin", "srv", "sys", "tmp", "usr", "var",
))


def image_files(path: str, name: str) -> tuple[str, str]:
    """The files of one image: its mount unit and its export."""
    return mounts.unit_path(path), nfs.export_path(name)


def image_path(storage: StorageWanted, name: str) -> str:
    """Where an image is mounted and exported: /GROUP/NAME, as openQRM had it."""
    return f"/{storage.group}/{name}"


def check_group_name(group: str) -> None:
    """BadInput if images under /GROUP would cover a folder of the system."""
    if group in _SYSTEM_FOLDERS:
        raise BadInput(f"volume group {group!r}: its images would be mounted under /{group}, which belongs to the "
                       "system; rename the group (vgrename)")


def storage_of(call: Call, name: str | None) -> Item:
    """The storage server of a new image: the one named, or the only one."""
    if name:
        return call.reading.get("storage", name)
    servers = list(call.reading.farm.all("storage"))
    if len(servers) != 1:
        there = ", ".join(server.name for server in servers)
        raise BadInput(f"storage: say on which storage server: {there}" if servers else
                       "storage: there is no storage server yet; add one: qrm storage add")
    return call.reading.get("storage", servers[0].name)


def volume_group(call: Call, server: Item) -> Group:
    """The server's group for images; Refused if it has none."""
    return volume_group_of(call.reading.facts(server.name), server.name, server.wanted)


def volume_group_of(facts: MachineFacts, name: str, wanted: StorageWanted) -> Group:
    """The group for images in these facts; Refused if there is none."""
    if facts.group is None:
        raise Refused(f"storage server {name} at {wanted.address} has no volume group {wanted.group}: make one there "
                      f"(vgcreate {wanted.group} DEVICE), or name another one with SERVER_VOL")
    return facts.group


def round_up(size: int, extent: int) -> int:
    return -(-size // extent) * extent


def need_room(call: Call, server: Item, size: int, what: str) -> None:
    """Refused unless the group, or the pool's promise, takes `size` more bytes."""
    pool, reading = server.wanted.pool, call.reading
    facts = reading.facts(server.name)
    if pool:
        volume = reading.volume(server.name, pool)
        if volume is None or volume.kind != "t":
            raise Refused(f"storage server {server.name} has no thin pool {pool}")
        limit = int(volume.size * server.wanted.overcommit)
        if not reading.ask(server.name, "promised_at_most", pool, limit - size):
            raise Refused(
                f"{what} would promise {format_size(promised(facts, pool) + size)} of thin pool {pool}, which has "
                f"{format_size(volume.size)}; at most {format_size(limit)} ({server.wanted.overcommit:.0%}) may be "
                "promised: grow the pool, or raise OVERCOMMIT of the storage server")
        return
    group = volume_group(call, server)
    if not reading.ask(server.name, "free_at_least", size):
        raise Refused(f"{what} needs {format_size(size)}, and volume group {group.name} on {server.name} has "
                      f"{format_size(group.free)} free: choose less, remove an image, or add a disk (vgextend)")


def need_free_place(call: Call, server: Item, name: str, path: str) -> None:
    """Refused if a volume, mount, file or folder that is not ours has the place."""
    reading, machine = call.reading, server.name
    volume = reading.volume(machine, name)
    if volume is not None:
        whose = "carries another image's tag" if lvm.TAG in volume.tags else "is not ours and is never touched"
        raise Refused(f"volume {volume.group}/{name} on {machine} is in the way: it {whose}; choose another name, "
                      "or rename it (lvrename)")
    if reading.ask(machine, "mount", path):
        raise Refused(f"{path} on {machine} is mounted already, and not by us: choose another name")
    if reading.ask(machine, "path", path) == "used":
        raise Refused(f"{path} on {machine} holds files that the image would cover: choose another name, or move them")
    for file in image_files(path, name):
        if reading.file(machine, file) is not None:
            raise Refused(f"{file} on {machine} is in the way: it is not of an image of ours; look at it, and remove "
                          "it if nobody needs it")


def own_volume(call: Call, item: Item) -> Volume:
    """The volume of an image, by its tag; Refused if it is gone or another's."""
    machine, tag = item.wanted.storage, lvm.image_tag(item.wanted.id)
    facts = call.reading.facts(machine)
    for volume in facts.volumes.values():
        if tag in volume.tags:
            call.reading.volume(machine, volume.name)
            return volume
    raise Refused(f"the volume of image {item.name} is gone from {machine}: no volume there carries its tag {tag}")


def volume_or_none(call: Call, item: Item) -> Volume | None:
    try:
        return own_volume(call, item)
    except Refused:
        return None


def need_no_job(call: Call, item: Item) -> None:
    """Refused while another job makes or removes the image."""
    jobs = call.reading.farm.open_jobs(f"image/{item.name}")
    if item.wanted.life != "present" and jobs:
        raise Refused(f"image {item.name} is {item.wanted.life} by job {jobs[0]}: wait for it, or cancel it")


def need_settled(call: Call, item: Item) -> None:
    """Refused unless the image is whole."""
    need_no_job(call, item)
    if item.wanted.life != "present":
        raise Refused(f"image {item.name} was left {item.wanted.life} by a job that failed: remove it "
                      f"(qrm image remove {item.name})")


def need_unfrozen(call: Call, item: Item, what: str, gone: Collection[str] = ()) -> None:
    """Refused if the image has clones, but for those `gone`: what is written into an origin would move all of them."""
    clones = [name for name in call.reading.farm.clones(item.name) if name not in gone]
    if clones:
        raise Refused(f"image {item.name} is frozen: {', '.join(clones)} "
                      f"{'is a clone' if len(clones) == 1 else 'are clones'} of it; {what} would break "
                      f"{'it' if len(clones) == 1 else 'them'}: remove the clones first")


def whose(farm: Farm, item: Item) -> str:
    """The machines that may mount an image, by name and state where they are known."""
    by_address = {other.wanted.address: other for other in farm.all("resource") if other.wanted.address}
    return ", ".join(f"{by_address[address].name} ({by_address[address].state}, {address})" if address in by_address
                     else address for address in item.wanted.allowed)


def refuse_mixed(farm: Farm, item: Item) -> NoReturn:
    """Refused: an image is read by many, or written into by one, and never both at once."""
    who = whose(farm, item)
    words = f"image {item.name} is read by {who}, and would change under them by what another machine writes" \
        if item.wanted.read_only else \
        f"image {item.name} may be written into by {who}, and would change by that under those who only read it"
    raise Refused(f"{words}. Stop what runs there, or cut it off: qrm image revoke {item.name} "
                  f"{' '.join(item.wanted.allowed)}")


def need_managed(item: Item, what: str) -> None:
    if not item.wanted.managed:
        raise Refused(f"image {item.name} is only registered: {what} is left to whoever made {item.wanted.path}")
