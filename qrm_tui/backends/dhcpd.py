"""ISC dhcpd: words of its configuration, fixed addresses while it runs, and what it says of other servers.

Formats: dhcpd.conf(5), dhcp-options(5), omapi(3), omshell(1), and the log of dhcpd 4.4.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from qrm_tui.backends.rendering import render
from qrm_tui.core.address_ranges import parse_network, parse_range
from qrm_tui.core.places import templates_folder

CONFIGURATION = "/etc/dhcp/qrm.conf"
#: Fixed addresses for its next start; kept up to date by the server, not by plans.
HOSTS = "/etc/dhcp/qrm-hosts.conf"
#: The key that dhcpd and omshell share: made on the server, readable by root alone, never in a plan or a log.
KEY = "/etc/dhcp/qrm-key.conf"
#: The admin's own, read last where it is there; never changed.
LOCAL = "/etc/dhcp/local.conf"


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
