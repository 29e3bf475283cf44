"""qrmd-node's end of the socket to qrmd: connects, and connects again; asks, is answered, passes heartbeats on.

While qrmd is away nothing is asked, and of each machine the newest heartbeat is kept, no more.
"""
from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from qrm_tui.core.node_wire import PART, Beat, Beats, Enlist, Enlisted, EnlistRequest, Frames, Table, ToNode, frame
from qrm_tui.node.table import Machines

_log = logging.getLogger("qrmd-node")

#: Seconds between two batches of heartbeats, and between two tries to connect: the first, doubled up to the longest.
BATCH, FIRST_PAUSE, LONGEST_PAUSE = 0.1, 0.1, 2.0
#: Seconds that qrmd may take to answer an enlistment.
PATIENCE = 30.0
#: Bytes that may wait for a qrmd that does not read, and of one reading.
_MOST_UNREAD, _READ = 32 << 20, 256 << 10
#: Seconds that count as now.
_NOW = 1.0


class Link:
    """The line to qrmd. `connected`: its table is here, and it can be asked."""

    def __init__(self, path: Path, machines: Machines, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._machines = path, machines
        #: only differences of it go to qrmd
        self.clock = clock
        self.connected = False
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[Enlisted | None]] = {}
        self._number = 0
        self._beats: dict[str, tuple[float, Beat]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to connect."""
        self._tasks = [asyncio.create_task(self._run(), name="line to qrmd"),
                       asyncio.create_task(self._pass_on(), name="heartbeats")]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def asked(self) -> int:
        """Enlistments that wait for an answer."""
        return len(self._asked)

    async def enlist(self, address: str, shown: str, request: EnlistRequest) -> Enlisted | None:
        """qrmd's answer; None while it is away, or does not answer. OverflowError, UnicodeError: numbers and characters
        that msgpack has not."""
        if not self.connected or self._writer is None:
            return None
        if self._writer.transport.get_write_buffer_size() > _MOST_UNREAD:
            return None
        self._number += 1
        number = self._number
        line = frame(Enlist(number, address, shown, request))
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._writer.write(line)
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            return None
        finally:
            self._asked.pop(number, None)

    def beat(self, beat: Beat) -> None:
        """A machine was heard; a good-bye is not lost to what it says after it."""
        waiting = self._beats.get(beat.name)
        if waiting and waiting[1].bye and not beat.bye and waiting[1].boot == beat.boot:
            return
        self._beats[beat.name] = self.clock(), beat

    # the line

    async def _run(self) -> None:
        pause, told = FIRST_PAUSE, False
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(self._path)
                try:
                    if await self._read(reader):
                        pause, told = FIRST_PAUSE, False
                finally:
                    self._gone()
                _log.warning("qrmd is gone: heartbeats are answered from the last table")
                told = True
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                if not told:
                    _log.warning("qrmd at %s: %s; it is tried again", self._path, error)
                told = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _read(self, reader: asyncio.StreamReader) -> bool:
        """Until the line is gone; whether qrmd spoke at all."""
        frames, spoke = Frames(ToNode), False
        while data := await reader.read(_READ):
            for message in frames.feed(data):
                spoke = True
                self._take(message)
        return spoke

    def _take(self, message: ToNode) -> None:
        if isinstance(message, Table):
            if self._machines.take(message) and not self.connected:
                self.connected = True
                _log.info("qrmd is connected: %d machines", len(self._machines))
        else:
            answer = self._asked.pop(message.number, None)
            if answer is not None and not answer.done():
                answer.set_result(message)

    def _gone(self) -> None:
        self.connected = False
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            if not answer.done():
                answer.set_result(None)

    # heartbeats

    async def _pass_on(self) -> None:
        while True:
            await asyncio.sleep(BATCH)
            self.flush()

    def flush(self) -> None:
        """Pass on what was heard since the last time, if qrmd is there."""
        writer = self._writer
        if not self._beats or not self.connected or writer is None:
            return
        if writer.transport.get_write_buffer_size() > _MOST_UNREAD:
            return
        heard, self._beats = self._beats, {}
        now = self.clock()
        beats = [beat if now - at < _NOW else msgspec.structs.replace(beat, ago=now - at)
                 for at, beat in heard.values()]
        for at in range(0, len(beats), PART):
            writer.write(frame(Beats(beats[at: at + PART])))
