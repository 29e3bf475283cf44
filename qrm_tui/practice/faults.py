"""Faults that can be put into a simulated machine by name, and taken out again."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.units import parse_size
from qrm_tui.practice.volumes import SimulatedVolume

if TYPE_CHECKING:
    from qrm_tui.practice.machine import SimulatedMachine

#: The volume that takes the room of a group that is said to be full.
FILLER = "not-ours-filler"


@dataclass(slots=True)
class Faults:
    """What is wrong with a machine now."""

    #: no line leads there
    unreachable: bool = False
    #: seconds that each command and file takes longer
    slow: float = 0
    #: no file can be written
    disk_full: bool = False
    #: (command, what it complains of): each fails once
    fail: list[tuple[str, str]] = field(default_factory=list)
    #: commands after which the line is lost, once each; empty: whatever comes next
    lose: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: what it is for people, which arguments it takes, how it is put in and out."""

    summary: str
    arguments: tuple[str, ...]
    put: Callable[..., None]
    clear: Callable[[SimulatedMachine], None]


def _volume(machine: SimulatedMachine, name: str) -> SimulatedVolume:
    try:
        return machine.host.group.volumes[name]
    except KeyError:
        there = ", ".join(sorted(machine.host.group.volumes))
        raise BadInput(f"volume: there is no {name!r} on {machine.name}; there are {there}") from None


def _unreachable(machine: SimulatedMachine) -> None:
    machine.faults.unreachable = True


def _reachable(machine: SimulatedMachine) -> None:
    machine.faults.unreachable = False


def _slow(machine: SimulatedMachine, seconds: float | str = 2.0) -> None:
    machine.faults.slow = float(seconds)


def _not_slow(machine: SimulatedMachine) -> None:
    machine.faults.slow = 0


def _full_group(machine: SimulatedMachine, free: int | str = 0) -> None:
    """Another admin's volume takes all room but `free` bytes."""
    _not_full_group(machine)
    group, left = machine.host.group, parse_size(free) if isinstance(free, str) and free != "0" else int(free)
    size = group.free - group.round_up(left)
    if size > 0:
        machine.host.add(SimulatedVolume(FILLER, machine.host.new_id(), "plain", size))


def _not_full_group(machine: SimulatedMachine) -> None:
    filler = machine.host.group.volumes.get(FILLER)
    if filler:
        machine.host.remove(filler)


def _full_disk(machine: SimulatedMachine) -> None:
    machine.faults.disk_full = True


def _not_full_disk(machine: SimulatedMachine) -> None:
    machine.faults.disk_full = False


def _fail_once(machine: SimulatedMachine, command: str, message: str = "Input/output error") -> None:
    machine.faults.fail.append((command, message))


def _no_more_failing(machine: SimulatedMachine) -> None:
    machine.faults.fail.clear()


def _lost_line(machine: SimulatedMachine, command: str = "") -> None:
    machine.faults.lose.append(command)


def _kept_line(machine: SimulatedMachine) -> None:
    machine.faults.lose.clear()


def _busy(machine: SimulatedMachine, volume: str) -> None:
    _volume(machine, volume).held = True


def _not_busy(machine: SimulatedMachine) -> None:
    for volume in machine.host.group.volumes.values():
        volume.held = False


def _lost_snapshot(machine: SimulatedMachine, volume: str) -> None:
    """Its room for changes is used up at once."""
    found = _volume(machine, volume)
    if found.kind != "snapshot":
        raise BadInput(f"volume: {volume} is no classic snapshot, and cannot run full as one does")
    machine.host.write(found, found.size)


def _full_pool(machine: SimulatedMachine, share: float | str = 1.0) -> None:
    """Somebody writes until a thin pool is so full."""
    group = machine.host.group
    for pool in [volume for volume in group.ordered() if volume.kind == "pool"]:
        thins = group.thins(pool.name)
        missing = int(pool.size * float(share)) - group.pool_used(pool.name)
        if thins and missing > 0:
            machine.host.write(thins[0], missing)


def _power_off(machine: SimulatedMachine) -> None:
    machine.power_off()


def _power_on(machine: SimulatedMachine) -> None:
    machine.power_on()


def _nothing(machine: SimulatedMachine) -> None:
    """What is lost stays lost."""


FAULTS: Mapping[str, Fault] = {
    "unreachable": Fault("the line to it is cut", (), _unreachable, _reachable),
    "off": Fault("it is switched off", (), _power_off, _power_on),
    "slow": Fault("everything takes so many seconds longer", ("seconds",), _slow, _not_slow),
    "full-group": Fault("another admin's volume takes the volume group", ("free",), _full_group, _not_full_group),
    "full-disk": Fault("its own disk takes no more files", (), _full_disk, _not_full_disk),
    "full-pool": Fault("its thin pools are filled up to a share", ("share",), _full_pool, _nothing),
    "fail": Fault("a command fails, once", ("command", "message"), _fail_once, _no_more_failing),
    "lost-answer": Fault("the line breaks once, after a command had its effect", ("command",), _lost_line, _kept_line),
    "busy": Fault("something keeps a volume open", ("volume",), _busy, _not_busy),
    "lost-snapshot": Fault("a classic snapshot runs full", ("volume",), _lost_snapshot, _nothing),
}


def _find(name: str) -> Fault:
    try:
        return FAULTS[name]
    except KeyError:
        raise BadInput(f"there is no fault {name!r}; there are {', '.join(FAULTS)}") from None


def inject(machine: SimulatedMachine, name: str, **arguments: Any) -> None:
    """Put a fault into a machine; BadInput if there is none of that name, or it takes other arguments."""
    fault = _find(name)
    for argument in arguments:
        if argument not in fault.arguments:
            raise BadInput(f"{argument}: {name} takes {', '.join(fault.arguments) or 'no arguments'}")
    try:
        fault.put(machine, **arguments)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}: {error}") from None


def clear(machine: SimulatedMachine, name: str = "") -> None:
    """Take a fault out of a machine, or all of them."""
    for fault in [_find(name)] if name else FAULTS.values():
        fault.clear(machine)
