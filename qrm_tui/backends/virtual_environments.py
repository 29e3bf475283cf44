"""Planners of virtual environments: what each is, starting it on machines that fit, and stopping it."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from qrm_tui.backends import boot, lvm_nfs, nfs, power, resources
from qrm_tui.backends import lvm_nfs_checks as checks
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core import placement
from qrm_tui.core.environments import Assignment, Profile, VeWanted
from qrm_tui.core.errors import BadInput, Refused, Stale
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageWanted, Item, convert_wanted
from qrm_tui.core.netboot import boot_settings
from qrm_tui.core.plan import HERE, Await, Change, Inverse, Lock, Order, Record, Step, WriteFile
from qrm_tui.core.resources import IDLE, is_heard

#: Seconds that a start may take from the order to the system's agent, and a way back to idle.
START_SECONDS, STOP_SECONDS = 900.0, 600.0


def _record(item: Item, wanted: VeWanted | None, summary: str, *more: Change) -> Record:
    return Record(summary=summary, changes=(_change(item, wanted), *more))


def _change(item: Item, wanted: VeWanted | None) -> Change:
    return Change(kind="ve", name=item.name, wanted=msgspec.to_builtins(wanted) if wanted else None,
                  former=msgspec.to_builtins(item.wanted))


# what it is


def _profile(arguments: Mapping[str, Any], known: Profile) -> Profile:
    given = {name: arguments[name] for name in ("cpus", "mhz", "memory", "nics", "kind", "technology")
             if arguments[name]}
    profile = msgspec.structs.replace(known, **given)
    if profile.technology and profile.kind != "partition":
        raise BadInput("technology: is of partitions: add --kind partition")
    return profile


def _check_parts(call: Call, boot_image: str, image: str) -> None:
    call.reading.get("boot-image", boot_image)
    found = call.reading.get("image", image)
    if found.wanted.filesystem == "" or not found.wanted.managed:
        raise Refused(f"image {image} is only registered: no machine can be let to mount it from here")


def plan_create(call: Call) -> Draft:
    """Define one; it is not started."""
    arguments = call.arguments
    name = arguments["name"]
    call.reading.absent("ve", name)
    _check_parts(call, arguments["boot_image"], arguments["image"])
    wanted = VeWanted(id=call.identity("ve"), boot_image=arguments["boot_image"], image=arguments["image"],
                      profile=_profile(arguments, Profile()), multi_server=arguments["multi_server"])
    draft = Draft(f"ve/{name}", locks=[Lock(f"ve/{name}")], inverse=Inverse("ve.remove", {"name": name}))
    if wanted.multi_server > 1:
        draft.notes.append(f"each of its {wanted.multi_server} machines gets a clone of image {wanted.image}, made when "
                           "it is first started")
    choice = placement.choose(call.reading.farm.all("resource"), wanted.profile, wanted.multi_server)
    reasons = placement.refusal(choice, wanted.multi_server)
    if reasons:
        draft.warnings.append(f"it could not be started now: {reasons[0]}")
    draft.steps = [Record(summary=f"define VE {name}", changes=(
        Change(kind="ve", name=name, wanted=msgspec.to_builtins(wanted)),))]
    return draft


def plan_edit(call: Call) -> Draft:
    """Change what it is; while it runs, only which machines it wants from its next start on."""
    item, arguments = call.reading.get("ve", call.arguments["name"]), call.arguments
    wanted: VeWanted = item.wanted
    parts = {"boot_image": arguments["boot_image"] or wanted.boot_image, "image": arguments["image"] or wanted.image,
             "multi_server": arguments["multi_server"] or wanted.multi_server}
    changed = msgspec.structs.replace(wanted, **parts, profile=_profile(
        arguments, Profile() if arguments["any"] else wanted.profile))
    if wanted.life != "stopped":
        if any(getattr(wanted, name) != value for name, value in parts.items()):
            raise Refused(f"VE {item.name} is {item.state}: its boot-image, image and number of machines are changed "
                          "while it is stopped (qrm ve add-resource gives it one more now)")
    else:
        _check_parts(call, changed.boot_image, changed.image)
    draft = Draft(f"ve/{item.name}", locks=[Lock(f"ve/{item.name}")])
    if changed == wanted:
        draft.notes.append("nothing of it is another: nothing to do")
        return draft
    if wanted.life != "stopped":
        draft.notes.append("it counts from its next start on: its present machines stay")
    draft.steps = [_record(item, changed, f"note what VE {item.name} is now")]
    return draft


def plan_remove(call: Call) -> Draft:
    """Forget one that is stopped; its images stay."""
    item = call.reading.get("ve", call.arguments["name"])
    if item.wanted.life != "stopped":
        raise Refused(f"VE {item.name} is {item.state}: stop it first (qrm ve stop {item.name})")
    draft = Draft(f"ve/{item.name}", locks=[Lock(f"ve/{item.name}")])
    clones = [name for number in range(1, item.wanted.multi_server + 1) if item.wanted.multi_server > 1
              if call.reading.farm.find("image", name := _clone_name(item.name, number))]
    kept = ", ".join([item.wanted.image, *clones])
    draft.notes.append(f"its images stay: {kept}")
    draft.steps = [_record(item, None, f"forget VE {item.name}")]
    return draft


# starting


class _Placed(NamedTuple):
    """A machine and the image that will be its root, with the image's server."""

    resource: Item
    image: str
    #: the image is a clone that this plan makes
    new: bool


def _clone_name(ve: str, number: int) -> str:
    return f"{ve}-{number}"


def _free_images(farm: Farm, item: Item, count: int) -> list[tuple[str, bool]]:
    """Images for `count` more machines: its own image, or clones of it; and whether each is yet to be made."""
    wanted: VeWanted = item.wanted
    if wanted.multi_server == 1 and not wanted.assigned:
        return [(wanted.image, False)]
    taken = {assigned.image for assigned in wanted.assigned}
    found: list[tuple[str, bool]] = []
    number = 1
    while len(found) < count:
        name = _clone_name(item.name, number)
        number += 1
        if name in taken:
            continue
        known = farm.find("image", name)
        if known is not None and known.wanted.origin != wanted.image:
            raise Refused(f"image {name} is in the way: it is no clone of {wanted.image}, and VE {item.name} would make "
                          "one of that name; remove or rename it")
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


def _probes(farm: Farm, storage: str, macs: Sequence[str], images: Mapping[str, str]) -> list[Probe]:
    """Boot files of machines, and the files and places of images (name → path)."""
    files = [file for name, path in images.items() for file in checks.image_files(path, name)]
    return [Probe(HERE, files=tuple(path for mac in macs for path in boot.config_paths(mac))),
            Probe(storage, files=tuple(files), paths=tuple(images.values()))]


def _count(item: Item, adding: bool) -> int:
    return 1 if adding else item.wanted.multi_server


def probe_start(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """What is asked before a start: the files of the machines and images that would be taken."""
    item = farm.get("ve", str(arguments["name"]))
    placed, _ = _place(farm, item, _named(arguments), _count(item, _adding(arguments)))
    storage = _storage(farm, item)
    server = farm.get("storage", storage)
    return _probes(farm, storage, [one.resource.wanted.mac for one in placed],
                   {one.image: checks.image_path(server.wanted, one.image) for one in placed})


def _named(arguments: Mapping[str, Any]) -> list[str]:
    given = arguments.get("resource")
    return list(given) if isinstance(given, (list, tuple)) else [str(given)] if given else []


def _adding(arguments: Mapping[str, Any]) -> bool:
    # ve.start takes several resources, ve.add-resource takes one
    return not isinstance(arguments.get("resource"), (list, tuple))


def plan_start(call: Call) -> Draft:
    """Roots for its machines, their boot files, and a reboot into them."""
    item = call.reading.get("ve", call.arguments["name"])
    _need_no_job(call, item)
    if item.wanted.life == "running":
        raise Refused(f"VE {item.name} runs already ({item.state}) on "
                      f"{', '.join(assigned.resource for assigned in item.wanted.assigned)}")
    if item.wanted.life != "stopped":
        raise Refused(f"VE {item.name} was left {item.wanted.life} by a job that failed: stop it first "
                      f"(qrm ve stop {item.name})")
    return _plan_start(call, item, Inverse("ve.stop", {"name": item.name}))


def plan_add_resource(call: Call) -> Draft:
    """One more machine for a VE that runs."""
    item = call.reading.get("ve", call.arguments["name"])
    _need_no_job(call, item)
    if item.wanted.life != "running":
        raise Refused(f"VE {item.name} is {item.state}: machines are added while it runs (qrm ve edit {item.name} "
                      "--multi-server N before)")
    if item.wanted.multi_server == 1:
        raise Refused(f"VE {item.name} is made for one machine, which writes into image {item.wanted.image} itself: stop "
                      f"it, and give it --multi-server 2 first (qrm ve edit)")
    draft = _plan_start(call, item, None)
    added = draft.steps[-1]
    assert isinstance(added, Record) and added.changes[0].wanted
    new = added.changes[0].wanted["assigned"][-1][0]
    draft.inverse = Inverse("ve.remove-resource", {"name": item.name, "resource": new})
    return draft


def _plan_start(call: Call, item: Item, inverse: Inverse | None) -> Draft:
    farm, wanted = call.reading.farm, item.wanted
    adding = wanted.life == "running"
    placed, choice = _place(farm, item, _named(call.arguments), _count(item, adding))
    boot_image = call.reading.get("boot-image", wanted.boot_image)
    if boot_image.state not in ("ready", "in use"):
        raise Refused(f"boot-image {boot_image.name} is {boot_image.state}: no machine can boot it now")
    storage = call.reading.get("storage", _storage(farm, item))
    draft = Draft(f"ve/{item.name}", inverse=inverse, notes=list(choice.why), locks=_locks(item, storage, placed))
    draft.locks += [Lock(f"image/{wanted.image}", shared=True)] if any(one.new for one in placed) else []
    for one in placed:
        call.reading.get("resource", one.resource.name)
    clones = _clones(call, item, storage, placed)
    roots = {one.image: _root_of(call, one, clones) for one in placed}
    started = msgspec.structs.replace(wanted, life="starting", assigned=(
        *wanted.assigned, *(Assignment(one.resource.name, one.image) for one in placed)))
    taken = [resources.change(one.resource, msgspec.structs.replace(one.resource.wanted, ve=item.name))
             for one in placed]
    draft.steps = [_record(item, started, f"note that VE {item.name} is being started", *taken)]
    for clone in clones.values():
        draft.steps += clone.steps
    allowed = {one.image: msgspec.structs.replace(roots[one.image], allowed=(_address(one.resource),))
               for one in placed}
    draft.steps += _exports(call, storage.name, roots, allowed, clones)
    draft.steps += [Order(summary=f"(when taken back: {one.resource.name} reboots)", resource=one.resource.name,
                          undo="reboot", boot=_boot(one.resource)) for one in placed]
    settings = boot_settings(farm)
    for one in placed:
        root = boot.Root(ve=wanted.id, storage=_reached_at(storage, settings.server), path=roots[one.image].path,
                         hostname=roots[one.image].hostname or item.name)
        draft.steps += _boot_files(call, one.resource, wanted.boot_image, root)
    now = farm.clock()
    for one in placed:
        draft.steps += power.reset(one.resource, now)
    draft.steps += [Await(summary=f"wait until {one.resource.name} runs VE {item.name}", resource=one.resource.name,
                          until="active", ve=wanted.id, not_boot=_boot(one.resource), seconds=START_SECONDS)
                    for one in placed]
    running = msgspec.structs.replace(started, life="running")
    draft.steps.append(Record(summary=f"note that VE {item.name} runs", changes=(Change(
        kind="ve", name=item.name, wanted=msgspec.to_builtins(running), former=msgspec.to_builtins(started)),)))
    return draft


def _locks(item: Item, storage: Item, placed: Sequence[_Placed]) -> list[Lock]:
    return [Lock(f"ve/{item.name}"), Lock(f"boot-image/{item.wanted.boot_image}", shared=True),
            Lock(f"storage/{storage.name}", shared=True), *(Lock(f"resource/{one.resource.name}") for one in placed),
            *(Lock(f"image/{one.image}") for one in placed)]


def _boot(item: Item) -> str:
    return item.seen.boot if item.seen else ""


def _address(item: Item) -> str:
    address = item.wanted.address
    if not address:
        raise Refused(f"resource {item.name} has no address of its own: give it one "
                      f"(qrm resource edit {item.name} --address ADDRESS)")
    return str(address)


def _reached_at(storage: Item, server: str) -> str:
    """The storage server's address as machines reach it: one on this server itself is not at 127.0.0.1 for them."""
    address = str(storage.wanted.address)
    return server if address.startswith("127.") or address in ("localhost", "::1") else address


def _need_no_job(call: Call, item: Item) -> None:
    jobs = call.reading.farm.open_jobs(f"ve/{item.name}")
    if jobs:
        raise Refused(f"VE {item.name} is {item.state}: job {jobs[0]} is at it; wait for it, or cancel it "
                      f"(qrm job cancel {jobs[0]})")


def _clones(call: Call, item: Item, storage: Item, placed: Sequence[_Placed]) -> dict[str, Draft]:
    """The clones that are yet to be made, as the drafts of making them."""
    made: dict[str, Draft] = {}
    for one in placed:
        if one.new:
            arguments = {"source": item.wanted.image, "name": one.image, "hostname": None, "reserve": 0.2}
            made[one.image] = lvm_nfs.plan_clone(dataclasses.replace(
                call, arguments=arguments, identity=lambda purpose, of=one.image: call.identity(f"{of}/{purpose}")))
    if len(made) > 1:
        together = sum(lvm_nfs.room_of(draft) for draft in made.values())
        checks.need_room(call, storage, together, f"{len(made)} clones")
    return made


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
    if item.wanted.allowed:
        raise Refused(f"image {item.name} may be mounted by {_whose(call.reading.farm, item)}: a second machine on one "
                      f"root spoils it. Stop what runs there, or cut it off: qrm image revoke {item.name} "
                      f"{' '.join(item.wanted.allowed)}")
    checks.own_volume(call, item)
    if item.seen and item.seen.lost:
        raise Refused(f"image {item.name} ran full and is lost: clone it anew")
    wanted: ImageWanted = item.wanted
    return wanted


def _whose(farm: Farm, item: Item) -> str:
    """The machines that may mount an image, by name and state where they are known."""
    by_address = {other.wanted.address: other for other in farm.all("resource") if other.wanted.address}
    return ", ".join(f"{by_address[address].name} ({by_address[address].state}, {address})" if address in by_address
                     else address for address in item.wanted.allowed)


def _exports(call: Call, machine: str, before: Mapping[str, ImageWanted], after: Mapping[str, ImageWanted],
             clones: Mapping[str, Draft]) -> list[Step]:
    """Each image is exported to its machine alone, or to nobody; and our records say so."""
    steps: list[Step] = []
    for name, wanted in after.items():
        if name in clones:
            former: str | None = nfs.export_text(name, wanted.path, wanted.export_id, ())
        else:
            file = call.reading.file(machine, nfs.export_path(name))
            former = file.content if file else None
        gone = sorted(set(before[name].allowed) - set(wanted.allowed))
        steps += [lvm_nfs.export(machine, name, wanted, former), nfs.reload(machine, wanted.path, wanted.allowed),
                  *([nfs.drop_sessions(machine, gone)] if gone else [])]
    who = "; ".join(f"{name}: {', '.join(wanted.allowed) or 'nobody'}" for name, wanted in after.items())
    steps.append(Record(summary=f"note who may mount {who}", changes=tuple(
        Change(kind="image", name=name, wanted=msgspec.to_builtins(wanted), former=msgspec.to_builtins(before[name]))
        for name, wanted in after.items())))
    return steps


def _boot_files(call: Call, resource: Item, boot_image: str, root: boot.Root | None) -> list[WriteFile]:
    """The machine's boot files: they say what it boots next."""
    settings = boot_settings(call.reading.farm)
    facts = call.reading.facts(HERE)
    steps = []
    for path, content in boot.config_files(settings, resource.wanted.mac, boot_image, root).items():
        if path not in facts.files:
            raise Stale(f"resource {resource.name} was taken or freed meanwhile; look at the plan anew")
        file = call.reading.file(HERE, path)
        if file is not None and file.content == content:
            continue
        what = f"boots {boot_image} with {root.path} of {root.storage} as its root" if root else "boots idle"
        steps.append(WriteFile(machine=HERE, summary=f"{resource.name} {what}: {path}", path=path, content=content,
                               former=file.content if file else None))
    return steps


# stopping


def probe_stop(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """What is asked before a stop: the files of its machines and images."""
    item = farm.get("ve", str(arguments["name"]))
    leaving = _leaving(item, arguments)
    images = {assigned.image: farm.get("image", assigned.image) for assigned in leaving}
    macs = [found.wanted.mac for assigned in leaving if (found := farm.find("resource", assigned.resource))]
    if not images:
        return []
    return _probes(farm, next(iter(images.values())).wanted.storage, macs,
                   {name: image.wanted.path for name, image in images.items()})


def _leaving(item: Item, arguments: Mapping[str, Any]) -> list[Assignment]:
    only = arguments.get("resource")
    return [assigned for assigned in item.wanted.assigned if only in (None, assigned.resource)]


def plan_stop(call: Call) -> Draft:
    """Its machines go back to idle, and may no longer mount its images."""
    item = call.reading.get("ve", call.arguments["name"])
    _need_no_job(call, item)
    if item.wanted.life == "stopped":
        raise Refused(f"VE {item.name} is not started")
    return _plan_stop(call, item, list(item.wanted.assigned))


def plan_remove_resource(call: Call) -> Draft:
    """One machine leaves a VE that runs on several."""
    item, name = call.reading.get("ve", call.arguments["name"]), call.arguments["resource"]
    _need_no_job(call, item)
    leaving = _leaving(item, call.arguments)
    if not leaving:
        raise Refused(f"resource {name} does not belong to VE {item.name}")
    if len(item.wanted.assigned) == 1:
        raise Refused(f"{name} is the last machine of VE {item.name}: stop it (qrm ve stop {item.name})")
    return _plan_stop(call, item, leaving)


def _plan_stop(call: Call, item: Item, leaving: list[Assignment]) -> Draft:
    farm, wanted, force = call.reading.farm, item.wanted, bool(call.arguments["force"])
    whole = len(leaving) == len(wanted.assigned)
    machines = [call.reading.get("resource", assigned.resource) for assigned in leaving]
    images = {assigned.image: call.reading.get("image", assigned.image) for assigned in leaving}
    draft = Draft(f"ve/{item.name}", locks=[
        Lock(f"ve/{item.name}"), *(Lock(f"resource/{machine.name}") for machine in machines),
        *(Lock(f"image/{name}") for name in images),
        *(Lock(f"storage/{name}", shared=True) for name in {image.wanted.storage for image in images.values()})])
    going = msgspec.structs.replace(wanted, life="stopping" if whole else wanted.life)
    draft.steps = [_record(item, going, f"note that VE {item.name} {'is being stopped' if whole else 'gives back a machine'}",
                           *(resources.change(machine, msgspec.structs.replace(machine.wanted, leaving=True))
                             for machine in machines))]
    revoked = _revoke(call, images)
    if force:
        draft.warnings.append("its machines are cut off from their roots at once: what they have not written is lost")
        draft.point_of_no_return()
        draft.steps += revoked
    for machine in machines:
        draft.steps += _boot_files(call, machine, boot.IDLE_IMAGE, None)
    draft.point_of_no_return()
    draft.steps += _send_home(call, item, machines, force)
    if not force:
        draft.steps += revoked
    left = msgspec.structs.replace(
        going, life="stopped" if whole else going.life,
        assigned=tuple(assigned for assigned in wanted.assigned if assigned not in leaving))
    draft.steps.append(Record(
        summary=f"note that VE {item.name} is stopped" if whole else f"note that {machines[0].name} has left",
        changes=(Change(kind="ve", name=item.name, wanted=msgspec.to_builtins(left), former=msgspec.to_builtins(going)),
                 *(Change(kind="resource", name=machine.name, former=msgspec.to_builtins(machine.wanted),
                          wanted=msgspec.to_builtins(msgspec.structs.replace(machine.wanted, ve="", leaving=False)))
                   for machine in machines))))
    return draft


def _revoke(call: Call, images: Mapping[str, Item]) -> list[Step]:
    before = {name: image.wanted for name, image in images.items() if image.wanted.allowed}
    if not before:
        return []
    after = {name: msgspec.structs.replace(wanted, allowed=()) for name, wanted in before.items()}
    machine = next(iter(before.values())).storage
    return _exports(call, machine, before, after, {})


def _send_home(call: Call, item: Item, machines: Sequence[Item], force: bool) -> list[Step]:
    """Orders and waits that bring machines back to idle; Refused where nobody can tell one, unless it is forced."""
    now, told, awaited = call.reading.farm.clock(), [], []
    for machine in machines:
        seen = machine.seen
        if seen is not None and (seen.off or (seen.runs == IDLE and is_heard(seen, now))):
            continue  # it has left already
        try:
            told += power.reset(machine, now)
        except Refused as error:
            if not force:
                raise Refused(*error.reasons, f"or cut it off from its image, whatever it is doing: qrm ve stop "
                              f"{item.name} --force") from None
            continue
        if not force:
            awaited.append(Await(summary=f"wait until {machine.name} is idle", resource=machine.name, until="idle",
                                 not_boot=_boot(machine), seconds=STOP_SECONDS))
    return [*told, *awaited]
