"""Storage type lvm-nfs: an image is a volume, mounted on its server and exported by NFS to the machines that use it."""
from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import msgspec

from qrm_tui.backends import filesystems, lvm, mounts, nfs, sealing
from qrm_tui.backends import lvm_nfs_checks as checks
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageWanted, Item
from qrm_tui.core.plan import Change, Check, Inverse, Lock, Record, RemoveFile, Run, Step, WriteFile
from qrm_tui.core.units import format_size

#: Least room for changes of a classic snapshot; LVM's own tables take some of it.
_LEAST_RESERVE = 32 << 20
#: A snapshot never needs more than its origin and LVM's tables (about 0.4 %).
_MOST_RESERVE = 1.01


def _mount(machine: str, wanted: ImageWanted, name: str, device: str) -> list[Step]:
    """Steps that mount a volume now and at every boot."""
    options = filesystems.FILESYSTEMS[wanted.filesystem].clone_options if wanted.origin else ()
    unit = mounts.unit_path(wanted.path)
    return [
        mounts.make_folder(machine, wanted.path),
        WriteFile(machine=machine, summary=f"write the mount unit of {wanted.path}", path=unit,
                  content=mounts.unit_text(name, device, wanted.path, wanted.filesystem, options),
                  checker=mounts.CHECKER, tells=mounts.RELOAD_ARGV),
        mounts.mount(machine, wanted.path),
    ]


def export(machine: str, name: str, wanted: ImageWanted, former: str | None) -> WriteFile:
    """The file that says who may mount an image."""
    return WriteFile(machine=machine, summary=f"write the export of {wanted.path}", path=nfs.export_path(name),
                     content=nfs.export_text(name, wanted.path, wanted.export_id, wanted.allowed,
                                             read_only=wanted.read_only), former=former, tells=nfs.RELOAD_ARGV)


def _record(name: str, wanted: ImageWanted | None, former: ImageWanted | None, summary: str) -> Record:
    return Record(summary=summary, changes=(Change(
        kind="image", name=name, wanted=msgspec.to_builtins(wanted) if wanted else None,
        former=msgspec.to_builtins(former) if former else None),))


def probe_new_image(farm: Farm, arguments: Mapping[str, object]) -> list[Probe]:
    """What is asked before an image is made: whether anything has its place."""
    source = arguments.get("source") or dict(arguments.get("env") or {}).get("CREATE_FROM")  # type: ignore[call-overload]
    storage = farm.get("image", str(source)).wanted.storage if source else arguments.get("storage")
    servers = [farm.get("storage", str(storage))] if storage else list(farm.all("storage"))
    if len(servers) != 1:
        return []
    name, register = str(arguments["name"]), arguments.get("register_only")
    path = str(register or checks.image_path(servers[0].wanted, name))
    return [Probe(servers[0].name, files=checks.image_files(path, name), paths=(path,))]


def probe_image(farm: Farm, arguments: Mapping[str, object]) -> list[Probe]:
    """What is asked before an image is changed: its files as they are."""
    item = farm.get("image", str(arguments["name"]))
    return [Probe(item.wanted.storage, files=checks.image_files(item.wanted.path, item.name),
                  paths=(item.wanted.path,))]


def plan_add(call: Call) -> Draft:
    """A new, empty image; or a clone, where openQRM's CREATE_FROM says so; or one that is only registered."""
    arguments = call.arguments
    env = arguments["env"]
    unknown = set(env) - {"CREATE_PHYSICAL", "CREATE_FROM"}
    if unknown:
        raise BadInput(f"env: {', '.join(sorted(unknown))}: there are only CREATE_PHYSICAL=yes and CREATE_FROM=IMAGE")
    if env.get("CREATE_FROM") and env.get("CREATE_PHYSICAL", "yes") == "yes":
        return plan_clone(dataclasses.replace(call, arguments={
            "source": env["CREATE_FROM"], "name": arguments["name"], "hostname": None, "reserve": 0.2}))
    server = checks.storage_of(call, arguments["storage"])
    if arguments["register_only"]:
        return _plan_register(call, server)
    if not arguments["size"]:
        raise BadInput("size: is needed for a new image, as in --size 5000M")
    return _plan_create(call, server)


def _plan_create(call: Call, server: Item) -> Draft:
    arguments, machine = call.arguments, server.name
    name, kind = arguments["name"], arguments["fs"]
    group = checks.volume_group(call, server)
    size = checks.round_up(arguments["size"], group.extent)
    if size < filesystems.FILESYSTEMS[kind].smallest:
        raise BadInput(f"size: {kind} wants at least {format_size(filesystems.FILESYSTEMS[kind].smallest)}")
    call.reading.absent("image", name)
    path = checks.image_path(server.wanted, name)
    checks.need_room(call, server, size, f"image {name}")
    checks.need_free_place(call, server, name, path)
    present = ImageWanted(id=call.identity("image"), storage=machine, path=path, filesystem=kind, size=size,
                          export_id=call.identity("export"), filesystem_id=call.identity("filesystem"),
                          thin=bool(server.wanted.pool))
    creating = msgspec.structs.replace(present, life="creating")
    device = lvm.device(group.name, name)
    draft = Draft(f"image/{name}", locks=[Lock(f"image/{name}"), Lock(f"storage/{machine}", shared=True)],
                  inverse=Inverse("image.remove", {"name": name}))
    draft.notes.append(f"{format_size(size)} of {format_size(group.free)} free in {group.name} on {machine}"
                       if not server.wanted.pool else f"thin, in pool {server.wanted.pool} on {machine}")
    draft.steps = [
        _record(name, creating, None, f"note that image {name} is being made"),
        lvm.create_volume(machine, group.name, server.wanted.pool, name, size, present.id),
        filesystems.make(machine, kind, device, present.filesystem_id),
        *_mount(machine, present, name, device),
        export(machine, name, present, None),
        nfs.reload(machine, path, ()),
        _record(name, present, creating, f"note that image {name} is there"),
    ]
    return draft


def _plan_register(call: Call, server: Item) -> Draft:
    name, path = call.arguments["name"], call.arguments["register_only"]
    facts = call.reading.facts(server.name)
    known = call.reading.find("image", name)
    draft = Draft(f"image/{name}", locks=[Lock(f"image/{name}"), Lock(f"storage/{server.name}", shared=True)])
    if known is not None and known.wanted.path == path and known.wanted.storage == server.name:
        draft.notes.append(f"image {name} at {path} is registered already: nothing to do")
        return draft
    call.reading.absent("image", name)
    if call.reading.ask(server.name, "path", path) == "absent":
        raise Refused(f"there is no {path} on storage server {server.name}")
    taken = [item.name for item in call.reading.farm.images_on(server.name) if item.wanted.path == path]
    if taken:
        raise Refused(f"{path} on {server.name} is image {taken[0]} already")
    mount = facts.mounts.get(path)
    wanted = ImageWanted(id=call.identity("image"), storage=server.name, path=path, managed=False,
                         filesystem=mount.filesystem if mount else "", size=mount.size if mount else 0)
    draft.notes.append(f"{path} stays as it is: mount, volume and export are not changed, now or later")
    draft.steps = [_record(name, wanted, None, f"register {path} as image {name}")]
    draft.inverse = Inverse("image.remove", {"name": name})
    return draft


def plan_clone(call: Call) -> Draft:
    """A snapshot of an image, with identities of its own, mounted and exported to nobody yet."""
    arguments = call.arguments
    source, name = call.reading.get("image", arguments["source"]), arguments["name"]
    if source.name == name:
        raise BadInput(f"name: image {name} cannot be a clone of itself")
    checks.need_managed(source, "cloning it")
    checks.need_settled(call, source)
    call.reading.absent("image", name)
    server = call.reading.get("storage", source.wanted.storage)
    machine, group = server.name, checks.volume_group(call, server)
    origin = checks.own_volume(call, source)
    if origin.lost:
        raise Refused(f"image {source.name} is a snapshot that ran full: nothing can be cloned from it")
    if origin.kind == "s":
        raise Refused(f"image {source.name} is itself a classic snapshot, and LVM makes no snapshots of those: clone "
                      f"{source.wanted.origin} instead, or use a storage server with a thin pool")
    path = checks.image_path(server.wanted, name)
    thin = bool(origin.pool)
    reserve = 0 if thin else checks.round_up(min(max(int(origin.size * arguments["reserve"]), _LEAST_RESERVE),
                                           int(origin.size * _MOST_RESERVE) + group.extent), group.extent)
    checks.need_room(call, server, origin.size if thin else reserve, f"clone {name}")
    checks.need_free_place(call, server, name, path)
    hostname = arguments["hostname"] or name.replace("_", "-")
    present = ImageWanted(id=call.identity("image"), storage=machine, path=path, size=origin.size,
                          filesystem=source.wanted.filesystem, export_id=call.identity("export"),
                          filesystem_id=call.identity("filesystem"), origin=source.name, thin=thin, hostname=hostname)
    creating = msgspec.structs.replace(present, life="creating")
    device = lvm.device(group.name, name)
    draft = Draft(f"image/{name}", inverse=Inverse("image.remove", {"name": name}),
                  locks=[Lock(f"image/{name}"), Lock(f"image/{source.name}", shared=True),
                         Lock(f"storage/{machine}", shared=True)])
    if not thin:
        draft.notes.append(f"room for changes: {format_size(reserve)} of {format_size(origin.size)}; it is watched, "
                           "and `qrm image resize` gives more")
    draft.steps = [
        _record(name, creating, None, f"note that image {name} is being made"),
        lvm.snapshot_volume(machine, origin, name, reserve, present.id),
        *filesystems.renew_id(machine, present.filesystem, device, present.filesystem_id),
        *_mount(machine, present, name, device),
        sealing.seal(machine, path, hostname, present.id),
        export(machine, name, present, None),
        nfs.reload(machine, path, ()),
        _record(name, present, creating, f"note that image {name} is there"),
    ]
    return draft


def room_of(draft: Draft) -> int:
    """Bytes that the clone of a draft takes of its volume group, or promises of its thin pool."""
    made = next(change for step in draft.steps if isinstance(step, Record) for change in step.changes)
    assert made.wanted is not None
    if made.wanted["thin"]:
        return int(made.wanted["size"])
    snapshot = next(step for step in draft.steps if isinstance(step, Run) and step.argv[0] == "lvcreate")
    return int(snapshot.argv[snapshot.argv.index("--size") + 1].removesuffix("b"))


def plan_remove(call: Call, before: Collection[str] = ()) -> Draft:
    """Export first, then mount, then volume; refused while somebody uses it. `before`: clones that go before it."""
    item = call.reading.get("image", call.arguments["name"])
    wanted: ImageWanted = item.wanted
    machine, name = wanted.storage, item.name
    draft = Draft(f"image/{name}", locks=[Lock(f"image/{name}"), Lock(f"storage/{machine}", shared=True)])
    if not wanted.managed:
        draft.notes.append(f"{wanted.path} itself stays: it was only registered")
        draft.steps = [_record(name, None, wanted, f"forget image {name}")]
        draft.inverse = Inverse("image.add", {"name": name, "storage": machine, "register_only": wanted.path})
        return draft
    checks.need_no_job(call, item)
    checks.need_unfrozen(call, item, "removing it", before)
    if wanted.allowed:
        raise Refused(f"image {name} is in use: {', '.join(wanted.allowed)} may mount it; revoke that first: "
                      f"qrm image revoke {name} {' '.join(wanted.allowed)}")
    server = call.reading.get("storage", machine)
    volume = checks.volume_or_none(call, item)
    if volume is not None:
        hangs = set(call.reading.ask(machine, "dependents", volume.name)) - {
            clone.name for other in before if (clone := checks.volume_or_none(call, call.reading.get("image", other)))}
        if hangs:
            raise Refused(f"volume {volume.group}/{volume.name} has snapshots that are not ours "
                          f"({', '.join(sorted(hangs))}), and LVM would remove them with it")
    unit, export = checks.image_files(wanted.path, name)
    removing = msgspec.structs.replace(wanted, life="removing")
    draft.steps = [_record(name, removing, wanted, f"note that image {name} is being removed")]
    exported, mounted = call.reading.file(machine, export), call.reading.file(machine, unit)
    if exported is not None:
        draft.steps.append(RemoveFile(machine=machine, summary=f"remove the export of {wanted.path}", path=export,
                                      former=exported.content, mode=exported.mode, tells=nfs.RELOAD_ARGV))
        draft.steps.append(nfs.reload(machine, wanted.path, ()))
    if mounted is not None:
        draft.steps += [
            mounts.unmount(machine, wanted.path),
            RemoveFile(machine=machine, summary=f"remove the mount unit of {wanted.path}", path=unit,
                       former=mounted.content, mode=mounted.mode, tells=mounts.RELOAD_ARGV),
            mounts.reload(machine),
            mounts.forget(machine, wanted.path),
        ]
    draft.point_of_no_return()
    if volume is not None:
        draft.steps.append(lvm.remove_volume(machine, server.wanted.group, volume, wanted.id))
    else:
        draft.notes.append(f"its volume is gone from {machine} already")
    if call.reading.facts(machine).paths.get(wanted.path) != "absent":
        draft.steps.append(mounts.remove_folder(machine, wanted.path))
    draft.steps.append(_record(name, None, removing, f"forget image {name}"))
    return draft


def plan_resize(call: Call) -> Draft:
    """A larger file system; of a classic clone, more room for changes."""
    item, size = call.reading.get("image", call.arguments["name"]), call.arguments["size"]
    checks.need_managed(item, "resizing it")
    checks.need_settled(call, item)
    checks.need_unfrozen(call, item, "resizing it")
    wanted: ImageWanted = item.wanted
    server = call.reading.get("storage", wanted.storage)
    machine, group, volume = server.name, checks.volume_group(call, server), checks.own_volume(call, item)
    if volume.lost:
        raise Refused(f"image {item.name} ran full and is lost: more room does not bring it back")
    size = checks.round_up(size, group.extent)
    what = "room for changes" if volume.kind == "s" else "size"
    hangs = call.reading.ask(machine, "dependents", volume.name)
    if hangs:
        raise Refused(f"volume {volume.group}/{volume.name} has snapshots that are not ours ({', '.join(hangs)}): LVM "
                      "does not resize it under them")
    most = lvm.most_reserve(volume, group.extent)
    if volume.kind == "s" and size > most:
        raise Refused(f"image {item.name} has use for at most {format_size(most)} of room for changes: then everything "
                      "in it may change")
    if size <= volume.size:
        raise Refused(f"image {item.name} has {format_size(volume.size)} of {what} already; it only grows (shrinking a "
                      "file system in use loses data)")
    checks.need_room(call, server, size - volume.size, f"image {item.name}")
    draft = Draft(f"image/{item.name}", locks=[Lock(f"image/{item.name}"), Lock(f"storage/{machine}", shared=True)])
    draft.notes.append(f"{what}: {format_size(volume.size)} now, {format_size(size)} then; a file system grows and "
                       "never shrinks, so there is no undo")
    draft.point_of_no_return()
    draft.steps = [lvm.extend_volume(machine, volume, size)]
    if volume.kind != "s":
        draft.steps += [
            filesystems.grow(machine, wanted.filesystem, lvm.device(group.name, volume.name), wanted.path),
            _record(item.name, msgspec.structs.replace(wanted, size=size), wanted, f"note the new size of {item.name}"),
        ]
    return draft


def with_access(wanted: ImageWanted, allowed: Sequence[str], *, read_only: bool) -> ImageWanted:
    """The image with these who may mount it; nobody is nobody who only reads."""
    return msgspec.structs.replace(wanted, allowed=tuple(sorted(set(allowed))), read_only=bool(allowed) and read_only)


def _plan_access(call: Call, item: Item, changed: ImageWanted, inverse: Inverse, summary: str) -> Draft:
    wanted: ImageWanted = item.wanted
    machine = wanted.storage
    former = call.reading.file(machine, nfs.export_path(item.name))
    draft = Draft(f"image/{item.name}", locks=[Lock(f"image/{item.name}"), Lock(f"storage/{machine}", shared=True)],
                  inverse=inverse)
    draft.steps = [
        export(machine, item.name, changed, former.content if former else None),
        nfs.reload(machine, wanted.path, changed.allowed, read_only=changed.read_only),
        *([nfs.drop_sessions(machine, gone)] if (gone := sorted(set(wanted.allowed) - set(changed.allowed))) else []),
        _record(item.name, changed, wanted, summary),
    ]
    return draft


def plan_allow(call: Call) -> Draft:
    """More machines may mount the image."""
    item = call.reading.get("image", call.arguments["name"])
    checks.need_managed(item, "its export")
    checks.need_settled(call, item)
    new = [address for address in call.arguments["address"] if address not in item.wanted.allowed]
    if not new:
        raise Refused(f"{', '.join(call.arguments['address'])} may mount image {item.name} already")
    read_only, there = bool(call.arguments["read_only"]), item.wanted.allowed
    if there and item.wanted.read_only != read_only:
        checks.refuse_mixed(call.reading.farm, item)
    if not read_only:
        checks.need_unfrozen(call, item, "a machine that writes into it (--read-only: one that does not)")
    draft = _plan_access(call, item, with_access(item.wanted, (*there, *new), read_only=read_only),
                         Inverse("image.revoke", {"name": item.name, "address": new}),
                         f"note that {', '.join(new)} may {'read' if read_only else 'mount'} {item.name}")
    if there and not read_only:
        draft.warnings.append(f"{', '.join(item.wanted.allowed)} may mount it too: two machines that write into one "
                              "root file system spoil each other's files unless they are made for it")
    return draft


def plan_revoke(call: Call) -> Draft:
    """Machines may no longer mount the image."""
    item = call.reading.get("image", call.arguments["name"])
    checks.need_managed(item, "its export")
    checks.need_settled(call, item)
    going = call.arguments["address"]
    unknown = [address for address in going if address not in item.wanted.allowed]
    if unknown:
        raise Refused(f"{', '.join(unknown)} may not mount image {item.name} anyway; "
                      f"{', '.join(item.wanted.allowed) or 'no machine'} may")
    left = [address for address in item.wanted.allowed if address not in going]
    return _plan_access(call, item, with_access(item.wanted, left, read_only=item.wanted.read_only),
                        Inverse("image.allow", {"name": item.name, "address": going,
                                                **({"read_only": True} if item.wanted.read_only else {})}),
                        f"note that {', '.join(going)} may not mount {item.name}")


def probe_copy(farm: Farm, arguments: Mapping[str, object]) -> list[Probe]:
    """What is asked before a copy: the two images' server."""
    return [Probe(farm.get("image", str(arguments["name"])).wanted.storage)]


def plan_copy(call: Call) -> Draft:
    """All files of one image replace those of another on the same server."""
    source = call.reading.get("image", call.arguments["source"])
    target = call.reading.get("image", call.arguments["name"])
    if source.name == target.name:
        raise BadInput(f"name: image {target.name} cannot be copied into itself")
    for item in (source, target):
        checks.need_settled(call, item)
    checks.need_managed(target, "writing into it")
    checks.need_unfrozen(call, target, "copying into it")
    if target.wanted.allowed:
        raise Refused(f"image {target.name} is in use: {', '.join(target.wanted.allowed)} may mount it, and would find "
                      "its files changed under it")
    machine = source.wanted.storage
    if target.wanted.storage != machine:
        raise Refused(f"image {target.name} is on storage server {target.wanted.storage}, and {source.name} on "
                      f"{machine}: a copy goes from one to another only on the same server")
    facts = call.reading.facts(machine)
    for item in (source, target):
        if not call.reading.ask(machine, "mount", item.wanted.path):
            raise Refused(f"{item.wanted.path} is not mounted on {machine}")
    used, room = facts.mounts[source.wanted.path].used, facts.mounts[target.wanted.path].size
    if used > room:
        raise Refused(f"image {source.name} holds {format_size(used)}, and {target.name} has room for "
                      f"{format_size(room)}: make it larger (qrm image resize)")
    draft = Draft(f"image/{target.name}", no_return=0,
                  locks=[Lock(f"image/{target.name}"), Lock(f"image/{source.name}", shared=True),
                         Lock(f"storage/{machine}", shared=True)])
    draft.warnings.append(f"what image {target.name} holds now is lost")
    draft.steps = [Run(
        machine=machine, summary=f"copy all files of {source.wanted.path} into {target.wanted.path}", long=True,
        progress="rsync", argv=("rsync", "-aAXHS", "--numeric-ids", "--one-file-system", "--delete",
                                "--info=progress2", "--no-inc-recursive", "--exclude=/lost+found", "--",
                                f"{source.wanted.path}/", f"{target.wanted.path}/"),
        guards=(Check(argv=("findmnt", "--noheadings", "--mountpoint", target.wanted.path),
                      otherwise=f"{target.wanted.path} is not mounted: the files would land on the system's own disk"),
                ))]
    return draft
