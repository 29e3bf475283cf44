"""Xen's own tool, xl(1): it shows each domain, also those that libvirt does not know since somebody made them with it.

Format: `xl list --verbose` of Xen 4.17.0 (tests/fixtures/xl-list.txt).
"""
from __future__ import annotations

import re

from qrm_tui.core.partitions import DomainSeen, DomainState

LIST_ARGV = ("xl", "list", "--verbose")
#: Name, id, memory in MiB, CPUs, state, seconds of CPU time, UUID. A name may hold blanks.
_ROW = re.compile(r"^(\S.*?) +(\d+) +(\d+) +(\d+) +([r-][b-][p-][s-].[d-]) +([0-9.]+) +([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-"
                  r"[0-9a-f]{12})(?: |$)", re.MULTILINE)


def parse_list(text: str) -> tuple[DomainSeen, ...]:
    """The domains, but for the host's own system, and those that are going."""
    return tuple(DomainSeen(uuid=uuid, name=name, state=_state(flags), cpus=int(cpus), memory=int(memory) << 20,
                            cpu_time=float(used), persistent=False)
                 for name, number, memory, cpus, flags, used, uuid in _ROW.findall(text)
                 if number != "0" and flags[5] != "d")


def _state(flags: str) -> DomainState:
    """Of running, blocked, paused, shut down, why that (c: crashed), dying."""
    if flags[4] == "c":
        return "crashed"
    return "off" if flags[3] == "s" else "paused" if flags[2] == "p" else "running"
