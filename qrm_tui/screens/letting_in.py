"""Who is at the keyboard: logging in where the server asks for it, one's own password, the lock, logging out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from textual import events, work
from textual.app import App
from textual.screen import Screen

from qrm_tui.core.errors import QrmError
from qrm_tui.screens.base import FarmScreen

if TYPE_CHECKING:
    from qrm_tui.client.connection import Client
    from qrm_tui.screens.live import Live

#: Seconds between two looks at whether somebody is there.
_LOOK = 1.0
#: Seconds for the server to hear that somebody logs out, when the app ends.
_GOODBYE = 2.0


class LettingIn(App[None]):
    """The part of the app that knows of sessions. An account that is known by its groups has none, and is not asked."""

    live: Live
    client: Client
    #: asks for a log-in though the account has a role: the terminal is shared
    asks_log_in = False
    steady: Callable[[], float]
    _last_key = 0.0
    _user = ""

    def watch_keys(self) -> None:
        """Lock after a time without any."""
        self._last_key = self.steady()
        self._held: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.set_interval(_LOOK, self.lock_if_left)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent):
            self._last_key = self.steady()
        await super().on_event(event)

    # logging in

    def must_log_in(self, hello: Mapping[str, Any]) -> bool:
        """Whether the server does nothing for us before somebody logs in."""
        asked = self.asks_log_in and not hello.get("session")
        return bool(hello.get("log_in")) and (hello.get("role") == "nobody" or asked)

    @property
    def guarded(self) -> bool:
        """Whether a password is asked for."""
        return bool(self.screen_stack) and isinstance(self.screen, FarmScreen) and self.screen.guards

    def open_log_in(self, *, may_leave: bool = False) -> None:
        """Ask for name and password, whatever is on the screen."""
        from qrm_tui.screens.log_in import LogIn

        if isinstance(self.screen, LogIn):
            return
        if self.guarded:
            self.pop_screen()
        super().push_screen(LogIn(may_leave=may_leave))

    def let_in(self, user: str) -> None:
        """Somebody has logged in. What another one had open is closed."""
        if user != self._user:
            self._held.clear()
            self.close_screens()
        self._user = user
        self.unlocked()
        self.follow()

    def open_password(self) -> None:
        """Another password for who has logged in by one; others are told whose they have."""
        from qrm_tui.screens.log_in import OwnPassword
        from qrm_tui.screens.message import MessageScreen

        hello = self.live.hello
        if session := hello.get("session"):
            self.push_screen(OwnPassword(str(session["user"])))
            return
        log_in = "; :login is for users who have one here" if hello.get("log_in") else ""
        self.push_screen(MessageScreen("Your password", (
            f"{hello.get('user') or 'this account'} is known here as an account of the server, by its groups (or as "
            f"root), and has no password in this farm: passwd in a shell changes the account's own{log_in}",)))

    def follow(self) -> object:
        """Begin anew to follow the farm."""
        raise NotImplementedError

    def close_screens(self) -> None:
        """Back to the main screen."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    # the lock

    def lock_if_left(self) -> None:
        """Lock, where nobody has touched a key for the time that the server says."""
        after = float(self.live.hello.get("lock") or 0)
        if after and self.steady() - self._last_key >= after:
            self.lock()

    def lock(self) -> None:
        """Ask for the password again, if somebody has logged in by one."""
        if self.live.hello.get("session") and not self.guarded:
            from qrm_tui.screens.log_in import Lock

            super().push_screen(Lock())

    def unlocked(self) -> None:
        """Open what was to be opened meanwhile."""
        held, self._held = self._held, []
        for arguments, options in held:
            self.push_screen(*arguments, **options)

    def push_screen(self, screen: Screen[Any] | str, *arguments: Any, **options: Any) -> Any:
        """Nothing is opened over a screen that asks for a password: it waits."""
        if not self.guarded:
            return super().push_screen(screen, *arguments, **options)
        self._held.append(((screen, *arguments), options))
        return None

    # logging out

    @work(group="logout", exclusive=True, exit_on_error=False)
    async def log_out(self) -> None:
        """End the session; the next one logs in. Jobs go on."""
        await self.say_goodbye()
        self._user = ""
        self._held.clear()
        self.close_screens()
        self.follow()

    def forget_session(self) -> None:
        """The one that was begun is not wanted."""
        self.run_worker(self.say_goodbye(), group="logout", exit_on_error=False)

    async def say_goodbye(self) -> None:
        """Tell the server; where it cannot be told, the session ends by itself."""
        with contextlib.suppress(QrmError, TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self.client.log_out()
