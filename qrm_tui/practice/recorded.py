"""A recorded machine: a simulated one that looks as the real one did, and on which a whole installation can be tried.

What it was asked it answers as the real one did, word for word; what is installed, written and started from then on is
simulated.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qrm_tui.core.facts import MachineFacts
from qrm_tui.core.plan import HERE
from qrm_tui.install import questions
from qrm_tui.install.server import Server
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.volumes import SimulatedGroup
from qrm_tui.runners.base import SHORT, Completed, OnLine

#: What changes as things are installed: asked of the simulated machine.
_LIVING = ("packages", "listeners")


class RecordedMachine(SimulatedMachine):
    """The machine of a recording, as qrmd's own."""

    def __init__(self, recording: MachineFacts, folder: Path, *, pace: float = 0) -> None:
        super().__init__(HERE, "the recorded machine", folder, SimulatedGroup("none", 0), pace=pace)
        self._answers = {argv: recording.asked[name] for name, argv in questions.commands().items()
                         if name in recording.asked and name not in _LIVING}
        for name, answer in recording.asked.items():
            kind, _, interface = name.partition(" ")
            if kind == questions.OFFERS:
                self._answers[questions.offers_argv(interface)] = answer
        server, software = Server(recording), self.host.software
        software.packages.update(server.packages)
        software.active.update(unit for unit, state in server.units.items() if state == "active")
        software.interfaces.update({one.name: one.addresses[0].text for one in server.interfaces if one.addresses})
        software.others += [(listener.protocol, f"{listener.address}{'%' * bool(listener.interface)}"
                             f"{listener.interface}:{listener.port}", "".join(listener.processes[:1]))
                            for listener in server.listeners]
        for path, file in recording.files.items():
            if file is not None:
                self.host.root.write(path, file.content, file.mode)

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        words = tuple(argv)
        if words in self._answers:
            answer = self._answers[words]
            return Completed(answer.status, answer.out, answer.err)
        return await super().run(argv, input=input, seconds=seconds, on_line=on_line)
