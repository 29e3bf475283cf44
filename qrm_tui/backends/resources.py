"""Planners of resources: maintenance, power, settings, and forgetting one."""
from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from qrm_tui.backends import boot, power, shared_roots
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.netboot import broadcast_address
from qrm_tui.core.plan import HERE, Await, Change, Check, Inverse, Lock, Record, Run
from qrm_tui.core.resources import Power, ResourceWanted

#: Partitions that a warning names.
_TOLD = 6


def record(item: Item, wanted: ResourceWanted | None, summary: str) -> Record:
    """A change of what is wanted of a resource."""
    return Record(summary=summary, changes=(change(item, wanted),))


def change(item: Item, wanted: ResourceWanted | None) -> Change:
    """The row of a resource as it should be."""
    return Change(kind="resource", name=item.name, wanted=msgspec.to_builtins(wanted) if wanted else None,
                  former=msgspec.to_builtins(item.wanted))


def _draft(item: Item, inverse: Inverse | None = None) -> Draft:
    return Draft(f"resource/{item.name}", locks=[Lock(f"resource/{item.name}")], inverse=inverse)


def plan_maintenance(call: Call) -> Draft:
    """Into maintenance or out of it, any number at once; said twice, it changes nothing."""
    on, off = call.arguments["on"], call.arguments["off"]
    if on and off:
        raise BadInput("on, off: one of them, or neither for the other way than it is")
    items = [call.reading.get("resource", name) for name in dict.fromkeys(call.arguments["name"])]
    more = f" and {len(items) - 1} more" if len(items) > 1 else ""
    draft = Draft(f"resource/{items[0].name}{more}", locks=[Lock(f"resource/{item.name}") for item in items])
    for item in items:
        wanted: ResourceWanted = item.wanted
        into = bool(on) or (not off and not wanted.maintenance)
        if into == wanted.maintenance:
            draft.notes.append(f"{item.name} is {'in' if into else 'out of'} maintenance already: nothing to do")
            continue
        if into and wanted.ve:
            draft.notes.append(f"VE {wanted.ve} goes on on {item.name}: maintenance only keeps others away")
        draft.steps.append(record(item, msgspec.structs.replace(wanted, maintenance=into),
                                  f"{item.name} {'into' if into else 'out of'} maintenance"))
    return draft


def plan_power(call: Call) -> Draft:
    """On, off or reset, by whoever can: its agent first, then its management controller."""
    item = call.reading.get("resource", call.arguments["name"])
    if item.wanted.kind == "partition":
        verb = {"on": "start", "off": "stop", "reset": "reset"}[call.arguments["action"]]
        raise Refused(f"{item.name} is a partition of {item.wanted.host}: qrm partition {verb} {item.name}")
    action, now = call.arguments["action"], call.reading.farm.clock()
    draft = _draft(item)
    if action == "off":
        draft.steps = power.off(item, now)
    else:
        draft.steps = (power.on if action == "on" else power.reset)(item, now, broadcast_address(call.reading.farm))
    if action == "reset":
        draft.steps.append(_back(call, item))
    if action != "on":
        draft.destructive = True
        draft.point_of_no_return(0)
        if item.wanted.ve:
            draft.warnings.append(f"VE {item.wanted.ve} runs on {item.name}: it goes down with it, and comes back with "
                                  "its next boot")
            ve = call.reading.find("ve", item.wanted.ve)
            if ve is not None and ve.wanted.same_for_all:
                draft.warnings.append(shared_roots.lost([item.name]))
        hosted = [_with_ve(call.reading.farm, other.name) for other in call.reading.farm.partitions_up(item.name)]
        if hosted:
            more = f" and {len(hosted) - _TOLD} more" if len(hosted) > _TOLD else ""
            draft.warnings.append(f"its partitions go down with it: {', '.join(hosted[:_TOLD])}{more}")
    return draft


def _with_ve(farm: Farm, name: str) -> str:
    ve = farm.get("resource", name).wanted.ve
    return f"{name} (VE {ve})" if ve else name


def _back(call: Call, item: Item) -> Await:
    """A machine that is reset is awaited: idle, or in its virtual environment."""
    ve = call.reading.farm.find("ve", item.wanted.ve) if item.wanted.ve else None
    return Await(summary=f"wait until {item.name} is back", resource=item.name, until="active" if ve else "idle",
                 ve=ve.wanted.id if ve else "", not_boot=item.seen.boot if item.seen else "",
                 seconds=power.BOOT_SECONDS)


def plan_edit(call: Call) -> Draft:
    """How it is switched, where its console is, and the address that it always gets."""
    item = call.reading.get("resource", call.arguments["name"])
    arguments, wanted = call.arguments, item.wanted
    switched = _power(arguments, wanted.power)
    address = arguments["address"] or wanted.address
    taken = [other.name for other in call.reading.farm.all("resource")
             if other.wanted.address == address and other.name != item.name]
    if arguments["address"] and taken:
        raise Refused(f"address {address} is {taken[0]}'s")
    if address != wanted.address and wanted.ve:
        raise Refused(f"{item.name} runs VE {wanted.ve}, whose image is exported to its present address: stop that "
                      "first")
    if address != wanted.address and wanted.kind == "partition":
        partition = call.reading.find("partition", item.name)
        if partition is not None and partition.state not in ("off", "defined", "crashed"):
            raise Refused(f"partition {item.name} is {partition.state}, and held to its present address until it is "
                          f"off: qrm partition stop {item.name}")
    changed = _console(arguments, msgspec.structs.replace(wanted, power=switched, address=address))
    draft = _draft(item, _inverse(item))
    if changed == wanted:
        draft.notes.append("nothing of it is another: nothing to do")
        draft.inverse = None
        return draft
    draft.steps = [record(item, changed, f"note how {item.name} is switched, its console and its address")]
    return draft


def _power(arguments: Mapping[str, Any], known: Power) -> Power:
    method = {None: known.method, "agent": "", "ipmi": "ipmi", "wake": "wake"}[arguments["power"]]
    made = Power(method=method, address=arguments["power_address"] or known.address,
                 user=arguments["power_user"] or known.user, secret=arguments["power_secret"] or known.secret)
    if method != "ipmi":
        if arguments["power_address"] or arguments["power_user"] or arguments["power_secret"]:
            raise BadInput("power_address, power_user, power_secret: are for --power ipmi alone")
        return Power(method=method)
    lacking = [name for name, value in (("power_address", made.address), ("power_user", made.user),
                                        ("power_secret", made.secret)) if not value]
    if lacking:
        raise BadInput(*(f"{name}: is needed for ipmi" for name in lacking))
    return made


def _console(arguments: Mapping[str, Any], wanted: ResourceWanted) -> ResourceWanted:
    """Where its console is from now on; `wanted` has its power already."""
    said = arguments["console"]
    source = wanted.console if said is None else "" if said == "none" else said
    if arguments["console_command"] and source != "command":
        raise BadInput("console_command: is for --console command alone")
    if source == "ipmi-sol" and wanted.power.method != "ipmi":
        raise BadInput("console: ipmi-sol needs the management controller: --power ipmi with its address, user and "
                       "secret")
    command = (arguments["console_command"] or wanted.console_command) if source == "command" else ""
    if source == "command":
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise BadInput(f"console_command: {error}") from None
        if not words or not words[0]:
            raise BadInput("console_command: is needed for --console command, as in `ssh -tt terminals -p 7001`")
    return msgspec.structs.replace(wanted, console=source, console_command=command)


def _inverse(item: Item) -> Inverse:
    known = item.wanted.power
    arguments: dict[str, Any] = {"name": item.name, "power": known.method or "agent",
                                 "console": item.wanted.console or "none"}
    if item.wanted.console_command:
        arguments["console_command"] = item.wanted.console_command
    if known.method == "ipmi":
        arguments |= {"power_address": known.address, "power_user": known.user, "power_secret": known.secret}
    if item.wanted.address:
        arguments["address"] = item.wanted.address
    return Inverse("resource.edit", arguments)


def probe_files(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """The boot files of a resource as they are."""
    item = farm.get("resource", str(arguments["name"]))
    return [Probe(HERE, files=boot.machine_paths(item.wanted.mac))]


def plan_remove(call: Call) -> Draft:
    """Its files go, and its record; the machine itself is left alone."""
    item = call.reading.get("resource", call.arguments["name"])
    if item.wanted.ve:
        raise Refused(f"{item.name} belongs to VE {item.wanted.ve}: stop that first, or take it out "
                      f"(qrm ve remove-resource {item.wanted.ve} {item.name})")
    if call.reading.farm.find("partition", item.name) is not None:
        raise Refused(f"{item.name} is a partition of {item.wanted.host}: qrm partition remove {item.name}")
    draft = _draft(item)
    draft.steps += boot.removal_steps(item.name, item.wanted.mac, partial(call.reading.file, HERE))
    draft.steps.append(record(item, None, f"forget resource {item.name}"))
    # last: as long as it is known, the server itself keeps that file
    nonce = boot.nonce_path(item.wanted.mac)
    draft.steps.append(Run(machine=HERE, summary=f"remove what the next boot of {item.name} would show",
                           argv=("rm", "-f", "--", nonce), done=Check(argv=("test", "!", "-e", nonce))))
    if item.wanted.console:
        draft.notes.append("what its console said goes with it")
    if item.state in ("idle", "booting", "active"):
        draft.notes.append("the machine is on: it will come back as a new resource as long as it boots from this "
                           "network")
    return draft
