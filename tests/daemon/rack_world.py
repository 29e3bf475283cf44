"""A simulated rack for the world: its machines speak with qrmd-node's own application, without a network in between."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qrm_tui.core.model import Item
from qrm_tui.core.node_wire import Beat, Enlisted, EnlistRequest, Entry
from qrm_tui.node.server import NodeApp
from qrm_tui.practice.node import Model, NoAnswer, SimulatedNode
from qrm_tui.practice.rack import PracticeRack

if TYPE_CHECKING:
    from tests.daemon.world import World

MODEL = Model("node", "QEMU", "Standard PC", "QEMU TCG", 2, 2400, 4 << 30, disks=(100 << 30,))
#: Seconds until something awaited counts as failed.
PATIENCE = 20.0


class _Link:
    """qrmd-node's line to qrmd, where both are in this process; the same object is its table of machines."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked = 0

    @property
    def connected(self) -> bool:
        return self._world.alive

    async def enlist(self, address: str, shown: str, request: EnlistRequest) -> Enlisted | None:
        return await self._world.qrmd.enlisting.ask(request, address, shown)

    def beat(self, beat: Beat) -> None:
        self._world.qrmd.rack.hear([beat])

    def find(self, token: str) -> Entry | None:
        rack = self._world.qrmd.rack
        entries = (rack.entry_of(item.name) for item in self._world.qrmd.farm.all("resource"))
        return next((entry for entry in entries if entry is not None and entry.token == token), None)


class DirectWire:
    """Requests go to the application as a server would hand them on."""

    def __init__(self, world: World) -> None:
        self._world = world
        link: Any = _Link(world)
        self._app = NodeApp(link, link)

    async def post(self, address: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        if not self._world.alive:
            raise NoAnswer("qrmd is away")
        told = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": path, "client": (address, 0),
                 "headers": [*told, (b"content-length", b"%d" % len(body))]}
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            said.append(message)

        await self._app(scope, receive, send)
        return said[0]["status"], said[1]["body"].decode()


class Rack:
    """The machines of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.simulated = PracticeRack(world.server, world.machines)
        self._wire = DirectWire(world)

    def add(self, model: Model = MODEL) -> SimulatedNode:
        """One machine more, off."""
        number = len(self.simulated.nodes) + 1
        node = SimulatedNode(model, number, self.simulated, self._wire)
        self.simulated.nodes[f"node-{number}"] = node
        return node

    async def until(self, wanted: Callable[[], Any]) -> None:
        """As soon as a change of the farm makes it so."""
        changed = asyncio.Event()
        farm = self._world.qrmd.farm
        farm.listen(lambda *change: changed.set())
        async with asyncio.timeout(PATIENCE):
            while not wanted():
                changed.clear()
                await changed.wait()

    def resource(self, node: SimulatedNode) -> Item | None:
        return self._world.qrmd.farm.resource_of(node.mac)

    async def boot(self, node: SimulatedNode, state: str = "idle") -> str:
        """Push its button, and wait until it is so far; its name."""
        node.power_on()
        await self.until(lambda: (item := self.resource(node)) is not None and item.state == state)
        # its files and its own address are there then
        await self._world.qrmd.upkeep.settle()
        item = self.resource(node)
        assert item is not None
        return item.name

    async def stop(self) -> None:
        await self.simulated.stop()
