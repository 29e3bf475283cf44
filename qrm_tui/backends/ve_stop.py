"""Planners that stop virtual environments: machines back to idle, and then no longer let to mount their images."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from qrm_tui.backends import lvm_nfs, partitions, power, resources, shared_roots, ve_parts
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core.environments import Assignment
from qrm_tui.core.errors import Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.plan import Await, Change, Lock, Record, Step
from qrm_tui.core.resources import IDLE, is_heard

#: Seconds that a machine may take back to idle.
SECONDS = 600.0


def probe_stop(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """What is asked before a stop: the files of its machines and images."""
    item = farm.get("ve", str(arguments["name"]))
    leaving = _leaving(item, arguments)
    images = {assigned.image: farm.get("image", assigned.image) for assigned in leaving}
    macs = [found.wanted.mac for assigned in leaving if (found := farm.find("resource", assigned.resource))]
    if not images:
        return []
    return ve_parts.probes(next(iter(images.values())).wanted.storage, macs,
                           {name: image.wanted.path for name, image in images.items()})


def _leaving(item: Item, arguments: Mapping[str, Any]) -> list[Assignment]:
    only = arguments.get("resource")
    return [assigned for assigned in item.wanted.assigned if only in (None, assigned.resource)]


def plan_stop(call: Call) -> Draft:
    """Its machines go back to idle, and may no longer mount its images."""
    item = call.reading.get("ve", call.arguments["name"])
    ve_parts.need_no_job(call, item)
    if item.wanted.life == "stopped":
        raise Refused(f"VE {item.name} is not started")
    return _plan_stop(call, item, list(item.wanted.assigned))


def plan_remove_resource(call: Call) -> Draft:
    """One machine leaves a VE that runs on several."""
    item, name = call.reading.get("ve", call.arguments["name"]), call.arguments["resource"]
    ve_parts.need_no_job(call, item)
    leaving = _leaving(item, call.arguments)
    if not leaving:
        raise Refused(f"resource {name} does not belong to VE {item.name}")
    if len(item.wanted.assigned) == 1:
        raise Refused(f"{name} is the last machine of VE {item.name}: stop it (qrm ve stop {item.name})")
    return _plan_stop(call, item, leaving)


def _plan_stop(call: Call, item: Item, leaving: list[Assignment]) -> Draft:
    wanted, force = item.wanted, bool(call.arguments["force"])
    whole = len(leaving) == len(wanted.assigned)
    machines = [call.reading.get("resource", assigned.resource) for assigned in leaving]
    for machine in machines:
        partitions.need_none_on(call, machine.name, item.name)
    images = {assigned.image: call.reading.get("image", assigned.image) for assigned in leaving}
    draft = Draft(f"ve/{item.name}", locks=[
        Lock(f"ve/{item.name}"), *(Lock(f"resource/{machine.name}") for machine in machines),
        *(Lock(f"image/{name}") for name in images),
        *(Lock(f"storage/{name}", shared=True) for name in {image.wanted.storage for image in images.values()})])
    going = msgspec.structs.replace(wanted, life="stopping" if whole else wanted.life)
    what = "is being stopped" if whole else "gives back a machine"
    leave = [resources.change(machine, msgspec.structs.replace(machine.wanted, leaving=True)) for machine in machines]
    draft.steps = [ve_parts.record(item, going, f"note that VE {item.name} {what}", *leave)]
    if wanted.same_for_all:
        draft.warnings.append(shared_roots.lost([machine.name for machine in machines]))
    revoked = _revoke(call, item, images, machines)
    if force:
        draft.warnings.append("its machines are cut off from their roots at once: what they have not written is lost")
        draft.point_of_no_return()
        draft.steps += revoked
    for machine in machines:
        draft.steps += ve_parts.boot_files(call, machine, None)
        draft.steps += partitions.boots(call, machine, None)
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
                 *(Change(kind="resource", name=machine.name, former=gone.wanted,
                          wanted=msgspec.to_builtins(msgspec.structs.replace(machine.wanted, ve="", leaving=False)))
                   for machine, gone in zip(machines, leave, strict=True)))))
    return draft


def _revoke(call: Call, item: Item, images: Mapping[str, Item], machines: Sequence[Item]) -> list[Step]:
    """Nobody may mount an image that was one machine's own; a shared one, all but these may."""
    before = {name: image.wanted for name, image in images.items() if image.wanted.allowed}
    if not before:
        return []
    going = {machine.wanted.address for machine in machines}
    after = {name: lvm_nfs.with_access(
        wanted, [address for address in wanted.allowed if item.wanted.same_for_all and address not in going],
        read_only=wanted.read_only) for name, wanted in before.items()}
    machine = next(iter(before.values())).storage
    return ve_parts.exports(call, machine, before, after, {})


def _send_home(call: Call, item: Item, machines: Sequence[Item], force: bool) -> list[Step]:
    """Orders and waits that bring machines back to idle; Refused where nobody can tell one, unless it is forced."""
    now, told, awaited = call.reading.farm.clock(), [], []
    for machine in machines:
        seen = machine.seen
        if seen is not None and (seen.off or (seen.runs == IDLE and is_heard(seen, now))):
            continue  # it has left already
        try:
            told += [*partitions.down_steps(call, machine.name, force=force),
                     *partitions.up_steps(call, machine.name)] if machine.wanted.kind == "partition" else \
                power.reset(machine, now)
        except Refused as error:
            if not force:
                raise Refused(*error.reasons, f"or cut it off from its image, whatever it is doing: qrm ve stop "
                              f"{item.name} --force") from None
            continue
        if not force:
            awaited.append(Await(summary=f"wait until {machine.name} is idle", resource=machine.name, until="idle",
                                 not_boot=ve_parts.boot_of(machine), seconds=SECONDS))
    return [*told, *awaited]
