"""States: one table a kind, from what is wanted and what was seen; nothing else sets a state.

The first rule that holds decides. Each tells why, and what to do next, so that *why* is never a guess.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qrm_tui.core import units
from qrm_tui.core.partition_states import DOMAIN, HOST, PARTITION, domain_state
from qrm_tui.core.partitionings import NETBOOTING
from qrm_tui.core.passwords import FIRST_PASSWORD
from qrm_tui.core.resources import IDLE, is_heard, is_up, reboots_until, stalls_at, standing_event
from qrm_tui.core.rules import Rule, Verdict

if TYPE_CHECKING:
    from qrm_tui.core.farm import Farm
    from qrm_tui.core.model import Item

#: A snapshot or pool this full deserves a warning, and this full an error: LVM itself extends at 70 by default.
NEARLY_FULL, FULL = 0.8, 0.95
#: A volume group with less free than this share cannot take another clone soon.
LITTLE_FREE = 0.05
#: Seconds from a partition's start that its agent may take to be heard.
_STARTS = 120.0


def _silent(item: Item, farm: Farm) -> str:
    """Why the storage server of an image does not answer; empty while it does."""
    server = farm.find("storage", item.wanted.storage)
    if server is None or server.seen is None:
        return f"storage server {item.wanted.storage} was not heard of yet"
    return f"storage server {item.wanted.storage}: {server.seen.silent}" if server.seen.silent else ""


def _jobs(item: Item, farm: Farm) -> list[str]:
    return farm.open_jobs(f"image/{item.name}")


def _not_exported(item: Item, farm: Farm) -> list[str]:
    return sorted(set(item.wanted.allowed) - set(item.seen.exported))


def _too_many(item: Item, farm: Farm) -> list[str]:
    return sorted(set(item.seen.exported) - set(item.wanted.allowed))


def _readers(item: Item) -> str:
    return f"{', '.join(item.wanted.allowed)} may read it, and none of them writes into it"


STORAGE: Sequence[Rule] = (
    Rule("unknown", lambda i, f: i.seen is None, lambda i, f: "it was not asked yet"),
    Rule("error", lambda i, f: i.seen.silent, lambda i, f: f"it does not answer: {i.seen.silent}",
         lambda i, f: f"look at {i.wanted.address}: is it on, does ssh answer there? Jobs that need it wait for it"),
    Rule("error", lambda i, f: i.seen.troubles, lambda i, f: "; ".join(i.seen.troubles),
         lambda i, f: "mend it there; it is looked at again by itself"),
    Rule("error", lambda i, f: max(i.seen.pool_data or 0, i.seen.pool_metadata or 0) >= FULL,
         lambda i, f: f"thin pool {i.wanted.pool} is {_pool(i)} full",
         lambda i, f: f"grow it now (lvextend {i.wanted.group}/{i.wanted.pool}) or remove clones: a full pool stops "
         "every image in it"),
    Rule("warning", lambda i, f: max(i.seen.pool_data or 0, i.seen.pool_metadata or 0) >= NEARLY_FULL,
         lambda i, f: f"thin pool {i.wanted.pool} is {_pool(i)} full",
         lambda i, f: f"grow it: lvextend -L +SIZE {i.wanted.group}/{i.wanted.pool}"),
    Rule("warning", lambda i, f: not i.wanted.pool and i.seen.free < i.seen.size * LITTLE_FREE,
         lambda i, f: f"volume group {i.wanted.group} has only {units.format_size(i.seen.free)} free of "
         f"{units.format_size(i.seen.size)}",
         lambda i, f: f"add a disk: vgextend {i.wanted.group} DEVICE"),
    Rule("ok", lambda i, f: True, lambda i, f: "it answers, and its volume group and services are as they should be"),
)

IMAGE: Sequence[Rule] = (
    Rule("creating", lambda i, f: i.wanted.life == "creating" and _jobs(i, f),
         lambda i, f: f"job {_jobs(i, f)[0]} is making it", lambda i, f: f"qrm job show {_jobs(i, f)[0]}"),
    Rule("removing", lambda i, f: i.wanted.life == "removing" and _jobs(i, f),
         lambda i, f: f"job {_jobs(i, f)[0]} is removing it", lambda i, f: f"qrm job show {_jobs(i, f)[0]}"),
    Rule("error", lambda i, f: i.wanted.life != "present",
         lambda i, f: f"a job that was {i.wanted.life} it failed half-way",
         lambda i, f: f"mend the cause, and remove it: qrm image remove {i.name}"),
    Rule("unknown", _silent, _silent, lambda i, f: "what is known is from when it last answered"),
    Rule("unknown", lambda i, f: i.seen is None, lambda i, f: "its storage server has not shown it yet"),
    Rule("error", lambda i, f: not i.seen.present,
         lambda i, f: f"{i.wanted.path} is gone from storage server {i.wanted.storage}",
         lambda i, f: f"bring it back there, or forget the image: qrm image remove {i.name}"),
    Rule("error", lambda i, f: i.seen.lost,
         lambda i, f: "its snapshot ran full: LVM has dropped it, and what was written to it is lost",
         lambda i, f: f"remove it and clone {i.wanted.origin} again with a larger --reserve"),
    Rule("error", lambda i, f: i.wanted.managed and not i.seen.mounted,
         lambda i, f: f"{i.wanted.path} is not mounted",
         lambda i, f: f"on {i.wanted.storage}: systemctl status for its .mount unit says why"),
    Rule("error", lambda i, f: i.wanted.managed and _too_many(i, f),
         lambda i, f: f"it is exported to {', '.join(_too_many(i, f))}, which may not mount it",
         lambda i, f: "somebody exported it by hand: exportfs -v there shows where from"),
    Rule("error", lambda i, f: i.wanted.managed and _not_exported(i, f),
         lambda i, f: f"it is not exported to {', '.join(_not_exported(i, f))}",
         lambda i, f: f"on {i.wanted.storage}: exportfs -r, and the NFS server's log"),
    Rule("error", lambda i, f: (i.seen.fill or 0) >= FULL,
         lambda i, f: f"its room for changes is {i.seen.fill:.0%} full: at 100% the clone is lost",
         lambda i, f: f"give it more now: qrm image resize {i.name} --size SIZE"),
    Rule("frozen", lambda i, f: f.clones(i.name),
         lambda i, f: f"it has clones: {', '.join(f.clones(i.name))}"
         + (f"; {_readers(i)}" if i.wanted.read_only else ""),
         lambda i, f: "nothing writes into it, resizes or removes it until they are gone"),
    Rule("in use", lambda i, f: i.wanted.read_only, lambda i, f: _readers(i),
         lambda i, f: "nothing writes into it until they are gone"),
    Rule("in use", lambda i, f: i.wanted.allowed, lambda i, f: f"{', '.join(i.wanted.allowed)} may mount it"),
    Rule("ready", lambda i, f: True, lambda i, f: "it is there, mounted, and nobody uses it"),
)



#: Where a boot stalls → the likely cause, and what to do.
STALLS: dict[str, tuple[str, str]] = {
    "dhcp": ("it got no address, or its firmware found no boot file", "is the pool full, or another DHCP server on the "
             "wire? qrm component why dhcpd; is it set to boot from the network first?"),
    "loader": ("its boot loader does not get its configuration or the kernel", "do tftpd and apache run? qrm component "
               "list; are the boot-image's files whole? qrm boot-image list; one that hangs wants a reset"),
    "kernel": ("the kernel does not come up, or its initramfs finds no network card", "look at its console; a card "
               "that needs another driver wants a boot-image made with it (qrm boot-image create --modules)"),
    "agent": ("its agent cannot speak with the server, or stopped", "look at its console; is qrmd-node running? "
              "systemctl status qrmd-node"),
    "root": ("its root file system cannot be mounted", "is it exported to this machine, and its storage server up? "
             "qrm image why of its image; then its console"),
}


def _stall(item: Item, farm: Farm) -> str:
    """The stage that its boot stalls in; empty if it goes on."""
    at = stalls_at(item.seen) if item.seen else None
    # an idle one has come up for good once its agent spoke in this stage; if it falls silent, that is no stalled boot
    came_up = item.seen and item.seen.runs == IDLE and item.seen.heard >= item.seen.stage_at
    return item.seen.stage if at is not None and farm.clock() > at and not came_up else ""


def _age(since: float, farm: Farm) -> str:
    return units.format_age(farm.clock() - since)


def _ve_id(item: Item, farm: Farm) -> str:
    """The id of the environment that a resource belongs to."""
    ve = farm.find("ve", item.wanted.ve) if item.wanted.ve else None
    return ve.wanted.id if ve else ""


def _runs_its_ve(item: Item, farm: Farm) -> bool:
    return bool(item.wanted.ve) and item.seen is not None and item.seen.runs == _ve_id(item, farm) != ""


def _up(item: Item, farm: Farm) -> bool:
    return is_up(item.seen, farm.clock())


def _ve_job(item: Item, farm: Farm) -> str:
    jobs = farm.open_jobs(f"ve/{item.wanted.ve}") if item.wanted.ve else []
    return jobs[0] if jobs else ""


def _is_active(item: Item, farm: Farm) -> bool:
    return _runs_its_ve(item, farm) and item.seen.stage == "system" and _up(item, farm)


def _boots(item: Item) -> bool:
    """Whether the last that was seen of it is a step of its boot."""
    seen = item.seen
    return bool(seen and seen.stage and seen.stage != "system" and (seen.stage_at > seen.heard or seen.stage == "root"))


def _booting_why(item: Item, farm: Farm) -> str:
    return f"it boots: {item.seen.stage} for {_age(item.seen.stage_at, farm)}"


def _last_heard(item: Item, farm: Farm) -> str:
    at = max(item.seen.heard, item.seen.answered) if item.seen else 0
    return f"it was not heard of for {_age(at, farm)}" if at else "it was never heard of"


def _power_on(item: Item) -> str:
    """The command that switches it on: partitions have their own."""
    return f"qrm partition start {item.name}" if item.wanted.kind == "partition" else \
        f"qrm resource power {item.name} on"


def _reset(item: Item) -> str:
    return f"qrm partition reset {item.name}" if item.wanted.kind == "partition" else \
        f"qrm resource power {item.name} reset"


def is_paused(item: Item, farm: Farm) -> bool:
    """Whether a resource is a partition that stands still."""
    partition = farm.find("partition", item.name) if item.wanted.kind == "partition" else None
    return partition is not None and partition.state == "paused"


def _started(item: Item, farm: Farm) -> bool:
    """Its host has started it lately, and nothing was heard of this boot yet: one that netboots tells of itself by
    asking for an address, of others no packet comes before their agent's."""
    partition = farm.find("partition", item.name) if item.wanted.kind == "partition" else None
    return (partition is not None and partition.state == "running"
            and farm.clock() - partition.since <= _STARTS and not (item.seen and item.seen.boot)
            and not (_netboots(item, farm) and item.seen and item.seen.stage) and not _ve_job(item, farm))


def _netboots(item: Item, farm: Farm) -> bool:
    partition = farm.find("partition", item.name)
    return partition is not None and partition.wanted.technology in NETBOOTING


RESOURCE: Sequence[Rule] = (
    Rule("off", lambda i, f: i.seen and i.seen.off,
         lambda i, f: ("its host" if i.wanted.kind == "partition" else "its management controller")
         + " says that it is off" if i.seen.off == "proved" else "it said good-bye and went off",
         lambda i, f: _power_on(i)),
    Rule("unknown", lambda i, f: is_paused(i, f), lambda i, f: "its partition is paused: it stands still",
         lambda i, f: f"qrm partition resume {i.name}"),
    Rule("error", lambda i, f: i.seen and i.seen.trouble, lambda i, f: str(i.seen.trouble),
         lambda i, f: STALLS.get(i.seen.stage, ("", "look at its console"))[1]),
    Rule("error", _stall, lambda i, f: f"its boot stalls at {_stall(i, f)} for {_age(i.seen.stage_at, f)}: "
         f"{STALLS[_stall(i, f)][0]}", lambda i, f: STALLS[_stall(i, f)][1]),
    Rule("stopping", lambda i, f: i.wanted.ve and i.wanted.leaving,
         lambda i, f: f"it leaves VE {i.wanted.ve}" + (f" (job {_ve_job(i, f)})" if _ve_job(i, f) else "")),
    Rule("booting", lambda i, f: _started(i, f), lambda i, f: f"{i.wanted.host} has started it: its "
         f"{'first packet' if _netboots(i, f) else 'agent'} is awaited"),
    Rule("active", _is_active, lambda i, f: f"it runs VE {i.wanted.ve}" if is_heard(i.seen, f.clock()) else
         f"it runs VE {i.wanted.ve}: it answers on ssh, though its agent is silent"),
    Rule("starting", lambda i, f: _ve_job(i, f),
         lambda i, f: f"job {_ve_job(i, f)} starts VE {i.wanted.ve} on it"
         + (f": {i.seen.stage} for {_age(i.seen.stage_at, f)}" if i.seen and i.seen.stage else ""),
         lambda i, f: f"qrm job show {_ve_job(i, f)}"),
    Rule("idle", lambda i, f: not i.wanted.ve and i.seen and i.seen.runs == IDLE and is_heard(i.seen, f.clock()),
         lambda i, f: "it waits for work"
         + (", in maintenance: no VE is started on it" if i.wanted.maintenance else ""),
         lambda i, f: f"qrm resource maintenance {i.name} --off" if i.wanted.maintenance else ""),
    Rule("booting", lambda i, f: _boots(i), _booting_why),
    Rule("booting", lambda i, f: i.seen and f.clock() <= (reboots_until(i.seen) or 0),
         lambda i, f: f"it went down {_age(i.seen.heard, f)} ago to boot anew: its first packet is awaited"),
    Rule("error", lambda i, f: _up(i, f) and not i.wanted.ve and i.seen.runs != IDLE,
         lambda i, f: "it still runs a VE that it was taken out of",
         lambda i, f: _reset(i)),
    Rule("error", lambda i, f: _up(i, f) and i.wanted.ve and i.seen.runs == IDLE,
         lambda i, f: f"it should run VE {i.wanted.ve}, and came up idle",
         lambda i, f: _reset(i)),
    Rule("unknown", lambda i, f: True, _last_heard,
         lambda i, f: f"is it on, and its network? Then its console; {_reset(i)} brings it back"),
)


def _members(item: Item, farm: Farm) -> list[Item]:
    found = [farm.find("resource", assigned.resource) for assigned in item.wanted.assigned]
    return [member for member in found if member is not None]


def _missing(item: Item, farm: Farm) -> list[Item]:
    return [member for member in _members(item, farm) if member.state != "active"]


def _own_job(item: Item, farm: Farm) -> str:
    jobs = farm.open_jobs(f"ve/{item.name}")
    return jobs[0] if jobs else ""


def _chain(item: Item, farm: Farm) -> str:
    """What is wrong with its machines, down to the images and storage servers behind them."""
    parts = []
    for member in _missing(item, farm)[:3]:
        verdict = judge(member, farm)
        part = f"{member.name} is {verdict.state}: {verdict.why}"
        image = next((farm.find("image", assigned.image) for assigned in item.wanted.assigned
                      if assigned.resource == member.name), None)
        if image is not None and image.state in ("error", "unknown"):
            part += f"; its image {image.name} is {image.state}: {judge(image, farm).why}"
        parts.append(part)
    more = len(_missing(item, farm)) - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _first_remedy(item: Item, farm: Farm) -> str:
    return next((judge(member, farm).remedy for member in _missing(item, farm)), "")


def _moving(life: str) -> Callable[[Item, Farm], bool]:
    return lambda i, f: i.wanted.life == life and bool(_own_job(i, f))


VE: Sequence[Rule] = (
    Rule("starting", _moving("starting"), lambda i, f: f"job {_own_job(i, f)} starts it"
         + (f"; {_chain(i, f)}" if _chain(i, f) else ""), lambda i, f: f"qrm job show {_own_job(i, f)}"),
    Rule("stopping", _moving("stopping"), lambda i, f: f"job {_own_job(i, f)} stops it",
         lambda i, f: f"qrm job show {_own_job(i, f)}"),
    Rule("error", lambda i, f: i.wanted.life in ("starting", "stopping"),
         lambda i, f: f"a job that was {i.wanted.life} it failed half-way"
         + (f"; {_chain(i, f)}" if _chain(i, f) else ""),
         lambda i, f: f"mend the cause, and stop it: qrm ve stop {i.name}"),
    Rule("inactive", lambda i, f: i.wanted.life == "stopped", lambda i, f: "it is not started",
         lambda i, f: f"qrm ve start {i.name}"),
    Rule("active", lambda i, f: not _missing(i, f),
         lambda i, f: f"it runs on {', '.join(member.name for member in _members(i, f))}"
         + (f", whose root is image {i.wanted.image}, the same for all" if i.wanted.same_for_all else "")),
    Rule("degraded", lambda i, f: len(_missing(i, f)) < len(_members(i, f))
         or any(member.state in ("booting", "starting") for member in _missing(i, f)), _chain, _first_remedy),
    Rule("error", lambda i, f: True, _chain, _first_remedy),
)

BOOT_IMAGE: Sequence[Rule] = (
    Rule("creating", lambda i, f: i.wanted.life == "creating" and f.open_jobs(f"boot-image/{i.name}"),
         lambda i, f: f"job {f.open_jobs(f'boot-image/{i.name}')[0]} is making it"),
    Rule("removing", lambda i, f: i.wanted.life == "removing" and f.open_jobs(f"boot-image/{i.name}"),
         lambda i, f: f"job {f.open_jobs(f'boot-image/{i.name}')[0]} is removing it"),
    Rule("error", lambda i, f: i.wanted.life != "present", lambda i, f: f"a job that was {i.wanted.life} it failed "
         "half-way", lambda i, f: f"mend the cause, and remove it: qrm boot-image remove {i.name}"),
    Rule("unknown", lambda i, f: i.seen is None, lambda i, f: "its files were not looked at yet"),
    Rule("error", lambda i, f: i.seen.trouble, lambda i, f: f"machines cannot boot it: {i.seen.trouble}",
         lambda i, f: f"make it anew: qrm boot-image remove {i.name}, then create"),
    Rule("in use", lambda i, f: f.ves_with("boot-image", i.name),
         lambda i, f: f"VE {', '.join(f.ves_with('boot-image', i.name))} boots it"),
    Rule("ready", lambda i, f: True, lambda i, f: "its files are all there, as they were made"),
)

COMPONENT: Sequence[Rule] = (
    Rule("off", lambda i, f: not i.wanted.enabled, lambda i, f: "it is switched off",
         lambda i, f: f"qrm component enable {i.name}"),
    Rule("unknown", lambda i, f: i.seen is None, lambda i, f: "it was not looked at yet"),
    Rule("error", lambda i, f: i.seen.troubles, lambda i, f: "; ".join(i.seen.troubles),
         lambda i, f: f"qrm component restart {i.name}; journalctl on the server says more"),
    Rule("warning", lambda i, f: i.seen.changed,
         lambda i, f: f"{', '.join(i.seen.changed)} was changed by hand since it was written",
         lambda i, f: f"qrm component configure {i.name} --plan shows what it would be"),
    Rule("warning", lambda i, f: i.seen.warnings, lambda i, f: "; ".join(i.seen.warnings)),
    Rule("ok", lambda i, f: True, lambda i, f: "its services run and answer, and its files are as they were written"),
)

USER: Sequence[Rule] = (
    Rule("warning", lambda i, f: i.wanted.whose == "known",
         lambda i, f: f"everybody knows its password ({FIRST_PASSWORD}): until its first log-in, whoever has an "
         "account on this server may administer the farm",
         lambda i, f: f"qrm login {i.name}, or give it another: qrm user password {i.name}"),
    Rule("ok", lambda i, f: i.wanted.whose == "given",
         lambda i, f: "an administrator chose its password; it is changed at the next log-in"),
    Rule("ok", lambda i, f: True, lambda i, f: "it logs in with a password of its own"),
)


def _is(state: str) -> Callable[[Item, Farm], bool]:
    return lambda item, farm: item.wanted.state == state


JOB: Sequence[Rule] = tuple(
    Rule(state, _is(state), why, remedy)
    for state, why, remedy in (
        ("waiting", lambda i, f: i.wanted.waits_for or "it waits for its turn", lambda i, f: ""),
        ("running", lambda i, f: i.wanted.waits_for or i.wanted.doing, lambda i, f: ""),
        ("undoing", lambda i, f: i.wanted.waits_for or f"it takes back what it did: {i.wanted.error}",
         lambda i, f: ""),
        ("undone", lambda i, f: f"it was taken back: {i.wanted.error}",
         lambda i, f: "mend the cause and ask again"),
        ("failed", lambda i, f: i.wanted.error,
         lambda i, f: "mend the cause and ask again: what is left of it is found then"),
        ("done", lambda i, f: "all its steps are done", lambda i, f: ""),
    )
)

#: What threatens: shown beside the state, and among the alerts.
WARNINGS: dict[str, Sequence[Rule]] = {"image": (
    Rule("", lambda i, f: NEARLY_FULL <= ((i.seen and i.seen.fill) or 0) < FULL,
         lambda i, f: f"its room for changes is {i.seen.fill:.0%} full; at 100% the clone is lost",
         lambda i, f: f"give it more: qrm image resize {i.name} --size SIZE"),
), "resource": (
    Rule("", lambda i, f: standing_event(i.seen), lambda i, f: _console_words(i, f),
         lambda i, f: i.seen.event.next.replace("{name}", i.name).replace(
             "{reset}", _power_on(i) if i.seen.off else _reset(i))),
    Rule("", lambda i, f: ((i.seen and i.seen.filled) or 0) >= NEARLY_FULL,
         lambda i, f: f"its own files fill {i.seen.filled:.0%} of the memory that they may: at 100% nothing can be "
         "written there", lambda i, f: f"remove some there, or have it boot anew without them: {_reset(i)}"),
    Rule("", lambda i, f: i.seen and i.seen.warning, lambda i, f: str(i.seen.warning),
         lambda i, f: "look who that is: another machine may use its address"),
), "partition": (
    Rule("", lambda i, f: domain_state(i) in ("running", "paused") and i.seen.unheld,
         lambda i, f: f"{i.wanted.host} does not hold it to its own addresses: {i.seen.unheld}",
         lambda i, f: f"mend it there: it is tried again every few seconds. Until then: qrm partition stop {i.name}"),
), "host": (
    Rule("", lambda i, f: i.seen and i.seen.unheld,
         lambda i, f: f"{_age(i.seen.unheld_at, f)} ago it did not hold {some(i.seen.unheld)} to their addresses: "
         "somebody had removed their filters",
         lambda i, f: "they were loaded again. Was it nft flush ruleset, or nftables.service? Leave tables of family "
         "bridge there alone"),
)}

TABLES: dict[str, Sequence[Rule]] = {"storage": STORAGE, "image": IMAGE, "job": JOB, "resource": RESOURCE, "ve": VE,
                                     "boot-image": BOOT_IMAGE, "component": COMPONENT, "partition": PARTITION,
                                     "host": HOST, "domain": DOMAIN, "user": USER}


def some(names: Sequence[str]) -> str:
    """The first three of these names, and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _console_words(item: Item, farm: Farm) -> str:
    event = item.seen.event
    often = f" {event.count} times in {units.format_age(max(0.0, event.at - event.since))}" if event.count > 1 else ""
    return f"its console said {event.name}{often}, {_age(event.at, farm)} ago: {event.text}"


def _pool(item: Item) -> str:
    data, metadata = item.seen.pool_data or 0, item.seen.pool_metadata or 0
    return f"{data:.0%}" if data >= metadata else f"{metadata:.0%} (its metadata)"


def judge(item: Item, farm: Farm) -> Verdict:
    """The state of an object, why, and what next."""
    for rule in TABLES[item.kind]:
        if rule.holds(item, farm):
            threat = next((threat for threat in WARNINGS.get(item.kind, ()) if threat.holds(item, farm)), None)
            return Verdict(rule.state, rule.why(item, farm), (threat or rule).remedy(item, farm),
                           threat.why(item, farm) if threat else "")
    raise AssertionError(f"no rule for {item.kind} {item.name}")
