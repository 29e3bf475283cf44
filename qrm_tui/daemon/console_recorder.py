"""One console: its source is kept open and recorded, watchers see how it stands, one of them types."""
from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qrm_tui.core.errors import NotFound, NotPermitted, Refused
from qrm_tui.daemon.console_log import ConsoleLog
from qrm_tui.daemon.console_marks import Marks
from qrm_tui.daemon.console_patterns import Hit, Matcher
from qrm_tui.daemon.peer import Peer
from qrm_tui.runners.console import ConsoleLine, NoLine, NotTaken, Source, Telling

#: Seconds until a line that was lost is tried again, at first and at the most; one that held so long was a good one.
FIRST_PAUSE, LONGEST_PAUSE, GOOD = 1.0, 60.0, 60.0
#: Marks that watchers are told with how things stand, and requests of a session that are remembered.
_MARKS, _STROKES = 20, 64

#: Watchers of one console.
MOST_WATCHERS = 500

_log = logging.getLogger("qrmd.consoles")


@dataclass(eq=False)
class Session:
    """Somebody who watches."""

    peer: Peer
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    #: requests that were done already
    strokes: deque[str] = field(default_factory=lambda: deque(maxlen=_STROKES))


class Console:
    """One console. `grown` is called with the number of bytes that went to disk, `found` with what patterns fit."""

    def __init__(self, name: str, source: Source, log: ConsoleLog, clock: Callable[[], float],
                 grown: Callable[[int], None], found: Callable[[str, Sequence[Hit]], None],
                 first_pause: float = FIRST_PAUSE) -> None:
        self.name, self.source, self.log, self.clock = name, source, log, clock
        self.marks = Marks(log.folder / "marks")
        self.connection, self._reason, self.since = "waiting", "", clock()
        #: grows whenever watchers are to be told how things stand
        self.revision = 0
        #: it is over: nobody watches any more
        self.parted = False
        self.sessions: dict[str, Session] = {}
        self.typist: Session | None = None
        self._grown, self._found, self._first_pause = grown, found, first_pause
        self._matcher = Matcher()
        self._changed = asyncio.Event()
        self._line: ConsoleLine | None = None
        self._lost: asyncio.Future[str] | None = None
        self._early: list[bytes] | None = None
        #: what the last one who typed has for a terminal
        self._size: tuple[int, int] | None = None
        self._task: asyncio.Task[None] | None = None

    # its source

    def start(self) -> None:
        """Begin to record."""
        last = self.marks.last
        if self.log.end and (last is None or last.offset != self.log.end or last.until is not None):
            # it was killed: nobody could note when
            self.marks.ended(self.log.end, self.log.last_at / 1e6, "qrmd was not running")
        self._task = asyncio.create_task(self._record(), name=f"console of {self.name}")

    async def stop(self, why: str = "qrmd was not running") -> None:
        """End the line, and every process of it; the log stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.connection == "connected":
            self.marks.ended(self.log.end, self.clock(), why)
        self.connection, self._reason = "waiting", why
        self.part()
        self.log.release()

    def part(self) -> None:
        """Watchers' streams end; those who go on come back, to whoever is there then."""
        self.parted = True
        self._wake()

    async def _record(self) -> None:
        pause, loop = self._first_pause, asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                why = await self._hold_line()
            except NoLine as error:
                self._stands("error" if error.lasting else "waiting", str(error))
            else:
                self.marks.ended(self.log.end, self.clock(), why)
                self._stands("waiting", why)
            if loop.time() - begun >= GOOD:
                pause = self._first_pause
            await self._until_worth_trying(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _until_worth_trying(self, seconds: float) -> None:
        if not isinstance(self.source, Telling):
            await asyncio.sleep(seconds)
            return
        told = asyncio.create_task(self.source.worth_trying())
        try:
            await asyncio.wait((told,), timeout=seconds)
        finally:
            told.cancel()

    async def _hold_line(self) -> str:
        """Open the line and hold it until it is lost; why it was. NoLine."""
        self._lost = asyncio.get_running_loop().create_future()
        self._early = []
        line = await self.source.open(self._received, self._ended)
        try:
            self._line = line
            if self._size:
                line.resize(*self._size)
            self.marks.begins(self.log.end, self.clock())
            self._stands("connected", "")
            early, self._early = self._early, None
            for data in early:
                self._received(data)
            return await self._lost
        finally:
            self._line = None
            await line.close()

    def _received(self, data: bytes) -> None:
        if self._early is not None:  # said before the line is known to be there: first the gap is noted
            self._early.append(data)
            return
        trouble = self.log.trouble
        self.log.append(data, int(self.clock() * 1e6))
        self._grown(len(data) + 16)
        if self.log.trouble != trouble:
            self._tell()
        self._wake()
        if hits := self._matcher.feed(data):
            self._found(self.name, hits)

    def _ended(self, why: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(why)

    # how it stands

    @property
    def state(self) -> str:
        return "error" if self.log.trouble and self.connection == "connected" else self.connection

    @property
    def reason(self) -> str:
        return "; ".join(part for part in (self._reason, self.log.trouble) if part)

    def _stands(self, connection: str, reason: str) -> None:
        if (connection, reason) != (self.connection, self._reason):
            if connection != self.connection:
                self.since = self.clock()
                _log.info("console of %s: %s%s", self.name, connection, f": {reason}" if reason else "")
            self.connection, self._reason = connection, reason
            self._tell()

    def _tell(self) -> None:
        self.revision += 1
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """Set when there is something new; taken before one looks."""
        return self._changed

    def _typist(self) -> dict[str, str] | None:
        return {"who": self.typist.peer.user, "session": self.typist.id} if self.typist else None

    def row(self) -> dict[str, Any]:
        """As lists have it."""
        return {"name": self.name, "source": self.source.kind, "state": self.state, "reason": self.reason,
                "since": self.since, "size": self.log.size, "watchers": len(self.sessions), "typist": self._typist()}

    def status(self, session: Session | None) -> dict[str, Any]:
        """As a watcher is told."""
        marks = [{"offset": mark.offset, "at": mark.since, "why": mark.why} for mark in self.marks.all()[-_MARKS:]]
        return {"session": session.id if session else "", "typist": self._typist(), "watchers": len(self.sessions),
                "state": self.state, "reason": self.reason, "marks": marks,
                "means": sorted(self._line.means) if self._line else []}

    # watchers, and the one who types

    def join(self, peer: Peer) -> Session:
        """Somebody watches; Refused where too many do."""
        if len(self.sessions) >= MOST_WATCHERS:
            raise Refused(f"{MOST_WATCHERS} watch the console of {self.name} already")
        session = Session(peer)
        self.sessions[session.id] = session
        _log.info("console of %s: %s watches (%s)", self.name, peer.user, peer.terminal or "no terminal")
        self._tell()
        return session

    def leave(self, session: Session) -> None:
        """They have gone, and with them their right to type."""
        if self.sessions.pop(session.id, None) is None:
            return
        if self.typist is session:
            self.typist = None
        _log.info("console of %s: %s left", self.name, session.peer.user)
        self._tell()

    def session(self, identity: str, peer: Peer) -> Session:
        """One's own session; NotFound, NotPermitted for another's."""
        session = self.sessions.get(identity)
        if session is None:
            raise NotFound(f"that session on the console of {self.name} has ended: attach again")
        if (session.peer.uid, session.peer.user) != (peer.uid, peer.user):
            raise NotPermitted(f"that session on the console of {self.name} is {session.peer.user}'s")
        return session

    def take(self, session: Session) -> Session | None:
        """The right to type is this session's now; who had it, if that was another."""
        before, self.typist = self.typist, session
        if before is not session:
            _log.info("console of %s: %s types%s", self.name, session.peer.user,
                      f", taken from {before.peer.user}" if before else "")
            self._tell()
        return before if before is not session else None

    async def type(self, session: Session, data: bytes) -> None:
        """Bytes for the machine; Refused when another has the right to type, or nothing takes them."""
        try:
            await self._open_line(session).type(data)
        except NotTaken as error:
            raise Refused(f"the console of {self.name}: {error}") from None

    async def send_break(self, session: Session) -> None:
        """A break; Refused as with `type`, and where there is none."""
        try:
            await self._open_line(session).send_break()
        except NotTaken as error:
            raise Refused(f"the console of {self.name}: {error}") from None

    async def send_sysrq(self, session: Session, letter: str) -> None:
        """A letter for the kernel's SysRq; Refused as with `send_break`."""
        line = self._open_line(session)
        _log.info("console of %s: %s sends SysRq %s", self.name, session.peer.user, letter)
        try:
            await line.send_sysrq(letter)
        except NotTaken as error:
            raise Refused(f"the console of {self.name}: {error}") from None

    def resize(self, session: Session, columns: int, rows: int) -> None:
        """The terminal of the one who types is the one that counts."""
        if self.typist is session:
            self._size = (columns, rows)
            if self._line is not None:
                self._line.resize(columns, rows)

    def _open_line(self, session: Session) -> ConsoleLine:
        if self.typist is not None and self.typist is not session:
            raise Refused(f"{self.typist.peer.user} types on the console of {self.name}: take over first")
        if self._line is None:
            raise Refused(f"the console of {self.name} is not connected: {self.reason or 'it is being opened'}")
        self.take(session)
        return self._line
