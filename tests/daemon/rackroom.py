"""A rack without machines: the server's part on a database of its own, qrmd-node on loopback, a clock by hand."""
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.node_wire import Enlisted, EnlistRequest
from qrm_tui.core.resources import Inventory, Nic, ResourceSeen
from qrm_tui.daemon.enlisting import Enlisting, digest_of
from qrm_tui.daemon.nodes import Nodes
from qrm_tui.daemon.rack import Rack
from qrm_tui.daemon.records import Records
from qrm_tui.daemon.silence import Silence
from qrm_tui.db.store import Store
from qrm_tui.node.limits import Limits
from qrm_tui.node.link import Link
from qrm_tui.node.main import make_server, open_listener
from qrm_tui.node.server import NodeApp
from qrm_tui.node.table import Machines

GIB = 1 << 30
MAC = "52:54:00:77:00:20"
HAS = Inventory(cpus=4, mhz=2400, model="Xeon", memory=16 * GIB, nics=(Nic("eth0", MAC),), vendor="Dell Inc.",
                product="R640", serial="7XKQ2J3", firmware="bios")
_boots = iter(range(1, 1 << 30))


def new_boot() -> str:
    """What a machine makes up when it boots."""
    return f"{next(_boots):032x}"


def request(mac: str = MAC, **said: Any) -> EnlistRequest:
    """What a machine says at its boot."""
    return EnlistRequest(mac=mac, **{"boot": new_boot(), "inventory": HAS, **said})


class Upkeep:
    """Notes for whom files are to be written."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def wanted(self, name: str) -> None:
        self.names.append(name)


class Room:
    """The server's part; `restart` is a qrmd that was killed and begins anew with what the database has."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.set_by = folder, 1_000_000.0, 0.0
        self.socket = folder / "node.sock"
        self.answering: set[str] = set()
        self.asked: list[str] = []
        self._make()

    def _make(self) -> None:
        self.farm = Farm(lambda: self.now, lambda: self.now - self.set_by)
        self.store = Store(f"sqlite:///{self.folder / 'qrm.db'}", lambda: self.now, durable=False)
        self.rack = Rack(self.farm, self.store)
        self.upkeep = Upkeep()
        self.enlisting = Enlisting(self.farm, Records(self.farm, self.store), self.rack, self.upkeep)
        self.nodes = Nodes(self.farm, self.rack, self.enlisting)
        self.silence = Silence(self.farm, self.rack, self._answers)

    async def _answers(self, address: str) -> bool:
        self.asked.append(address)
        return address in self.answering

    async def open(self) -> None:
        await self.store.open()
        for item in await self.store.objects():
            self.farm.put(self.rack.taken_up(item))
        self.rack.start()
        await self.nodes.open(self.socket)

    async def close(self) -> None:
        await self.nodes.close()
        await self.enlisting.stop()
        await self.silence.stop()
        await self.rack.stop()
        self.store.close()

    async def restart(self) -> None:
        """Killed: nothing is written at its end."""
        await self.nodes.close()
        self.rack.keeper.kill()
        self.store.close()
        self._make()
        await self.open()

    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.silence.sweep()

    def set_clock(self, by: float) -> None:
        """Somebody sets the clock; no time goes by."""
        self.now += by
        self.set_by += by
        self.silence.sweep()

    async def enlist(self, asks: EnlistRequest, address: str = "10.0.0.20", token: str = "") -> Enlisted:
        return await self.enlisting.ask(asks, address, digest_of(token) if token else "")

    def item(self, name: str = "r1") -> Item:
        return self.farm.get("resource", name)

    def seen(self, name: str = "r1") -> ResourceSeen:
        seen: ResourceSeen = self.item(name).seen
        return seen

    async def keep_nonce(self, name: str = "r1") -> str:
        """Its boot files give the nonce that it has now."""
        nonce = self.seen(name).nonce
        await self.rack.nonce_kept(name, nonce)
        return nonce


class Http:
    """qrmd-node in this process."""

    def __init__(self, port: int, link: Link, app: NodeApp, limits: Limits) -> None:
        self.port, self.link, self.app, self.limits = port, link, app, limits

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, data: bytes) -> tuple[int, dict[str, str], str]:
        """Status, headers, body of the answer; status 0: there was none."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            return parse(await read_all(reader))
        finally:
            writer.close()

    async def post(self, path: str, body: Any, token: str = "") -> tuple[int, dict[str, str], str]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = f"Authorization: Bearer {token}\r\n" if token else ""
        head = f"POST {path} HTTP/1.1\r\nHost: n\r\n{shown}Content-Length: {len(content)}\r\n\r\n"
        return await self.raw(head.encode() + content)

    async def enlist(self, mac: str = MAC, token: str = "", **said: Any) -> tuple[int, dict[str, str], str]:
        return await self.post("/v1/enlist", {"mac": mac, "boot": new_boot(), **said}, token)

    async def connected(self) -> None:
        while not self.link.connected:
            await asyncio.sleep(0.01)


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Until the other end closes, which it may do before it has read all."""
    got = b""
    try:
        while more := await reader.read(1 << 16):
            got += more
    except ConnectionResetError:
        pass
    return got


def parse(answer: bytes) -> tuple[int, dict[str, str], str]:
    head, _, body = answer.decode().partition("\r\n\r\n")
    if not head:
        return 0, {}, ""
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def lines_of(body: str) -> dict[str, str]:
    """An answer's `key value` lines."""
    return dict(line.split(" ", 1) for line in body.splitlines())


@asynccontextmanager
async def serving(path: Path, limits: Limits | None = None, **named: Any) -> AsyncIterator[Http]:
    """qrmd-node, connecting to `path`."""
    machines = Machines()
    link = Link(path, machines)
    app, limits = NodeApp(link, machines, **named), limits or Limits()
    listener = open_listener("127.0.0.1:0")
    server = make_server(app, limits)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    link.start()
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield Http(listener.getsockname()[1], link, app, limits)
    finally:
        server.should_exit = server.force_exit = True
        await task
        await link.stop()
        listener.close()


class _no_signals:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass
