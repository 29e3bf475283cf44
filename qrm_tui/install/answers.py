"""The answers file (TOML): one table a component, its settings as keys; secrets are never in it.

Read with all errors at once, each with its line; written with the defaults that were computed for this machine.
"""
from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, NamedTuple

from qrm_tui.backends import components
from qrm_tui.backends.dhcpd import LARGEST_POOL, Range
from qrm_tui.backends.server_facts import Resolver, Route
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.names import printable

Settings = dict[str, dict[str, str]]
#: Lines with faults that are told at once; more are the consequence of the first ones.
_MOST_FAULTS = 20
_AT = re.compile(r"(.*) \(at (?:line ([0-9]+), column [0-9]+|end of document)\)", re.DOTALL)
_HEADING = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*(?:\.\s*([A-Za-z0-9_-]+)\s*)?=")
_KINDS = {"float": "a number with a point", "dict": "a table", "list": "a list of other things", "date": "a date",
          "time": "a time", "datetime": "a date"}


class Fault(NamedTuple):
    """What is wrong in a line (from 1; 0: in the file as a whole)."""

    line: int
    words: str


# reading


def read(text: str, present: Mapping[str, Mapping[str, str]] | None = None) -> Settings:
    """The settings of each component that the file names, with defaults; BadInput tells every fault with its line.

    `present`: settings of components that are set up already; those that the file does not name count as given.
    """
    data, faults = _parse(text)
    unread = bool(faults)
    lines = _lines(text)
    given: Settings = {}
    refused: set[tuple[str, str]] = set()
    for name, value in data.items():
        if not isinstance(value, dict):
            faults.append(Fault(_line(lines, name, ""), f"{printable(name)} stands outside of a table: settings are in "
                                                        f"[{'], ['.join(components.table())}]"))
            continue
        given[name] = {}
        for key, setting in value.items():
            try:
                given[name][key] = _as_text(setting)
            except ValueError as error:
                faults.append(Fault(_line(lines, name, key), f"{printable(name)}: {printable(key)}: {error}"))
                refused.add((name, key))
    if not given and not faults:
        faults.append(Fault(0, "it asks for nothing: it has no tables (qrm install answers prints a complete file)"))
    others = {name: dict(settings) for name, settings in (present or {}).items() if name not in given}
    kept, wrong = components.check({**given, **others})
    for item in wrong:
        missing = bool(item.key) and item.key not in given.get(item.component, {})
        # told already, or perhaps what stands in a line that cannot be read
        if item.component in others or (item.component, item.key) in refused or (missing and unread):
            continue
        named = f"{printable(item.component)}: {printable(item.key)}: " if item.key else ""
        faults.append(Fault(_line(lines, item.component, item.key), named + item.reason))
    if faults:
        raise BadInput(*(f"line {fault.line}: {fault.words}" if fault.line else f"answers: {fault.words}"
                         for fault in sorted(faults, key=lambda fault: fault.line)))
    return {name: kept[name] for name in given}


def _parse(text: str) -> tuple[dict[str, Any], list[Fault]]:
    """What TOML reads, without the lines that it cannot."""
    lines = text.split("\n")
    faults: list[Fault] = []
    while True:
        try:
            return tomllib.loads("\n".join(lines)), faults
        except tomllib.TOMLDecodeError as error:
            match = _AT.fullmatch(str(error))
            at = min(int(match[2]) if match and match[2] else len(lines), len(lines))
            while at > 1 and not lines[at - 1].strip():
                at -= 1  # the end of the document: the last line that holds anything
            faults.append(Fault(at, printable(match[1] if match else str(error), 200)))
            if not lines[at - 1] or len(faults) >= _MOST_FAULTS:
                return {}, faults
            lines[at - 1] = ""
        except (ValueError, RecursionError):  # a number of 5000 digits, brackets in brackets
            return {}, [*faults, Fault(0, "it cannot be read: a number or a nesting that no answers file has")]


def _as_text(value: Any) -> str:
    """A setting as text: texts, whole numbers, yes and no, and lists of texts."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    raise ValueError(f"a text is wanted, not {_KINDS.get(type(value).__name__, 'this')}")


def _lines(text: str) -> dict[tuple[str, str], int]:
    """(table, key) → line; of a table its heading."""
    found: dict[tuple[str, str], int] = {}
    heading = ""
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADING.fullmatch(line):
            heading = match[1].strip("\"'")
            found.setdefault((heading, ""), number)
        elif match := _KEY.match(line):
            key = match[1].strip("\"'")
            if heading:
                found.setdefault((heading, key), number)
            else:
                found.setdefault((key, match[2] or ""), number)
                found.setdefault((key, ""), number)
    return found


def _line(lines: Mapping[tuple[str, str], int], table: str, key: str) -> int:
    return lines.get((table, key), lines.get((table, ""), 0))


# writing


class Network(NamedTuple):
    """What is known of the server's network."""

    interfaces: Mapping[str, tuple[str, ...]]
    route: Route | None
    resolver: Resolver


def compute(network: Network, interface: str = "") -> Settings:
    """Defaults for this machine; Refused says what is missing."""
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
        "router": router, "dns": ",".join(network.resolver.servers), "domain": network.resolver.domain,
    }
    return {name: {setting.name: computed[setting.name] if setting.computed else setting.default
                   for setting in component.settings} for name, component in components.table().items()}


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


def write(settings: Mapping[str, Mapping[str, str]]) -> str:
    """A complete answers file, each setting with what it is."""
    parts = ["# How this server is set up: qrm install run --answers FILE. A component whose table is taken out of\n"
             "# here stays as it is.\n"]
    for name, component in components.table().items():
        if name not in settings:
            continue
        parts.append(f"\n# {component.what}\n[{name}]\n")
        for setting in component.settings:
            value = settings[name].get(setting.name, "").replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f"# {setting.help}\n{setting.name} = \"{value}\"\n")
    return "".join(parts)
