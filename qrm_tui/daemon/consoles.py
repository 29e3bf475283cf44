"""All consoles of the farm: which resources have one, recorded from qrmd's start to its end, held to a total."""
from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from qrm_tui.core.errors import NotFound, QrmError
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.rows import event_fields
from qrm_tui.core.sysrq import LETTERS, loses
from qrm_tui.daemon.console_events import ConsoleEvents
from qrm_tui.daemon.console_log import ConsoleLog, OpenFiles
from qrm_tui.daemon.console_recorder import FIRST_PAUSE, Console, Session
from qrm_tui.daemon.machines import Machines
from qrm_tui.daemon.peer import Peer
from qrm_tui.db.store import Entry
from qrm_tui.runners.console import Source

#: Bytes of all logs together.
TOTAL = 1 << 30

_log = logging.getLogger("qrmd.consoles")

#: Writes into the journal what somebody did at a console.
Noted = Callable[[Entry], Awaitable[None]]


class Consoles:
    """Consoles by their resource's name."""

    def __init__(self, farm: Farm, machines: Machines, folder: Path, noted: Noted, events: ConsoleEvents, *,
                 total: int = TOTAL, first_pause: float = FIRST_PAUSE) -> None:
        self._farm, self._machines, self._folder, self._noted = farm, machines, folder, noted
        self._total, self._first_pause, self._events = total, first_pause, events
        self._files = OpenFiles()
        self._consoles: dict[str, Console] = {}
        #: bytes on disk, never less than there are
        self._bytes = 0
        self._known: dict[str, tuple[Any, ...]] = {}
        self._changing: set[asyncio.Task[None]] = set()
        self._running = False

    def start(self) -> None:
        """Record every console; logs of resources that are gone go, too."""
        if self._folder.is_dir():
            for folder in self._folder.iterdir():
                if self._farm.find("resource", folder.name) is None:
                    shutil.rmtree(folder, ignore_errors=True)
        self._running = True
        self._farm.listen(self._changed)
        for item in list(self._farm.all("resource")):
            self._changed("resource", item.name, item)

    def part(self) -> None:
        """The server is about to end: watchers are let go first, so that nothing waits for them."""
        for console in self._consoles.values():
            console.part()

    async def stop(self) -> None:
        """End every line, and every process."""
        self._running = False
        await asyncio.gather(*self._changing, return_exceptions=True)
        await asyncio.gather(*(console.stop() for console in self._consoles.values()))
        self._events.stop()

    # which there are

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        if kind != "resource" or not self._running:
            return
        wanted = item.wanted if item is not None else None
        depends = (wanted.mac, wanted.console, wanted.console_command, wanted.power, wanted.host) if wanted else ()
        if self._known.get(name, ()) == depends:
            return
        if depends:
            self._known[name] = depends
        else:
            del self._known[name]
        known = self._consoles.get(name)
        source = self._machines.console(item) if item is not None else None
        if (known.source if known else None) == source and item is not None:
            return
        if known is None and source is not None:
            self._begin(name, source)
            return
        task = asyncio.create_task(self._replace(name, source, forget=item is None), name=f"console of {name} changes")
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    def _begin(self, name: str, source: Source) -> None:
        log = ConsoleLog(self._folder / name, self._files)
        self._bytes += log.size
        console = self._consoles[name] = Console(name, source, log, self._farm.clock, self._grown, self._events.found,
                                                 self._first_pause)
        console.start()

    async def _replace(self, name: str, source: Source | None, *, forget: bool) -> None:
        known = self._consoles.pop(name, None)
        if known is not None:
            await known.stop("its settings were changed")
            self._events.forget(name)
        if forget:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(shutil.rmtree, self._folder / name)
        # it may have been changed again meanwhile
        item = self._farm.find("resource", name)
        source = self._machines.console(item) if item is not None else None
        if source is not None and name not in self._consoles and self._running:
            self._begin(name, source)

    # the total

    def _grown(self, more: int) -> None:
        self._bytes += more
        if self._bytes <= self._total:
            return
        logs = [console.log for console in self._consoles.values()]
        self._bytes = sum(log.size for log in logs)
        while self._bytes > self._total:
            oldest = self._oldest(logs)
            if oldest is None or not (freed := oldest.drop_oldest()):
                return
            self._bytes -= freed

    @staticmethod
    def _oldest(logs: list[ConsoleLog]) -> ConsoleLog | None:
        """Whose first segment goes: the one that was closed longest ago; where none is closed, the largest."""
        closed = [log for log in logs if len(log.segments) > 1]
        if closed:
            return min(closed, key=lambda log: log.segments[0].written)
        return max((log for log in logs if log.segments), key=lambda log: log.size, default=None)

    # for those who ask

    def rows(self) -> list[dict[str, Any]]:
        """All of them, with what was found last on each."""
        return [{**console.row(), **self._event_fields(name)} for name, console in sorted(self._consoles.items())]

    def _event_fields(self, name: str) -> dict[str, Any]:
        item = self._farm.find("resource", name)
        return event_fields(item.seen if item is not None else None)

    def find(self, name: str) -> Console:
        """A resource's console, or that of a VE with one machine; NotFound."""
        known = self._consoles.get(name)
        if known is not None:
            return known
        ve = self._farm.find("ve", name)
        if ve is not None and self._farm.find("resource", name) is None:
            machines = [assigned.resource for assigned in ve.wanted.assigned]
            if len(machines) != 1:
                raise NotFound(f"VE {name} runs on {', '.join(machines) or 'no machine'}: name one resource")
            return self.find(machines[0])
        self._farm.get("resource", name)
        raise NotFound(f"{name} has no console that is known here; say where: qrm resource edit {name} --console "
                       "ipmi-sol, or --console command --console-command ...")

    def opened(self, console: Console, peer: Peer) -> None:
        """Somebody who may type looks at it alone, or types: what was found there is seen."""
        self._events.seen(console.name, peer.user)

    async def recorded(self, name: str) -> None:
        """Until what a resource's console says is recorded; NotFound if it has none."""
        while True:
            console = self.find(name)
            changed = console.changed
            if console.connection == "connected":
                return
            await changed.wait()

    async def take(self, console: Console, session: Session) -> None:
        """The right to type for this session; taken by force, it is in the journal."""
        before = console.take(session)
        if before is not None:
            await self._note(console, session, "console.take", details={"from": before.peer.user})

    async def send_sysrq(self, console: Console, session: Session, letter: str) -> None:
        """SysRq by this session; one that loses something is in the journal."""
        await console.send_sysrq(session, letter)
        if loses(letter):
            await self._note(console, session, "console.sysrq", reason=f"{letter}: {LETTERS[letter].words}")

    async def _note(self, console: Console, session: Session, what: str, **more: Any) -> None:
        entry = Entry(who=session.peer.user, terminal=session.peer.terminal, operation=what,
                      object=f"resource/{console.name}", outcome="done", **more)
        try:
            await self._noted(entry)
        except QrmError as error:
            _log.warning("console of %s: %s", console.name, error)
