"""What is installed on a simulated machine and runs there."""
from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Software:
    """Packages, services, and what they hold in memory or in files of their own."""

    #: installed packages → version
    packages: dict[str, str] = field(default_factory=dict)
    #: package → those that it needs, and brings along
    needs: dict[str, set[str]] = field(default_factory=dict)
    #: packages that came along with others
    along: set[str] = field(default_factory=set)
    #: units that run
    active: set[str] = field(default_factory=set)
    #: units whose last start failed
    failed: set[str] = field(default_factory=set)
    #: network interface → IPv4 address with prefix
    interfaces: dict[str, str] = field(default_factory=dict)
    #: sockets of programs that are no component: (protocol, address and port, program)
    others: list[tuple[str, str, str]] = field(default_factory=list)
    #: physical volumes and groups that fixes of the server made: (pv or vg, name)
    made: set[tuple[str, str]] = field(default_factory=set)
    #: what dhcpd was told by OMAPI (its leases file keeps it): name → (MAC, address)
    hosts: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: databases in MariaDB, here or elsewhere: HOST/NAME
    databases: set[str] = field(default_factory=set)
