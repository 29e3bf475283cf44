"""A runner: what a machine can be asked to do. Local, ssh and simulated machines answer the same five questions."""
from __future__ import annotations

import abc
import asyncio
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qrm_tui.core.facts import File

#: A line that a command printed: stream (`out` or `err`) and text.
OnLine = Callable[[str, str], None]
#: Seconds that a short command may take; long ones run under a name of their own, without a limit.
SHORT = 60.0
#: What is kept of one command's output, in bytes; the rest is dropped (a machine's words are not trusted).
MOST_OUTPUT = 4 << 20


@dataclass(frozen=True, slots=True)
class Completed:
    """A command's end: exit status (negative: signal), standard output and error."""

    status: int
    out: str
    err: str

    def complaint(self) -> str:
        """Its last words on what went wrong, in one line."""
        lines = [line.strip() for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"exit status {self.status} without a word"


def beside(path: str) -> str:
    """Where a new file lies until it takes its place by a rename.

    Under its own name, since checkers go by names; in a folder of its own, since jobs write side by side.
    """
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f".qrm-new-{name}", name)


class Runner(abc.ABC):
    """One machine. Every method raises Unreachable when it does not answer."""

    #: as messages call it
    name: str

    @abc.abstractmethod
    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        """Run a command to its end; StepFailed when it takes longer than `seconds`."""

    async def ask(self, questions: Sequence[Sequence[str]]) -> list[Completed]:
        """Several commands that only look; each is answered, whatever becomes of the others."""
        return list(await asyncio.gather(*(self.run(argv) for argv in questions)))

    @abc.abstractmethod
    async def run_named(self, unit: str, argv: Sequence[str], on_line: OnLine) -> Completed:
        """Run a command that outlives us under the name `unit`, or await the one that runs so already."""

    @abc.abstractmethod
    async def end_named(self, unit: str) -> None:
        """Stop the command of that name if it runs, and forget it."""

    @abc.abstractmethod
    async def read_file(self, path: str) -> File | None:
        """A small text file and its mode; None if it is not there."""

    @abc.abstractmethod
    async def write_file(self, path: str, content: str, mode: int, checker: Sequence[str]) -> None:
        """Replace a file atomically after its checker took the new one; StepFailed with its words if not."""

    @abc.abstractmethod
    async def remove_file(self, path: str) -> None:
        """A file goes; none there is fine."""

    @abc.abstractmethod
    async def edit_tree(self, root: str, edits: Sequence[dict[str, Any]]) -> list[str]:
        """Edits inside a tree (see `tree`); returns what was changed."""

    async def close(self) -> None:
        """Let go of the line."""
        return
