"""How the server is set up for netboot: addresses that boot files name, read from its components' settings."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.errors import Refused
from qrm_tui.core.farm import Farm

#: The components without which no machine boots, and defaults of their settings that boot files need.
NEEDED = ("dhcpd", "tftpd", "apache", "node")
OPTIONS = "console=tty0 console=ttyS0,115200"
#: A fixed share for the first domain: what it would give up later is slow to come, and Xen wants some of its own.
HYPERVISOR = "dom0_mem=768M+5%,max:768M+5%"
HTTP_PORT, NODE_PORT = "80", "8640"
#: What reaches every machine of one network, whichever the kernel takes.
EVERYWHERE = "255.255.255.255"
#: Where apache serves the boot root, below its own.
HTTP_PATH = "/qrm/boot"


class BootSettings(NamedTuple):
    """What boot files say of the server."""

    #: its own address in the netboot network
    server: str
    #: URL of the boot root
    http: str
    #: URL of qrmd-node
    node: str
    #: kernel options that every machine gets
    options: str = OPTIONS
    #: options that every hypervisor gets
    hypervisor: str = HYPERVISOR

    @property
    def words(self) -> str:
        """The part of a kernel's command line that all machines share."""
        return self.words_with(self.options)

    def words_with(self, options: str) -> str:
        """The same with other options."""
        return " ".join(filter(None, (f"qrm.node={self.node}", f"qrm.http={self.http}", options)))


def find_boot_settings(farm: Farm) -> BootSettings | None:
    """The settings; None while a component is missing."""
    found: dict[str, ComponentWanted] = {}
    for name in NEEDED:
        item = farm.find("component", name)
        if item is None:
            return None
        found[name] = item.wanted
    server = found["dhcpd"].settings.get("address", "").partition("/")[0]
    if not server:
        return None
    port, node = (found[name].settings.get("port", default)
                  for name, default in (("apache", HTTP_PORT), ("node", NODE_PORT)))
    options, hypervisor = (" ".join(found["tftpd"].settings.get(name, default).split())
                           for name, default in (("options", OPTIONS), ("hypervisor", HYPERVISOR)))
    return BootSettings(server, f"http://{server}{'' if port == HTTP_PORT else f':{port}'}{HTTP_PATH}",
                        f"http://{server}:{node}", options, hypervisor)


def free_addresses(farm: Farm, coming: Iterable[str] = ()) -> Iterator[str]:
    """Addresses for machines (the dhcpd component's setting `machines`) that nobody has; `coming`: nor will have."""
    dhcpd = farm.find("component", "dhcpd")
    settings: Mapping[str, str] = dhcpd.wanted.settings if dhcpd else {}
    first, _, last = settings.get("machines", "").partition("-")
    try:
        start, end = int(IPv4Address(first.strip())), int(IPv4Address(last.strip()))
    except ValueError:
        return iter(())
    used = {item.wanted.address for item in farm.all("resource")} | set(coming)
    used |= {settings.get(word, "").partition("/")[0] for word in ("address", "router")}
    return (address for number in range(start, end + 1) if (address := str(IPv4Address(number))) not in used)


def broadcast_address(farm: Farm) -> str:
    """What reaches every machine of the netboot network; of all networks, while the server is not set up."""
    dhcpd = farm.find("component", "dhcpd")
    subnet = dhcpd.wanted.settings.get("subnet", "") if dhcpd else ""
    return str(IPv4Network(subnet, strict=False).broadcast_address) if subnet else EVERYWHERE


def boot_settings(farm: Farm) -> BootSettings:
    """The settings; Refused while the server is not set up for netboot."""
    settings = find_boot_settings(farm)
    if settings is None:
        raise Refused("the server is not set up for netboot: qrm install run")
    return settings
