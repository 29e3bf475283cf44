"""An IPv6 router on the lab's wire that has no network to offer: it says so to who asks.

A process of its own: `python router.py INTERFACE`. Without one iPXE waits some 13 s for an answer (RFC 4861, 6.3.7)
before it goes on with the IPv4 address that it has long had, at each boot.
"""

from __future__ import annotations

import socket
import struct
import sys

ICMPV6, SOLICITATION, ADVERTISEMENT = 58, 133, 134
FILTER = 1
"""Socket option ICMP6_FILTER (RFC 3542, 3.2): a bit for each type that does not pass."""
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
HOPS = 255
"""What came over a router counts for nothing (RFC 4861, 6.1.2)."""
NOTHING = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)
"""No flags, a router for 0 seconds, no prefixes; the kernel adds the checksum."""


def main(interface: str) -> None:
    index = socket.if_nametoindex(interface)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, ICMPV6) as line:
        passes = bytearray(b"\xff" * 32)
        passes[SOLICITATION // 32 * 4 : SOLICITATION // 32 * 4 + 4] = struct.pack(
            "=I", 0xFFFFFFFF ^ 1 << SOLICITATION % 32
        )
        line.setsockopt(ICMPV6, FILTER, bytes(passes))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        line.setsockopt(
            socket.IPPROTO_IPV6,
            socket.IPV6_JOIN_GROUP,
            socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("@I", index),
        )
        while True:
            line.recv(1500)
            line.sendto(NOTHING, (ALL_NODES, 0))


if __name__ == "__main__":
    main(sys.argv[1])
