"""Placement: which resources a virtual environment starts on, why those, and why not each other.

The smallest machine that fits is taken: fewest CPUs, then least memory, then slowest, then by name; so that large ones
stay free for what needs them.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from qrm_tui.core.environments import Profile
from qrm_tui.core.model import Item
from qrm_tui.core.resources import Inventory
from qrm_tui.core.units import format_size

#: What firmware and kernel keep of a machine's memory for themselves: a share, since a machine with 16 GB says 15.6,
#: and some bytes, since a partition with 256 MB says 205.
KEPT_BACK, KEPT_BYTES = 0.1, 32 << 20
#: Machines named one by one in the explanation; more are counted.
_NAMED = 6


class Choice(NamedTuple):
    """The resources taken, best first, and the explanation, a line each."""

    chosen: tuple[str, ...]
    why: tuple[str, ...]
    #: of each that was not taken: the reason
    others: dict[str, str]


def has_words(inventory: Inventory) -> str:
    """`4 CPUs of 2400 MHz, 8G`."""
    cpus = f"{inventory.cpus} CPU{'' if inventory.cpus == 1 else 's'}"
    return f"{cpus} of {inventory.mhz} MHz, {format_size(inventory.memory)}"


def unfit(item: Item, profile: Profile) -> str:
    """Why a machine does not meet a profile; empty if it does."""
    wanted, has = item.wanted, item.seen.inventory if item.seen else Inventory()
    if profile.kind and wanted.kind != profile.kind:
        return f"is a {wanted.kind} machine, {profile.kind} is wanted"
    if profile.technology and wanted.technology != profile.technology:
        return f"is {wanted.technology or 'no partition'}, {profile.technology} is wanted"
    if has.cpus < profile.cpus:
        return f"has {has.cpus} CPU{'' if has.cpus == 1 else 's'}, {profile.cpus} are wanted"
    if has.mhz < profile.mhz:
        return f"has {has.mhz} MHz, {profile.mhz} are wanted"
    if has.memory < profile.memory * (1 - KEPT_BACK) - KEPT_BYTES:
        return f"has {format_size(has.memory)} memory, {format_size(profile.memory)} is wanted"
    if len(has.nics) < profile.nics:
        return f"has {len(has.nics)} network cards, {profile.nics} are wanted"
    return ""


def not_free(item: Item) -> str:
    """Why a machine cannot be taken now, whatever it has; empty if it can."""
    if item.wanted.ve:
        return f"belongs to VE {item.wanted.ve}"
    if item.state != "idle":
        return f"is {item.state}"
    if item.wanted.maintenance:
        return "is in maintenance"
    return ""


def _size(item: Item) -> tuple[int, int, int, str]:
    has = item.seen.inventory if item.seen else Inventory()
    return has.cpus, has.memory, has.mhz, item.name


def choose(resources: Iterable[Item], profile: Profile, count: int) -> Choice:
    """The `count` smallest resources that are free and fit; fewer are chosen where there are no more."""
    fitting: list[Item] = []
    others: dict[str, str] = {}
    for item in resources:
        reason = not_free(item) or unfit(item, profile)
        if reason:
            others[item.name] = reason
        else:
            fitting.append(item)
    fitting.sort(key=_size)
    chosen, larger = fitting[:count], fitting[count:]
    others |= {item.name: "fits too, and is larger" if _size(item)[:3] > _size(chosen[-1])[:3] else "fits too"
               for item in larger}
    why = [f"{item.name} is taken: {has_words(item.seen.inventory)}, the smallest that fits" for item in chosen]
    return Choice(tuple(item.name for item in chosen), (*why, *_told(others)), others)


def _told(others: dict[str, str]) -> list[str]:
    """Why not each other: by name where they are few, else by reason."""
    if len(others) <= _NAMED:
        return [f"not {name}: it {reason}" for name, reason in others.items()]
    by_reason: dict[str, list[str]] = {}
    for name, reason in others.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"not {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
            for reason, names in by_reason.items()]


def refusal(choice: Choice, count: int) -> tuple[str, ...]:
    """What is said when too few were found: how many, and each reason."""
    if len(choice.chosen) >= count:
        return ()
    wanted = "no resource fits" if count == 1 else (
        f"{count} resources are wanted, and {len(choice.chosen)} can be taken")
    return (wanted + ("" if choice.others else ": there are none; switch machines on that boot from the network"),
            *_told(choice.others))
