"""What a planner is given, and what it makes."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qrm_tui.core.facts import Reading
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import StorageWanted
from qrm_tui.core.partitions import HostWanted
from qrm_tui.core.plan import HERE, Inverse, Lock, Step


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: its parsed arguments, the farm and facts, and identifiers allocated beforehand."""

    arguments: dict[str, Any]
    reading: Reading
    #: a fresh UUID for each purpose; the same one for the same purpose
    identity: Callable[[str], str]


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    object: str
    steps: list[Step] = field(default_factory=list)
    locks: list[Lock] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    no_return: int | None = None
    inverse: Inverse | None = None
    #: told with the plan, and when it is done: what no job can do
    afterwards: list[str] = field(default_factory=list)
    #: of an operation that is not destructive as a rule: this call of it is, and wants the name typed
    destructive: bool = False

    def point_of_no_return(self, at: int | None = None) -> None:
        """What comes from here on (or from step `at` on) cannot be undone."""
        if self.no_return is None:
            self.no_return = len(self.steps) if at is None else at


@dataclass(frozen=True, slots=True)
class Probe:
    """What a planner wants to know of one machine."""

    machine: str
    files: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    #: a machine that is not registered yet
    server: StorageWanted | None = None
    #: a virtualization host that is not registered yet
    host: HostWanted | None = None
    #: asks for versions too, which rarely change
    versions: bool = False
    packages: tuple[str, ...] = ()
    #: packages of which one wants to know what would be fetched for them
    downloads: tuple[str, ...] = ()
    #: packages that would be removed, of those that qrm installed
    removals: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    #: files of which only the digest is wanted
    digests: tuple[str, ...] = ()
    #: asks for network interfaces and listening sockets too
    network: bool = False
    #: questions of data/machine.toml, by name
    asks: tuple[str, ...] = ()

    @property
    def storage(self) -> bool:
        """Whether it is a storage server, whose volumes, mounts and exports are asked for besides."""
        return self.machine != HERE


def machine_of(host: str) -> str:
    """The name under which plans have commands run on a virtualization host."""
    return f"resource/{host}"


def probe_nothing(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """For what changes our own records alone."""
    return []
