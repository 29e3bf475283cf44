"""No server answers: practise, or connect elsewhere."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from qrm_tui.client.where import INSTALLED
from qrm_tui.core.errors import BadInput, QrmError
from qrm_tui.screens.base import FarmScreen
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.lineinput import LineInput
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap
from qrm_tui.widgets.topline import TopLine


class _Offer(Page):
    """What can be done now."""

    where = trouble = refused = ""

    def build(self, width: int) -> list[PageLine]:
        lines: list[PageLine] = [EMPTY, line((" No openQRM server answers here.", "title")), EMPTY]
        lines += wrap(self.where, width - 1, "strong", " looked at  ")
        if self.trouble:
            lines += wrap(self.trouble, width - 1, "bad", " now        ")
        lines += [
            EMPTY,
            line(("  p  ", "key"), "practise: a simulated farm on this machine, ready in a second;"),
            line("     nothing outside it is touched, and it is gone when you leave"),
            EMPTY,
            line(("  c  ", "key"), "connect elsewhere: another machine over ssh, or another socket"),
            EMPTY,
            line(("  r  ", "key"), "try again now (it is tried again by itself, too)"),
            EMPTY,
            line(("  i  ", "key"), "install an openQRM server here: looks at this machine first, and changes"),
            line("     nothing before you have seen the whole plan"),
        ]
        if self.refused:
            lines += wrap(self.refused, width - 1, "bad", "     ")
        return lines


class Welcome(FarmScreen[None]):
    """Goes away by itself as soon as a server answers."""

    DEFAULT_CSS = """
    Welcome { layout: vertical; }
    Welcome > _Offer { height: 1fr; }
    Welcome > #where-line { height: 1; display: none; background: $surface; }
    Welcome.-asking > #where-line { display: block; }
    Welcome #where-line Label { width: auto; margin: 0 1; }
    Welcome #where-line Input { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "practise", "practise", id="welcome.practise"),
        Binding("i", "install", "install", id="welcome.install"),
        Binding("c", "connect", "connect", id="welcome.connect"),
        Binding("r", "retry", "try again", id="welcome.retry"),
        Binding("escape", "back", "back", key_display="esc", id="welcome.back"),
        Binding("q", "quit", "quit", id="welcome.quit"),
    ]

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield _Offer(can_focus=True)
        with Horizontal(id="where-line"):
            yield Label("connect to:", markup=False)
            yield LineInput(placeholder="ssh://[user@]host or /path/to/qrmd.sock", enter="connect")
        yield Keys()

    def on_mount(self) -> None:
        self.query_one(_Offer).focus()
        self.say(self.live.trouble)

    def farm_changed(self, what: frozenset[str]) -> None:
        if "line" in what:
            starting = "starting a practice farm ..." if self.qrm.practice else "connecting ..."
            self.say(starting if self.live.line == "connecting" else self.live.trouble)

    def say(self, trouble: str) -> None:
        """Why there is no server."""
        offer = self.query_one(_Offer)
        offer.where, offer.trouble = self.live.where, trouble
        offer.rebuild()

    async def action_practise(self) -> None:
        """Start a practice farm and go there; it answers in a moment."""
        from qrm_tui.screens.practice import Practice

        try:
            # from this thread: the server ends with the thread that started it
            practice = self.qrm.practice = self.qrm.practice or Practice()
        except OSError as error:
            self.say(f"no practice farm: {error}")
            return
        await self.qrm.connect_to(practice.where)

    @work(group="install", exclusive=True, exit_on_error=False)
    async def action_install(self) -> None:
        """The installer's own server is started, and shown."""
        from qrm_tui.client import installer

        offer = self.query_one(_Offer)
        try:
            await asyncio.to_thread(installer.start)
        except QrmError as error:
            offer.refused = "; ".join(error.reasons)
            offer.rebuild()
            return
        await self.qrm.install_on(INSTALLED)

    def action_connect(self) -> None:
        self.add_class("-asking")
        self.query_one(Input).focus()
        self.refresh_bindings()

    @on(Input.Submitted)
    async def _where(self, event: Input.Submitted) -> None:
        event.stop()
        where = event.value.strip()
        if not where:
            self.action_back()
            return
        try:
            await self.qrm.connect_to(where)
        except BadInput as error:
            self.say("; ".join(error.reasons))
            return
        except QrmError as error:
            self.tell(error)
        self.action_back()

    def action_back(self) -> None:
        self.remove_class("-asking")
        self.query_one(_Offer).focus()
        self.refresh_bindings()

    async def action_retry(self) -> None:
        await self.qrm.connect_to(self.live.where)

    def action_quit(self) -> None:
        self.app.exit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.has_class("-asking") if action == "back" else True
