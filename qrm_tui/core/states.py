"""States: one table a kind, from what is wanted and what was seen; nothing else sets a state.

The first rule that holds decides. Each tells why, and what to do next, so that *why* is never a guess.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qrm_tui.core import units

if TYPE_CHECKING:
    from qrm_tui.core.farm import Farm
    from qrm_tui.core.model import Item

#: A snapshot or pool this full deserves a warning, and this full an error: LVM itself extends at 70 by default.
NEARLY_FULL, FULL = 0.8, 0.95
#: A volume group with less free than this share cannot take another clone soon.
LITTLE_FREE = 0.05

Words = Callable[["Item", "Farm"], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """In this state if `holds`; `why` and `remedy` are what a person reads."""

    state: str
    holds: Callable[[Item, Farm], Any]
    why: Words
    remedy: Words = lambda item, farm: ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with its reason, and what threatens though the state is good (empty: nothing)."""

    state: str
    why: str
    remedy: str
    warning: str = ""


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
    Rule("unknown", lambda i, f: i.wanted.life == "removing" and _jobs(i, f),
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
         lambda i, f: f"it has clones: {', '.join(f.clones(i.name))}",
         lambda i, f: "nothing writes into it, resizes or removes it until they are gone"),
    Rule("in use", lambda i, f: i.wanted.allowed, lambda i, f: f"{', '.join(i.wanted.allowed)} may mount it"),
    Rule("ready", lambda i, f: True, lambda i, f: "it is there, mounted, and nobody uses it"),
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
        ("undone", lambda i, f: f"everything was taken back: {i.wanted.error}",
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
)}

TABLES: dict[str, Sequence[Rule]] = {"storage": STORAGE, "image": IMAGE, "job": JOB}


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
