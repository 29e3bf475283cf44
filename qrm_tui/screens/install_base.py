"""What the installer's screens share: the way through them, what is known by now, looking again, and the draft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widget import Widget

from qrm_tui.client import installing
from qrm_tui.core.errors import NoServer, QrmError
from qrm_tui.core.setup import Draft, Setup
from qrm_tui.core.surroundings import Surroundings, Taken
from qrm_tui.screens.base import Answer, FarmScreen
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap
from qrm_tui.widgets.topline import TopLine

if TYPE_CHECKING:
    from qrm_tui.screens.application import QrmApp

#: The way, from the first to the last.
WAY = ("Welcome", "Checks", "Components", "Config", "Plan", "Install", "Done")
#: Columns of the whole way.
_WHOLE_WAY = len(" Set up the server ") + sum(len(name) + 2 for name in WAY)
#: Seconds after the last change until the choices are kept: one types, and the line may be slow.
_CALM = 0.4


@dataclass(slots=True)
class Found:
    """The machine and the choices so far; one for all screens of an installation."""

    setup: Setup
    #: rows of checks, as the server tells them
    checks: list[dict[str, Any]] = field(default_factory=list)
    #: network interfaces on a wire, with their addresses
    interfaces: list[dict[str, Any]] = field(default_factory=list)
    #: `ID-VERSION_ID` of the system
    system: str = ""
    #: the interface that the checks looked at
    interface: str = ""
    #: by component what its packages are here (client.installing), as far as it was asked
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: when the choices were made that were found here; 0: there were none
    taken_up: float = 0
    #: the choices as they were found, or kept since; and until those that there are now are kept
    kept: Draft | None = None
    keeping: Timer | None = None

    def take(self, answer: dict[str, Any]) -> None:
        """What the server found; fixes that need no further word are wanted."""
        former = {row["name"] for row in self.checks}
        self.checks, self.interfaces = answer["checks"], answer["interfaces"]
        self.setup.around = Surroundings(
            {one["name"]: one["addresses"] for one in self.interfaces},
            [Taken(one["protocol"], one["port"], tuple(one["programs"])) for one in answer["taken"]], answer["groups"])
        self.setup.compute_group(answer["group"])
        self.system, self.interface = str(answer["system"]), str(answer["interface"])
        self.setup.fixes = (self.setup.fixes & self.offered) | (self.offered - former)

    @property
    def offered(self) -> set[str]:
        """Checks that offer a fix which needs no further word."""
        return {row["name"] for row in self.checks if row["fix"] and not row["choices"]}

    @property
    def outdated(self) -> bool:
        """Whether machines shall boot from another interface than the one that was looked at."""
        return "dhcpd" in self.setup.chosen and self.setup.value("dhcpd", "interface") != self.interface

    @property
    def troubles(self) -> list[dict[str, Any]]:
        """Checks that stand in the way: wrong, without a fix that is wanted. Ports depend on what is chosen and typed,
        and are judged with that."""
        return [row for row in self.checks if row["state"] == "error"
                and row["name"] not in (*self.setup.fixes, "ports")]


class Looked(Answer):
    """The checks once more, or why not."""

    def __init__(self, answer: dict[str, Any] | None, error: QrmError | None = None) -> None:
        super().__init__()
        self.answer, self.error = answer, error


class InstallScreen(FarmScreen[None]):
    """A screen on the way: its parts stand between the way and the keys. Back keeps everything, as the server does."""

    DEFAULT_CSS = """
    InstallScreen { layout: vertical; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", "go on", key_display="enter", id="install.go_on"),
        Binding("escape", "back", "back", key_display="esc", id="install.back"),
        Binding("f1", "help", "help", key_display="F1", id="install.help"),
    ]
    #: its place on the way
    place: ClassVar[str] = ""

    def __init__(self, found: Found) -> None:
        super().__init__()
        self.found = found

    def parts(self) -> Sequence[Widget]:
        """What it shows."""
        return ()

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield Way(self.place)
        yield from self.parts()
        yield Keys()

    def action_go_on(self) -> None:
        """To the next one."""

    def action_back(self) -> None:
        self.dismiss(None)

    def action_help(self) -> None:
        self.qrm.open_help()

    # the checks once more

    @work(group="look", exclusive=True, exit_on_error=False)
    async def look(self) -> None:
        """Look at the interface that machines shall boot from by now."""
        try:
            self.post_message(Looked(await self.qrm.client.install_checks(
                self.found.setup.value("dhcpd", "interface"))))
        except QrmError as error:
            self.post_message(Looked(None, error))

    @on(Looked)
    def _looked(self, event: Looked) -> None:
        if event.error:
            self.tell(event.error)
        elif event.answer:
            self.found.take(event.answer)
            self.looked()

    def looked(self) -> None:
        """The checks are new."""

    # the draft

    def keep(self) -> None:
        """Something was chosen or typed: the server keeps it, in a moment, whatever screen is shown then. A field that
        only said itself anew chose nothing."""
        draft = self.found.setup.draft(self.found.offered)
        if draft == self.found.kept:
            return
        self.found.kept = draft
        if self.found.keeping is not None:
            self.found.keeping.stop()
        app, keep = self.app, partial(_keep, self.qrm, draft)
        self.found.keeping = app.set_timer(_CALM, lambda: app.run_worker(
            keep(), group="draft", exclusive=True, exit_on_error=False))


async def _keep(app: QrmApp, draft: Draft) -> None:
    try:
        await installing.keep_draft(app.client, draft)
    except NoServer:
        pass  # told by the line on top; the next change keeps all of it
    except QrmError as error:
        app.notify("\n".join(error.reasons), severity="error", markup=False)


class Way(Page, inherit_bindings=False):
    """Where one is on the way, in a line."""

    DEFAULT_CSS = """
    Way { height: 1; background: $surface; }
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    def build(self, width: int) -> list[PageLine]:
        at = WAY.index(self._place)
        if width < _WHOLE_WAY:
            return [line((" Set up ", "title"), (f"[{self._place}]", "strong"), (f" {at + 1} of {len(WAY)}", "muted"))]
        return [line((" Set up the server ", "title"), *(
            (f" {name} " if number != at else f"[{name}]", "strong" if number == at else "muted")
            for number, name in enumerate(WAY)))]


class Told(Page):
    """Text to be read; where it is longer than the screen, the keys tell how it scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "scroll_down", "more", key_display="down", id="install.more"),
    ]

    def rebuild(self) -> None:
        super().rebuild()
        self.call_after_refresh(self.refresh_bindings)

    def resized(self) -> None:
        super().resized()
        self.call_after_refresh(self.refresh_bindings)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "scroll_down" or self.max_scroll_y > 0


def paragraphs(width: int, *texts: tuple[str, str, str]) -> list[PageLine]:
    """Texts with a word before each: (word, text, style); empty ones are left out."""
    lines: list[PageLine] = []
    for word, text, style in texts:
        if text:
            lines += wrap(text, width - 2, style, first=f" {word:<12}")
    return lines or [EMPTY]
