"""Commands that outlive whoever started them, as templates/named-command.sh keeps them on a real machine."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from qrm_tui.practice.effects import Effects, Point
from qrm_tui.runners.base import Completed


@dataclass(slots=True)
class Named:
    """A command under a name. It goes on by itself as time passes; `lines` is all that it printed."""

    name: str
    argv: tuple[str, ...]
    effects: Effects | None
    #: when its next bit begins, by the machine's clock
    due: float
    lines: list[str] = field(default_factory=list)
    status: int | None = None

    @property
    def state(self) -> str:
        return "running" if self.status is None else "ended"

    def end(self, done: Completed) -> None:
        """It came to its end."""
        self.lines += (done.out + done.err).splitlines()
        self.status, self.effects = done.status, None

    def advance(self, now: float, pace: float, half: Callable[[str], None] | None) -> None:
        """All that is due by now. `half` may raise: the command stays where it is, and goes on later."""
        while self.effects is not None and self.due <= now:
            try:
                point: Point = next(self.effects)
            except StopIteration as stop:
                self.end(stop.value)
                return
            self.due += point.seconds * pace
            if point.says:
                self.lines.append(point.says)
            if point.what and half:
                half(point.what)

    def stop(self) -> None:
        """It is killed; what it did stays."""
        if self.effects is not None:
            self.effects.close()
            self.effects = None
