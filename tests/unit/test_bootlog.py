"""Lines of the journal as steps of boots, and hostile ones as nothing."""
from __future__ import annotations

import json

import pytest

from qrm_tui.backends.bootlog import Step, parse_entry, parse_line

MAC = "52:54:00:77:00:20"


@pytest.mark.parametrize(("tag", "message", "step"), [
    ("dhcpd", f"qrm pxe {MAC} arch 7", Step("dhcp", mac=MAC)),
    ("dhcpd", f"DHCPACK on 10.77.0.100 to {MAC} via br0", Step("", mac=MAC, address="10.77.0.100")),
    ("dhcpd", f"DHCPACK on 10.77.0.100 to {MAC} (web1) via br0", Step("", mac=MAC, address="10.77.0.100")),
    ("in.tftpd", "RRQ from 10.77.0.100 filename pxelinux.0", Step("loader", address="10.77.0.100")),
    ("in.tftpd", "RRQ from ::ffff:10.77.0.100 filename /pxelinux.cfg/01-52-54-00-77-00-20",
     Step("loader", mac=MAC, address="10.77.0.100")),
    ("in.tftpd", "RRQ from 10.77.0.100 filename images/idle/vmlinuz", Step("kernel", address="10.77.0.100")),
    ("in.tftpd", "RRQ from 10.77.0.100 filename images/xen/xen.gz", Step("kernel", address="10.77.0.100")),
    ("qrm-http", "10.77.0.100 GET /qrm/boot/images/xen/xen.efi 200 300", Step("kernel", address="10.77.0.100")),
    ("qrm-http", "10.77.0.101 GET /qrm/boot/ipxe/boot.ipxe 200 312", Step("loader", address="10.77.0.101")),
    ("qrm-http", "10.77.0.101 GET /qrm/boot/ipxe/52-54-00-77-00-20.ipxe 200 312",
     Step("loader", mac=MAC, address="10.77.0.101")),
    ("qrm-http", "10.77.0.101 GET /qrm/boot/images/debian12/initrd.img 200 4676381",
     Step("kernel", address="10.77.0.101")),
])
def test_what_a_line_tells(tag: str, message: str, step: Step) -> None:
    assert parse_line(tag, message) == step
    assert parse_entry(json.dumps({"SYSLOG_IDENTIFIER": tag, "MESSAGE": message, "__CURSOR": "s=1"})) == step


@pytest.mark.parametrize(("tag", "message"), [
    ("dhcpd", f"DHCPDISCOVER from {MAC} via br0"),  # who is no PXE client is none of ours
    ("dhcpd", f"qrm pxe {MAC} arch 7; reboot"),
    ("dhcpd", "qrm pxe 52:54:00:77:00 arch 7"),
    ("dhcpd", f"DHCPACK on {MAC} to 10.0.0.1 via br0"),
    ("in.tftpd", "RRQ from 10.77.0.100 filename ../../etc/shadow"),
    ("in.tftpd", "RRQ from 10.77.0.100 filename images/idle/../../vmlinuz"),
    ("in.tftpd", "RRQ from 10.77.0.100 filename " + "a" * 5000),
    ("in.tftpd", "sending NAK (1, File not found) to 10.77.0.100"),
    ("qrm-http", "10.77.0.101 GET /qrm/boot/images/debian12/initrd.img 404 20"),
    ("qrm-http", "10.77.0.101 GET /qrm/boot/nonce/52-54-00-77-00-20 200 33"),
    ("qrm-http", "10.77.0.101 POST /qrm/boot/ipxe/boot.ipxe 200 33"),
    ("sshd", f"qrm pxe {MAC} arch 7"),
])
def test_what_tells_nothing(tag: str, message: str) -> None:
    assert parse_line(tag, message) is None


@pytest.mark.parametrize("line", [
    "", "{", "[]", "null", '"dhcpd"', '{"MESSAGE": "x"}', '{"SYSLOG_IDENTIFIER": "dhcpd", "MESSAGE": [113, 114]}',
    '{"SYSLOG_IDENTIFIER": ["dhcpd", "dhcpd"], "MESSAGE": "x"}', '{"SYSLOG_IDENTIFIER": "dhcpd", "MESSAGE": null}',
    "[" * 100_000, json.dumps({"SYSLOG_IDENTIFIER": "dhcpd", "MESSAGE": f"qrm pxe {MAC} arch 0" + " " * 3000}),
])
def test_nonsense_is_no_entry(line: str) -> None:
    assert parse_entry(line) is None
