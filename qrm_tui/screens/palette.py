"""What ctrl+p offers: every view, and every operation that this user may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from qrm_tui.core.operations.registry import OPERATIONS, offered_on
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.operate import Request
from qrm_tui.screens.views import VIEWS


class Palette(Provider):
    """From the declarations."""

    @property
    def _qrm(self) -> QrmApp:
        return cast(QrmApp, self.app)

    def _entries(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for view in VIEWS:
            yield f"{view.title}", f"view {view.key or ':' + view.name}", partial(self._visit, view.name)
        for operation in OPERATIONS.values():
            if self._qrm.live.may(operation):
                yield f"{operation.kind} {operation.verb}", operation.summary, partial(self._ask, operation.name)
        yield "setup", "the server's checks, components and settings: set it up, or change how it is", \
            self._qrm.open_installer
        yield "wall", "the consoles of all machines side by side, or of the marked ones", self._wall
        yield "look basic", "ASCII and few bytes, for slow lines; ctrl+t, and again: back", self._qrm.action_basic
        yield "redraw", "send the whole screen again; ctrl+l", self._qrm.action_redraw
        if self._qrm.live.hello.get("session"):
            yield "password", "another one of your own", self._qrm.open_password
            yield "lock", "ask for the password again", self._qrm.lock
            yield "log out", "end the session; jobs go on", self._qrm.log_out
        elif self._qrm.live.hello.get("log_in"):
            yield "log in", "as a user with a password", partial(self._qrm.open_log_in, may_leave=True)
        yield "help", "the keys and words of this screen", self._qrm.open_help
        yield "quit", "leave; jobs go on in the server", self._qrm.exit

    async def _visit(self, name: str) -> None:
        while len(self._qrm.screen_stack) > 1:
            self._qrm.pop_screen()
        await self._qrm.main.action_view(name)

    def _wall(self) -> None:
        shown = self._qrm.main.shown
        marked = shown.view.kind in ("resource", "ve") and shown.table.marked
        self._qrm.open_wall(shown.subjects() if marked else ())

    def _ask(self, name: str) -> None:
        operation, shown = OPERATIONS[name], self._qrm.main.shown
        about_these = operation.subject is not None and operation in offered_on(shown.view.kind)
        self._qrm.ask(Request(operation, shown.subjects_of(operation) if about_these else ()))

    async def discover(self) -> Hits:
        for name, summary, run in self._entries():
            yield DiscoveryHit(Content(name), run, text=name, help=summary)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, summary, run in self._entries():
            score = max(matcher.match(name), matcher.match(summary) * 0.5)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, text=name, help=summary)
