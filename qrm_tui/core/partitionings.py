"""How virtual environments slice their machines into partitions, and what that needs of a boot-image."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the command line's help knows these words, and not those objects
    from qrm_tui.core.partitions import Technology

#: What a boot-image starts: a kernel, or Xen with the kernel as its first domain.
BootImageType = Literal["linux", "xen"]
#: Empty: not at all.
Partitioning = Literal["", "xen"]
#: Each way to slice machines → the type of boot-image that it needs; without any it is `linux`.
PARTITIONINGS: Mapping[str, BootImageType] = {"xen": "xen"}
#: Each way → how libvirt calls it (`partitions.Technology`).
TECHNOLOGIES: Mapping[str, Technology] = {"xen": "xen-pv"}
#: On virtualization hosts the bridge that has the machine's address, and on which partitions hang.
BRIDGE = "qrm0"
#: The hypervisor in a boot-image: what boot loaders of BIOS machines start, and what UEFI does.
XEN, XEN_EFI = "xen.gz", "xen.efi"
