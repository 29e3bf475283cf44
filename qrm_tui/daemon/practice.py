"""A practice farm: the same server over simulated machines, filled by the same operations."""
from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from qrm_tui.core.errors import BadInput, Unreachable
from qrm_tui.core.model import StorageWanted
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.records import Author
from qrm_tui.daemon.server import Qrmd
from qrm_tui.practice.farms import PracticeFarm, load_farm
from qrm_tui.practice.machine import SimulatedMachine

#: Says that a state folder is a practice farm's.
_MARK = "PRACTICE"

Fill = Callable[[Qrmd], Awaitable[None]]


class PracticeMachines:
    """Simulated machines by address."""

    public_key = "ssh-ed25519 PRACTICE qrmd"

    def __init__(self, farm: PracticeFarm) -> None:
        self._farm = farm

    def here(self) -> SimulatedMachine:
        """The machine that the server itself runs on."""
        return self._farm.server

    async def host_key(self, server: StorageWanted) -> str:
        """The key that it would show."""
        return self.make("", server).host_key

    def make(self, name: str, server: StorageWanted) -> SimulatedMachine:
        """The machine at that address."""
        machine = self._farm.machines.get(server.address)
        if machine is None:
            raise Unreachable(f"{server.address} does not answer: the practice farm has machines at "
                              f"{', '.join(self._farm.machines)}")
        return machine

    async def answers(self, address: str) -> bool:
        """Whether an ssh server answers there."""
        return address in self._farm.machines


async def fill(qrmd: Qrmd, farm: PracticeFarm) -> None:
    """Run the farm's operations, as an administrator would."""
    for operation, arguments in farm.fill:
        plan = await qrmd.plan(operation, arguments, Role.administrator)
        outcome = await qrmd.run(plan.id, Author("practice"), Role.administrator, "the practice farm is set up")
        if "job" in outcome:
            await qrmd.jobs.wait(outcome["job"]["id"])
    farm.begin()


def open_practice(name: str, state: Path) -> tuple[Qrmd, Fill]:
    """The server of a practice farm, begun anew in `state`, and what fills it once it has started."""
    mark = state / _MARK
    if (state / "qrm.db").exists() and not mark.exists():
        raise BadInput(f"{state} holds a real farm: give a practice farm a --state folder of its own")
    machines = state / "machines"
    for path in state.glob("qrm.db*"):
        path.unlink()
    for folder in (machines, state / "jobs"):
        shutil.rmtree(folder, ignore_errors=True)
    machines.mkdir(parents=True)
    mark.touch()
    farm = load_farm(name, machines)
    qrmd = Qrmd(state, PracticeMachines(farm), name=farm.name, practice=True, look_every=5)
    return qrmd, lambda server: fill(server, farm)
