"""Planners of virtual environments: defining one, changing what it is, forgetting it."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from qrm_tui.backends import shared_roots, ve_parts
from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core import placement
from qrm_tui.core.environments import Profile, VeWanted
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.operations.ve import NO_PARTITIONS, YES
from qrm_tui.core.partitionings import Partitioning
from qrm_tui.core.plan import Change, Inverse, Lock, Record


def _profile(arguments: Mapping[str, Any], known: Profile) -> Profile:
    given = {name: arguments[name] for name in ("cpus", "mhz", "memory", "nics", "kind", "technology")
             if arguments[name]}
    profile = msgspec.structs.replace(known, **given)
    if profile.technology and profile.kind != "partition":
        raise BadInput("technology: is of partitions: add --kind partition")
    return profile


def _partitioning(asked: Any, known: Partitioning) -> Partitioning:
    if asked is None:
        return known
    word: Partitioning = "" if asked == NO_PARTITIONS else asked
    return word


def _check_parts(call: Call, boot_image: str, image: str, partitioning: str, shared: bool) -> None:
    boots = call.reading.get("boot-image", boot_image)
    ve_parts.need_fitting(partitioning, boots)
    if shared:
        shared_roots.need_sharing(boots)
    found = call.reading.get("image", image)
    if found.wanted.filesystem == "" or not found.wanted.managed:
        raise Refused(f"image {image} is only registered: no machine can be let to mount it from here")


def _root_notes(wanted: VeWanted) -> list[str]:
    """What its machines have as their roots, where that is not the image alone."""
    if wanted.same_for_all:
        return [f"image {wanted.image} is the same root for all its machines, and only read: what one writes lies in "
                "its memory and is gone when it boots anew; its name is its resource's"]
    if wanted.multi_server > 1:
        return [f"each of its {wanted.multi_server} machines gets a clone of image {wanted.image}, made when it is "
                "first started"]
    return []


def plan_create(call: Call) -> Draft:
    """Define one; it is not started."""
    arguments = call.arguments
    name = arguments["name"]
    call.reading.absent("ve", name)
    partitioning: Partitioning = arguments["partitioning"] or ""
    _check_parts(call, arguments["boot_image"], arguments["image"], partitioning, arguments["same_for_all"])
    wanted = VeWanted(id=call.identity("ve"), boot_image=arguments["boot_image"], image=arguments["image"],
                      partitioning=partitioning, profile=_profile(arguments, Profile()),
                      multi_server=arguments["multi_server"], same_for_all=bool(arguments["same_for_all"]))
    draft = Draft(f"ve/{name}", locks=[Lock(f"ve/{name}")], inverse=Inverse("ve.remove", {"name": name}))
    draft.notes += _root_notes(wanted)
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
             "multi_server": arguments["multi_server"] or wanted.multi_server,
             "partitioning": _partitioning(arguments["partitioning"], wanted.partitioning),
             "same_for_all": wanted.same_for_all if arguments["same_for_all"] is None else
             arguments["same_for_all"] == YES}
    changed = msgspec.structs.replace(wanted, **parts, profile=_profile(
        arguments, Profile() if arguments["any"] else wanted.profile))
    if wanted.life != "stopped":
        if any(getattr(wanted, name) != value for name, value in parts.items()):
            raise Refused(f"VE {item.name} is {item.state}: its boot-image, image, partitioning, number of machines "
                          "and same-for-all are changed while it is stopped (qrm ve add-resource gives it one more "
                          "now)")
    else:
        _check_parts(call, changed.boot_image, changed.image, changed.partitioning, changed.same_for_all)
    draft = Draft(f"ve/{item.name}", locks=[Lock(f"ve/{item.name}")])
    if changed == wanted:
        draft.notes.append("nothing of it is another: nothing to do")
        return draft
    if wanted.life != "stopped":
        draft.notes.append("it counts from its next start on: its present machines stay")
    if changed.same_for_all != wanted.same_for_all:
        draft.notes += _root_notes(changed)
    draft.steps = [ve_parts.record(item, changed, f"note what VE {item.name} is now")]
    return draft


def plan_remove(call: Call) -> Draft:
    """Forget one that is stopped; its images stay."""
    item = call.reading.get("ve", call.arguments["name"])
    if item.wanted.life != "stopped":
        raise Refused(f"VE {item.name} is {item.state}: stop it first (qrm ve stop {item.name})")
    draft = Draft(f"ve/{item.name}", locks=[Lock(f"ve/{item.name}")])
    clones = [name for number in range(1, item.wanted.multi_server + 1) if item.wanted.multi_server > 1
              if call.reading.farm.find("image", name := ve_parts.clone_name(item.name, number))]
    kept = ", ".join([item.wanted.image, *clones])
    draft.notes.append(f"its images stay: {kept}")
    draft.steps = [ve_parts.record(item, None, f"forget VE {item.name}")]
    return draft
