"""The installer's checks: what was looked at, what was found and means, and what the plan shall put right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on

from qrm_tui.core.errors import QrmError
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.screens.base import Sections
from qrm_tui.screens.install_list import About, Choices, InstallList
from qrm_tui.screens.operate import Outcome, Request
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import PageLine

#: Words and styles of a check's state.
STATES = {"ok": ("ok", "good"), "warning": ("look", "warning"), "error": ("WRONG", "bad"), "unknown": ("?", "muted")}
#: Columns for what was found; with fewer it is only told below.
_LEAST = 16


class InstallChecks(InstallList):
    """Goes on only when nothing stands in the way that nobody puts right."""

    BINDINGS: ClassVar = [("r", "look", "look again")]
    place = "Checks"

    def on_mount(self) -> None:
        super().on_mount()
        places = {row["state"]: number for number, row in reversed(list(enumerate(self.found.checks)))}
        self.choices.go(next((places[state] for state in ("error", "warning", "unknown") if state in places), 0))

    @property
    def row(self) -> dict[str, Any]:
        """The check under the cursor."""
        return self.found.checks[self.choices.cursor]

    @property
    def chooses(self) -> bool:
        return bool(self.row["fix"])

    def rows(self, width: int) -> Sequence[PageLine]:
        return [self._line(row, width) for row in self.found.checks]

    def about(self) -> Sequence[About]:
        row = self.row
        return (("looked at", row["looked_at"], "muted"), ("found", row["found"], "strong"),
                ("because", row["means"], ""), ("do", row["advice"], ""),
                ("in the plan" if row["name"] in self.found.setup.fixes else "space does", row["fix"], "good"))

    def _line(self, row: dict[str, Any], width: int) -> PageLine:
        word, style = STATES[row["state"]]
        mark = "   " if not row["fix"] else "[x]" if row["name"] in self.found.setup.fixes else "[ ]"
        told: PageLine = ((" ", ""), (mark, "key" if row["fix"] else ""), (f" {word:<6}", style),
                          (fit(row["title"], 20), ""))
        room = width - 33
        return told if room < _LEAST else (*told, (fit(row["found"], room), "muted" if row["state"] == "ok" else ""))

    @on(Choices.Marked)
    def _marked(self) -> None:
        """A fix is wanted, or not; a volume group is a plan of its own, whose name is typed."""
        row = self.row
        if not row["fix"]:
            return  # the cursor has moved on since
        if row["choices"]:
            from qrm_tui.screens.plan import PlanScreen

            request = Request(OPERATIONS["install.fix"], arguments={"name": row["name"]})
            self.app.push_screen(PlanScreen(request), self._came_of)
            return
        self.found.setup.fixes ^= {row["name"]}
        self.keep()
        self.show()

    def _came_of(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        if outcome.refused:
            self.tell(QrmError(*outcome.refused))
        elif outcome.job is not None:
            from qrm_tui.screens.job import JobScreen

            self.app.push_screen(JobScreen(str(outcome.job["name"])), lambda _: self.action_look())

    def action_look(self) -> None:
        self.notify("looking again, some seconds ...", markup=False)
        self.look()

    def looked(self) -> None:
        self.show()

    def action_go_on(self) -> None:
        if troubles := self.found.troubles:
            self.choices.go(self.found.checks.index(troubles[0]))
            self.notify(f"{troubles[0]['title']} stands in the way: {troubles[0]['advice'] or troubles[0]['fix']}",
                        severity="error", markup=False)
            return
        if ports := [row for row in self.found.checks if row["name"] == "ports" and row["state"] == "error"]:
            self.notify(f"{ports[0]['found']}: the next screens let you leave that out, or take another port",
                        severity="warning", markup=False)
        from qrm_tui.screens.install_components import InstallComponents

        self.app.push_screen(InstallComponents(self.found))

    def help_sections(self) -> Sections:
        return [("Checks", [
            ("ok", "as it should be"), ("look", "works; it is good to know"),
            ("WRONG", "must be put right first, by the plan or by you"), ("?", "could not be looked at"),
            ("[x]", "the plan puts it right, before all else; space changes that"),
            ("", "Nothing is switched off: rules are added to a firewall, an address stays the same."),
        ])]
