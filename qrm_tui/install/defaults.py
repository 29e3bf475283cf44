"""Defaults of all settings, computed for a machine's network: good enough to accept."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import NamedTuple

from qrm_tui.backends.server_facts import Resolver, Route
from qrm_tui.core.address_ranges import LARGEST_POOL, Range
from qrm_tui.core.component_table import table
from qrm_tui.core.errors import Refused
from qrm_tui.core.facts import Group
from qrm_tui.core.names import printable
from qrm_tui.core.settings import Settings
from qrm_tui.core.surroundings import LEAST_GROUP


class Network(NamedTuple):
    """What is known of the server's network."""

    interfaces: Mapping[str, tuple[str, ...]]
    route: Route | None
    resolver: Resolver
    #: volume groups, the one with the most free space first
    groups: Sequence[Group] = ()

    @property
    def group(self) -> str:
        """The volume group for filesystem-images; empty: none has room for any."""
        return next((group.name for group in self.groups if group.free >= LEAST_GROUP), "")


def compute(network: Network, interface: str = "", *, every: bool = False) -> Settings:
    """Defaults for this machine, of the components that are chosen by default, or of every one.

    Refused says what is missing."""
    chosen = interface or (network.route.interface if network.route else "")
    usable = ", ".join(name for name, addresses in network.interfaces.items() if addresses and name != "lo") or "none"
    if not chosen:
        raise Refused("this server has no default route: say which interface machines boot from: --interface; those "
                      f"with an address: {usable}")
    addresses = network.interfaces.get(chosen)
    if addresses is None:
        raise Refused(f"there is no network interface {printable(chosen)}; those with an address: {usable}")
    if not addresses:
        raise Refused(f"{chosen} has no IPv4 address: give it one first, for good (machines load from there), or "
                      f"choose another interface; those with an address: {usable}")
    own = IPv4Interface(addresses[0])
    subnet = own.network
    if not 8 <= subnet.prefixlen <= 29:
        raise Refused(f"{chosen} is in {subnet}: a network for machines has a prefix of 8 to 29")
    gateway = network.route.gateway if network.route else ""
    router = gateway if gateway and IPv4Address(gateway) in subnet else ""
    known, pool = ranges(subnet, [own.ip, *([IPv4Address(router)] if router else [])])
    computed = {
        "interface": chosen, "address": str(own.ip), "subnet": str(subnet), "range": str(pool), "machines": str(known),
        "group": network.group,
        "router": router, "dns": ",".join(network.resolver.servers), "domain": network.resolver.domain,
    }
    return {name: {setting.name: computed[setting.name] if setting.computed else setting.default
                   for setting in component.settings}
            for name, component in table().items() if component.chosen or every}


def ranges(subnet: IPv4Network, taken: list[IPv4Address]) -> tuple[Range, Range]:
    """Addresses for known machines, and the pool: of a /24 .10 to .99, .100 to .199, around what is taken."""
    size, base = subnet.num_addresses, int(subnet.network_address)
    last = base + size - 2
    starts = [max(2, size * 10 // 256), max(4, size * 100 // 256), max(7, size * 200 // 256)]
    known = Range(IPv4Address(base + starts[0]), IPv4Address(min(base + starts[1] - 1, last)))
    pool = Range(IPv4Address(base + starts[1]),
                 IPv4Address(min(base + starts[2] - 1, base + starts[1] + LARGEST_POOL // 16 - 1, last)))
    return _around(known, taken), _around(pool, taken)


def _around(addresses: Range, taken: list[IPv4Address]) -> Range:
    """The larger piece that holds none of the taken ones."""
    pieces = [addresses]
    for address in taken:
        split = []
        for piece in pieces:
            if address not in piece:
                split.append(piece)
                continue
            if piece.first < address:
                split.append(Range(piece.first, address - 1))
            if address < piece.last:
                split.append(Range(address + 1, piece.last))
        pieces = split
    if not pieces:
        raise Refused(f"the network is too small: of {addresses} nothing is free")
    return max(pieces, key=lambda piece: piece.size)
