"""The stages of a boot: apart from what else is known of resources, because screens start without msgspec."""
from __future__ import annotations

#: How far a boot is: `dhcp` an address was asked for, `loader` a boot loader was fetched, `kernel` the kernel was,
#: `agent` the initramfs speaks, `root` it mounts its root file system, `system` that has taken over.
STAGES = ("dhcp", "loader", "kernel", "agent", "root", "system")
