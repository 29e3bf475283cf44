"""Planners of partitions: made, switched, resized and removed on their hosts."""
from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from qrm_tui.backends import boot, partition_boot, partition_disk, partition_filter, ve_parts
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.backends.virtualization import require, schedule, technologies
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.netboot import free_addresses
from qrm_tui.core.partitionings import NETBOOTING, PARTITIONINGS, little_memory, technology_on, word_of
from qrm_tui.core.partitions import HostSeen, PartitionWanted
from qrm_tui.core.plan import HERE, Await, Change, Check, Domain, Inverse, Lock, Order, Record, Run, Step, Undo
from qrm_tui.core.resources import ResourceWanted, is_heard
from qrm_tui.core.units import format_size

#: Partitions made by one call.
MOST = 100
#: The first half of MACs, by how a card is virtualized: Xen's and QEMU's.
_MACS = {"xen-pv": "00:16:3e"}
_MAC = "52:54:00"
#: Seconds that an orderly power-off may take.
OFF_SECONDS = 180.0
_NUMBERED = re.compile(r"-([0-9]{1,6})$")


def record(item: Item, wanted: PartitionWanted | None, summary: str, *more: Change) -> Record:
    """A change of what is wanted of a partition."""
    return Record(summary=summary, changes=(_change(item.name, wanted, item.wanted), *more))


def _change(name: str, wanted: PartitionWanted | None, former: PartitionWanted | None) -> Change:
    return Change(kind="partition", name=name, wanted=msgspec.to_builtins(wanted) if wanted else None,
                  former=msgspec.to_builtins(former) if former else None)


def _draft(item: Item, inverse: Inverse | None = None) -> Draft:
    return Draft(f"partition/{item.name}", inverse=inverse, locks=[
        Lock(f"partition/{item.name}"), Lock(f"resource/{item.name}"),
        Lock(f"resource/{item.wanted.host}", shared=True)])


def need_host(call: Call, name: str) -> Item:
    """The virtualization host; Refused while it does not answer."""
    farm = call.reading.farm
    host = farm.find("host", name)
    if host is None:
        resource = farm.get("resource", name)
        raise Refused(f"resource {name} is {resource.state}, and runs no VE with partitioning: start one on it first "
                      f"(qrm ve create NAME --partitioning {' or '.join(PARTITIONINGS)} ...)")
    if host.wanted.technology:
        raise Refused(f"host {name} was added as it is: partitions are made on machines that run a VE with "
                      f"partitioning (qrm ve create NAME --partitioning {' or '.join(PARTITIONINGS)} ...)")
    if host.state != "ok":
        raise Refused(f"virtualization host {name} is {host.state}: "
                      f"{host.seen.silent if host.seen else 'it was not asked yet'}")
    return host


# making them


def _names(call: Call, count: int) -> list[str]:
    farm, given = call.reading.farm, call.arguments["name"]
    if given and count == 1:
        names = [str(given)]
    else:
        base = str(given or call.arguments["host"])
        taken = [int(match[1]) for kind in ("partition", "resource") for item in farm.all(kind)
                 if item.name.startswith(f"{base}-") and (match := _NUMBERED.search(item.name))
                 and item.name == f"{base}-{match[1]}"]
        first = max(taken, default=0) + 1
        names = [f"{base}-{number}" for number in range(first, first + count)]
    for name in names:
        for kind in ("partition", "resource", "host"):
            call.reading.absent(kind, name)
    return names


def _mac(technology: str, identity: str, taken: set[str]) -> str:
    digits = identity.replace("-", "")
    for at in range(0, len(digits) - 5):
        half = digits[at:at + 6]
        mac = f"{_MACS.get(technology, _MAC)}:{half[:2]}:{half[2:4]}:{half[4:]}"
        if mac not in taken:
            taken.add(mac)
            return mac
    raise Refused("no MAC address is free for it")


def _need_processors(host: Item, cpus: int, mhz: int) -> None:
    seen: HostSeen = host.seen
    if seen.cpus and cpus > seen.cpus:
        raise Refused(f"host {host.name} has {seen.cpus} CPUs, {cpus} are wanted")
    if seen.mhz and mhz > seen.mhz:
        raise Refused(f"host {host.name} has CPUs of {seen.mhz} MHz, {mhz} are wanted")


def _warn_of_little(memory: int, draft: Draft) -> None:
    if words := little_memory(memory):
        draft.warnings.append(words)


def _need_room(host: Item, count: int, arguments: Mapping[str, Any], draft: Draft) -> None:
    memory, free = arguments["memory"], host.seen.memory_free
    _need_processors(host, arguments["cpus"], arguments["mhz"] or 0)
    if free and count * memory > free:
        fit = free // memory
        raise Refused(f"host {host.name} has {format_size(free)} of its memory free: " + (
            f"{fit} of {format_size(memory)} would fit, {count} are wanted" if fit else
            f"none of {format_size(memory)} fits"))
    _warn_of_little(memory, draft)


def plan_create(call: Call) -> Draft:
    """Domains on the host, each with a resource of its name, started: recorded from the first byte, they boot idle."""
    arguments, farm = call.arguments, call.reading.farm
    host = need_host(call, arguments["host"])
    count = arguments["count"]
    if count > MOST:
        raise BadInput(f"count: at most {MOST} at once")
    technology = technology_on(host.wanted.partitioning, host.seen.technology)
    require(technology, "define")
    names = _names(call, count)
    if theirs := sorted({domain.name for domain in host.seen.all_domains}.intersection(names)):
        raise Refused(f"host {host.name} has a domain {theirs[0]} that is none of ours: give another name")
    draft = Draft(f"partition/{names[0]}{f' and {count - 1} more' if count > 1 else ''}",
                  inverse=Inverse("partition.remove", {"name": names[0]}) if count == 1 else None,
                  locks=[Lock(f"resource/{host.name}", shared=True)])
    _need_room(host, count, arguments, draft)
    group, disk = partition_disk.choose(farm, host, names, arguments)
    if disk:
        draft.notes.append(f"each has a disk of {format_size(disk)} from volume group {group} of {host.name}")
    addresses = free_addresses(farm)
    taken = {item.wanted.mac for item in farm.all("resource")}
    made: dict[str, PartitionWanted] = {}
    own: dict[str, str] = {}
    changes: list[Change] = []
    for name in names:
        identity = call.identity(name)
        wanted = PartitionWanted(
            id=identity, host=host.name, technology=technology, mac=_mac(technology, identity, taken),
            target=f"qrm{identity[:8]}", cpus=arguments["cpus"], memory=arguments["memory"],
            mhz=arguments["mhz"] or 0, disk=disk, disk_group=group, life="creating")
        made[name], own[name] = wanted, next(addresses, "")
        if not own[name]:
            raise Refused(f"no address is left for partition {name}, and each is held to one of its own: qrm component "
                          "configure dhcpd machines=FIRST-LAST")
        resource = ResourceWanted(id=identity, mac=wanted.mac, kind="partition", technology=word_of(technology),
                                  host=host.name, address=own[name])
        changes += [_change(name, wanted, None), Change(kind="resource", name=name,
                                                        wanted=msgspec.to_builtins(resource))]
        draft.locks += [Lock(f"partition/{name}"), Lock(f"resource/{name}")]
    what = names[0] if count == 1 else f"{names[0]} ... {names[-1]}"
    files = [path for wanted in made.values()
             for path in (*boot.machine_paths(wanted.mac), boot.nonce_path(wanted.mac))]
    nothing = ("rm", "-f", "--", *files)
    # taken back last: as long as its resource is known, the server itself keeps its boot files
    draft.steps = [Run(machine=HERE, summary=f"nothing lies where boot files of {what} will", argv=nothing,
                       undo=Undo(argv=nothing)),
                   Record(summary=f"note that partition {what} is being made", changes=tuple(changes))]
    draft.steps += partition_boot.fetch_steps(farm, host.name, technology, None)
    for name, wanted in made.items():
        draft.steps += partition_disk.make_steps(name, wanted)
        draft.steps.append(partition_boot.define(farm, name, wanted, None))
    for name, wanted in made.items():
        draft.steps += start_steps(host, name, wanted, own[name])
    draft.steps.append(Record(summary=f"note that partition {what} is there", changes=tuple(
        _change(name, msgspec.structs.replace(wanted, life="present", power="on"), wanted)
        for name, wanted in made.items())))
    return draft


# switching them


def start_steps(host: Item, name: str, wanted: PartitionWanted, address: str) -> tuple[Run, Domain]:
    """Switch it on, held to its address: it stands until its console is recorded and its share of the CPUs is set, then
    it goes."""
    seen: HostSeen = host.seen or HostSeen()
    share = schedule(wanted.technology, cpus=wanted.cpus, mhz=wanted.mhz, host_mhz=seen.mhz) if wanted.mhz else {}
    return (partition_filter.load_step(name, wanted, address),
            Domain(summary=f"start {name} on {host.name}, recorded from its first byte", host=host.name,
                   domain=wanted.id, do="start", parameters=share, undo="stop",
                   guards=(partition_filter.loaded(name, wanted, address),)))


def _start_steps(call: Call, item: Item, host: Item) -> tuple[Run, Domain]:
    return start_steps(host, item.name, item.wanted, call.reading.get("resource", item.name).wanted.address)


def stop_step(name: str, wanted: PartitionWanted) -> Domain:
    """Its plug is pulled."""
    return Domain(summary=f"switch {name} off on {wanted.host}", host=wanted.host, domain=wanted.id, do="stop")


def down_steps(call: Call, name: str, *, force: bool = False) -> list[Step]:
    """Switch it off: in order where its agent answers."""
    item, resource = call.reading.get("partition", name), call.reading.get("resource", name)
    steps: list[Step] = []
    if not force and is_heard(resource.seen, call.reading.farm.clock()) and not resource.seen.off:
        steps = [Order(summary=f"tell {name} to go down and off", resource=name, order="off",
                       boot=ve_parts.boot_of(resource)),
                 Await(summary=f"see {name} off", resource=name, until="off", seconds=OFF_SECONDS)]
    return [*steps, stop_step(name, item.wanted)]


def _present(call: Call) -> Item:
    item = call.reading.get("partition", call.arguments["name"])
    if item.wanted.life != "present":
        raise Refused(f"partition {item.name} was left {item.wanted.life} by a job that failed: remove it (qrm "
                      f"partition remove {item.name})")
    return item


def _running(call: Call, verb: str) -> tuple[Item, Item]:
    item = _present(call)
    host = need_host(call, item.wanted.host)
    if item.state not in ("running", "paused"):
        raise Refused(f"partition {item.name} is {item.state}: it cannot be {verb}")
    return item, host


def plan_start(call: Call) -> Draft:
    """Switch it on; it boots what its resource is for."""
    item = _present(call)
    host = need_host(call, item.wanted.host)
    if item.state in ("running", "paused"):
        raise Refused(f"partition {item.name} is {item.state} already")
    draft = _draft(item, Inverse("partition.stop", {"name": item.name}))
    draft.steps = [*_define_anew(call, item), *_start_steps(call, item, host),
                   record(item, msgspec.structs.replace(item.wanted, power="on"), f"note that {item.name} is on")]
    return draft


def _define_anew(call: Call, item: Item) -> list[Step]:
    """A host that booted anew on a shared root knows none of its partitions."""
    farm = call.reading.farm
    if item.seen is None or item.seen.domain is not None:
        return []
    ve = farm.find("ve", farm.get("resource", item.name).wanted.ve)
    root = None
    for assigned in ve.wanted.assigned if ve else ():
        if ve and assigned.resource == item.name:
            root = ve_parts.root_of(farm, ve, item.name, assigned.image, farm.get("image", assigned.image).wanted)
    return [*partition_boot.fetch_steps(farm, item.wanted.host, item.wanted.technology, root),
            partition_boot.define(farm, item.name, item.wanted, root)]


def plan_stop(call: Call) -> Draft:
    """Switch it off."""
    item, _ = _running(call, "switched off")
    draft = _draft(item, Inverse("partition.start", {"name": item.name}))
    resource = call.reading.get("resource", item.name)
    if resource.wanted.ve:
        draft.warnings.append(f"VE {resource.wanted.ve} runs on {item.name}: it goes down with it")
    draft.point_of_no_return(0)
    draft.steps = [*down_steps(call, item.name, force=bool(call.arguments["force"])),
                   partition_filter.drop_step(item.name, item.wanted),
                   record(item, msgspec.structs.replace(item.wanted, power="off"), f"note that {item.name} is off")]
    return draft


def _plan_clock(call: Call, do: str, power: str, inverse: str) -> Draft:
    item, _ = _running(call, "paused or resumed")
    require(item.wanted.technology, "pause")
    word: Any = do
    draft = _draft(item, Inverse(f"partition.{inverse}", {"name": item.name}))
    draft.steps = [
        Domain(summary=f"{do} {item.name} on {item.wanted.host}", host=item.wanted.host, domain=item.wanted.id, do=word,
               undo="resume" if do == "pause" else "pause"),
        record(item, msgspec.structs.replace(item.wanted, power=power), f"note that {item.name} is {power}")]
    return draft


def plan_pause(call: Call) -> Draft:
    """Its clock stands still; its agent is not heard of meanwhile."""
    return _plan_clock(call, "pause", "paused", "resume")


def plan_resume(call: Call) -> Draft:
    """It goes on where it stood."""
    return _plan_clock(call, "resume", "on", "pause")


def _reset_steps(call: Call, item: Item, host: Item) -> list[Step]:
    """Boot anew at once: in place where its host can, else off and on."""
    name, wanted = item.name, item.wanted
    if "reset" in technologies()[wanted.technology].refuses:
        return [stop_step(name, wanted), *_start_steps(call, item, host)]
    return [Domain(summary=f"reset {name} on {wanted.host}", host=wanted.host, domain=wanted.id, do="reset")]


def plan_reset(call: Call) -> Draft:
    """Boot anew at once."""
    item, host = _running(call, "reset")
    draft = _draft(item)
    draft.point_of_no_return(0)
    draft.steps = _reset_steps(call, item, host)
    return draft


def plan_resize(call: Call) -> Draft:
    """Other CPUs, MHz or memory: now where its host can, and from its next start on."""
    item, arguments = _present(call), call.arguments
    host = need_host(call, item.wanted.host)
    wanted: PartitionWanted = item.wanted
    given = {name: arguments[name] for name in ("cpus", "mhz", "memory") if arguments[name]}
    if not given:
        raise BadInput("say what it is to have: cpus, mhz or memory")
    changed = msgspec.structs.replace(wanted, **given)
    draft = _draft(item, Inverse("partition.resize", {"name": item.name, "cpus": wanted.cpus, "memory": wanted.memory,
                                                      "mhz": wanted.mhz or None}))
    if changed == wanted:
        draft.notes.append("nothing of it is another: nothing to do")
        return draft
    more = changed.memory - wanted.memory
    if host.seen.memory_free and more > host.seen.memory_free:
        raise Refused(f"host {host.name} has {format_size(host.seen.memory_free)} of its memory free")
    _need_processors(host, changed.cpus, changed.mhz)
    _warn_of_little(changed.memory, draft)
    root = call.reading.farm.get("resource", item.name).wanted.ve
    if root and wanted.technology not in NETBOOTING:
        draft.notes.append(f"it runs VE {root}: its definition is left as it is, and what it has now is changed")
    else:
        former = partition_boot.definition(call.reading.farm, item.name, wanted, None)
        draft.steps.append(partition_boot.define(call.reading.farm, item.name, changed, None, former=former,
                                                 summary=f"{item.name} has that from its next start on"))
    if item.state == "running":
        draft.steps += _live_steps(draft, item, changed, host)
    draft.steps.append(record(item, changed, f"note what {item.name} has"))
    return draft


def _live_steps(draft: Draft, item: Item, changed: PartitionWanted, host: Item) -> list[Step]:
    wanted, can = item.wanted, technologies()[item.wanted.technology].refuses
    room = item.seen.domain.memory_most or partition_boot.memory_most(wanted)
    steps: list[Step] = []
    for do, now, then in (("memory", wanted.memory, changed.memory), ("cpus", wanted.cpus, changed.cpus)):
        if now == then:
            continue
        most = room if do == "memory" else max(wanted.cpus, host.seen.cpus)
        if do in can or then > most:
            draft.warnings.append(f"its {do} changes at its next start: " + (
                can.get(do) or f"it was started with room for {format_size(most) if do == 'memory' else most}"))
            continue
        word: Any = do
        steps.append(Domain(summary=f"{item.name} gets {format_size(then) if do == 'memory' else f'{then} CPUs'} now",
                            host=host.name, domain=wanted.id, do=word, number=then, undo=word, former_number=now))
    if (wanted.mhz, wanted.cpus) != (changed.mhz, changed.cpus) and changed.mhz:
        share = schedule(wanted.technology, cpus=changed.cpus, mhz=changed.mhz, host_mhz=host.seen.mhz)
        if share:
            steps.append(Domain(summary=f"{item.name} gets {changed.mhz} MHz a CPU at the most", host=host.name,
                                domain=wanted.id, do="schedule", parameters=share))
    return steps


# what virtual environments ask of them


def boots(call: Call, resource: Item, root: boot.Root | None) -> list[Step]:
    """From its next start on it boots a VE's root, or idle; nothing for machines that boot by their boot files."""
    if resource.wanted.kind != "partition":
        return []
    item, farm = call.reading.get("partition", resource.name), call.reading.farm
    if item.wanted.technology in NETBOOTING:
        return []
    host = need_host(call, item.wanted.host)
    former = partition_boot.definition(farm, item.name, item.wanted, None)
    what = f"runs VE {root.name}" if root else "boots idle"
    return [*partition_boot.fetch_steps(farm, host.name, item.wanted.technology, root),
            partition_boot.define(farm, item.name, item.wanted, root, former=former,
                                  summary=f"{item.name} {what} from its next start on")]


def up_steps(call: Call, name: str) -> tuple[Run, Domain]:
    """Switch it on."""
    item = call.reading.get("partition", name)
    return _start_steps(call, item, need_host(call, item.wanted.host))


def restart_steps(call: Call, name: str) -> list[Step]:
    """One that is idle, or off, starts anew with its new definition; its filter is the one that it had."""
    item = call.reading.get("partition", name)
    held, start = up_steps(call, name)
    return [stop_step(name, item.wanted), msgspec.structs.replace(held, undo=None), start]


def back_step(call: Call, name: str) -> Domain:
    """Before anything of it is another: it runs, and when all is taken back it runs again, as it was before."""
    _, start = up_steps(call, name)
    return msgspec.structs.replace(start, summary=f"(when taken back: {name} starts anew)", undo="start", guards=())


def need_none_on(call: Call, host: str, ve: str) -> None:
    """Refused while partitions run on a machine that is about to leave its VE."""
    on = [item.name for item in call.reading.farm.partitions_up(host)]
    if on:
        raise Refused(f"{host} hosts {', '.join(on[:6])}{' ...' if len(on) > 6 else ''}: stop or remove them before VE "
                      f"{ve} is taken from it (qrm partition stop {on[0]})")


# removing them


def probe_files(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """The boot files of its resource as they are."""
    item = farm.get("partition", str(arguments["name"]))
    return [Probe(HERE, files=boot.machine_paths(item.wanted.mac))]


def plan_remove(call: Call) -> Draft:
    """Its domain, its boot files, its records and what its console said."""
    item = call.reading.get("partition", call.arguments["name"])
    resource = call.reading.find("resource", item.name)
    if resource is not None and resource.wanted.ve:
        raise Refused(f"partition {item.name} belongs to VE {resource.wanted.ve}: stop that first, or take it out (qrm "
                      f"ve remove-resource {resource.wanted.ve} {item.name})")
    jobs = call.reading.farm.open_jobs(f"partition/{item.name}")
    if jobs:
        raise Refused(f"job {jobs[0]} is at partition {item.name}: wait for it, or cancel it (qrm job cancel "
                      f"{jobs[0]})")
    draft = _draft(item)
    removing = msgspec.structs.replace(item.wanted, life="removing")
    draft.steps = [record(item, removing, f"note that partition {item.name} is being removed")]
    draft.point_of_no_return()
    if call.reading.farm.find("host", item.wanted.host) is None:
        draft.warnings.append(f"{item.wanted.host} is no virtualization host now: if it becomes one again with the "
                              "same root, the domain is there as a foreign one"
                              + (", and its disk in its volume group" if item.wanted.disk else ""))
    else:
        host = need_host(call, item.wanted.host)
        if item.wanted.disk and not partition_disk.is_there(host, item.wanted):
            draft.warnings.append(f"{host.name} has no volume group {item.wanted.disk_group} now: the disk stays")
        draft.steps += [stop_step(item.name, item.wanted), partition_filter.drop_step(item.name, item.wanted),
                        *partition_disk.remove_steps(call.reading.farm, item.name, item.wanted),
                        Domain(summary=f"undefine {item.name} on {item.wanted.host}", host=item.wanted.host,
                               domain=item.wanted.id, do="undefine")]
    draft.steps += boot.removal_steps(item.name, item.wanted.mac, partial(call.reading.file, HERE))
    gone = [Change(kind="resource", name=item.name, wanted=None, former=msgspec.to_builtins(resource.wanted))] \
        if resource is not None else []
    draft.steps.append(Record(summary=f"forget partition {item.name} and its resource", changes=(
        _change(item.name, None, removing), *gone)))
    nonce = boot.nonce_path(item.wanted.mac)
    draft.steps.append(Run(machine=HERE, summary=f"remove what the next boot of {item.name} would show",
                           argv=("rm", "-f", "--", nonce), done=Check(argv=("test", "!", "-e", nonce))))
    draft.notes.append("what its console said goes with it" + (", and all that is on its disk" if item.wanted.disk
                                                                else ""))
    return draft
