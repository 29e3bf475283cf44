"""What the server is asked besides: digests of files, listening sockets, its addresses, routes and name servers."""
from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import Listener

LISTENERS_ARGV = ("ss", "-H", "-lntup")
ADDRESSES_ARGV = ("ip", "-json", "address", "show")
ROUTES_ARGV = ("ip", "-json", "route", "show")
#: Where name servers stand: systemd-resolved's own list, behind the address in resolv.conf that only it itself knows.
RESOLV, RESOLVED = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"

_PROCESS = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=')


def digests_argv(paths: Sequence[str]) -> tuple[str, ...]:
    return ("sha256sum", "--", *paths)


def parse_digests(text: str, paths: Sequence[str]) -> dict[str, str]:
    """Path → SHA-256 in hex (sha256sum(1): `HEX  PATH`); empty where it is not there."""
    found = dict.fromkeys(paths, "")
    for line in text.splitlines():
        digest, _, path = line.partition("  ")
        if path in found:
            found[path] = digest
    return found


def parse_listeners(text: str) -> tuple[Listener, ...]:
    """Listening sockets, from ss(8): `tcp LISTEN 0 511 0.0.0.0%eth0:80 0.0.0.0:* users:(("apache2",pid=1,fd=3))`."""
    found = []
    for line in text.splitlines():
        fields = line.split(maxsplit=6)
        if len(fields) < 6 or fields[0] not in ("tcp", "udp"):
            continue
        place, _, port = fields[4].rpartition(":")
        address, _, interface = place.partition("%")
        if port.isdigit():
            processes = tuple(dict.fromkeys(_PROCESS.findall(fields[6]))) if len(fields) > 6 else ()
            found.append(Listener(protocol=fields[0], address=address, interface=interface, port=int(port),
                                  processes=processes))
    return tuple(found)


def rows(text: str, what: str) -> list[dict[str, Any]]:
    """The objects that ip(8) printed with -json; StepFailed if it did not."""
    try:
        found = json.loads(text or "[]")
        return [row for row in found if isinstance(row, dict)]
    except (ValueError, TypeError):
        raise StepFailed(f"{what} printed nothing that can be read: {text[:80]!r}") from None


def parse_addresses(text: str) -> dict[str, tuple[str, ...]]:
    """Interface → its IPv4 addresses as ADDRESS/PREFIX, from `ip -json address show` (ip-address(8))."""
    return {str(row["ifname"]): tuple(
        f"{entry['local']}/{entry['prefixlen']}" for entry in row.get("addr_info", ())
        if entry.get("family") == "inet" and "local" in entry and "prefixlen" in entry)
        for row in rows(text, "ip address") if row.get("ifname")}


class Route(NamedTuple):
    """The way to everywhere: the interface, and the router's address (empty: none is needed)."""

    interface: str
    gateway: str


def parse_default_route(text: str) -> Route | None:
    """The default route with the lowest metric, from `ip -json route show` (ip-route(8))."""
    routes = [row for row in rows(text, "ip route") if row.get("dst") == "default" and row.get("dev")]
    if not routes:
        return None
    first = min(routes, key=lambda row: int(row.get("metric", 0)))
    return Route(str(first["dev"]), str(first.get("gateway", "")))


class Resolver(NamedTuple):
    """Name servers' IPv4 addresses that other machines can ask as well, and the domain."""

    servers: tuple[str, ...]
    domain: str


def parse_resolver(text: str) -> Resolver:
    """resolv.conf(5)."""
    servers, domain = [], ""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            try:
                address = ipaddress.IPv4Address(words[1])
            except ValueError:
                continue
            if not address.is_loopback:
                servers.append(str(address))
        elif words[0] in ("search", "domain") and words[1] != ".":
            domain = domain or words[1].rstrip(".")
    return Resolver(tuple(servers), domain)
