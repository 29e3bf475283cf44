"""A machine's first words on the wire: a raw DHCP client (RFC 2131), for as many cards as one likes on one interface.

A program that runs in the lab's namespace: `python -I dhcp_client.py INTERFACE`; each line of standard input is a
question in JSON, each line of standard output its answer (null where nobody offered anything in time).
"""
from __future__ import annotations

import json
import socket
import struct
import sys
import time
from typing import Any

_COOKIE = b"\x63\x82\x53\x63"
_BROADCAST = b"\xff" * 6
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def frame(kind: int, mac: bytes, transaction: int, options: bytes) -> bytes:
    """An Ethernet frame with a DHCP message to everybody."""
    message = struct.pack("!BBBBIHH4s4s4s4s16s192x", 1, 1, 6, 0, transaction, 0, 0x8000, b"\0" * 4, b"\0" * 4,
                          b"\0" * 4, b"\0" * 4, mac) + _COOKIE + _option(53, bytes((kind,))) + options + b"\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\0" * 4, _BROADCAST[:4])
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    return _BROADCAST + mac + b"\x08\x00" + header + udp


def parse(packet: bytes) -> dict[str, Any] | None:
    """A server's message; None for anything else."""
    if len(packet) < 282 or packet[12:14] != b"\x08\x00" or packet[23] != 17:
        return None
    message = packet[14 + (packet[14] & 15) * 4 + 8:]
    if message[0] != 2 or message[236:240] != _COOKIE:
        return None
    options: dict[int, bytes] = {}
    at = 240
    while at < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        length = message[at + 1]
        options[message[at]] = message[at + 2: at + 2 + length]
        at += 2 + length
    return {
        "kind": options[53][0], "transaction": struct.unpack("!I", message[4:8])[0],
        "address": socket.inet_ntoa(message[16:20]), "next": socket.inet_ntoa(message[20:24]),
        "file": message[108:236].split(b"\0")[0].decode() or options.get(67, b"").rstrip(b"\0").decode(),
        "server": socket.inet_ntoa(options[54]), "router": socket.inet_ntoa(options[3][:4]) if 3 in options else "",
        "dns": socket.inet_ntoa(options[6][:4]) if 6 in options else "", "vendor": options.get(60, b"").decode(),
    }


def ask(line: socket.socket, question: dict[str, Any]) -> dict[str, Any] | None:
    """DISCOVER, and if an offer comes within `seconds`, REQUEST; the acknowledged lease."""
    mac = bytes.fromhex(question["mac"].replace(":", ""))
    transaction = int.from_bytes(mac[2:], "big") ^ (time.monotonic_ns() & 0xFFFFFF)
    options = _option(55, bytes((1, 3, 6, 15, 54, 60, 66, 67)))
    if question.get("vendor"):
        options += _option(60, question["vendor"].encode())
    if question.get("arch") is not None:
        options += _option(93, struct.pack("!H", question["arch"]))
    if question.get("user_class"):
        options += _option(77, question["user_class"].encode())
    deadline = time.monotonic() + question.get("seconds", 10)
    kind = DISCOVER
    line.send(frame(kind, mac, transaction, options))
    while (left := deadline - time.monotonic()) > 0:
        line.settimeout(left)
        try:
            answer = parse(line.recv(65536))
        except TimeoutError:
            return None
        if answer is None or answer["transaction"] != transaction:
            continue
        if kind == DISCOVER and answer["kind"] == OFFER:
            kind = REQUEST
            server = question.get("server") or answer["server"]
            line.send(frame(kind, mac, transaction, options + _option(50, socket.inet_aton(answer["address"]))
                            + _option(54, socket.inet_aton(server))))
        elif kind == REQUEST and answer["kind"] == ACK:
            return answer
    return None


def main() -> None:
    line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    line.bind((sys.argv[1], 0x0800))
    for text in sys.stdin:
        print(json.dumps(ask(line, json.loads(text))), flush=True)


if __name__ == "__main__":
    main()
