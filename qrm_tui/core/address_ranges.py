"""Networks and ranges of addresses in which machines boot, and whether they fit together (dhcpd.conf(5))."""
from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

#: dhcpd holds each address of a pool in memory.
LARGEST_POOL = 1 << 16

Wrong = tuple[str, str]
"""A setting's name, and what is wrong with it."""


class Range(NamedTuple):
    """Addresses from first to last, both included."""

    first: IPv4Address
    last: IPv4Address

    def __contains__(self, address: object) -> bool:
        return isinstance(address, IPv4Address) and self.first <= address <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @property
    def size(self) -> int:
        """How many addresses."""
        return int(self.last) - int(self.first) + 1

    def meets(self, other: Range) -> bool:
        """Whether they have an address in common."""
        return self.first <= other.last and other.first <= self.last


def parse_range(text: str) -> Range:
    """`192.168.88.100-192.168.88.199`; ValueError says what is wrong."""
    first, sign, last = text.partition("-")
    try:
        found = Range(IPv4Address(first.strip()), IPv4Address(last.strip()))
    except ValueError:
        raise ValueError(f"{text!r} is no range of addresses: FIRST-LAST, as in 10.0.0.100-10.0.0.199") from None
    if not sign or found.first > found.last:
        raise ValueError(f"{text!r}: its first address comes after its last")
    return found


def parse_network(text: str) -> IPv4Network:
    """`192.168.88.0/24`; ValueError says what is wrong."""
    address, sign, prefix = text.partition("/")
    try:
        loose = ipaddress.IPv4Network(text, strict=False)
        if not sign or not prefix.isdigit():
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is no IPv4 network: ADDRESS/PREFIX, as in 192.168.88.0/24") from None
    if str(loose.network_address) != address:
        raise ValueError(f"{text!r} is an address in a network; the network is {loose}")
    if not 8 <= loose.prefixlen <= 29:
        raise ValueError(f"{text!r}: a network for machines has a prefix of 8 to 29")
    return loose


def check(settings: Mapping[str, str]) -> list[Wrong]:
    """What does not fit together of settings that are right one by one; settings that are missing are left out."""
    wrong: list[Wrong] = []
    network = parse_network(settings["subnet"]) if settings.get("subnet") else None
    own = IPv4Address(settings["address"]) if settings.get("address") else None
    ranges = {key: parse_range(settings[key]) for key in ("range", "machines") if settings.get(key)}
    if network is not None:
        for key in ("address", "router"):
            if settings.get(key):
                wrong += [(key, words) for words in _outside(IPv4Address(settings[key]), network)]
        for key, addresses in ranges.items():
            wrong += [(key, words) for words in dict.fromkeys(
                words for end in addresses for words in _outside(end, network))]
    for key, addresses in ranges.items():
        if own is not None and own in addresses:
            wrong.append((key, f"the server's own address {own} is in {addresses}"))
        router = settings.get("router")
        if router and router != settings.get("address") and IPv4Address(router) in addresses:
            wrong.append((key, f"the router's address {router} is in {addresses}"))
    if len(ranges) == 2 and ranges["range"].meets(ranges["machines"]):
        wrong.append(("machines", f"{ranges['machines']} and range {ranges['range']} have addresses in common: a known "
                                  "machine's address must not be given to another"))
    if "range" in ranges and ranges["range"].size > LARGEST_POOL:
        wrong.append(("range", f"{ranges['range']} has {ranges['range'].size} addresses; {LARGEST_POOL} at most, since "
                               "dhcpd holds each in memory"))
    return wrong


def _outside(address: IPv4Address, network: IPv4Network) -> Iterable[str]:
    if address not in network:
        yield f"{address} is not in subnet {network}"
    elif address == network.network_address:
        yield f"{address} is the subnet's own address"
    elif address == network.broadcast_address:
        yield f"{address} is the subnet's broadcast address"
