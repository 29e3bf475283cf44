"""Planners that start virtual environments: machines that fit, a root for each, boot files, and a reboot into them."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from qrm_tui.backends import lvm_nfs, partitions, power, resources, shared_roots, ve_parts
from qrm_tui.backends import lvm_nfs_checks as checks
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core import placement
from qrm_tui.core.environments import Assignment, VeWanted
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageWanted, Item, convert_wanted
from qrm_tui.core.plan import Await, Change, EditTree, Inverse, Lock, Order, Record, Step

#: Seconds that a start may take from the order to the system's agent.
SECONDS = 900.0


class _Placed(NamedTuple):
    """A machine and the image that will be its root, with the image's server."""

    resource: Item
    image: str
    #: the image is a clone that this plan makes
    new: bool


def _free_images(farm: Farm, item: Item, count: int) -> list[tuple[str, bool]]:
    """Images for `count` more machines: its own image, or clones of it; and whether each is yet to be made."""
    wanted: VeWanted = item.wanted
    if wanted.same_for_all:
        return [(wanted.image, False)] * count
    if wanted.multi_server == 1 and not wanted.assigned:
        return [(wanted.image, False)]
    taken = {assigned.image for assigned in wanted.assigned}
    found: list[tuple[str, bool]] = []
    number = 1
    while len(found) < count:
        name = ve_parts.clone_name(item.name, number)
        number += 1
        if name in taken:
            continue
        known = farm.find("image", name)
        if known is not None and known.wanted.origin != wanted.image:
            raise Refused(f"image {name} is in the way: it is no clone of {wanted.image}, and VE {item.name} would "
                          "make one of that name; remove or rename it")
        found.append((name, known is None))
    return found


def _place(farm: Farm, item: Item, named: Sequence[str], count: int) -> tuple[list[_Placed], placement.Choice]:
    """Machines and images for `count` more of them; Refused with each reason."""
    pool = [farm.get("resource", name) for name in dict.fromkeys(named)] if named else list(farm.all("resource"))
    if len(pool) < len(named):
        raise BadInput("resource: one is named twice")
    if len(named) > count:
        raise BadInput(f"resource: {len(named)} are named, and VE {item.name} takes {count}")
    choice = placement.choose(pool, item.wanted.profile, count)
    reasons = placement.refusal(choice, count)
    if reasons:
        raise Refused(*(f"VE {item.name}: {reason}" for reason in reasons))
    images = _free_images(farm, item, count)
    return [_Placed(farm.get("resource", name), image, new)
            for name, (image, new) in zip(choice.chosen, images, strict=True)], choice


def _storage(farm: Farm, item: Item) -> str:
    return str(farm.get("image", item.wanted.image).wanted.storage)


def probe_start(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """What is asked before a start: the files of the machines and images that would be taken."""
    item = farm.get("ve", str(arguments["name"]))
    return _probe(farm, item, arguments, _count(item, arguments))


def _count(item: Item, arguments: Mapping[str, Any]) -> int:
    """On how many machines it starts: where fewer are named than it is made for, others may join it later."""
    made_for: int = item.wanted.multi_server
    return min(made_for, len(_named(arguments)) or made_for)


def probe_add_resource(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """The same for one machine more."""
    return _probe(farm, farm.get("ve", str(arguments["name"])), arguments, 1)


def _probe(farm: Farm, item: Item, arguments: Mapping[str, Any], count: int) -> list[Probe]:
    placed, _ = _place(farm, item, _named(arguments), count)
    storage = _storage(farm, item)
    server = farm.get("storage", storage)
    images = {one.image: checks.image_path(server.wanted, one.image) for one in placed}
    keys = [file for one in placed if item.wanted.same_for_all and item.wanted.partitioning
            for file in shared_roots.host_key_files(images[one.image], one.resource.name)]
    return ve_parts.probes(storage, [one.resource.wanted.mac for one in placed], images, keys)


def _named(arguments: Mapping[str, Any]) -> list[str]:
    given = arguments.get("resource")
    return list(given) if isinstance(given, (list, tuple)) else [str(given)] if given else []


def plan_start(call: Call) -> Draft:
    """Roots for its machines, their boot files, and a reboot into them."""
    item = call.reading.get("ve", call.arguments["name"])
    ve_parts.need_no_job(call, item)
    if item.wanted.life == "running":
        raise Refused(f"VE {item.name} runs already ({item.state}) on "
                      f"{', '.join(assigned.resource for assigned in item.wanted.assigned)}")
    if item.wanted.life != "stopped":
        raise Refused(f"VE {item.name} was left {item.wanted.life} by a job that failed: stop it first "
                      f"(qrm ve stop {item.name})")
    count = _count(item, call.arguments)
    draft = _plan_start(call, item, count, Inverse("ve.stop", {"name": item.name}))
    if count < item.wanted.multi_server:
        draft.notes.append(f"it is made for {item.wanted.multi_server} machines, and starts on those that are named: "
                           f"qrm ve add-resource {item.name} gives it one more")
    return draft


def plan_add_resource(call: Call) -> Draft:
    """One more machine for a VE that runs."""
    item = call.reading.get("ve", call.arguments["name"])
    ve_parts.need_no_job(call, item)
    if item.wanted.life != "running":
        raise Refused(f"VE {item.name} is {item.state}: machines are added while it runs (qrm ve edit {item.name} "
                      "--multi-server N before)")
    if item.wanted.multi_server == 1 and not item.wanted.same_for_all:
        raise Refused(f"VE {item.name} is made for one machine, which writes into image {item.wanted.image} itself: "
                      "stop it, and give it --multi-server 2 first (qrm ve edit)")
    draft = _plan_start(call, item, 1, None)
    added = draft.steps[-1]
    assert isinstance(added, Record) and added.changes[0].wanted
    new = added.changes[0].wanted["assigned"][-1]["resource"]
    draft.inverse = Inverse("ve.remove-resource", {"name": item.name, "resource": new})
    return draft


def _plan_start(call: Call, item: Item, count: int, inverse: Inverse | None) -> Draft:
    farm, wanted = call.reading.farm, item.wanted
    placed, choice = _place(farm, item, _named(call.arguments), count)
    boot_image = call.reading.get("boot-image", wanted.boot_image)
    if boot_image.state not in ("ready", "in use"):
        raise Refused(f"boot-image {boot_image.name} is {boot_image.state}: no machine can boot it now")
    ve_parts.need_fitting(wanted.partitioning, boot_image)
    storage = call.reading.get("storage", _storage(farm, item))
    draft = Draft(f"ve/{item.name}", inverse=inverse, notes=list(choice.why), locks=_locks(item, storage, placed))
    draft.locks += [Lock(f"image/{wanted.image}", shared=True)] if any(one.new for one in placed) else []
    for one in placed:
        ve_parts.need_firmware(boot_image, call.reading.get("resource", one.resource.name))
    clones = _clones(call, item, storage, placed)
    roots = _roots(call, item, boot_image, placed, clones)
    if wanted.same_for_all:
        draft.notes += shared_roots.notes(wanted.image, [one.resource.name for one in placed])
    assigned = (*wanted.assigned, *(Assignment(one.resource.name, one.image) for one in placed))
    started = msgspec.structs.replace(wanted, life="starting", assigned=assigned,
                                      multi_server=max(wanted.multi_server, len(assigned)))
    taken = [resources.change(one.resource, msgspec.structs.replace(one.resource.wanted, ve=item.name))
             for one in placed]
    draft.steps = [ve_parts.record(item, started, f"note that VE {item.name} is being started", *taken)]
    for clone in clones.values():
        draft.steps += clone.steps
    if wanted.partitioning and not wanted.same_for_all:
        draft.steps += [_let_in(farm, storage.name, roots[one.image].path) for one in placed]
    allowed = {image: lvm_nfs.with_access(
        root, [*root.allowed, *(_address(one.resource) for one in placed if one.image == image)],
        read_only=wanted.same_for_all) for image, root in roots.items()}
    draft.steps += ve_parts.exports(call, storage.name, roots, allowed, clones)
    draft.steps += [partitions.back_step(call, one.resource.name) if one.resource.wanted.kind == "partition" else
                    Order(summary=f"(when taken back: {one.resource.name} reboots)", resource=one.resource.name,
                          undo="reboot", boot=ve_parts.boot_of(one.resource)) for one in placed]
    for one in placed:
        root = ve_parts.root_of(farm, item, one.resource.name, one.image, roots[one.image])
        draft.steps += ve_parts.boot_files(call, one.resource, root)
        draft.steps += partitions.boots(call, one.resource, root)
    now = farm.clock()
    for one in placed:
        if one.resource.wanted.kind == "partition":
            draft.steps += partitions.restart_steps(call, one.resource.name)
        else:
            draft.steps += power.reset(one.resource, now)
    draft.steps += [Await(summary=f"wait until {one.resource.name} runs VE {item.name}", resource=one.resource.name,
                          until="active", ve=wanted.id, not_boot=ve_parts.boot_of(one.resource), seconds=SECONDS)
                    for one in placed]
    running = msgspec.structs.replace(started, life="running")
    draft.steps.append(Record(summary=f"note that VE {item.name} runs", changes=(Change(
        kind="ve", name=item.name, wanted=msgspec.to_builtins(running), former=msgspec.to_builtins(started)),)))
    return draft


def _let_in(farm: Farm, machine: str, path: str) -> Step:
    """qrmd may log in to a virtualization host: in a file of its own, which sshd_config(5) has read by default."""
    return EditTree(machine=machine, root=path, summary=f"qrmd may log in to what runs from {path}",
                    edits=({"do": "folder", "path": "/root/.ssh", "mode": 0o700},
                           {"do": "write", "path": "/root/.ssh/authorized_keys2", "mode": 0o600,
                            "content": f"{farm.public_key}\n"}))


def _locks(item: Item, storage: Item, placed: Sequence[_Placed]) -> list[Lock]:
    return [Lock(f"ve/{item.name}"), Lock(f"boot-image/{item.wanted.boot_image}", shared=True),
            Lock(f"storage/{storage.name}", shared=True), *(Lock(f"resource/{one.resource.name}") for one in placed),
            *(Lock(f"image/{name}") for name in dict.fromkeys(one.image for one in placed))]


def _address(item: Item) -> str:
    address = item.wanted.address
    if not address:
        raise Refused(f"resource {item.name} has no address of its own: give it one "
                      f"(qrm resource edit {item.name} --address ADDRESS)")
    return str(address)


def _clones(call: Call, item: Item, storage: Item, placed: Sequence[_Placed]) -> dict[str, Draft]:
    """The clones that are yet to be made, as the drafts of making them."""
    made: dict[str, Draft] = {}
    for one in placed:
        if one.new:
            arguments = {"source": item.wanted.image, "name": one.image, "hostname": None, "reserve": 0.2}
            made[one.image] = lvm_nfs.plan_clone(dataclasses.replace(
                call, arguments=arguments, identity=partial(_identity_of, call, one.image)))
    if len(made) > 1:
        together = sum(lvm_nfs.room_of(draft) for draft in made.values())
        checks.need_room(call, storage, together, f"{len(made)} clones")
    return made


def _identity_of(call: Call, image: str, purpose: str) -> str:
    return call.identity(f"{image}/{purpose}")


def _roots(call: Call, item: Item, boot_image: Item, placed: Sequence[_Placed],
           clones: Mapping[str, Draft]) -> dict[str, ImageWanted]:
    """By name, the images that the machines get as their roots."""
    if not item.wanted.same_for_all:
        return {one.image: _root_of(call, one, clones) for one in placed}
    shared_roots.need_sharing(boot_image)
    machines = [one.resource.name for one in placed]
    shared_roots.need_names([*(assigned.resource for assigned in item.wanted.assigned), *machines])
    image, wanted = item.wanted.image, shared_roots.root_of(call, item.wanted.image)
    if item.wanted.partitioning:
        shared_roots.need_host_keys(call, image, wanted, machines)
    return {image: wanted}


def _root_of(call: Call, one: _Placed, clones: Mapping[str, Draft]) -> ImageWanted:
    """The image that a machine gets; Refused if another may still write into it, or it has clones."""
    if one.image in clones:
        last = clones[one.image].steps[-1]
        assert isinstance(last, Record) and last.changes[0].wanted is not None
        made: ImageWanted = convert_wanted("image", last.changes[0].wanted)
        return made
    item = call.reading.get("image", one.image)
    checks.need_managed(item, "its export")
    checks.need_settled(call, item)
    checks.need_unfrozen(call, item, "a machine that writes into it")
    if item.wanted.read_only:
        checks.refuse_mixed(call.reading.farm, item)
    if item.wanted.allowed:
        who = checks.whose(call.reading.farm, item)
        raise Refused(f"image {item.name} may be mounted by {who}: a second machine on one root spoils it. Stop what "
                      f"runs there, or cut it off: qrm image revoke {item.name} {' '.join(item.wanted.allowed)}")
    checks.own_volume(call, item)
    if item.seen and item.seen.lost:
        raise Refused(f"image {item.name} ran full and is lost: clone it anew")
    wanted: ImageWanted = item.wanted
    return wanted
