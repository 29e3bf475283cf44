"""What each virtualization technology can do through libvirt (data/virtualization.toml); words for what it can't."""
from __future__ import annotations

import tomllib
from functools import cache
from typing import Literal

import msgspec

from qrm_tui.core.errors import Refused
from qrm_tui.core.places import data_folder

Verb = Literal["define", "start", "pause", "reset", "shutdown", "memory", "cpus", "schedule", "console", "statistics",
               "disk", "autostart"]
#: Xen's and our own default weight of one whole CPU; cgroup v2 has 100 (cgroups(7), cpu.weight), and libvirt's
#: `cpu_shares` become that.
_XEN_WEIGHT, _SHARES = 256, 100
#: Microseconds in which a CPU gets its quota, and libvirt's least (domain XML, cputune).
_PERIOD, _LEAST_QUOTA = 100_000, 1000


class Virtualization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A technology, as the table has it."""

    label: str
    #: the scheme of its URIs
    driver: str
    #: of a domain's definition: its type, and what `os` says
    type: str
    os: str
    #: kernel: from files on its host; network: from its network card
    boots: Literal["kernel", "network"]
    #: False: it is paused right after its start
    pauses_at_start: bool
    #: scheduler parameters that it has
    schedule: tuple[str, ...]
    #: one question tells of all domains
    all_statistics: bool
    #: how a host tells what memory is left. free: by what it says is free; available: domains take theirs little by
    #: little, so what they were promised counts, and Linux's cache is free; promised: by what domains were promised
    free_memory: Literal["free", "available", "promised"]
    refuses: dict[str, str]
    #: ways in which one is told to go down, each of them said; none: the driver's own
    shutdown: tuple[Literal["initctl", "signal"], ...] = ()


@cache
def technologies() -> dict[str, Virtualization]:
    """The table."""
    with (data_folder() / "virtualization.toml").open("rb") as file:
        return msgspec.convert(tomllib.load(file), dict[str, Virtualization])


def refusal(technology: str, verb: Verb) -> str:
    """Why a partition of this technology can't; empty: it can."""
    found = technologies().get(technology)
    if found is None:
        return f"{technology or 'nothing'} is no virtualization that is known here"
    word = found.refuses.get(verb, "")
    return f"a partition of type {found.label} {word}" if word else ""


def require(technology: str, verb: Verb) -> None:
    """Refused, with the table's word, where it can't."""
    if word := refusal(technology, verb):
        raise Refused(word)


def technology_of(driver: str, *, kvm: bool) -> str:
    """The technology of a host by its URI's scheme (`xen`, `qemu` ...); empty: none that is known."""
    if driver == "qemu":
        return "kvm" if kvm else "qemu"
    return next((name for name, found in technologies().items() if found.driver == driver), "")


def schedule(technology: str, *, cpus: int, mhz: int, host_mhz: int) -> dict[str, int]:
    """Scheduler parameters that give each of `cpus` CPUs `mhz` at the most, and a weight in proportion.

    No `mhz`: all that there is, and the weight of whole CPUs. Empty where the technology has none, or nothing is known
    of the host's clock. Xen counts its cap in hundredths of a CPU for all of the domain (xl(1), sched-credit)."""
    names = technologies()[technology].schedule if technology in technologies() else ()
    if not names or (mhz and host_mhz <= 0):
        return {}
    share = min(1.0, mhz / host_mhz) if mhz else 1.0
    limited = bool(mhz) and share < 1
    values = {
        "weight": min(65535, max(1, round(_XEN_WEIGHT * cpus * share))),
        "cap": max(1, round(100 * cpus * share)) if limited else 0,
        "cpu_shares": min(10_000, max(2, round(_SHARES * cpus * share))),
        "vcpu_period": _PERIOD,
        "vcpu_quota": max(_LEAST_QUOTA, round(_PERIOD * share)) if limited else -1,
    }
    return {name: values[name] for name in names}
