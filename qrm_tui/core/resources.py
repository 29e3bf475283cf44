"""Resources: machines that boot from the network, as they should be and as they were last heard of.

Sizes are bytes, clocks MHz, times seconds since the epoch.
"""
from __future__ import annotations

from typing import Literal

import msgspec

from qrm_tui.core.stages import STAGES as STAGES

ResourceKind = Literal["physical", "partition"]
Order = Literal["", "reboot", "off"]
#: Of what was found on a console: an alert wants a person, a note only marks it.
Severity = Literal["alert", "note"]
#: In these it may be asking for an address just now: firmware, loader and kernel each do.
ASKING = ("dhcp", "loader", "kernel")
#: What a machine runs that has nothing to do; otherwise the id of its virtual environment.
IDLE = "idle"
#: Seconds between two heartbeats as a rule, and how many may be missed before it counts as not heard of.
BEAT, MISSED = 10.0, 3
#: Seconds that an answer on ssh counts: silent agents are looked after this often, and one look may fail.
ANSWERED = 60.0
#: Seconds from the word that it reboots to its first packet: large servers test their memory for minutes.
REBOOT = 600.0
#: Seconds that a boot may take in one stage before it counts as stalled: firmware and disk checks of large machines
#: take minutes, a boot loader does not.
STALLED = {"dhcp": 60.0, "loader": 120.0, "kernel": 180.0, "agent": 120.0, "root": 120.0}


class Disk(msgspec.Struct, frozen=True):
    """A disk as Linux names it."""

    name: str
    size: int


class Nic(msgspec.Struct, frozen=True):
    """A network card as Linux names it."""

    name: str
    mac: str


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine says that it has (its agent, from /proc and /sys). Nothing of it is trusted."""

    cpus: int = 0
    mhz: int = 0
    model: str = ""
    memory: int = 0
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    vendor: str = ""
    product: str = ""
    serial: str = ""
    #: `bios` or `uefi`
    firmware: str = ""


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine is switched besides by its agent."""

    #: ipmi: its management controller; wake: wake-on-LAN, which only switches on; empty: the agent alone
    method: Literal["", "ipmi", "wake"] = ""
    address: str = ""
    user: str = ""
    #: the file with the password, on the server, readable by root alone
    secret: str = ""


class ConsoleEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What was found last on a machine's console (data/console_patterns.toml)."""

    #: the pattern's
    name: str
    severity: Severity
    #: the line, printable; and what a person should do
    text: str
    next: str
    #: when it was found first and last, and how often since the first
    since: float
    at: float
    count: int = 1
    #: the machine's word for the boot that it was in
    boot: str = ""
    #: who opened the console since, and may type there
    seen_by: str = ""


class ResourceWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A resource as it should be."""

    id: str
    #: of the network card that it boots from; boot files and its address go by it
    mac: str
    kind: ResourceKind = "physical"
    #: of a partition: the technology and the host
    technology: str = ""
    host: str = ""
    #: the address that it always gets
    address: str = ""
    #: never chosen for a virtual environment
    maintenance: bool = True
    #: the virtual environment that it belongs to, and whether it is being taken out of it
    ve: str = ""
    leaving: bool = False
    power: Power = Power()
    #: where its console is: serial-over-LAN of its management controller, a command; empty: it has none
    console: Literal["", "ipmi-sol", "command"] = ""
    #: the command as it was given; its words are taken apart as a shell would, and no shell runs it
    console_command: str = ""


class ResourceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A resource as it was last heard of."""

    inventory: Inventory = Inventory()
    #: the address that it has now
    address: str = ""
    #: how far its boot is, and since when; empty: nothing of a boot was seen yet
    stage: str = ""
    stage_at: float = 0
    #: when each stage of this boot began, of those that were seen
    stages: dict[str, float] = {}
    #: `idle`, or the id of the virtual environment that it runs; empty: not known
    runs: str = ""
    #: a word that the machine makes up at each boot: two boots are told apart by it
    boot: str = ""
    #: when its agent spoke last, and how many seconds lie between two beats; 0: it said that it boots anew
    heard: float = 0
    beat: float = BEAT
    load: float | None = None
    #: on a root that it shares: how full the memory for its own files is, 0 to 1
    filled: float | None = None
    #: said: its agent said good-bye; proved: its management controller says that it is off
    off: Literal["", "said", "proved"] = ""
    #: when it last answered on ssh though its agent was silent: who removes the agent is no error
    answered: float = 0
    #: what went wrong in its boot, in words; gone with the next good one
    trouble: str = ""
    #: what wants a look though it works: somebody showed a nonce twice
    warning: str = ""
    #: what was found last on its console
    event: ConsoleEvent | None = None
    #: what its agent is told at its next beat, and the boot that this is meant for
    order: Order = ""
    order_for: str = ""
    #: SHA-256 of the token that its agent shows, in hex
    token: str = ""
    #: the word that its next boot shows once, the one before it (which its boot files give until they have the new
    #: one), and whether they have it already
    nonce: str = ""
    nonce_former: str = ""
    nonce_kept: bool = False


def is_heard(seen: ResourceSeen | None, now: float) -> bool:
    """Whether its agent spoke lately."""
    return seen is not None and min(seen.heard, seen.beat) > 0 and now - seen.heard <= seen.beat * MISSED


def is_up(seen: ResourceSeen | None, now: float) -> bool:
    """Whether it is known to run: by its agent, or by ssh."""
    return is_heard(seen, now) or (seen is not None and seen.answered > 0 and now - seen.answered <= ANSWERED)


def reboots_until(seen: ResourceSeen) -> float | None:
    """Until when one whose agent said that it reboots counts as doing so; None for others."""
    return seen.heard + REBOOT if seen.beat == 0 and seen.heard and not seen.stage and not seen.off else None


def stalls_at(seen: ResourceSeen) -> float | None:
    """When its boot counts as stalled; None if it is in no stage that can."""
    limit = STALLED.get(seen.stage)
    return seen.stage_at + limit if limit else None


def is_over(event: ConsoleEvent, seen: ResourceSeen) -> bool:
    """Whether it is a note (`login:`) of a boot that has ended: the machine is off, or has begun another one since."""
    if event.severity != "note":
        return False
    # who is first heard of when its system is up may have said it before
    begun = [at for stage, at in seen.stages.items() if stage != "system"]
    return event.at < min(begun) if begun else seen.off != "" or event.boot not in ("", seen.boot)


def standing_event(seen: ResourceSeen | None) -> ConsoleEvent | None:
    """What was found on its console and still wants a person: an alert, until somebody who may type has opened the
    console, the machine's agent has come up in another boot, or something was found there later (`login:`)."""
    if seen is None or seen.event is None or seen.event.severity != "alert":
        return None
    # one that is off has no boot: its panic is what it said last
    return seen.event if not seen.event.seen_by and seen.boot in ("", seen.event.boot) else None
