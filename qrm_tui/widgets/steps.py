"""A plan's steps, grouped by machine: each opens to show its command or its diff; states and clocks while it runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from qrm_tui.core.units import format_age
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.cursor import CursorPage
from qrm_tui.widgets.page import EMPTY, PageLine, Span, line, wrap

Step = Mapping[str, Any]

#: What a step's state is called, and its style.
STATES: Mapping[str, tuple[str, str]] = {
    "pending": ("waits", "muted"),
    "running": ("running", "strong"),
    "done": ("done", "good"),
    "failed": ("failed", "bad"),
    "undone": ("undone", "warning"),
    "skipped": ("skipped", "muted"),
}
#: Of a job that went back, a step whose effect has no undo: packages stay installed.
_STAYS = ("stays", "warning")
#: Kinds of steps that have an effect on a machine.
_EFFECTS = ("run", "write")
NO_RETURN = " from here on it cannot be undone "


class Steps(CursorPage):
    """The steps with a cursor. `live`: with states and clocks, for a job; else as a plan."""

    DEFAULT_CSS = """
    Steps { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "expand",
            "open",
            key_display="enter",
            id="steps.expand",
            tooltip="Show or hide the step's command, diff and undo",
        ),
        Binding("e", "expand_all", "all", id="steps.expand_all", tooltip="Show or hide what all steps do exactly"),
    ]

    def __init__(self, clock: Callable[[], float], *, live: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._live = live
        self._steps: Sequence[Step] = ()
        #: until they are told, nothing is said of them
        self._known = False
        self._no_return: int | None = None
        self._notes: Sequence[Span] = ()
        self._open: set[int] = set()
        self._step_at: list[int | None] = []

    def show(self, steps: Sequence[Step], no_return: int | None, notes: Sequence[Span] = ()) -> None:
        """Show these steps; `notes` are texts with their style, said before them."""
        self._steps, self._no_return, self._notes, self._known = steps, no_return, notes, True
        self._cursor = max(0, min(self._cursor, len(steps) - 1))
        self.rebuild()

    @property
    def steps(self) -> Sequence[Step]:
        """As they were shown last."""
        return self._steps

    @property
    def items(self) -> int:
        return len(self._steps)

    def item_at(self, index: int) -> int | None:
        return self._step_at[index] if index < len(self._step_at) else None

    # what it says

    def build(self, width: int) -> list[PageLine]:
        lines: list[PageLine] = []
        owner: list[int | None] = []

        def add(new: Sequence[PageLine], step: int | None = None) -> None:
            lines.extend(new)
            owner.extend([step] * len(new))

        for text, style in self._notes:
            add(wrap(text, width - 1, style, first=" "))
        if self._notes:
            add([EMPTY])
        machine = None
        for place, step in enumerate(self._steps):
            if place == self._no_return:
                add([line((NO_RETURN.center(max(len(NO_RETURN), min(width - 2, 76)), "-"), "warning"))])
            if step["machine"] != machine:
                machine = step["machine"]
                add([line((f" on {machine}", "title"))])
            add(self._head(place, step, width), place)
            if place in self._open or step.get("error"):
                add(self._body(step, width, whole=place in self._open))
        if self._known and not self._steps:
            add([line((" no steps: only records of our own change", "muted"))])
        self._step_at = owner
        return lines

    def _head(self, place: int, step: Step, width: int) -> list[PageLine]:
        mark = "-" if place in self._open else "+"
        number = f" {mark} {place + 1:>2} "
        if self._live:
            word, style = STATES.get(step.get("state", "pending"), (str(step.get("state")), ""))
            if step.get("state") == "undone" and step["kind"] in _EFFECTS and not step.get("undo"):
                word, style = _STAYS
            before: PageLine = ((number, "muted"), (f"{word:<8}", style), (f"{self._took(step):>6}  ", ""))
        else:
            before = ((number, "muted"), (fit(str(step["kind"]), 7), "muted"))
        summary = str(step["summary"]) + ("  (done already)" if step.get("done_already") and not self._live else "")
        indent = sum(len(text) for text, _ in before)
        parts = wrap(summary, width - 1, first=" " * indent)
        return [(*before, *parts[0][1:]), *parts[1:]]

    def _took(self, step: Step) -> str:
        started = step.get("started")
        if started is None or step.get("state") == "skipped":
            return ""
        return format_age((step.get("ended") or self._clock()) - started)

    def _body(self, step: Step, width: int, *, whole: bool) -> list[PageLine]:
        indent = " " * 8
        lines: list[PageLine] = []
        if step.get("error"):
            lines += wrap(str(step["error"]), width - 1, "bad", first=indent)
        if not whole:
            return lines
        if step.get("argv"):
            lines += _command("$ ", shlex.join(step["argv"]), width - 1, indent, "")
        for text in str(step.get("diff") or "").split("\n") if step.get("diff") else ():
            style = {"+": "added", "-": "removed", "@": "muted"}.get(text[:1], "")
            lines += wrap(text, width - 1, style, first=indent, rest=indent + "  ")
        for record in step.get("records") or ():
            lines += wrap(str(record), width - 1, first=indent)
        if step.get("root"):
            lines += wrap(f"inside {step['root']}", width - 1, "muted", first=indent)
        for edit in step.get("edits") or ():
            lines += wrap("  ".join(f"{key}={value}" for key, value in edit.items()), width - 1, first=indent)
        undo = step.get("undo")
        lines += _command("undo: " if undo else "", str(undo or "no undo"), width - 1, indent, "muted")
        return lines

    # what is open

    def action_expand(self) -> None:
        """Open or close the step under the cursor."""
        if not self._steps:
            return
        self._open ^= {self._cursor}
        self.rebuild()
        if self._cursor in self._open:
            nexts = [i for i, step in enumerate(self._step_at) if step is not None and step > self._cursor]
            self.show_line((nexts[0] if nexts else len(self._step_at)) - 1)
            self.show_line(self._step_at.index(self._cursor))

    def action_expand_all(self) -> None:
        """Open all steps; if all are open, close them."""
        everything = set(range(len(self._steps)))
        self._open = set() if self._open == everything else everything
        self.rebuild()
        self.go(self._cursor)

    def tick(self) -> None:
        """A second has passed: clocks of running steps."""
        if any(step.get("state") == "running" for step in self._steps):
            self.rebuild()


def _command(before: str, command: str, width: int, indent: str, style: str) -> list[PageLine]:
    """A command after a word; a script's lines are lines."""
    first, *others = command.split("\n")
    deeper = indent + "    "
    return [*wrap(before + first, width, style, first=indent, rest=deeper),
            *(part for text in others for part in wrap(text, width, style, first=deeper, rest=deeper + "  "))]
