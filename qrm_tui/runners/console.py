"""Where a console's bytes come from: what a source is, whether it is a command or a simulated machine."""
from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

#: Called with bytes as they come.
Received = Callable[[bytes], None]
#: Called once, when the line has ended by itself, with why, in words.
Ended = Callable[[str], None]
#: What a line may be able to do besides typing.
BREAK, SYSRQ = "break", "sysrq"


class NoLine(Exception):
    """The source cannot be reached now; `lasting`: nor will it be before a person changes something."""

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


class NotTaken(Exception):
    """The far end does not take what is typed, or has no such thing; says why."""


class ConsoleLine(Protocol):
    """An open line to a console."""

    @property
    def means(self) -> frozenset[str]:
        """Which of BREAK and SYSRQ it has."""

    async def type(self, data: bytes) -> None:
        """Bytes for the machine; NotTaken."""

    async def send_break(self) -> None:
        """A break on the line; NotTaken where there is none."""

    async def send_sysrq(self, letter: str) -> None:
        """A letter for the kernel's SysRq, in the way that the far end has for it, and nothing typed in between;
        NotTaken where there is none."""

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's size, for whoever wants to know it."""

    async def close(self) -> None:
        """End it, with every process of it; `ended` is not called."""


class Source(Protocol):
    """How a console is reached. Two sources that are equal are the same."""

    #: ipmi-sol, command, libvirt or practice
    kind: str

    async def open(self, received: Received, ended: Ended) -> ConsoleLine:
        """A line; NoLine says why not. `received` may be called before this returns."""


@runtime_checkable
class Telling(Source, Protocol):
    """A source that hears when it is worth trying again."""

    async def worth_trying(self) -> None:
        """Returns as soon as something happened, since the last `open` began, that lets the next one succeed."""
