"""Registering storage servers: the look at one decides whether it can serve images."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from qrm_tui.backends import lvm_nfs_checks as checks
from qrm_tui.backends import probing
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core import names
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import StorageWanted
from qrm_tui.core.plan import Change, Inverse, Lock, Record
from qrm_tui.core.units import format_size

_SETTINGS = ("SERVER_VOL", "THIN_POOL", "OVERCOMMIT")


def wanted_of(farm: Farm, arguments: Mapping[str, Any]) -> StorageWanted:
    """The storage server that is asked for; BadInput tells what of its settings is wrong."""
    env = dict(arguments["env"])
    if not env.get("SERVER_VOL") and (group := _own_group(farm, arguments["address"])):
        env["SERVER_VOL"] = group
    wrong = [f"env: {names.printable(key)}: there are only {', '.join(_SETTINGS)}" for key in env
             if key not in _SETTINGS]
    if not env.get("SERVER_VOL"):
        wrong.append("env: SERVER_VOL is needed: the volume group for images, as in --env SERVER_VOL=vol")
    for key in ("SERVER_VOL", "THIN_POOL"):
        try:
            names.check_volume_name(env.get(key) or "x", f"{key} name")
        except ValueError as error:
            wrong.append(f"env: {error}")
    overcommit = env.get("OVERCOMMIT", "300%")
    if not (overcommit.rstrip("%").isdigit() and 10 <= int(overcommit.rstrip("%")) <= 10000):
        wrong.append(f"env: OVERCOMMIT={names.printable(overcommit)}: a percentage from 10% to 10000%")
    if wrong:
        raise BadInput(*wrong)
    checks.check_group_name(env["SERVER_VOL"])
    return StorageWanted(type=arguments["type"], address=arguments["address"], user=arguments["user"],
                         port=arguments["port"], env=env)


def _own_group(farm: Farm, address: str) -> str:
    """The volume group that this server was set up with, if it has that address."""
    served, local = (farm.find("component", name) for name in ("dhcpd", "lvm-mgmt"))
    if served is None or local is None or served.wanted.settings.get("address") != address:
        return ""
    return str(local.wanted.settings.get("group", ""))


def probe_add(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """The new server is looked at before it is registered."""
    return [Probe(str(arguments["name"]), server=wanted_of(farm, arguments), versions=True)]


def plan_add(call: Call) -> Draft:
    """Register a server that has what is needed; its host key is pinned."""
    name, wanted = call.arguments["name"], wanted_of(call.reading.farm, call.arguments)
    call.reading.absent("storage", name)
    same = [item.name for item in call.reading.farm.all("storage")
            if (item.wanted.address, item.wanted.group) == (wanted.address, wanted.group)]
    if same:
        raise Refused(f"volume group {wanted.group} at {wanted.address} is storage server {same[0]} already")
    facts = call.reading.facts(name)
    # what is not installed explains the rest
    troubles = probing.missing(facts.versions) or facts.troubles
    if troubles:
        raise Refused(*(f"storage server {name} at {wanted.address}: {trouble}" for trouble in troubles))
    group = checks.volume_group_of(facts, name, wanted)
    if wanted.pool:
        pool = facts.volumes.get(wanted.pool)
        if pool is None or pool.kind != "t":
            raise Refused(f"volume group {group.name} at {wanted.address} has no thin pool {wanted.pool}")
    pinned = msgspec.structs.replace(wanted, host_key=facts.host_key)
    draft = Draft(f"storage/{name}", locks=[Lock(f"storage/{name}")], inverse=Inverse("storage.remove", {"name": name}))
    draft.notes.append(f"volume group {group.name}: {format_size(group.size)}, {format_size(group.free)} free, "
                       f"{len(facts.volumes)} volumes, none of which is touched")
    draft.notes.append("versions there: " + ", ".join(f"{what} {version}" for what, version in facts.versions.items()
                                                      if version))
    if facts.host_key:
        draft.notes.append(f"its ssh host key is pinned: {call.arguments['host_key'] or facts.host_key}")
    if not facts.versions.get("rsync"):
        draft.warnings.append("rsync is not installed there: images cannot be copied (apt-get install rsync)")
    draft.steps = [Record(summary=f"register storage server {name}", changes=(
        Change(kind="storage", name=name, wanted=msgspec.to_builtins(pinned)),))]
    return draft


def plan_remove(call: Call) -> Draft:
    """Forget a server; nothing on it is changed."""
    item = call.reading.get("storage", call.arguments["name"])
    images = [image.name for image in call.reading.farm.images_on(item.name)]
    if images:
        shown = ", ".join(images[:5]) + (f" and {len(images) - 5} more" if len(images) > 5 else "")
        raise Refused(f"storage server {item.name} has images: {shown}; remove them first")
    wanted: StorageWanted = item.wanted
    arguments: dict[str, Any] = {"name": item.name, "type": wanted.type, "address": wanted.address,
                                 "env": dict(wanted.env), "user": wanted.user, "port": wanted.port}
    draft = Draft(f"storage/{item.name}", locks=[Lock(f"storage/{item.name}")],
                  inverse=Inverse("storage.add", arguments))
    draft.notes.append("nothing on the server itself is changed")
    draft.steps = [Record(summary=f"forget storage server {item.name}", changes=(
        Change(kind="storage", name=item.name, wanted=None, former=msgspec.to_builtins(wanted)),))]
    return draft
