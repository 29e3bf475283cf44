"""Logging in by name and password, and changing one's own. The journal knows who, from where, and never the secret."""
from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from qrm_tui.core.errors import BadInput, NotPermitted
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Operation, Role
from qrm_tui.core.passwords import FIRST_USER, LONGEST, check_password, check_user_name, trouble_with
from qrm_tui.core.plan import HERE, Change
from qrm_tui.core.users import UserSeen, UserWanted
from qrm_tui.daemon.passwords import FIRST_SEALED, Passwords
from qrm_tui.daemon.peer import Peer
from qrm_tui.daemon.records import Records
from qrm_tui.daemon.sessions import LoggedIn, LogInSettings, Sessions
from qrm_tui.daemon.throttle import FREE, Throttle
from qrm_tui.db.store import Entry, Store, Write

_log = logging.getLogger("qrmd.login")

#: Said of both, so that nobody learns which users there are.
_WRONG = "the name or the password is not right"
#: Said to a user who has logged in, and is asked for nothing else.
_WRONG_PASSWORD = "the password is not right"


class LogIn:
    """Who is let in."""

    def __init__(self, farm: Farm, store: Store, records: Records, settings: LogInSettings, *,
                 passwords: Passwords | None = None, steady: Callable[[], float] | None = None) -> None:
        self._farm, self._store, self._records, self.settings = farm, store, records, settings
        self.sessions = Sessions(farm, settings, steady or farm.steady)
        self.throttle = Throttle(steady or farm.steady)
        self._passwords = passwords or Passwords()
        #: accounts of which an attempt is being looked at
        self._trying: set[int] = set()
        #: one change of users after the other: what was checked still holds when it is written
        self.turn = asyncio.Lock()

    async def make_first(self) -> None:
        """A farm without any user gets the one that everybody knows."""
        if not self.settings.allowed or self._farm.count("user"):
            return
        wanted = UserWanted(role=Role.administrator.name, password=FIRST_SEALED, whose="known")
        await self._records.apply([_change(FIRST_USER, wanted)], Write(entry=Entry(
            who=HERE, terminal="", operation="user.add", object=f"user/{FIRST_USER}", outcome="done",
            reason="the first user of a new server")))

    @property
    def is_new(self) -> bool:
        """Whether the first user has not logged in yet."""
        first = self._farm.find("user", FIRST_USER)
        return first is not None and first.wanted.whose == "known"

    async def log_in(self, name: str, password: str, peer: Peer) -> tuple[str, LoggedIn]:
        """A new session, its token first; NotPermitted says why not."""
        user = await self._check(name, password, peer)
        if user.wanted.whose == "known" and not peer.is_person:
            _log.warning("%s tried the password that everybody knows", peer.account)
            raise NotPermitted(f"the password that everybody knows is for people's accounts on this server, and "
                               f"{peer.account} is a service's; have root give {user.name} another: qrm user password "
                               f"{user.name}")
        forgiven = self.throttle.right(user.name, peer.uid)
        peer = peer.as_user(user.name)
        seen = UserSeen(last_in=self._farm.clock(), last_from=peer.terminal)
        details = {"wrong_before": forgiven} if forgiven else {}
        await self._store.write(Write(seen=[_seen(user, seen, self._farm.clock())], entry=Entry(
            who=user.name, terminal=peer.terminal, operation="user.log-in", object=f"user/{user.name}", outcome="done",
            details=details)))
        user = self._current(user)
        self._farm.put(_seen(user, seen, self._farm.clock()))
        _log.info("%s has logged in (%s)", user.name, peer.terminal)
        return self.sessions.begin(user, peer.uid)

    async def unlock(self, session: LoggedIn, password: str, peer: Peer) -> None:
        """The one who left the keyboard is back; NotPermitted."""
        user = await self._check(session.user, password, peer, _WRONG_PASSWORD)
        self.throttle.right(user.name, peer.uid)

    async def change(self, session: LoggedIn, old: str, new: str, peer: Peer) -> None:
        """A password of one's own; all other sessions of that user end. BadInput says what is wrong with it."""
        try:
            new = check_password(new)
        except ValueError as error:
            raise BadInput(f"new: {error}") from None
        if reason := trouble_with(session.user, new):
            raise BadInput(f"new: {reason}")
        if new == old:
            raise BadInput("new: it is the one that you have")
        await self._check(session.user, old, peer, _WRONG_PASSWORD)
        sealed = await self._passwords.seal(new)
        async with self.turn:
            user = self._farm.find("user", session.user)
            if user is None or user.wanted.password != session.sealed:
                raise NotPermitted("this user was changed meanwhile: log in again")
            wanted = msgspec.structs.replace(user.wanted, password=sealed, whose="own")
            session.sealed = sealed
            await self._records.apply([_change(user.name, wanted)], Write(entry=Entry(
                who=user.name, terminal=peer.terminal, operation="user.password", object=f"user/{user.name}",
                outcome="done", details={"own": True})))
        self.throttle.right(user.name, peer.uid)
        _log.info("%s has a password of their own (%s)", user.name, peer.terminal)

    async def seal_secrets(self, operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An operation's arguments with its passwords sealed: no plan ever holds them as they were typed. BadInput."""
        sealed = dict(arguments)
        for argument in operation.arguments:
            if argument.secret and arguments[argument.name]:
                if reason := trouble_with(str(arguments["name"]), arguments[argument.name]):
                    raise BadInput(f"{argument.name}: {reason}")
                sealed[argument.name] = await self._passwords.seal(arguments[argument.name])
        return sealed

    async def _check(self, name: str, password: str, peer: Peer, words: str = _WRONG) -> Item:
        """The user whose password this is; NotPermitted: it is not (`words`), or it is too early to try."""
        if not self.settings.allowed:
            raise NotPermitted("nobody logs in by password on this server (log_in in /etc/qrm/qrmd.toml)")
        if peer.uid in self._trying:
            raise NotPermitted(f"another log-in of {peer.account} is being looked at: try again in a moment")
        if wait := self.throttle.wait_of(peer.uid):
            raise NotPermitted(f"too many wrong passwords from {peer.account}: try again in {math.ceil(wait)} s")
        try:
            name = check_user_name(name)
        except ValueError:
            name = ""
        self._trying.add(peer.uid)
        try:
            await asyncio.sleep(self.throttle.pause_for(name, peer.uid))
            user = self._farm.find("user", name)
            sealed = user.wanted.password if user else ""
            if await self._passwords.fits(sealed, password[:LONGEST + 1]) and user is not None:
                return self._current(user)
        finally:
            self._trying.discard(peer.uid)
        await self._note_wrong(name, user, peer)
        raise NotPermitted(words)

    def _current(self, user: Item) -> Item:
        """The user as they are now, with the same password; NotPermitted if they were changed meanwhile."""
        now = self._farm.find("user", user.name)
        if now is None or now.wanted.password != user.wanted.password:
            raise NotPermitted(_WRONG)
        return now

    async def _note_wrong(self, name: str, user: Item | None, peer: Peer) -> None:
        """The log has every wrong one, the journal one a burst. A name that there is not may be a password that was
        typed in the wrong place: it is not told."""
        wrong = self.throttle.wrong(name, peer.uid)
        shown = user.name if user else "a user that there is not"
        _log.warning("wrong password for %s from %s (%s), the %d. lately", shown, peer.account,
                     peer.terminal or "no terminal", wrong)
        if wrong == FREE:
            await self._store.write(Write(entry=Entry(
                who=peer.account, terminal=peer.terminal, operation="user.log-in",
                object=f"user/{user.name}" if user else "user/-", outcome="refused",
                reason=f"{wrong} wrong passwords: this account is slowed down")))


def _change(name: str, wanted: UserWanted) -> Change:
    return Change(kind="user", name=name, wanted=msgspec.to_builtins(wanted))


def _seen(user: Item, seen: UserSeen, now: float) -> Item:
    return msgspec.structs.replace(user, seen=seen, seen_at=now)
