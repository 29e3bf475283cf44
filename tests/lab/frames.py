"""Frames that a card's owner may send, and those that nobody should get to see; sent raw, and watched for.

A program that runs in the lab's namespace: `python -I frames.py`; standard input is one question in JSON (`card`, its
`frames` by name and a `fence` as hex, `witnesses`), standard output the answer: name → the witnesses that saw it. The
fence is a frame that passes, sent last on the same way: what was not seen before it does not come any more. Without
`card` somebody else sends them, after the line `ready`.
"""
from __future__ import annotations

import ctypes
import itertools
import json
import os
import socket
import struct
import sys
import time

EVERYBODY = b"\xff" * 6
IP, ARP, RARP, VLAN, PROVIDER_VLAN, IPV6 = 0x0800, 0x0806, 0x8035, 0x8100, 0x88A8, 0x86DD
TCP, UDP, ICMPV6 = 6, 17, 58
PATIENCE = 120.0
"""Seconds until the fence must have come."""
SHORTEST = 60
"""Bytes of a frame, without its checksum."""
_numbers = itertools.count(1)
"""Of IP packets, which are told from each other by them."""


def ether(source: bytes, kind: int, payload: bytes, target: bytes = EVERYBODY) -> bytes:
    return target + source + struct.pack("!H", kind) + payload


def tagged(frame: bytes, tag: int, kind: int = VLAN) -> bytes:
    """The same frame in a VLAN (IEEE 802.1Q); tag 0 is a priority alone."""
    return frame[:12] + struct.pack("!HH", kind, tag) + frame[12:]


def arp(operation: int, mac: bytes, address: str, asked: str) -> bytes:
    return struct.pack("!HHBBH6s4s6s4s", 1, IP, 6, 4, operation, mac, socket.inet_aton(address), b"",
                       socket.inet_aton(asked))


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(source: str, payload: bytes, *, target: str = "255.255.255.255", protocol: int = UDP, part: int = 0,
       options: bytes = b"", length: int | None = None) -> bytes:
    """An IPv4 packet; `part`: flags and offset of a fragment; `length`: another one than it has."""
    words = 5 + len(options) // 4
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload) if length is None else length,
                         next(_numbers), part, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(target))
    header += options
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + payload


def udp(source: int, target: int, payload: bytes = b"words") -> bytes:
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def dhcp(mac: bytes, *, answer: bool = False, relay: str = "0.0.0.0") -> bytes:
    """A DHCP message (RFC 2131): a discovery, or an offer of an address."""
    offered = socket.inet_aton("10.77.0.66" if answer else "0.0.0.0")
    return struct.pack("!BBBBIHH4s4s4s4s16s192x", 2 if answer else 1, 1, 6, 0, 7, 0, 0x8000, b"", offered, b"",
                       socket.inet_aton(relay), mac) + b"\x63\x82\x53\x63\x35\x01" + bytes((2 if answer else 1, 255))


def ipv6(protocol: int, payload: bytes) -> bytes:
    """From a link-local address to all nodes."""
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 255, b"\xfe\x80" + b"\0" * 13 + b"\x01",
                       b"\xff\x02" + b"\0" * 13 + b"\x01") + payload


def allowed(mac: bytes, address: str, other: str) -> dict[str, bytes]:
    """What a partition sends with its own MAC and address."""
    own = {
        "ARP request": (ARP, arp(1, mac, address, other)), "ARP reply": (ARP, arp(2, mac, address, other)),
        "ARP probe": (ARP, arp(1, mac, "0.0.0.0", address)),
        "DHCP discovery": (IP, ip("0.0.0.0", udp(68, 67, dhcp(mac)))),
        "DHCP renewal": (IP, ip(address, udp(68, 67, dhcp(mac)), target=other)),
        "UDP": (IP, ip(address, udp(4000, 4000))), "TCP": (IP, ip(address, b"\0" * 20, protocol=TCP)),
        "first fragment": (IP, ip(address, udp(4000, 4000, b"\0" * 8), part=0x2000)),
        "last fragment": (IP, ip(address, b"\0" * 16, part=2)),
        "last fragment that reads like an offer": (IP, ip(address, udp(67, 68), part=2)),
        "UDP with IP options": (IP, ip(address, udp(4000, 4000), options=b"\x01" * 4)),
    }
    return {name: ether(mac, *what) for name, what in own.items()}


def forged(mac: bytes, address: str, other_mac: bytes, other: str) -> dict[str, bytes]:
    """What root in a partition might try."""
    offer, words = dhcp(other_mac, answer=True), udp(4000, 4000)
    own = {
        "ARP reply for another's address": (ARP, arp(2, mac, other, address)),
        "ARP request from another's address": (ARP, arp(1, mac, other, address)),
        "ARP reply with another's MAC": (ARP, arp(2, other_mac, address, other)),
        "ARP reply from nobody": (ARP, arp(2, mac, "0.0.0.0", other)),
        "UDP from another's address": (IP, ip(other, words)),
        "UDP from no address": (IP, ip("0.0.0.0", words)),
        "last fragment from another's address": (IP, ip(other, b"\0" * 16, part=2)),
        "TCP from another's address": (IP, ip(other, b"\0" * 20, protocol=TCP)),
        "DHCP offer": (IP, ip(address, udp(67, 68, offer))),
        "DHCP offer from another's address": (IP, ip(other, udp(67, 68, offer))),
        "DHCP offer from a free port": (IP, ip(address, udp(4000, 68, offer))),
        "DHCP offer to a relay": (IP, ip(address, udp(67, 67, offer))),
        "DHCP offer with IP options": (IP, ip(address, udp(67, 68, offer), options=b"\x01" * 4)),
        "DHCP offer, first fragment": (IP, ip(address, udp(67, 68, offer)[:64], part=0x2000)),
        "UDP from a DHCP server's port": (IP, ip(address, udp(67, 4000))),
        "DHCP offer that is cut": (IP, ip(address, udp(67, 68, offer)[:8])),
        "DHCP discovery for another's MAC": (IP, ip("0.0.0.0", udp(68, 67, dhcp(other_mac)))),
        "DHCP renewal for another's MAC": (IP, ip(address, udp(68, 67, dhcp(other_mac)))),
        "DHCP discovery as a relay": (IP, ip("0.0.0.0", udp(68, 67, dhcp(mac, relay=address)))),
        "IPv6 router advertisement": (IPV6, ipv6(ICMPV6, b"\x86" + b"\0" * 15)),
        "DHCPv6 advertisement": (IPV6, ipv6(UDP, udp(547, 546))),
        "RARP": (RARP, arp(4, mac, other, address)), "an experiment": (0x88B5, b"\0" * 46),
        "LLC": (38, b"\x42\x42\x03" + b"\0" * 35),
    }
    return {
        **{name: ether(mac, *what) for name, what in own.items()},
        "UDP with another's MAC": ether(other_mac, IP, ip(address, words)),
        "another's MAC and address": ether(other_mac, IP, ip(other, words)),
        "ARP reply with another's MAC and address": ether(other_mac, ARP, arp(2, other_mac, other, address)),
        "a VLAN": tagged(ether(mac, IP, ip(address, words)), 5),
        "a priority": tagged(ether(mac, IP, ip(address, words)), 0xE000),
        "a provider's VLAN": tagged(ether(mac, IP, ip(address, words)), 5, PROVIDER_VLAN),
        "a VLAN in a VLAN": tagged(tagged(ether(mac, IP, ip(address, words)), 6), 5),
        "ARP in a VLAN": tagged(ether(mac, ARP, arp(1, mac, address, other)), 5),
    }


def crooked(mac: bytes, address: str, other_mac: bytes) -> dict[str, bytes]:
    """DHCP offers for one card alone, in packets that are none: some clients read whatever comes."""
    offer = udp(67, 68, dhcp(other_mac, answer=True))
    own = {
        "longer than it is": ip(address, offer, length=9000),
        "shorter than its header": ip(address, offer, length=8),
        "a wrong version": b"\x65" + ip(address, offer)[1:],
        "a short header": b"\x43" + ip(address, offer)[1:],
    }
    return {name: ether(mac, IP, packet, other_mac) for name, packet in own.items()}


def _as_seen(frame: bytes) -> bytes:
    """A raw socket shows the outer tag of a VLAN apart from the frame."""
    kind = int.from_bytes(frame[12:14], "big")
    return (frame[:12] + frame[16:] if kind in (VLAN, PROVIDER_VLAN) else frame).ljust(SHORTEST, b"\0")


def _only_from(line: socket.socket, frames: list[bytes]) -> None:
    """It hears nothing else: beside a cable's other traffic its buffer would lose some of them (bpf(4), socket(7))."""
    sources = sorted({int.from_bytes(frame[8:12], "big") for frame in frames})
    tests = [(0x15, len(sources) - number, 0, source) for number, source in enumerate(sources)]
    code = b"".join(struct.pack("HBBI", *one) for one in ((0x20, 0, 0, 8), *tests, (6, 0, 0, 0), (6, 0, 0, 65535)))
    held = ctypes.create_string_buffer(code)
    line.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(code) // 8, ctypes.addressof(held)))


def watch(card: str | None, frames: dict[str, bytes], fence: bytes, witnesses: list[str]) -> dict[str, list[str]]:
    """A bridge may cut off what lies behind a packet's end, and some of its witnesses see what is shorter."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # each processor has a queue of its own
    lines = {}
    for name in witnesses:
        lines[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        _only_from(lines[name], [*frames.values(), fence])
        lines[name].bind((name, 0))
    if card is None:
        print("ready", flush=True)
    else:
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        out.bind((card, 0))
        for frame in (*frames.values(), fence):
            out.send(frame.ljust(SHORTEST, b"\0"))
    due = {name: _as_seen(frame) for name, frame in frames.items()}
    seen: dict[str, list[str]] = {name: [] for name in frames}
    deadline = time.monotonic() + PATIENCE
    for witness, line in lines.items():
        while True:
            line.settimeout(max(0.001, deadline - time.monotonic()))
            came = line.recv(65536)[:SHORTEST]
            if _as_seen(fence).startswith(came):
                break
            for name in [name for name, frame in due.items() if frame.startswith(came)]:
                seen[name].append(witness)
    return seen


def main() -> None:
    asked = json.load(sys.stdin)
    frames = {name: bytes.fromhex(frame) for name, frame in asked["frames"].items()}
    print(json.dumps(watch(asked.get("card"), frames, bytes.fromhex(asked["fence"]), asked["witnesses"])))


if __name__ == "__main__":
    main()
