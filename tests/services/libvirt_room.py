"""A real libvirtd with QEMU in the lab's network, spoken with as qrmd does, and consoles recorded as qrmd does."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qrm_tui.backends.domains import render_domain
from qrm_tui.core.partitions import DomainEvent, DomainSeen, DomainWish
from qrm_tui.daemon.console_log import ConsoleLog
from qrm_tui.daemon.console_recorder import Console, Session
from qrm_tui.daemon.peer import Peer
from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach
from qrm_tui.runners.libvirt_console import LibvirtSource
from qrm_tui.runners.libvirt_line import Reach

#: Seconds until something awaited counts as failed.
PATIENCE = 120.0
#: What SeaBIOS says first of all on a serial line.
FIRMWARE = b"SeaBIOS"
#: So long that a test fails which needs a pause to end.
NEVER = 10_000.0


def wish(number: int, **more: Any) -> DomainWish:
    """A partition on the emulated processor: KVM is not everywhere, and not everywhere whole."""
    return DomainWish(**{"name": f"p{number}", "uuid": f"6695eb01-f6a4-8304-79aa-97f2502e19{number:02x}",
                         "resource": f"r-{number}", "technology": "qemu", "memory": 192 << 20,
                         "memory_most": 256 << 20, "cpus_most": 2, "bridge": "br0",
                         "mac": f"52:54:00:77:01:{number:02x}", "target": f"q-p{number}", **more})


class Room:
    """One host, what it tells, and what is to go at the end."""

    def __init__(self, reach: Reach, folder: Path) -> None:
        self.host, self.folder = LibvirtHypervisor("host1", reach), folder
        self.events: list[DomainEvent] = []
        self._came = asyncio.Event()
        self._made: list[str] = []
        self.host.listen(self._hear)

    def _hear(self, event: DomainEvent) -> None:
        self.events.append(event)
        self._came.set()

    async def until_told(self, event: str, uuid: str = "") -> None:
        """Until this is told, from the last time on that one waited."""
        async with asyncio.timeout(PATIENCE):
            while not any((seen.event, seen.uuid) == (event, uuid) for seen in self.events):
                self._came.clear()
                await self._came.wait()
        self.events.clear()

    async def define(self, wished: DomainWish) -> None:
        self._made.append(wished.uuid)
        await self.host.define(render_domain(wished))

    async def seen(self, wished: DomainWish) -> DomainSeen:
        return next(domain for domain in (await self.host.look()).domains if domain.uuid == wished.uuid)

    async def until_seen(self, wished: DomainWish, so: Callable[[DomainSeen], bool]) -> DomainSeen:
        async with asyncio.timeout(PATIENCE):
            while not so(found := await self.seen(wished)):
                await asyncio.sleep(0.05)
        return found

    async def end(self) -> None:
        for uuid in self._made:
            await self.host.destroy(uuid)
            await self.host.undefine(uuid)
        await self.host.close()


@asynccontextmanager
async def room(uri_or_reach: str | Reach, folder: Path) -> AsyncIterator[Room]:
    reach = LocalReach(uri_or_reach) if isinstance(uri_or_reach, str) else uri_or_reach
    made = Room(reach, folder)
    await made.host.start_line()
    try:
        yield made
    finally:
        await made.end()


class Recorded:
    """A console as qrmd records it; it is opened again when libvirt tells of a start, and never by waiting."""

    def __init__(self, room: Room, wished: DomainWish) -> None:
        log = ConsoleLog(room.folder / wished.name)
        self.console = Console(wished.name, LibvirtSource(room.host, wished.uuid), log, lambda: 1.0, lambda more: None,
                               lambda name, hits: None, first_pause=NEVER)
        self._session = Session(Peer(1, 0, ()))

    def said(self, since: int = 0) -> bytes:
        said, offset = b"", since
        while piece := self.console.log.read(offset):
            said, offset = said + piece.data, piece.offset + len(piece.data)
        return said

    async def until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                changed = self.console.changed
                if so():
                    return
                await changed.wait()

    async def until_said(self, word: bytes, since: int = 0) -> None:
        await self.until(lambda: word in self.said(since))

    async def until_state(self, state: str, reason: str = "") -> None:
        await self.until(lambda: self.console.state == state and reason in self.console.reason)

    async def type(self, data: bytes) -> None:
        await self.console.type(self._session, data)

    async def send_break(self) -> None:
        await self.console.send_break(self._session)

    async def send_sysrq(self, letter: str) -> None:
        await self.console.send_sysrq(self._session, letter)

    @property
    def means(self) -> list[str]:
        return list(self.console.status(self._session)["means"])

    @property
    def end(self) -> int:
        return self.console.log.end


@asynccontextmanager
async def recorded(room: Room, wished: DomainWish) -> AsyncIterator[Recorded]:
    made = Recorded(room, wished)
    made.console.start()
    try:
        yield made
    finally:
        await made.console.stop()
