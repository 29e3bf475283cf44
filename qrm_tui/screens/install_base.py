"""What the installer's screens share: the way through them, a list with a cursor, and what is known by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from qrm_tui.core.setup import Setup
from qrm_tui.screens.base import FarmScreen
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap
from qrm_tui.widgets.topline import TopLine

#: The way, from the first to the last.
WAY = ("Welcome", "Checks", "Components", "Config", "Plan", "Install", "Done")
#: Words and styles of a check's state.
STATES = {"ok": ("ok", "good"), "warning": ("look", "warning"), "error": ("WRONG", "bad"),
          "unknown": ("?", "muted")}


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

    def take(self, answer: dict[str, Any]) -> None:
        """What the server found; fixes that need no further word are wanted."""
        former = {row["name"] for row in self.checks}
        self.checks, self.interfaces = answer["checks"], answer["interfaces"]
        self.system, self.interface = str(answer["system"]), str(answer["interface"])
        offered = {row["name"] for row in self.checks if row["fix"] and not row["choices"]}
        self.setup.fixes = (self.setup.fixes & offered) | (offered - former)

    @property
    def outdated(self) -> bool:
        """Whether machines shall boot from another interface than the one that was looked at."""
        return "dhcpd" in self.setup.chosen and self.setup.value("dhcpd", "interface") != self.interface

    @property
    def troubles(self) -> list[dict[str, Any]]:
        """Checks that stand in the way: wrong, without a fix that is wanted."""
        return [row for row in self.checks if row["state"] == "error" and row["name"] not in self.setup.fixes]


class InstallScreen(FarmScreen[None]):
    """A screen on the way: its parts stand between the way and the keys. Back keeps everything."""

    DEFAULT_CSS = """
    InstallScreen { layout: vertical; }
    InstallScreen > .about { height: 7; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", "go on", key_display="enter", id="install.go_on"),
        Binding("escape", "back", "back", key_display="esc", id="install.back"),
        Binding("f1", "help", "help", key_display="F1", id="install.help"),
    ]
    #: its place on the way
    place: ClassVar[str] = ""

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
        return [line((" Set up the server ", "title"), *(
            (f" {name} " if number != at else f"[{name}]", "strong" if number == at else "muted")
            for number, name in enumerate(WAY)))]


class Choices(Page):
    """Lines with a cursor, each perhaps with a mark that space sets; `rows` are made by the screen."""

    DEFAULT_CSS = """
    Choices { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("home,g", "move(-1000)", show=False),
        Binding("end,G", "move(1000)", show=False),
        Binding("space", "mark", "choose", key_display="space", id="choices.mark"),
    ]

    class Moved(Message):
        """The cursor is elsewhere."""

    class Marked(Message):
        """Space was pressed on the line under the cursor."""

    def __init__(self) -> None:
        super().__init__(can_focus=True)
        self.cursor = 0

    def build(self, width: int) -> Sequence[PageLine]:
        return self._given

    def style_of(self, index: int) -> str:
        return "cursor" if index == self.cursor else ""

    def action_move(self, by: int) -> None:
        """The cursor goes so many lines."""
        to = max(0, min(len(self.lines) - 1, self.cursor + by))
        if to != self.cursor:
            self.cursor = to
            self.show_line(to)
            self.refresh()
            self.post_message(self.Moved())

    def action_mark(self) -> None:
        self.post_message(self.Marked())


def paragraphs(width: int, *texts: tuple[str, str, str]) -> list[PageLine]:
    """Texts with a word before each: (word, text, style); empty ones are left out."""
    lines: list[PageLine] = []
    for word, text, style in texts:
        if text:
            lines += wrap(text, width - 2, style, first=f" {word:<12}")
    return lines or [EMPTY]
