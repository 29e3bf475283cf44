"""A practice farm: the same server over simulated machines, filled by the same operations."""
from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from qrm_tui.core import answers
from qrm_tui.core.errors import BadInput, Unreachable
from qrm_tui.core.model import Item, StorageWanted
from qrm_tui.core.names import printable
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.partitions import HostWanted
from qrm_tui.core.plan import HERE, Change
from qrm_tui.daemon.recorded_components import plant_components
from qrm_tui.daemon.records import Author
from qrm_tui.daemon.server import Qrmd
from qrm_tui.db.store import Write
from qrm_tui.node.limits import LimitedProtocol, Limits
from qrm_tui.node.link import Link
from qrm_tui.node.server import NodeApp
from qrm_tui.node.table import Machines
from qrm_tui.practice import faults
from qrm_tui.practice.console import PracticeSource
from qrm_tui.practice.farms import AWAIT, POWER_ON, PracticeFarm, load_farm, recorded_farm
from qrm_tui.practice.hypervisor import PracticeHypervisor
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.node import SimulatedNode
from qrm_tui.practice.rack import PracticeRack, inject
from qrm_tui.practice.wire import HttpWire
from qrm_tui.runners.base import Runner
from qrm_tui.runners.console import Source
from qrm_tui.runners.hypervisor import Hypervisor

#: Says that a state folder is a practice farm's.
_MARK = "PRACTICE"

#: Seconds between two looks at a simulated storage server, and that a machine may take to enlist while it is filled.
_LOOK, _BOOT = 5.0, 60.0
#: Machines that may speak with the node endpoint at once.
_CONNECTIONS = 16_000
_log = logging.getLogger("qrmd.practice")


class PracticeMachines:
    """Simulated machines by address."""

    public_key = "ssh-ed25519 PRACTICE qrmd"

    def __init__(self, farm: PracticeFarm, rack: PracticeRack | None = None) -> None:
        self._farm, self._rack = farm, rack

    def here(self) -> SimulatedMachine:
        """The machine that the server itself runs on."""
        return self._farm.server

    async def host_key(self, server: StorageWanted) -> str:
        """The key that it would show."""
        if self._rack is not None and server.address in self._rack.foreign:
            return ""
        return self.make("", server).host_key

    def make(self, name: str, server: StorageWanted) -> SimulatedMachine:
        """The machine at that address."""
        machine = self._farm.machines.get(server.address)
        if machine is None:
            raise Unreachable(f"{server.address} does not answer: the practice farm has machines at "
                              f"{', '.join(self._farm.machines)}")
        return machine

    async def answers(self, address: str) -> bool:
        """Whether an ssh server answers there."""
        return address in self._farm.machines or (self._rack is not None and self._rack.answers(address))

    def on_resource(self, item: Item, host_key: Callable[[], Awaitable[str]]) -> SimulatedMachine:
        """The machine that a resource is."""
        return self._hypervisor(item).machine

    def hypervisor(self, item: Item, wanted: HostWanted, runner: Runner) -> Hypervisor:
        """libvirt's simulated driver, and simulated machines."""
        return self._hypervisor(item)

    def added(self, name: str, wanted: HostWanted) -> Hypervisor:
        """The virtualization host at that address."""
        found = self._rack.foreign if self._rack is not None else {}
        if wanted.address not in found:
            raise Unreachable(f"{wanted.address} does not answer: the practice farm has virtualization hosts at "
                              f"{', '.join(found) or 'no address'}")
        return found[wanted.address]

    def _hypervisor(self, item: Item) -> PracticeHypervisor:
        node = self._rack.by_mac(item.wanted.mac) if self._rack is not None else None
        if self._rack is None or node is None:
            raise Unreachable(f"{item.name} is no machine of the practice farm")
        return self._rack.hypervisor(node)

    def console(self, item: Item) -> Source | None:
        """Each simulated machine has one, whatever is noted of it: nothing real is run. Hosts have partitions'."""
        if self._rack is None or item.wanted.kind != "physical":
            return None
        node = self._rack.by_mac(item.wanted.mac)
        return PracticeSource(node.console) if node is not None else None


class PracticeServer:
    """A practice farm as one thing: the server, qrmd-node, and the simulated machines that speak with it."""

    def __init__(self, name: str, state: Path, nodes: int = 0, *, machine: Path | None = None,
                 pace: float = 1) -> None:
        """Begun anew in `state`; BadInput if that holds a real farm. `machine`: a recorded one, at that pace,
        instead of a farm."""
        _clear(state)
        self._farm = recorded_farm(machine, state / "machines", pace) if machine else \
            load_farm(name, state / "machines", nodes=nodes)
        self._recorded = machine is not None
        self._node_socket, self._http = state / "node.sock", state / "http.sock"
        self.rack = PracticeRack(self._farm.server, self._farm.machines)
        self.rack.add(self._farm.models, HttpWire(self._http))
        for foreign in self._farm.foreign:
            self.rack.add_foreign(**foreign)
        self.qrmd = Qrmd(state, PracticeMachines(self._farm, self.rack), name=self._farm.name, practice=True,
                         look_every=_LOOK, installer=machine is not None)
        self._link: Link | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until the farm is filled, by the operations that an administrator would run."""
        await self.qrmd.start(self._node_socket)
        await self._serve_nodes()
        if self._recorded:
            await self._know_components()
        for operation, arguments in self._farm.fill:
            if operation == POWER_ON:
                await self._boot(arguments["names"])
            elif operation == AWAIT:
                await self._await(**arguments)
            else:
                await self._operate(operation, arguments)
        self._farm.begin()
        self.rack.pace(self._farm.pace)

    async def _know_components(self) -> None:
        """Those of a recorded machine that was set up, as its own server knew them; with what no recording holds."""
        server = self._farm.server
        file = await server.read_file(answers.FILE)
        try:
            settings = answers.read(file.content) if file else {}
        except BadInput as error:
            _log.warning("%s of the recorded machine is passed over: %s", answers.FILE, "; ".join(error.reasons))
            return
        wanted = await plant_components(server, settings)
        await self.qrmd.records.apply([Change(kind="component", name=name, wanted=msgspec.to_builtins(one))
                                       for name, one in wanted.items()], Write())
        await self.qrmd.watchers.look(HERE)

    async def stop(self) -> None:
        await self.rack.stop()
        if self._server and self._serving:
            self._server.should_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)
        if self._link:
            await self._link.stop()
        await self.qrmd.stop()

    async def _serve_nodes(self) -> None:
        """qrmd-node's own application and limits; machines' addresses come as a proxy tells them."""
        machines = Machines()
        self._link = Link(self._node_socket, machines)
        self._link.start()
        protocol = partial(LimitedProtocol, limits=Limits(most=_CONNECTIONS, most_of_one=_CONNECTIONS))
        self._server = _Quiet(uvicorn.Config(
            NodeApp(self._link, machines), uds=str(self._http), http=protocol,  # type: ignore[arg-type]
            lifespan="off", log_config=None, access_log=False, ws="none", proxy_headers=True, forwarded_allow_ips="*",
            timeout_graceful_shutdown=1))
        self._serving = asyncio.create_task(self._server.serve(), name="qrmd-node")
        while not (self._server.started and self._link.connected):  # noqa: ASYNC110 neither has an event for it
            await asyncio.sleep(0.01)

    async def _operate(self, operation: str, arguments: dict[str, Any]) -> None:
        plan = await self.qrmd.plan(operation, arguments, Role.administrator)
        outcome = await self.qrmd.run(plan.id, Author("practice"), Role.administrator, "the practice farm is set up")
        if "job" in outcome:
            record = await self.qrmd.jobs.wait(outcome["job"]["id"])
            if record.state != "done":
                _log.error("%s %s: %s: %s", operation, record.object, record.state, record.error)

    async def _boot(self, names: list[str]) -> None:
        """One after the other, so that they are called in this order."""
        for name in names:
            await self.rack.power_on([name])
            async with asyncio.timeout(_BOOT):
                await self.rack.node(name).enlisted.wait()

    async def _await(self, kind: str, names: list[str], state: str) -> None:
        """Until all of them are in that state; those that do not come there are told, and the rest is filled in."""
        farm, there = self.qrmd.farm, asyncio.Event()

        def look(*_changed: object) -> None:
            if all((item := farm.find(kind, name)) is not None and item.state == state for name in names):
                there.set()

        forget = farm.listen(look)
        look()
        try:
            async with asyncio.timeout(_BOOT):
                await there.wait()
        except TimeoutError:
            _log.error("%s %s: not %s after %.0f s", kind, ", ".join(names), state, _BOOT)
        finally:
            forget()

    def _node_of(self, name: str) -> SimulatedNode | None:
        """The machine that is listed as this resource."""
        item = self.qrmd.farm.find("resource", name)
        return self.rack.by_mac(item.wanted.mac) if item is not None else None

    async def practise(self, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What one does with one's hands: `power-on`, `fault`; BadInput tells what is wrong."""
        if verb == "power-on":
            return {"switched_on": await self.rack.power_on([str(name) for name in arguments.get("names", [])])}
        if verb != "fault":
            raise BadInput(f"a practice farm has no {printable(verb)!r}; it has power-on and fault")
        name, fault = str(arguments.get("machine", "")), str(arguments.get("fault", ""))
        given = {str(key): value for key, value in dict(arguments.get("arguments") or {}).items()}
        node = self.rack.nodes.get(name) or self._node_of(name)
        if node is not None:
            await inject(node, "none" if arguments.get("clear") else fault, given)
        elif arguments.get("clear"):
            faults.clear(self._farm.machine(name), fault)
        else:
            faults.inject(self._farm.machine(name), fault, **given)
        return {"said": f"{name}: {fault} {'is taken out' if arguments.get('clear') else 'is put in'}"}


class _Quiet(uvicorn.Server):
    """Signals are qrmd's own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _clear(state: Path) -> None:
    mark = state / _MARK
    if (state / "qrm.db").exists() and not mark.exists():
        raise BadInput(f"{state} holds a real farm: give a practice farm a --state folder of its own")
    for path in (*state.glob("qrm.db*"), *state.glob("*.sock")):
        path.unlink()
    for folder in (state / "machines", state / "jobs", state / "consoles"):
        shutil.rmtree(folder, ignore_errors=True)
    (state / "machines").mkdir(parents=True)
    mark.touch()
