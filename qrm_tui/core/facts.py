"""What a machine was found to be, and the questions that planners ask of it.

A planner asks through a `Reading`, which writes down each question with a digest of the answer; the same questions
are asked again under lock before the plan runs, and another answer makes the plan stale.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from qrm_tui.core.errors import Refused, Stale
from qrm_tui.core.farm import Farm
from qrm_tui.core.kinds import WORDS
from qrm_tui.core.model import Item
from qrm_tui.core.partitions import HostSeen
from qrm_tui.core.plan import HERE, Reliance


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A logical volume, from lvs(8)."""

    name: str
    group: str
    id: str
    #: of a classic snapshot: its room for changes
    size: int
    attributes: str = ""
    tags: tuple[str, ...] = ()
    origin: str = ""
    #: of a classic snapshot: the size that it shows
    origin_size: int = 0
    pool: str = ""
    #: shares, 0 to 1: of a pool's or thin volume's size, or a snapshot's room
    data: float | None = None
    metadata: float | None = None
    open: bool = False

    @property
    def kind(self) -> str:
        """First letter of lv_attr: V thin, t thin pool, s snapshot, o origin, O merging origin, - plain."""
        return self.attributes[:1]

    @property
    def lost(self) -> bool:
        """An invalid snapshot (fifth letter I, or S when also suspended; lvs(8))."""
        return self.attributes[4:5] in ("I", "S")


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A volume group, from vgs(8)."""

    name: str
    id: str
    size: int
    free: int
    extent: int = 4 << 20


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A mounted file system, from findmnt(8)."""

    target: str
    source: str
    filesystem: str
    options: tuple[str, ...] = ()
    size: int = 0
    used: int = 0


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A small text file."""

    content: str
    mode: int = 0o644


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """A socket that waits for others, from ss(8)."""

    #: tcp or udp
    protocol: str
    #: `0.0.0.0`, `*` and `[::]`: all addresses
    address: str
    #: empty: all interfaces
    interface: str
    port: int
    #: names of the programs; none where it is the kernel's own
    processes: tuple[str, ...] = ()


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a command that only looks said."""

    status: int = 0
    out: str = ""
    err: str = ""


class Removals(msgspec.Struct, frozen=True, kw_only=True):
    """What apt would do if packages were removed that qrm installed."""

    #: everything that would go: they themselves, and what came along with them
    goes: tuple[str, ...] = ()
    #: those that stay → the packages, asked for by somebody, that need them
    held: dict[str, tuple[str, ...]] = {}


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as it was just probed: a storage server with its volumes, or the server that qrmd itself runs on."""

    group: Group | None = None
    volumes: dict[str, Volume] = {}
    mounts: dict[str, Mount] = {}
    #: path → addresses, as the NFS server has it
    exports: dict[str, tuple[str, ...]] = {}
    #: files that the planner named; None: not there
    files: dict[str, File | None] = {}
    #: paths that the planner named → absent, empty (a folder with nothing in it) or used
    paths: dict[str, str] = {}
    versions: dict[str, str] = {}
    #: Debian packages that the planner named → version; empty: not installed
    packages: dict[str, str] = {}
    #: packages that would be fetched → bytes; empty where apt has no lists yet
    downloads: dict[str, int] = {}
    #: of packages that would be removed
    removals: Removals = Removals()
    #: packages → whether the package sources have them; empty where apt has no lists yet
    candidates: dict[str, bool] = {}
    #: systemd units that the planner named → ActiveState; empty: there is none
    units: dict[str, str] = {}
    #: and → UnitFileState: enabled, disabled, generated ...
    enabled: dict[str, str] = {}
    #: files that the planner named → SHA-256 in hex; empty: not there
    digests: dict[str, str] = {}
    #: where programs listen
    listeners: tuple[Listener, ...] = ()
    #: network interface → IPv4 addresses, as ADDRESS/PREFIX
    interfaces: dict[str, tuple[str, ...]] = {}
    #: answers to data/machine.toml, by the question's name
    asked: dict[str, Answered] = {}
    troubles: tuple[str, ...] = ()
    #: the public key that the machine shows; empty: this machine, which needs none
    host_key: str = ""
    #: of a virtualization host that is to be added
    host: HostSeen | None = None


def _volume(facts: MachineFacts, name: str) -> Any:
    volume = facts.volumes.get(name)
    # what changes by mere use is left out: how full, how open, and that others have snapshots of it (`dependents`)
    return volume and (volume.id, volume.size, sorted(volume.tags), volume.origin, volume.pool,
                       volume.kind.replace("o", "-"))


def _mount(facts: MachineFacts, path: str) -> Any:
    mount = facts.mounts.get(path)
    return mount and (mount.source, mount.filesystem)


def _file(facts: MachineFacts, path: str) -> Any:
    file = facts.files.get(path)
    return file and (file.content, file.mode)


def _free_at_least(facts: MachineFacts, size: int) -> bool:
    return facts.group is not None and facts.group.free >= size


def _promised_at_most(facts: MachineFacts, pool: str, size: int) -> bool:
    return promised(facts, pool) <= size


def _dependents(facts: MachineFacts, name: str) -> list[str]:
    return sorted(volume.name for volume in facts.volumes.values() if volume.origin == name)


def promised(facts: MachineFacts, pool: str) -> int:
    """Bytes that a thin pool's volumes may grow to in all."""
    return sum(volume.size for volume in facts.volumes.values() if volume.pool == pool)


QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "volume": _volume, "mount": _mount, "file": _file, "free_at_least": _free_at_least, "dependents": _dependents,
    "promised_at_most": _promised_at_most, "path": lambda facts, path: facts.paths.get(path, "absent"),
    "exports": lambda facts, path: sorted(facts.exports.get(path, ())),
    "package": lambda facts, name: facts.packages.get(name, ""), "unit": lambda facts, name: facts.units.get(name, ""),
    "enabled": lambda facts, name: facts.enabled.get(name, ""),
    "removal": lambda facts, name: (name in facts.removals.goes, facts.removals.held.get(name, ())),
    "goes": lambda facts: facts.removals.goes,
    "digest": lambda facts, path: facts.digests.get(path, ""),
    "asked": lambda facts, name: facts.asked[name].out if name in facts.asked else "",
}

_WHAT = {"volume": "volume {0}", "mount": "the mount at {0}", "file": "the file {0}", "path": "the path {0}",
         "free_at_least": "the free space of its volume group", "dependents": "the snapshots of {0}",
         "promised_at_most": "what is promised of thin pool {0}", "exports": "the export of {0}",
         "package": "package {0}", "unit": "service {0}", "enabled": "whether {0} starts at boot",
         "removal": "what needs package {0}", "goes": "what goes along with packages",
         "digest": "the file {0}", "asked": "what it says of its {0}"}
#: The question that is asked of our own records, and not of a machine.
RECORDS = "object"


def _digest(answer: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(answer)).hexdigest()[:16]


def _revision(farm: Farm, kind: str, name: str) -> Any:
    item = farm.find(kind, name)
    return None if item is None else (item.revision, item.created)


class Reading:
    """Farm and facts as one planner sees them; remembers what it relied on."""

    def __init__(self, farm: Farm, facts: Mapping[str, MachineFacts]) -> None:
        self.farm = farm
        self._facts = facts
        self._relies: dict[tuple[Any, ...], Reliance] = {}

    @property
    def relies(self) -> tuple[Reliance, ...]:
        return tuple(self._relies.values())

    def facts(self, machine: str) -> MachineFacts:
        """All facts, for what need not be relied on."""
        return self._facts[machine]

    def ask(self, machine: str, question: str, *arguments: Any) -> Any:
        """The answer to one of QUESTIONS; the plan relies on it."""
        answer = QUESTIONS[question](self._facts[machine], *arguments)
        self._note(machine, question, arguments, answer)
        return answer

    def volume(self, machine: str, name: str) -> Volume | None:
        """A volume; the plan relies on its identity, size, tags, origin and pool."""
        self.ask(machine, "volume", name)
        return self._facts[machine].volumes.get(name)

    def file(self, machine: str, path: str) -> File | None:
        """A file that the probe was told to read; the plan relies on its content."""
        self.ask(machine, "file", path)
        return self._facts[machine].files.get(path)

    def find(self, kind: str, name: str) -> Item | None:
        """An object or None; the plan relies on its revision, or on its absence."""
        self._note(HERE, RECORDS, (kind, name), _revision(self.farm, kind, name))
        return self.farm.find(kind, name)

    def get(self, kind: str, name: str) -> Item:
        """An object; NotFound if there is none."""
        self.farm.get(kind, name)
        item = self.find(kind, name)
        assert item is not None
        return item

    def absent(self, kind: str, name: str) -> None:
        """Refused if there is such an object."""
        item = self.find(kind, name)
        if item is not None:
            raise Refused(f"{WORDS[kind]} {name!r} is there already ({item.state})")

    def _note(self, machine: str, question: str, arguments: tuple[Any, ...], answer: Any) -> None:
        self._relies[(machine, question, *arguments)] = Reliance(machine, question, arguments, _digest(answer))


def check_reliances(relies: tuple[Reliance, ...], farm: Farm, facts: Mapping[str, MachineFacts]) -> None:
    """Ask every question again; Stale tells each one whose answer is another now."""
    changed = []
    for reliance in relies:
        if reliance.question == RECORDS:
            kind, name = reliance.arguments
            if _digest(_revision(farm, kind, name)) != reliance.digest:
                changed.append(f"{WORDS[kind]} {name} was changed meanwhile")
            continue
        answer = QUESTIONS[reliance.question](facts[reliance.machine], *reliance.arguments)
        if _digest(answer) != reliance.digest:
            what = _WHAT[reliance.question].format(*reliance.arguments)
            changed.append(f"on {reliance.machine}: {what} was changed meanwhile")
    if changed:
        raise Stale(*changed, "nothing was done: look at the plan anew and run it again")
