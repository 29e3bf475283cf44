"""qrmd with consoles whose far ends are the test's own, on a real socket, with real clients."""
from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn

from qrm_tui.client.connection import Client
from qrm_tui.client.console import Gap, Output, Status, open_console
from qrm_tui.core.model import Item, StorageWanted
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.resources import ResourceWanted
from qrm_tui.daemon import peer
from qrm_tui.daemon.api import Api
from qrm_tui.daemon.console_recorder import Console
from qrm_tui.daemon.machines import RealMachines
from qrm_tui.daemon.server import Qrmd
from qrm_tui.db.store import Write
from qrm_tui.runners.base import Runner
from qrm_tui.runners.console import BREAK, SYSRQ, Ended, NoLine, NotTaken, Received, Source

#: Seconds until something awaited counts as failed.
PATIENCE = 20.0


class FarEnd:
    """A console's far end (and its source): says what the test says, and hears what is typed."""

    kind = "command"

    def __init__(self) -> None:
        self.typed = bytearray()
        self.heard = asyncio.Event()
        self.breaks = 0
        self.means = frozenset((BREAK, SYSRQ))
        self.letters = ""
        self.sizes: list[tuple[int, int]] = []
        self.opened = 0
        self.refuses: NoLine | None = None
        #: said as soon as somebody listens
        self.greeting = b""
        self._received: Received | None = None
        self._ended: Ended | None = None

    async def open(self, received: Received, ended: Ended) -> FarEnd:
        if self.refuses:
            raise self.refuses
        self.opened += 1
        self._received, self._ended = received, ended
        if self.greeting:
            received(self.greeting)
        return self

    async def type(self, data: bytes) -> None:
        if data == b"jam":
            raise NotTaken("the far end does not take what is typed")
        self.typed += data
        self.heard.set()

    async def send_break(self) -> None:
        if BREAK not in self.means:
            raise NotTaken("a command has no break")
        self.breaks += 1

    async def send_sysrq(self, letter: str) -> None:
        if SYSRQ not in self.means:
            raise NotTaken("a command has no SysRq")
        self.letters += letter

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    async def close(self) -> None:
        self._received = self._ended = None

    @property
    def listening(self) -> bool:
        return self._received is not None

    def say(self, data: bytes) -> None:
        assert self._received is not None
        self._received(data)

    def die(self, why: str = "its program ended with status 1") -> None:
        assert self._ended is not None
        self._ended(why)


class FarEnds:
    """Machines of which only consoles matter; a command is really run, unless the test has a far end of that name."""

    public_key = ""

    def __init__(self) -> None:
        self.ends: dict[str, FarEnd] = {}

    def console(self, item: Item) -> Source | None:
        found: Source | None = self.ends.get(item.name)
        return found if found and item.wanted.console else RealMachines.console(self, item)  # type: ignore[arg-type]

    def here(self) -> Runner:
        raise AssertionError("nothing is run on the server here")

    async def host_key(self, server: StorageWanted) -> str:
        raise AssertionError

    def make(self, name: str, server: StorageWanted) -> Runner:
        raise AssertionError

    async def answers(self, address: str) -> bool:
        return False


class Watch:
    """What one watcher was told so far."""

    def __init__(self) -> None:
        self.text = b""
        self.first: int | None = None
        self.status: Status | None = None
        self.gaps: list[Gap] = []
        self.times: list[float] = []
        self.order: list[str] = []
        self._more = asyncio.Event()

    @property
    def session(self) -> str:
        assert self.status is not None
        return self.status.session

    def tell(self, event: Output | Status | Gap) -> None:
        self.order.append(type(event).__name__)
        if isinstance(event, Output):
            if self.first is None:
                self.first = event.offset
            self.text += event.data
            self.times.append(event.at)
        elif isinstance(event, Gap):
            self.gaps.append(event)
        else:
            self.status = event
        self._more.set()

    async def until(self, wanted: Callable[[Watch], Any]) -> Watch:
        """As soon as what was told makes it so."""
        async with asyncio.timeout(PATIENCE):
            while not wanted(self):
                self._more.clear()
                await self._more.wait()
        return self

    async def says(self, text: bytes) -> Watch:
        return await self.until(lambda watch: text in watch.text)


class Room:
    """The server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.machines, self.role = folder, FarEnds(), Role.administrator
        # a socket's path is short
        self._sockets = Path(tempfile.mkdtemp(prefix="qrm-test-"))
        self.socket = self._sockets / "s"
        self.total = 1 << 30

    async def start(self) -> None:
        self.qrmd = Qrmd(self.folder, self.machines, practice=True, look_every=3600.0, first_pause=0.01)
        self.qrmd.consoles._total = self.total
        await self.qrmd.start()
        listener = peer.open_socket(self.socket)
        app = Api(self.qrmd, lambda asking: self.role).app()
        self._server = uvicorn.Server(uvicorn.Config(
            app, http=peer.protocol_for(peer.role_of), lifespan="off", log_config=None, access_log=False, ws="none",
            timeout_graceful_shutdown=0))
        self._server.capture_signals = _no_signals  # type: ignore[method-assign]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        self.client = Client(str(self.socket))

    async def stop(self) -> None:
        """As a signal does it; a second time nothing."""
        if self._serving.done():
            return
        await self.client.close()
        self._server.should_exit = self._server.force_exit = True
        await self._serving
        self.socket.unlink(missing_ok=True)
        await self.qrmd.stop()

    async def end(self) -> None:
        await self.stop()
        shutil.rmtree(self._sockets)

    async def add(self, name: str, command: str = "cat", **wanted: Any) -> None:
        """A machine with a console."""
        item = Item(kind="resource", name=name, wanted=ResourceWanted(
            id=name, mac=f"52:54:00:00:00:{self.qrmd.farm.count('resource'):02x}",
            **{"console": "command", "console_command": command, **wanted}))
        await self.qrmd.records.bring([item], Write())

    async def far_end(self, name: str = "r1") -> FarEnd:
        """A machine whose console is the test's own."""
        end = self.machines.ends[name] = FarEnd()
        await self.add(name)
        await self.stands(name, "connected")
        return end

    def console(self, name: str = "r1") -> Console:
        return self.qrmd.consoles.find(name)

    async def stands(self, name: str, state: str) -> Console:
        """As soon as it stands so."""
        return await self.until(name, lambda console: console.state == state)

    async def until(self, name: str, wanted: Callable[[Console], Any]) -> Console:
        console = self.console(name)
        async with asyncio.timeout(PATIENCE):
            while True:
                changed = console.changed
                if wanted(console):
                    return console
                await changed.wait()

    @asynccontextmanager
    async def watch(self, name: str = "r1", **where: Any) -> AsyncIterator[Watch]:
        """A watcher over the socket."""
        watch = Watch()

        async def follow() -> None:
            async with aclosing(open_console(self.client, name, **where)) as events:
                async for event in events:
                    watch.tell(event)

        task = asyncio.create_task(follow())
        stands = asyncio.create_task(watch.until(lambda told: told.status))
        try:
            await asyncio.wait({task, stands}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            yield watch
        finally:
            for each in (task, stands):
                each.cancel()
            await asyncio.gather(task, stands, return_exceptions=True)


class _no_signals:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass
