"""The installer's components: what each is, needs and brings; choosing one brings what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from qrm_tui.core.component_table import Component, table
from qrm_tui.screens.base import Sections
from qrm_tui.screens.install_base import Choices, Found, InstallScreen, paragraphs
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import Page, PageLine


class InstallComponents(InstallScreen):
    """Space chooses."""

    place = "Components"

    def __init__(self, found: Found) -> None:
        super().__init__()
        self.found = found

    def parts(self) -> Sequence[Widget]:
        return [Choices(), Page(classes="about")]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Choices).focus()
        self.show()

    def on_resize(self) -> None:
        self.show()

    @property
    def component(self) -> Component:
        """The one under the cursor."""
        return list(table().values())[self.query_one(Choices).cursor]

    def show(self) -> None:
        """The list, and what the one under the cursor is made of."""
        width = self.app.size.width
        self.query_one(Choices).set_lines([self._line(one, width) for one in table().values()])
        one = self.component
        ports = ", ".join(f"{self._port(one, port.port)}/{port.protocol}" for port in one.ports)
        self.query_one(".about", Page).set_lines(paragraphs(
            width, ("is", one.what, "strong"),
            ("packages", ", ".join(one.packages.get(self.found.system, ())), ""), ("ports", ports, ""),
            ("files", ", ".join(entry.path for entry in one.files), ""), ("needs", ", ".join(one.depends), ""),
            ("not beside", ", ".join(one.conflicts), ""), ("note", one.lacking, "warning")))

    def _port(self, one: Component, text: str) -> str:
        return text.format(**{setting.name: self.found.setup.value(one.name, setting.name) for setting in one.settings})

    def _line(self, one: Component, width: int) -> PageLine:
        row: Any = self.live.row("component", one.name)
        state = str(row["state"]) if row else "not possible" if one.lacking else ""
        mark = "   " if one.lacking else "[x]" if one.name in self.found.setup.chosen else "[ ]"
        return ((f" {mark} ", "key"), (fit(one.name, 10), "strong" if mark == "[x]" else ""),
                (fit(one.what, max(10, width - 31)), ""), (f" {state}", "muted"))

    @on(Choices.Moved)
    def _moved(self) -> None:
        self.show()

    @on(Choices.Marked)
    def _marked(self) -> None:
        one, setup = self.component, self.found.setup
        if one.lacking:
            self.notify(one.lacking, severity="warning", markup=False)
            return
        row = self.live.row("component", one.name)
        if row and one.name in setup.chosen:
            self.notify(f"{one.name} is set up: what is set up already stays, and is switched off in view 7",
                        severity="warning", markup=False)
            return
        wanted = one.name not in setup.chosen
        others = setup.choose(one.name, wanted)
        if others:
            self.notify(f"{', '.join(others)} {'comes' if wanted else 'goes'} along", markup=False)
        self.show()

    def action_go_on(self) -> None:
        if not self.found.setup.chosen:
            self.notify("choose at least one", severity="error", markup=False)
            return
        from qrm_tui.screens.install_config import InstallConfig

        self.app.push_screen(InstallConfig(self.found))

    def help_sections(self) -> Sections:
        return [("Components", [
            ("[x]", "is set up; space changes that, and takes along what needs it or what it needs"),
            ("not possible", "these systems have no package of it"),
        ])]
