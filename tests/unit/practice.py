"""Simulated machines for tests: small, at once, with a clock that tests turn."""
from __future__ import annotations

import shlex
from pathlib import Path

from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.volumes import SimulatedGroup, SimulatedVolume
from qrm_tui.runners.base import Completed

MIB = 1 << 20
#: What the lab's storage server has: a disk of 8 GiB, less one extent for LVM's own.
DISK = (8 << 30) - (4 << 20)
UNIT = """\
[Unit]
Description=Filesystem-image {name}

[Mount]
What=/dev/vol/{name}
Where=/vol/{name}
Type={kind}
Options=nosuid,nodev,noexec

[Install]
WantedBy=multi-user.target
"""
VERIFY = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "{file}")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_machine(folder: Path, *, clock: Clock | None = None, pool: int = 0, **more: object) -> SimulatedMachine:
    """A machine `store` with the group `vol`, and a thin pool of so many bytes."""
    machine = SimulatedMachine("store", "10.77.0.2", folder, SimulatedGroup("vol", DISK), clock=clock or Clock(),
                               **more)  # type: ignore[arg-type]
    if pool:
        machine.host.add(SimulatedVolume("pool", machine.host.new_id(), "pool", pool))
    return machine


async def run(machine: SimulatedMachine, command: str) -> Completed:
    """A command as it would be typed."""
    return await machine.run(shlex.split(command))


async def good(machine: SimulatedMachine, command: str) -> str:
    """A command that must end well; its output."""
    done = await run(machine, command)
    assert done.status == 0, f"{command}: {done}"
    return done.out


async def make_image(machine: SimulatedMachine, name: str, *, size: int = 64 * MIB, kind: str = "ext4") -> None:
    """A volume with a file system, mounted at /vol/NAME."""
    await good(machine, f"lvcreate --yes --wipesignatures y --size {size}b vol --name {name} --addtag qrm")
    await machine.run_named(f"mkfs-{name}", mkfs(kind, name), lambda stream, text: None)
    await mount(machine, name, kind)


def mkfs(kind: str, name: str, identity: str = "6f3f7f0e-9b1c-4b0e-8f3e-2f8f5a6d7c11") -> tuple[str, ...]:
    """argv of a new file system."""
    if kind == "xfs":
        return ("mkfs.xfs", "-q", "-f", "-m", f"uuid={identity}", f"/dev/vol/{name}")
    options = ("-O", "metadata_csum_seed") if kind == "ext4" else ()
    return (f"mkfs.{kind}", "-q", "-F", *options, "-U", identity, f"/dev/vol/{name}")


async def mount(machine: SimulatedMachine, name: str, kind: str = "ext4") -> None:
    """A mount unit, enabled and started."""
    await machine.write_file(f"/etc/systemd/system/vol-{name}.mount", UNIT.format(name=name, kind=kind), 0o644, VERIFY)
    await good(machine, f"systemctl enable --now -- vol-{name}.mount")
