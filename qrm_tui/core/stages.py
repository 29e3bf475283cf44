"""The stages of a boot: apart from what else is known of resources, because screens start without msgspec."""
from __future__ import annotations

from collections.abc import Mapping

#: How far a boot is: `dhcp` an address was asked for, `loader` a boot loader was fetched, `kernel` the kernel was,
#: `agent` the initramfs speaks, `root` it mounts its root file system, `system` that has taken over.
STAGES = ("dhcp", "loader", "kernel", "agent", "root", "system")


def passed(before: Mapping[str, float], stage: str, at: float) -> dict[str, float]:
    """When each stage of a boot began (seconds since the epoch), now that it is in this one since `at`.

    A stage that was there already, or an earlier one than the last, is the first that was seen of another boot.
    """
    if stage not in STAGES:
        return {}
    if before.get(stage) == at:
        return dict(before)
    another = any(STAGES.index(name) >= STAGES.index(stage) for name in before if name in STAGES)
    return {**({} if another else before), stage: at}
