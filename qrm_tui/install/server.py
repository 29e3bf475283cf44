"""The server as checks and fixes see it: everything that it was asked (data/machine.toml), parsed."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Interface
from typing import Any, NamedTuple

from qrm_tui.backends import components, disks, firewalls, server_facts, static_address
from qrm_tui.backends.disks import Disk
from qrm_tui.backends.firewalls import Firewall, Port
from qrm_tui.core import component_table
from qrm_tui.core.component_table import table
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import Answered, Group, Listener, MachineFacts
from qrm_tui.install import questions
from qrm_tui.install.defaults import Network

_NOTHING = Answered(status=127)


class Address(NamedTuple):
    """An IPv4 address as ADDRESS/PREFIX; `dynamic`: lent, until a time that the kernel knows."""

    text: str
    dynamic: bool


class Interface(NamedTuple):
    """A network interface that machines could boot from."""

    name: str
    mac: str
    up: bool
    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Server:
    """A machine, from its facts; `interface`: where machines boot, where somebody has said so."""

    facts: MachineFacts
    interface: str = ""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def out(self, name: str) -> str:
        """What a question was answered; empty where it failed."""
        answer = self.facts.asked.get(name, _NOTHING)
        return answer.out if answer.status == 0 else ""

    def knows(self, name: str) -> bool:
        """Whether a question was answered."""
        return self.facts.asked.get(name, _NOTHING).status == 0

    def text(self, path: str) -> str:
        """A file's content; empty where there is none."""
        file = self.facts.files.get(path)
        return file.content if file else ""

    # what it is

    @cached_property
    def distribution(self) -> tuple[str, str]:
        """`ID-VERSION_ID`, and what people call it."""
        return component_table.distribution(self.text("/etc/os-release"))

    @cached_property
    def packages(self) -> Mapping[str, str]:
        """Installed packages → version."""
        words = [line.split(" ") for line in self.out("packages").splitlines()]
        return {line[1]: line[2] for line in words if len(line) == 3 and line[0] == "installed"}

    @cached_property
    def units(self) -> Mapping[str, str]:
        """Units that systemd has loaded → ActiveState (systemctl list-units)."""
        words = [line.split(maxsplit=4) for line in self.out("units").splitlines()]
        return {line[0]: line[2] for line in words if len(line) >= 4}

    @cached_property
    def unit_files(self) -> Mapping[str, str]:
        """Units that there are → UnitFileState (systemctl list-unit-files)."""
        words = [line.split() for line in self.out("unit_files").splitlines()]
        return {line[0]: line[1] for line in words if len(line) >= 2}

    def runs(self, *units: str) -> str:
        """The first of these units that runs; empty: none does."""
        return next((unit for unit in units if self.units.get(unit) == "active"), "")

    # its network

    @cached_property
    def interfaces(self) -> tuple[Interface, ...]:
        """Interfaces on a wire, in the kernel's order."""
        return tuple(Interface(
            str(row["ifname"]), str(row.get("address", "")), "UP" in (row.get("flags") or ()),
            tuple(Address(f"{entry['local']}/{entry['prefixlen']}", bool(entry.get("dynamic")))
                  for entry in row.get("addr_info") or () if entry.get("family") == "inet" and "local" in entry))
            for row in self._rows("addresses") if row.get("ifname") and row.get("link_type") == "ether")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        try:
            return server_facts.rows(self.out(name), name)
        except StepFailed:
            return []

    @cached_property
    def network(self) -> Network:
        """What answers are computed from."""
        resolver = server_facts.parse_resolver(self.text(server_facts.RESOLV))
        if not resolver.servers:
            known = server_facts.parse_resolver(self.text(server_facts.RESOLVED))
            resolver = server_facts.Resolver(known.servers, resolver.domain or known.domain)
        return Network({one.name: tuple(address.text for address in one.addresses) for one in self.interfaces},
                       server_facts.parse_default_route(self.out("routes") or "[]"), resolver, self.groups)

    @cached_property
    def chosen(self) -> Interface | None:
        """Where machines boot: as somebody said, else where the default route is, else the first with an address."""
        named = self.interface or (self.network.route.interface if self.network.route else "")
        return next((one for one in self.interfaces if one.name == named), None) or (
            None if self.interface else next((one for one in self.interfaces if one.addresses), None))

    @cached_property
    def keeper(self) -> static_address.Keeper:
        """Who gives the chosen interface its address."""
        return static_address.keeper(self.chosen.name if self.chosen else "", self.facts.files, self.units,
                                     self.facts.asked.get("connections"))

    @cached_property
    def wanted_address(self) -> static_address.Wanted | None:
        """The address that the chosen interface has, to be had for good."""
        if self.chosen is None or not self.chosen.addresses:
            return None
        address, route = self.chosen.addresses[0].text, self.network.route
        router = route.gateway if route and route.interface == self.chosen.name else ""
        return static_address.Wanted(self.chosen.name, address, router, self.network.resolver.servers,
                                     self.network.resolver.domain)

    @property
    def lent(self) -> bool:
        """Whether the chosen interface's address may be another one tomorrow."""
        return self.chosen is not None and bool(self.chosen.addresses) and static_address.is_dynamic(
            self.chosen.name, self.keeper, self.facts.files, self.chosen.addresses[0].dynamic)

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """Who listens where."""
        return server_facts.parse_listeners(self.out("listeners"))

    @property
    def heard(self) -> list[Listener]:
        """Those who would hear a machine on the chosen interface."""
        interface = self.chosen.name if self.chosen else ""
        return [one for one in self.listeners if one.interface in ("", interface)
                and one.address not in ("127.0.0.1", "[::1]")]

    @cached_property
    def offers(self) -> Mapping[str, tuple[str, ...]]:
        """Interface → DHCP servers that offered an address there; an interface that was not asked is not in it."""
        return {name.removeprefix(f"{questions.OFFERS} "): tuple(dict.fromkeys(
            line.split()[0] for line in answer.out.splitlines() if line.split()))
            for name, answer in self.facts.asked.items()
            if name.startswith(f"{questions.OFFERS} ") and answer.status == 0}

    @cached_property
    def own(self) -> frozenset[str]:
        """Its own addresses."""
        return frozenset(str(IPv4Interface(address.text).ip) for one in self.interfaces for address in one.addresses)

    # what is served

    @cached_property
    def site(self) -> components.Site:
        """Components with the settings that are meant, else with those that they come with."""
        return components.Site({name: {setting.name: setting.default for setting in component.settings}
                                | dict(self.settings.get(name, {})) for name, component in table().items()
                                if (name in self.settings if self.settings else component.chosen)})

    def ports(self) -> list[tuple[str, component_table.Port]]:
        """Component and port that it listens on."""
        return [(name, port) for name in self.site.settings for port in self.site.ports(name)]

    @cached_property
    def firewall(self) -> Firewall:
        """What holds machines' packets back."""
        wanted = list(dict.fromkeys(Port(port.protocol, int(port.port)) for _, port in self.ports()))
        interface = self.chosen.name if self.chosen else ""

        def closed(there: set[Port]) -> tuple[Port, ...]:
            return tuple(port for port in wanted if port not in there)

        if self.out("firewalld").startswith("running"):
            zone = firewalls.firewalld_zone(self.out("firewalld_zones"), self.out("firewalld_services"), interface)
            return Firewall("firewalld", closed(firewalls.firewalld_open(self.out("firewalld_services"), zone)),
                            zone=zone)
        if firewalls.ufw_active(self.out("ufw")):
            return Firewall("ufw", closed(firewalls.ufw_open(self.out("ufw"), interface)))
        chains = tuple(firewalls.parse_chains(self.out("nftables")))
        if not chains:
            return Firewall("")
        there = set.intersection(*(firewalls.accepted(self.out("nftables"), chain, interface) for chain in chains))
        return Firewall("nftables", closed(there), chains)

    # its room

    @cached_property
    def groups(self) -> list[Group]:
        """Volume groups, the one with the most free space first."""
        return sorted(disks.parse_groups(self.out("groups")), key=lambda group: -group.free)

    @cached_property
    def free_disks(self) -> list[Disk]:
        """Disks that nothing is on, the largest first."""
        return sorted((disk for disk in self.all_disks if not disk.used_by and disk.size >= disks.LEAST_DISK),
                      key=lambda disk: -disk.size)

    @cached_property
    def all_disks(self) -> list[Disk]:
        """Disks that could hold data."""
        return disks.parse_disks(self.out("disks"))

    @cached_property
    def rooms(self) -> Mapping[str, disks.Room]:
        return disks.parse_rooms(self.out("mounts"))
