"""ISC dhcpd: words of its configuration, fixed addresses while it runs, and what it says of other servers.

Formats: dhcpd.conf(5), dhcp-options(5), omapi(3), omshell(1), and the log of dhcpd 4.4.
"""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal, NamedTuple

from qrm_tui.backends.rendering import render
from qrm_tui.core.places import templates_folder

CONFIGURATION = "/etc/dhcp/qrm.conf"
#: Fixed addresses for its next start; kept up to date by the server, not by plans.
HOSTS = "/etc/dhcp/qrm-hosts.conf"
#: The key that dhcpd and omshell share: made on the server, readable by root alone, never in a plan or a log.
KEY = "/etc/dhcp/qrm-key.conf"
#: The admin's own, read last where it is there; never changed.
LOCAL = "/etc/dhcp/local.conf"
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


def words(settings: Mapping[str, str], *, http_port: str, next_server: str, local: bool) -> dict[str, Any]:
    """The words of templates/dhcpd/qrm.conf.j2, from settings that were checked."""
    network, pool = parse_network(settings["subnet"]), parse_range(settings["range"])
    return {
        "network": network.network_address, "netmask": network.netmask, "pool_first": pool.first,
        "pool_last": pool.last, "router": settings["router"], "domain": settings["domain"],
        "dns": [part for part in settings["dns"].split(",") if part], "lease": settings["lease"],
        "non_pxe": settings["non_pxe"], "bios_http": settings["bios_http"], "server": settings["address"],
        "http_port": http_port,
        "next_server": next_server, "key_file": KEY, "hosts_file": HOSTS, "local": local, "local_file": LOCAL,
    }


# fixed addresses


def hosts_text(hosts: Iterable[tuple[str, str, str]]) -> str:
    """qrm-hosts.conf, from (name, MAC, address) of each machine."""
    return render("dhcpd/qrm-hosts.conf.j2", hosts=sorted(hosts))


@cache
def _script(name: str) -> str:
    return (templates_folder() / name).read_text()


OMAPI_SCRIPT = _script("dhcpd/omapi.sh")
KEY_SCRIPT = _script("dhcpd/make-key.sh")
#: The line of a key that is whole, as make-key.sh writes it.
KEY_PATTERN = '^ *secret "[A-Za-z0-9+/]{43}=";$'
#: `dhcpd -t`, with its complaints in one line; arguments: the file.
CHECK_SCRIPT = _script("dhcpd/check.sh")


def omapi_argv(verb: Literal["add", "remove"], name: str, mac: str, address: str = "") -> tuple[str, ...]:
    """A fixed address is given, or no longer, by the dhcpd that runs on this machine; doing so again is safe.

    The MAC is in lower case. It ends with 1 and a line when dhcpd does not answer or does not take it.
    """
    return ("sh", "-c", OMAPI_SCRIPT, "qrm", verb, name, mac, address)


def key_argv() -> tuple[str, ...]:
    """The key is made, unless there is one."""
    return ("sh", "-c", KEY_SCRIPT, "qrm", KEY)


# its log


class Request(NamedTuple):
    """A machine asks for an address that some server offered."""

    address: str
    #: the server whose offer it takes; empty where it names none (it had the address before)
    server: str
    mac: str
    interface: str


_REQUEST = re.compile(r"DHCPREQUEST for ([0-9.]+)(?: \(([0-9.]+)\))? from ([0-9a-f:]{17}) (?:\([^)]*\) )?via (\S+?)"
                      r"(?::|$)")


def parse_request(line: str) -> Request | None:
    """A line of dhcpd's log: `DHCPREQUEST for ADDRESS (SERVER) from MAC [(NAME)] via INTERFACE[: complaint]`."""
    match = _REQUEST.search(line)
    return Request(match[1], match[2] or "", match[3], match[4]) if match else None


def foreign_server(line: str, own: str) -> Request | None:
    """The request in a line of its log, if it takes another server's offer: somebody else answers on that wire."""
    request = parse_request(line)
    return request if request and request.server not in ("", own) else None
