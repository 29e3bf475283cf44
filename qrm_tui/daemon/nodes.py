"""qrmd's end of the socket of qrmd-node: enlistments come in and are answered, heartbeats come in, the table goes out.

The other end is not trusted: who may connect is decided by the kernel's word, what arrives is decoded by types and held
to limits, and one that sends nonsense or does not read is cut off; it connects again.
"""
from __future__ import annotations

import asyncio
import logging
import os
import pwd
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.node_wire import PART, Beats, Enlist, Enlisted, Entry, Frames, Table, ToNode, ToServer, frame
from qrm_tui.daemon.enlisting import Enlisting
from qrm_tui.daemon.peer import Peer, open_socket, peer_of
from qrm_tui.daemon.rack import MANY, Rack

_log = logging.getLogger("qrmd.nodes")

#: The account, and the units, that qrmd-node runs as: a dynamic user's name is not known everywhere, its unit is.
USER, UNITS = "qrm-node", ("qrm-node.service", "qrmd-node.service")
#: Bytes that may wait for an end that does not read, and of one reading.
_MOST_UNREAD, _READ = 64 << 20, 64 << 10
#: A system's unit, not one of that name that a user runs.
_UNIT = re.compile(r"^(?:0:|[0-9]+:name=systemd):/system\.slice/([^/\n]+)$", re.MULTILINE)
PROC = Path("/proc")


def may_connect(peer: Peer, own_uid: int) -> bool:
    """root, qrmd's own account, the user qrm-node, or a process of its unit (cgroup(7): systemd's own hierarchy)."""
    if peer.uid in (0, own_uid):
        return True
    try:
        if pwd.getpwuid(peer.uid).pw_name == USER:
            return True
    except KeyError:
        pass
    try:
        unit = _UNIT.search((PROC / str(peer.pid) / "cgroup").read_text())
    except OSError:
        return False
    return bool(unit) and unit[1] in UNITS


class Nodes:
    """Every qrmd-node that is connected; one as a rule."""

    def __init__(self, farm: Farm, rack: Rack, enlisting: Enlisting) -> None:
        self._farm, self._rack, self._enlisting = farm, rack, enlisting
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._many = False
        farm.listen(self._changed)
        rack.listen(self._note)

    @property
    def connected(self) -> int:
        """How many there are."""
        return len(self._connections)

    async def open(self, path: Path) -> None:
        """Listen; OSError when that cannot be."""
        listener = open_socket(path)
        self._path = path
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def close(self) -> None:
        if self._server is None or self._path is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.cut()
        self._path.unlink(missing_ok=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"))
        if not may_connect(peer, os.getuid()):
            _log.error("%s (process %d) may not connect as qrmd-node", peer.user, peer.pid)
            writer.close()
            return
        connection = _Connection(self._farm, self._rack, self._enlisting, writer)
        self._connections.add(connection)
        _log.info("qrmd-node is connected (process %d)", peer.pid)
        try:
            connection.snapshot()
            await connection.read(reader)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            _log.error("qrmd-node is cut off: %s", error)
        finally:
            self._connections.discard(connection)
            connection.cut()
            _log.info("qrmd-node is gone (process %d)", peer.pid)

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        if kind == "resource":
            self._note(name)
            if (self._farm.count("resource") > MANY) != self._many:  # all are told another pace
                self._many = not self._many
                for other in self._farm.all("resource"):
                    self._note(other.name)

    def _note(self, name: str) -> None:
        for connection in self._connections:
            connection.note(name)


class _Connection:
    """One qrmd-node, with what it was sent."""

    def __init__(self, farm: Farm, rack: Rack, enlisting: Enlisting, writer: asyncio.StreamWriter) -> None:
        self._farm, self._rack, self._enlisting, self._writer = farm, rack, enlisting, writer
        self._sent: dict[str, Entry] = {}
        self._noted: dict[str, None] = {}
        self._answers: list[Enlisted] = []
        self._flushing = False

    def cut(self) -> None:
        self._writer.close()

    def snapshot(self) -> None:
        """The whole table."""
        self._noted.clear()
        entries = [entry for item in self._farm.all("resource") if (entry := self._rack.entry_of(item.name))]
        self._sent = {entry.name: entry for entry in entries}
        for at in range(0, max(len(entries), 1), PART):
            self._send(Table(entries[at: at + PART], first=at == 0, last=at + PART >= len(entries)))

    def note(self, name: str) -> None:
        """What this machine is told may be another thing now: sent with all else that changes in this round."""
        self._noted[name] = None
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """The table first: a machine whose enlistment is answered beats next."""
        self._flushing = False
        names, self._noted = self._noted, {}
        entries, gone = [], []
        for name in names:
            entry = self._rack.entry_of(name)
            if entry == self._sent.get(name):
                continue
            if entry is None:
                del self._sent[name]
                gone.append(name)
            else:
                self._sent[name] = entry
                entries.append(entry)
        for at in range(0, max(len(entries), len(gone)), PART):
            self._send(Table(entries[at: at + PART], gone[at: at + PART]))
        answers, self._answers = self._answers, []
        for answer in answers:
            self._send(answer)

    def _send(self, message: ToNode) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > _MOST_UNREAD:
            _log.error("qrmd-node does not read: it is cut off")
            transport.abort()
            return
        self._writer.write(frame(message))

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Until it is gone; ValueError and MsgspecError when it sends what it must not."""
        frames = Frames(ToServer)
        while data := await reader.read(_READ):
            self._take(frames.feed(data))

    def _take(self, messages: Iterable[ToServer]) -> None:
        for message in messages:
            if isinstance(message, Enlist):
                asked = self._enlisting.ask(message.request, message.address, message.shown)
                asked.add_done_callback(partial(self._enlisted, message.number))
            elif isinstance(message, Beats):
                self._rack.hear(message.beats)

    def _enlisted(self, number: int, asked: asyncio.Future[Enlisted]) -> None:
        if not asked.cancelled():
            self._answers.append(msgspec.structs.replace(asked.result(), number=number))
            self._flush_soon()
