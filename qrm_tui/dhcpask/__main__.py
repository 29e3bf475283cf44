"""`python -m qrm_tui.dhcpask INTERFACE`: a line for each DHCP server that offers an address there, within some seconds.

A line is `SERVER OFFERED`, both IPv4 addresses. It asks with the card's own address and takes nothing (RFC 2131: an
offer that is not asked for is free again).
"""
from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Servers look whether an address is free before they offer it: dhcpd for a second (dhcpd.conf(5), ping-check),
#: dnsmasq for three (PING_WAIT in its config.h).
_SECONDS = 4.5
_COOKIE = b"\x63\x82\x53\x63"
_EVERYBODY = b"\xff" * 6
_IPV4 = 0x0800
_DISCOVER, _OFFER = 1, 2
_KIND, _WISHES, _SERVER, _END = 53, 55, 54, 255


def checksum(data: bytes) -> int:
    """Of an IPv4 header (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def discover(mac: bytes, transaction: int) -> bytes:
    """An Ethernet frame that asks everybody for an address; answers come to everybody, too."""
    message = struct.pack("!BBBBIHH16x16s192x", 1, 1, 6, 0, transaction, 0, 0x8000, mac) + _COOKIE
    message += bytes((_KIND, 1, _DISCOVER, _WISHES, 2, 1, 3, _END))
    message = message.ljust(300, b"\0")   # shorter ones are not answered by all (RFC 1542)
    udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0, b"\0" * 4,
                         _EVERYBODY[:4])
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return _EVERYBODY + mac + struct.pack("!H", _IPV4) + header + udp


def offer(frame: bytes, transaction: int) -> tuple[str, str] | None:
    """Server and address of an offer that answers this question; None for anything else on the wire."""
    if len(frame) < 14 + 20 + 8 + 240 or frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
        return None
    message = frame[14 + (frame[14] & 15) * 4 + 8:]
    if len(message) < 240 or message[0] != 2 or message[236:240] != _COOKIE:
        return None
    if struct.unpack("!I", message[4:8])[0] != transaction:
        return None
    options = dict(_options(message[240:]))
    if options.get(_KIND) != bytes((_OFFER,)) or len(options.get(_SERVER, b"")) != 4:
        return None
    return socket.inet_ntoa(options[_SERVER]), socket.inet_ntoa(message[16:20])


def _options(rest: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(rest) and rest[at] != _END:
        if rest[at] == 0:
            at += 1
            continue
        yield rest[at], rest[at + 2: at + 2 + rest[at + 1]]
        at += 2 + rest[at + 1]


def main() -> None:
    """Ask, and print what comes."""
    interface = sys.argv[1]
    mac = bytes.fromhex(Path(f"/sys/class/net/{interface}/address").read_text().strip().replace(":", ""))
    transaction = time.monotonic_ns() & 0xFFFFFFFF
    try:
        line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IPV4))
        line.bind((interface, _IPV4))
        line.send(discover(mac, transaction))
    except OSError as error:
        sys.exit(f"{interface}: {error.strerror}")
    told, deadline = set(), time.monotonic() + _SECONDS
    while (left := deadline - time.monotonic()) > 0:
        line.settimeout(left)
        try:
            found = offer(line.recv(65536), transaction)
        except TimeoutError:
            break
        if found and found not in told:
            told.add(found)
            print(*found, flush=True)


if __name__ == "__main__":
    main()
