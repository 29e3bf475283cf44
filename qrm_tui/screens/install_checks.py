"""The installer's checks: what was looked at, what was found and means, and what the plan shall put right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on, work
from textual.widget import Widget

from qrm_tui.core.errors import QrmError
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.screens.base import Answer, Sections
from qrm_tui.screens.install_base import STATES, Choices, Found, InstallScreen, paragraphs
from qrm_tui.screens.operate import Outcome, Request
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import Page, PageLine


class _Looked(Answer):
    """The checks once more, or why not."""

    def __init__(self, answer: dict[str, Any] | None, error: QrmError | None = None) -> None:
        super().__init__()
        self.answer, self.error = answer, error


class InstallChecks(InstallScreen):
    """Goes on only when nothing stands in the way that nobody puts right."""

    BINDINGS: ClassVar = [("r", "look", "look again")]
    place = "Checks"

    def __init__(self, found: Found) -> None:
        super().__init__()
        self.found = found

    def parts(self) -> Sequence[Widget]:
        return [Choices(), Page(classes="about")]

    def on_mount(self) -> None:
        super().on_mount()
        choices = self.query_one(Choices)
        choices.cursor = next((number for number, row in enumerate(self.found.checks) if row["state"] != "ok"), 0)
        choices.focus()
        self.show()

    def on_resize(self) -> None:
        self.show()

    @property
    def row(self) -> dict[str, Any]:
        """The check under the cursor."""
        return self.found.checks[self.query_one(Choices).cursor]

    def show(self) -> None:
        """The list, and what the one under the cursor says."""
        width = self.app.size.width
        self.query_one(Choices).set_lines([self._line(row, width) for row in self.found.checks])
        row = self.row
        self.query_one(".about", Page).set_lines(paragraphs(
            width, ("looked at", row["looked_at"], "muted"), ("found", row["found"], "strong"),
            ("because", row["means"], ""), ("do", row["advice"], ""),
            ("in the plan" if row["name"] in self.found.setup.fixes else "space does", row["fix"], "good")))

    def _line(self, row: dict[str, Any], width: int) -> PageLine:
        word, style = STATES[row["state"]]
        mark = "   " if not row["fix"] else "[x]" if row["name"] in self.found.setup.fixes else "[ ]"
        return ((f" {mark} ", "key"), (f"{word:<6}", style), (fit(row["title"], 20), ""),
                (fit(row["found"], max(10, width - 33)), "muted" if row["state"] == "ok" else ""))

    @on(Choices.Moved)
    def _moved(self) -> None:
        self.show()

    @on(Choices.Marked)
    def _marked(self) -> None:
        """A fix is wanted, or not; a volume group is a plan of its own, whose name is typed."""
        row = self.row
        if not row["fix"]:
            return
        if row["choices"]:
            from qrm_tui.screens.plan import PlanScreen

            request = Request(OPERATIONS["install.fix"], arguments={"name": row["name"]})
            self.app.push_screen(PlanScreen(request), self._came_of)
            return
        self.found.setup.fixes ^= {row["name"]}
        self.show()

    def _came_of(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        if outcome.refused:
            self.tell(QrmError(*outcome.refused))
        elif outcome.job is not None:
            from qrm_tui.screens.job import JobScreen

            self.app.push_screen(JobScreen(str(outcome.job["name"])), lambda _: self.action_look())

    @work(group="look", exclusive=True, exit_on_error=False)
    async def look(self) -> None:
        interface = self.found.setup.value("dhcpd", "interface")
        try:
            self.post_message(_Looked(await self.qrm.client.install_checks(interface)))
        except QrmError as error:
            self.post_message(_Looked(None, error))

    def action_look(self) -> None:
        self.notify("looking again, some seconds ...", markup=False)
        self.look()

    @on(_Looked)
    def _looked(self, event: _Looked) -> None:
        if event.error:
            self.tell(event.error)
        elif event.answer:
            self.found.take(event.answer)
            self.show()

    def action_go_on(self) -> None:
        if troubles := self.found.troubles:
            choices = self.query_one(Choices)
            choices.action_move(self.found.checks.index(troubles[0]) - choices.cursor)
            self.notify(f"{troubles[0]['title']} stands in the way: {troubles[0]['advice'] or troubles[0]['fix']}",
                        severity="error", markup=False)
            return
        from qrm_tui.screens.install_components import InstallComponents

        self.app.push_screen(InstallComponents(self.found))

    def help_sections(self) -> Sections:
        return [("Checks", [
            ("ok", "as it should be"), ("look", "works; it is good to know"),
            ("WRONG", "must be put right first, by the plan or by you"), ("?", "could not be looked at"),
            ("[x]", "the plan puts it right, before all else; space changes that"),
            ("", "Nothing is switched off: rules are added to a firewall, an address stays the same."),
        ])]
