"""The simulated rack: its machines, the network that they boot from, and the controllers that switch them."""
from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.units import parse_size
from qrm_tui.practice.host import Host
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.node import Model, SimulatedNode, Wire

#: Addresses of the pool, for machines that have none of their own: below POOL_NET.
_POOL = range(100, 4000)
_HOST = re.compile(r"hardware ethernet ([0-9a-f:]{17});\s*fixed-address ([0-9.]+);")
#: Machines switched on at the same time by --all: a rack's power strip does not do more at once either.
_AT_ONCE = 100


class PracticeRack:
    """All machines by name, as one network of theirs (`node.Network`)."""

    def __init__(self, server: SimulatedMachine, storages: Mapping[str, SimulatedMachine]) -> None:
        self._machine, self._storages = server, storages
        self.nodes: dict[str, SimulatedNode] = {}
        self._leases: dict[str, str] = {}
        self._taken: set[str] = set()
        self._hosts: tuple[str, dict[str, str]] = ("", {})
        server.host.rack = self

    # the network

    @property
    def server(self) -> Host:
        return self._machine.host

    def lease(self, mac: str) -> str:
        """Its own address, or one of the pool; empty where there is none left, or no dhcpd."""
        fixed = self._fixed().get(mac) or self.server.omapi.get(mac)
        if fixed:
            return fixed
        if mac not in self._leases:
            for number in _POOL:
                address = f"10.88.{number // 250}.{number % 250 + 1}"
                if address not in self._taken:
                    self._taken.add(address)
                    self._leases[mac] = address
                    break
            else:
                return ""
        return self._leases[mac]

    def _fixed(self) -> dict[str, str]:
        """Addresses in the file that dhcpd read when it was started last."""
        text = self.server.dhcp_hosts
        if text != self._hosts[0]:
            self._hosts = (text, dict(_HOST.findall(text)))
        return self._hosts[1]

    def say(self, program: str, text: str) -> None:
        """A line in the server's journal."""
        self._machine.say(program, text)

    def storage(self, address: str) -> Host | None:
        """The storage server at an address, if a line leads there."""
        machine = self._storages.get(address)
        return machine.host if machine is not None and machine.on and not machine.faults.unreachable else None

    # machines

    def add(self, models: Iterable[tuple[Model, int]], wire: Wire) -> None:
        """So many machines of each model."""
        for model, count in models:
            for number in range(1, count + 1):
                node = SimulatedNode(model, len(self.nodes) + 1, self, wire)
                self.nodes[f"{model.name}-{number}"] = node

    def node(self, name: str) -> SimulatedNode:
        """A machine by its name on the power strip, or its MAC; BadInput lists some."""
        found = self.nodes.get(name) or self.by_mac(name)
        if found is None:
            raise BadInput(f"the practice farm has no machine {name!r}; it has {', '.join(list(self.nodes)[:8])} ...")
        return found

    def by_mac(self, mac: str) -> SimulatedNode | None:
        return next((node for node in self.nodes.values() if node.mac == mac), None)

    def at_controller(self, address: str) -> SimulatedNode | None:
        """The machine whose management controller has this address: 192.168.89.N of machine N."""
        number = address.rpartition(".")[2]
        return next((node for node in self.nodes.values() if address.startswith("192.168.89.")
                     and str(node.number) == number), None)

    def answers(self, address: str) -> bool:
        """Whether ssh answers at this address: its system is up."""
        return any(node.address == address and node.stage == "system" for node in self.nodes.values())

    async def power_on(self, names: Sequence[str]) -> list[str]:
        """Push their buttons, all of them where none is named; the names of those that were off."""
        nodes = [self.node(name) for name in names] if names else list(self.nodes.values())
        off = [node for node in nodes if not node.on]
        for at, node in enumerate(off):
            node.power_on()
            if at % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        return [name for name, node in self.nodes.items() if node in off]

    async def stop(self) -> None:
        """The end of the practice farm."""
        await asyncio.gather(*(node.power_off() for node in self.nodes.values()))

    def pace(self, pace: float) -> None:
        """How fast life goes: 1 as on metal, 0 at once."""
        for node in self.nodes.values():
            node.pace = pace


#: Faults of machines: what each is for people, and what it does with one.
NODE_FAULTS: Mapping[str, tuple[str, Callable[[SimulatedNode, str], Any]]] = {
    "hang": ("its next boot hangs at a stage (dhcp, loader, kernel, agent, root, system)",
             lambda node, stage: setattr(node.trouble, "hangs", stage or "kernel")),
    "silent": ("its agent says nothing more", lambda node, _: setattr(node.trouble, "silent", True)),
    "unplug": ("its power is pulled", lambda node, _: node.power_off()),
    "none": ("it is mended", lambda node, _: (setattr(node.trouble, "hangs", ""),
                                             setattr(node.trouble, "silent", False))),
}


async def inject(node: SimulatedNode, name: str, argument: str = "") -> None:
    """Put a fault into a machine; BadInput lists what there is."""
    if name not in NODE_FAULTS:
        raise BadInput(f"there is no fault {name!r} of machines; there are {', '.join(NODE_FAULTS)}")
    done = NODE_FAULTS[name][1](node, argument)
    if asyncio.iscoroutine(done):
        await done


def read_models(entries: Iterable[Mapping[str, Any]]) -> list[tuple[Model, int]]:
    """Models and how many of each, from a farm's data."""
    return [(Model(name=entry["name"], vendor=entry["vendor"], product=entry["product"], cpu=entry["cpu"],
                   cpus=entry["cpus"], mhz=entry["mhz"], memory=parse_size(entry["memory"]), nics=entry.get("nics", 1),
                   disks=tuple(parse_size(size) for size in entry.get("disks", [])),
                   firmware=entry.get("firmware", "bios")), entry["count"]) for entry in entries]
