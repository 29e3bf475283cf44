"""The installer's components: what each is, needs and brings. Choosing one brings what it needs; one that is set up and
is left out is switched off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual import on, work

from qrm_tui.client import installing
from qrm_tui.core.component_table import Component, table
from qrm_tui.core.errors import QrmError
from qrm_tui.core.units import format_size
from qrm_tui.screens.base import Answer, Sections
from qrm_tui.screens.install_list import About, Choices, InstallList
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import PageLine

#: Of what is fetched: not asked yet, and not told by apt.
_ASKED, _UNKNOWN = "...", "?"
#: Columns for what a component is; with fewer it is only told below.
_LEAST = 16
_UNPROVED = "nothing yet: it cannot be asked for an answer, and only its packages, files and services are seen"


class _Packages(Answer):
    """What one component's packages are on this machine, or why nobody can say."""

    def __init__(self, name: str, answer: dict[str, Any]) -> None:
        super().__init__()
        self.name, self.answer = name, answer


class InstallComponents(InstallList):
    """Space chooses."""

    place = "Components"

    def on_mount(self) -> None:
        super().on_mount()
        if self.waiting:
            self.ask_packages()

    @property
    def waiting(self) -> list[str]:
        """Components that were not asked for yet."""
        return [name for name in table() if name not in self.found.packages]

    @work(group="packages", exclusive=True, exit_on_error=False)
    async def ask_packages(self) -> None:
        """One after the other, since apt takes its time for each."""
        for name in self.waiting:
            try:
                answer = await installing.packages(self.qrm.client, name)
            except QrmError as error:
                answer = {"packages": [], "trouble": "; ".join(error.reasons)}
            self.post_message(_Packages(name, answer))

    @on(_Packages)
    def _told(self, event: _Packages) -> None:
        self.found.packages[event.name] = event.answer
        self.show()

    @property
    def component(self) -> Component:
        """The one under the cursor."""
        return list(table().values())[self.choices.cursor]

    # what it says

    def rows(self, width: int) -> Sequence[PageLine]:
        return [self._line(one, width) for one in table().values()]

    def _line(self, one: Component, width: int) -> PageLine:
        chosen = one.name in self.found.setup.chosen
        mark = "   " if one.lacking else "[x]" if chosen else "[ ]"
        state, style = self._state(one)
        told: PageLine = ((" ", ""), (mark, "" if one.lacking else "key"), (" ", ""),
                          (fit(one.name, 9), "strong" if chosen else ""), (fit(state, 13), style),
                          (f"{self._fetched(one):>6}  ", "muted"))
        room = width - 36
        return told if room < _LEAST else (*told, (fit(one.what, room), "" if chosen else "muted"))

    def _state(self, one: Component) -> tuple[str, str]:
        """How it is and will be, in a word, and its style."""
        setup, row = self.found.setup, self.live.row("component", one.name)
        if one.lacking:
            return "not possible", "muted"
        if self._in_the_way(one) and one.name in setup.chosen:
            return "in the way", "warning"
        if one.name in setup.off:
            return "goes off", "warning"
        if row and row["state"] == "off" and one.name in setup.chosen:
            return "goes on", "good"
        if row:
            return str(row["state"]), "" if row["state"] == "ok" else "warning"
        return ("comes", "good") if one.name in setup.chosen else ("", "")

    def _in_the_way(self, one: Component) -> list[str]:
        return list(self.found.packages.get(one.name, {}).get("conflicts", ()))

    def _fetched(self, one: Component) -> str:
        """How much apt fetches for it."""
        told = self.found.packages.get(one.name)
        if one.lacking:
            return ""
        if told is None:
            return _ASKED
        return _UNKNOWN if told.get("fetched") is None else format_size(told["fetched"]) if told["fetched"] else "-"

    def about(self) -> Sequence[About]:
        one, row = self.component, self.live.row("component", self.component.name)
        ports = ", ".join(f"{self._filled(one, port.port)}/{port.protocol}" for port in one.ports)
        needing = ", ".join(name for name, other in table().items() if one.name in other.depends)
        proofs = "; ".join(self._filled(one, proof.summary) for proof in one.checks)
        return (
            ("is", one.what, "strong"), ("note", one.lacking, "warning"),
            ("in the way", ", ".join(self._in_the_way(one)) and
             f"{', '.join(self._in_the_way(one))} is installed, and does the same: remove it first", "bad"),
            ("now", _trouble(row) if row else "", "warning"),
            ("packages", "" if one.lacking else self._packages(one), ""),
            ("needs", ", ".join(one.depends), ""), ("needed by", needing, ""), ("listens", ports, ""),
            ("verified by", "" if one.lacking or one.itself else proofs or _UNPROVED, "" if proofs else "warning"),
            ("not beside", ", ".join(one.conflicts), ""),
            ("files", ", ".join(entry.path for entry in one.files), "muted"),
        )

    def _packages(self, one: Component) -> str:
        """Each with its version where it is installed, else with what is fetched."""
        told = self.found.packages.get(one.name)
        if told is None:
            return "being asked for ..."
        if told.get("trouble"):
            return str(told["trouble"])
        words = [_of_package(package, told["fetched"] is not None) for package in told["packages"]]
        if told["others"]:
            words.append(f"and {told['others']} that these need")
        if not words:
            return "none of its own"
        fetched = told["fetched"]
        return ", ".join(words) + (f": {format_size(fetched)} to fetch" if fetched else "; nothing to fetch"
                                   if fetched == 0 else "; apt has no lists yet, so sizes are not known")

    def _filled(self, one: Component, text: str) -> str:
        return text.format(**{setting.name: self.found.setup.value(one.name, setting.name) for setting in one.settings})

    # choosing

    @on(Choices.Marked)
    def _marked(self) -> None:
        one, setup = self.component, self.found.setup
        wanted = one.name not in setup.chosen
        if reason := setup.refusal(one.name, wanted):
            self.notify(reason, severity="warning", markup=False)
            return
        others = setup.choose(one.name, wanted)
        words = [f"{', '.join(others)} {'comes' if wanted else 'goes'} along: "
                 f"{f'{one.name} needs that' if wanted else f'without {one.name} it is of no use'}"] if others else []
        if not wanted and (off := [name for name in setup.off if name == one.name or name in others]):
            words.append(f"{', '.join(off)}: set up now; the plan switches it off, and its files stay")
        if words:
            self.notify("\n".join(words), markup=False)
        self.keep()
        self.show()

    def action_go_on(self) -> None:
        from qrm_tui.screens.install_config import InstallConfig

        self.app.push_screen(InstallConfig(self.found))

    def help_sections(self) -> Sections:
        return [("Components", [
            ("[x]", "is set up, or stays so; space changes that, and takes along what needs it or what it needs"),
            ("comes", "the plan sets it up"), ("goes off", "is set up now: the plan switches it off; its files stay"),
            ("goes on", "was switched off: the plan switches it on, with the settings that it had"),
            ("ok, error ...", "as view 7 shows it"), ("in the way", "a package is installed that does the same"),
            ("not possible", "these systems have no package of it"),
            ("12.3M", "what apt fetches for it alone; - is nothing, ? cannot be told yet"),
        ])]



def _of_package(package: Mapping[str, Any], known: bool) -> str:
    """One package; `known`: apt told what it fetches."""
    name = str(package["name"])
    if package["version"]:
        return f"{name} is installed"
    if package["size"] is not None:
        return f"{name} {format_size(package['size'])}"
    return f"{name} was fetched before" if known else name


def _trouble(row: Mapping[str, Any]) -> str:
    """What is wrong with one that is set up, as far as its row tells."""
    if row["state"] in ("ok", "off"):
        return ""
    silent = [f"{unit} is {state or 'not there'}" for unit, state in row["services"].items() if state != "active"]
    return "; ".join([*silent, "w in view 7 says why"])
