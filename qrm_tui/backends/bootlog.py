"""What the server's journal tells of machines that boot: lines of dhcpd, in.tftpd and apache, as the steps they are.

Formats: dhcpd 4.4's log, with the line of our own configuration (`qrm pxe MAC arch N`); tftpd-hpa 5.2's (`RRQ from
ADDRESS filename NAME`); our log of apache (`ADDRESS METHOD PATH STATUS BYTES`); journalctl(1), --output json. Machines
cause these lines, so they may say anything.
"""
from __future__ import annotations

import json
import re
from typing import NamedTuple

from qrm_tui.backends import dhcpd
from qrm_tui.core.netboot import HTTP_PATH

#: Programs whose lines count; who else writes into the journal is not heard.
TAGS = ("dhcpd", "in.tftpd", "qrm-http")
ARGV = ("journalctl", "--follow", "--output", "json", "--lines", "0", "--output-fields", "MESSAGE,SYSLOG_IDENTIFIER",
        *(word for tag in TAGS for word in ("--identifier", tag)))
#: A line of the journal longer than this is nonsense; the runner gives no more than 2,000 characters.
_LONGEST = 2000

_MAC = r"([0-9a-f]{2}(?::[0-9a-f]{2}){5})"
_ADDRESS = r"([0-9]{1,3}(?:\.[0-9]{1,3}){3})"
_PXE = re.compile(rf"qrm pxe {_MAC} arch [0-9]{{1,5}}$")
_LEASE = re.compile(rf"DHCPACK on {_ADDRESS} to {_MAC} (?:\([^)]*\) )?via ")
_TFTP = re.compile(rf"RRQ from (?:::ffff:)?{_ADDRESS} filename /?(\S{{1,200}})$")
_HTTP = re.compile(rf"(?:::ffff:)?{_ADDRESS} GET {HTTP_PATH}/(\S{{1,200}}) (200|206|304) ")
#: Files by MAC, and those of boot-images.
_OWN = re.compile(r"(?:pxelinux\.cfg/01-|ipxe/)([0-9a-f]{2}(?:-[0-9a-f]{2}){5})(?:\.ipxe)?$")
_KERNEL = re.compile(r"images/[^/]+/(?:vmlinuz|initrd\.img|xen\.gz|xen\.efi)$")
_LOADER = re.compile(
    r"(?:l?pxelinux\.0|snponly\.efi|undionly\.kpxe|ldlinux\.c32|mboot\.c32|pxelinux\.cfg/\S+|ipxe/\S+)$")


class Step(NamedTuple):
    """Something that a machine did. Whichever of MAC and address the line names."""

    #: a stage of core.resources.STAGES; empty: an address was given, which is no stage
    stage: str
    mac: str = ""
    address: str = ""
    #: the DHCP server whose offer it takes
    server: str = ""


def parse_line(tag: str, message: str) -> Step | None:
    """What a program's line tells of a machine; None: nothing."""
    if tag == "dhcpd":
        if match := _PXE.search(message):
            return Step("dhcp", mac=match[1])
        if match := _LEASE.search(message):
            return Step("", mac=match[2], address=match[1])
        if (request := dhcpd.parse_request(message)) and request.server:
            return Step("", mac=request.mac, server=request.server)
    elif tag == "in.tftpd":
        if match := _TFTP.search(message):
            return _fetched(match[1], match[2])
    elif tag == "qrm-http" and (match := _HTTP.match(message)):
        return _fetched(match[1], match[2])
    return None


def _fetched(address: str, path: str) -> Step | None:
    own = _OWN.fullmatch(path)
    if own:
        return Step("loader", mac=own[1].replace("-", ":"), address=address)
    if _KERNEL.fullmatch(path):
        return Step("kernel", address=address)
    return Step("loader", address=address) if _LOADER.fullmatch(path) else None


def parse_entry(line: str) -> Step | None:
    """An entry of the journal, as JSON; nonsense tells nothing."""
    if len(line) > _LONGEST:
        return None
    try:
        entry = json.loads(line)
        tag, message = entry["SYSLOG_IDENTIFIER"], entry["MESSAGE"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(tag, str) or not isinstance(message, str):
        return None  # bytes that are no text come as a list of numbers
    return parse_line(tag, message)
