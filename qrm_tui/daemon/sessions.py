"""Sessions of users who have logged in.

They are in memory alone and end with qrmd: a copied database opens no door, and what measures them stands still while
qrmd is away. Jobs know nothing of them and go on.
"""
from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Role

#: Sessions of one user, and in all: the one that was heard of longest ago ends.
_OF_ONE, _MOST = 32, 1000


@dataclass(frozen=True, slots=True)
class LogInSettings:
    """Whether users log in by password at all, and seconds: a session ends after `idle` without a word, and after
    `longest` in any case; a screen locks itself after `lock` without a key (0: never)."""

    allowed: bool = True
    idle: float = 1800.0
    longest: float = 43200.0
    lock: float = 600.0


@dataclass(slots=True)
class LoggedIn:
    """One log-in."""

    user: str
    account: int
    #: the user's password as it was sealed then: another one ends the session
    sealed: str
    began: float
    heard: float
    #: answers that go on: somebody watches
    streams: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Sessions:
    """Belongs to qrmd's event loop. A token is told once; what is kept of it is its digest."""

    def __init__(self, farm: Farm, settings: LogInSettings, steady: Callable[[], float]) -> None:
        self._farm, self._settings, self._steady = farm, settings, steady
        self._known: dict[str, LoggedIn] = {}
        farm.listen(self._changed)

    def begin(self, user: Item, account: int) -> tuple[str, LoggedIn]:
        """A new session of this user, for processes of this account alone; its token first."""
        now = self._steady()
        of_user = [digest for digest, known in self._known.items() if known.user == user.name]
        for full, digests in ((_OF_ONE, of_user), (_MOST, list(self._known))):
            if len(digests) >= full:
                self._end(min(digests, key=lambda digest: self._known[digest].heard))
        token = secrets.token_urlsafe(32)
        session = LoggedIn(user.name, account, user.wanted.password, now, now)
        self._known[_digest(token)] = session
        # so that watchers end in time, too, and not with their next request
        asyncio.get_running_loop().call_later(self._settings.longest, self._end, _digest(token))
        return token, session

    def find(self, token: str, account: int) -> LoggedIn | None:
        """The session, which was heard of now; None if it has ended, or is another account's."""
        session = self._known.get(_digest(token))
        if session is None or session.account != account:
            return None
        now = self._steady()
        idle = not session.streams and now - session.heard > self._settings.idle
        if idle or now - session.began > self._settings.longest:
            self._end(_digest(token))
            return None
        session.heard = now
        return session

    def role(self, session: LoggedIn) -> Role:
        """What its user may now; nothing before a password of their own."""
        user = self._farm.find("user", session.user)
        return user.wanted.rank if user is not None and user.wanted.whose == "own" else Role.nobody

    def end(self, token: str) -> None:
        """Somebody logs out."""
        self._end(_digest(token))

    @contextmanager
    def streaming(self, session: LoggedIn) -> Iterator[None]:
        """While an answer goes on, the session is not idle."""
        session.streams += 1
        try:
            yield
        finally:
            session.streams -= 1
            session.heard = self._steady()

    def _end(self, digest: str) -> None:
        session = self._known.pop(digest, None)
        if session is not None:
            session.ended.set()

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        """A user who is gone or has another password has no sessions left."""
        if kind == "user":
            for digest, session in list(self._known.items()):
                if session.user == name and (item is None or item.wanted.password != session.sealed):
                    self._end(digest)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
