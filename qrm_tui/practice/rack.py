"""The simulated rack: its machines, the network that they boot from, and the controllers that switch them."""
from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.resources import STAGES
from qrm_tui.core.units import parse_size
from qrm_tui.practice.host import Host
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.node import Model, SimulatedNode, Trouble, Wire

if TYPE_CHECKING:
    from qrm_tui.practice.foreign import PracticeForeign
    from qrm_tui.practice.hypervisor import PracticeHypervisor

_HOST = re.compile(r"hardware ethernet ([0-9a-f:]{17});\s*fixed-address ([0-9.]+);")
_RANGE = re.compile(r"\brange ([0-9.]+) ([0-9.]+);")
#: Machines switched on at the same time by --all: a rack's power strip does not do more at once either.
_AT_ONCE = 100


class PracticeRack:
    """All machines by name, as one network of theirs (`node.Network`)."""

    def __init__(self, server: SimulatedMachine, storages: Mapping[str, SimulatedMachine]) -> None:
        self._machine, self._storages = server, storages
        self.nodes: dict[str, SimulatedNode] = {}
        self._macs: dict[str, SimulatedNode] = {}
        self._leases: dict[str, str] = {}
        self._taken: set[str] = set()
        self._hosts: tuple[str, dict[str, str]] = ("", {})
        self._numbers = 0
        self.hypervisors: dict[int, PracticeHypervisor] = {}
        #: by address, virtualization hosts that are nobody's machine of the rack
        self.foreign: dict[str, PracticeForeign] = {}
        server.host.rack = self

    # the network

    @property
    def server(self) -> Host:
        return self._machine.host

    def lease(self, mac: str) -> str:
        """Its own address, or one of the pool; empty where there is none left, or no dhcpd."""
        if "isc-dhcp-server.service" not in self.server.software.active:
            return ""
        fixed = self._fixed().get(mac)
        if fixed:
            return fixed
        if mac not in self._leases:
            free = next((address for address in self._pool() if address not in self._taken), "")
            if not free:
                return ""
            self._taken.add(free)
            self._leases[mac] = free
        return self._leases[mac]

    def _fixed(self) -> dict[str, str]:
        """Addresses of known machines: told by OMAPI, or in the file that dhcpd includes."""
        told = dict(self.server.software.hosts.values())
        text = self._read("/etc/dhcp/qrm-hosts.conf")
        if text != self._hosts[0]:
            self._hosts = (text, dict(_HOST.findall(text)))
        return {**self._hosts[1], **told}

    def _pool(self) -> Iterator[str]:
        """The pool's addresses, as dhcpd's configuration has them."""
        found = _RANGE.search(self._read("/etc/dhcp/qrm.conf"))
        if found:
            first, last = (int(ip_address(word)) for word in found.groups())
            yield from (str(ip_address(number)) for number in range(first, last + 1))

    def bios_loader(self) -> str:
        return "lpxelinux.0" if "lpxelinux.0" in self._read("/etc/dhcp/qrm.conf") else "pxelinux.0"

    def _read(self, path: str) -> str:
        return self.server.root.read(path) if self.server.root.exists(path) else ""

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
        if len(self._macs) != len(self.nodes):
            self._macs = {node.mac: node for node in self.nodes.values()}
        return self._macs.get(mac)

    # partitions

    def next_number(self) -> int:
        """Of a machine that is a partition: none has it twice."""
        self._numbers += 1
        return self._numbers

    def hang(self, name: str, node: SimulatedNode) -> None:
        """One machine more in the network."""
        self.nodes[name] = node
        self._macs = {}

    def unhang(self, node: SimulatedNode) -> None:
        """It is gone."""
        self.nodes = {name: other for name, other in self.nodes.items() if other is not node}
        self._macs = {}

    def hypervisor(self, node: SimulatedNode) -> PracticeHypervisor:
        """A machine's, from the first time that it is one on."""
        from qrm_tui.practice.hypervisor import PracticeHypervisor  # libvirt is for those who have partitions

        known = self.hypervisors.get(node.number)
        if known is None:
            folder = self._machine.folder.parent.parent / f"node-{node.number}"
            known = self.hypervisors[node.number] = PracticeHypervisor(node, self, folder)
        return known

    def add_foreign(self, name: str, address: str, domains: Iterable[str]) -> None:
        """A virtualization host that is there, with these domains."""
        from qrm_tui.practice.foreign import PracticeForeign

        self.foreign[address] = PracticeForeign(name, domains, self._machine.folder.parent / f"{name}.xml")

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
        nodes = [self.node(name) for name in names] if names else [*filter(_has_button, self.nodes.values())]
        without = [name for name, node in zip(names, nodes, strict=False) if not node.has_button]
        if without:
            raise BadInput(f"{without[0]} is a partition and has no button: qrm partition start {without[0]}")
        off = [node for node in nodes if not node.on]
        for at, node in enumerate(off):
            node.power_on()
            if at % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        return [name for name, node in self.nodes.items() if node in off]

    async def stop(self) -> None:
        """The end of the practice farm."""
        await asyncio.gather(*(node.power_off() for node in self.nodes.values()))
        await asyncio.gather(*(hypervisor.end() for hypervisor in (
            *self.hypervisors.values(), *self.foreign.values())))

    def pace(self, pace: float) -> None:
        """How fast life goes: 1 as on metal, 0 at once."""
        for node in self.nodes.values():
            node.pace = pace


def _has_button(node: SimulatedNode) -> bool:
    return node.has_button


#: Faults of machines: what each is for people, and what it takes.
NODE_FAULTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "hang": ("its next boot hangs at a stage: dhcp, loader, kernel, agent, root or system", ("stage",)),
    "silent": ("its agent says nothing more", ()),
    "unplug": ("its power is pulled", ()),
    "panic": ("its kernel panics; with reboot=SECONDS it boots again after that, and panics again", ("reboot",)),
    "oom": ("its kernel kills a process for want of memory", ()),
    "chatter": ("its console talks, so many lines a second", ("lines",)),
    "none": ("it is mended", ()),
}


async def inject(node: SimulatedNode, name: str, given: Mapping[str, Any]) -> None:
    """Put a fault into a machine, or mend it; BadInput lists what there is."""
    if name not in NODE_FAULTS:
        known = "; ".join(f"{fault}: {words}" for fault, (words, _) in NODE_FAULTS.items())
        raise BadInput(f"there is no fault {name!r} of machines; there are {known}")
    for argument in given:
        if argument not in NODE_FAULTS[name][1]:
            raise BadInput(f"{argument}: {name} takes {', '.join(NODE_FAULTS[name][1]) or 'no arguments'}")
    stage = str(given.get("stage", "kernel"))
    if name == "hang" and stage not in STAGES:
        raise BadInput(f"stage: {stage!r} is none of {', '.join(STAGES)}")
    if name == "unplug":
        await node.unplug()
    elif name == "none":
        node.trouble = Trouble()
        node.chatter(0)
    elif name in ("panic", "oom", "chatter"):
        _on_console(node, name, given)
    else:
        node.trouble = Trouble(hangs=stage) if name == "hang" else Trouble(silent=True)


def _on_console(node: SimulatedNode, name: str, given: Mapping[str, Any]) -> None:
    """Faults that a machine's console tells of; BadInput where it is off."""
    if not node.on:
        raise BadInput("it is off, and says nothing: qrm practice power-on first")
    argument, default = {"panic": ("reboot", 0), "oom": ("", 0), "chatter": ("lines", 5)}[name]
    try:
        number = float(given.get(argument, default))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100_000:
        raise BadInput(f"{argument}: a number from 0 to 100000, not {given[argument]!r}")
    if name == "panic":
        node.trouble = Trouble(panics=number)
        node.panic(number)
    elif name == "oom":
        node.console.out_of_memory()
    else:
        node.chatter(number)


def read_models(entries: Iterable[Mapping[str, Any]]) -> list[tuple[Model, int]]:
    """Models and how many of each, from a farm's data."""
    return [(Model(name=entry["name"], vendor=entry["vendor"], product=entry["product"], cpu=entry["cpu"],
                   cpus=entry["cpus"], mhz=entry["mhz"], memory=parse_size(entry["memory"]), nics=entry.get("nics", 1),
                   disks=tuple(parse_size(size) for size in entry.get("disks", [])),
                   firmware=entry.get("firmware", "bios")), entry["count"]) for entry in entries]
