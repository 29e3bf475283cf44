"""Whether settings fit the machine that is set up: its addresses, and who listens there already."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface
from typing import NamedTuple

from qrm_tui.core.component_table import table
from qrm_tui.core.names import printable, there_are
from qrm_tui.core.settings import Settings, Wrong
from qrm_tui.core.units import format_size

#: Free bytes of a volume group that is good for filesystem-images: a small system takes nearly as much.
LEAST_GROUP = 1 << 30


class Taken(NamedTuple):
    """A port that programs listen on where machines would ask."""

    protocol: str
    port: str
    programs: tuple[str, ...]


class Surroundings(NamedTuple):
    """What settings depend on; without anything everything fits."""

    #: network interface → its addresses with prefixes
    interfaces: Mapping[str, Sequence[str]] = {}
    taken: Sequence[Taken] = ()
    #: volume group → its free bytes; None: it is not known
    groups: Mapping[str, int] | None = None


def unfit(kept: Settings, around: Surroundings) -> list[Wrong]:
    """What is right by itself and is not possible on this machine, of components with these settings."""
    wrong = _addresses(kept["dhcpd"], around.interfaces) if "dhcpd" in kept and around.interfaces else []
    if "lvm-mgmt" in kept and around.groups is not None:
        wrong += _group(kept["lvm-mgmt"]["group"], around.groups)
    for name, settings in kept.items():
        for port in table()[name].ports:
            number = port.port.format(**settings)
            for one in around.taken:
                owners = [program for program in one.programs if program not in (port.process, "systemd")]
                if (one.protocol, one.port) == (port.protocol, number) and owners and port.process:
                    key = port.port.strip("{}") if port.port.startswith("{") else ""
                    other = "take another port" if key else f"leave {name} out"
                    wrong.append(Wrong(name, key, f"{number}/{port.protocol} is {printable(', '.join(owners))}'s now: "
                                                  f"stop that, or {other}"))
    return wrong


def _addresses(settings: Mapping[str, str], interfaces: Mapping[str, Sequence[str]]) -> list[Wrong]:
    interface, address, subnet = settings["interface"], settings["address"], settings["subnet"]
    there = interfaces.get(interface)
    if there is None:
        return [Wrong("dhcpd", "interface", f"there is no {interface}; {printable(there_are(interfaces))}")]
    if f"{address}/{subnet.partition('/')[2]}" in there:
        return []
    own = next((text for text in there if text.partition("/")[0] == address), "")
    if own:
        return [Wrong("dhcpd", "subnet", f"{interface} has {own}: its network is {IPv4Interface(own).network}")]
    return [Wrong("dhcpd", "address", f"{interface} has {', '.join(there) or 'no address'}: take that, or give it this "
                                      "one first, for good")]


def _group(group: str, groups: Mapping[str, int]) -> list[Wrong]:
    if not group or groups.get(group, 0) >= LEAST_GROUP:
        return []
    if group in groups:
        return [Wrong("lvm-mgmt", "group", f"{group} has only {format_size(groups[group])} free: an image takes "
                                           f"{format_size(LEAST_GROUP)} at least")]
    there = printable(there_are(groups, "there is none; a check offers to make one"))
    return [Wrong("lvm-mgmt", "group", f"there is no volume group {printable(group)}: {there}")]
