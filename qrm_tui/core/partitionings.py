"""How virtual environments slice their machines into partitions, and what that needs of a boot-image."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from qrm_tui.core.units import format_size

if TYPE_CHECKING:  # the command line's help knows these words, and not those objects
    from qrm_tui.core.partitions import Technology

#: What a boot-image starts: a kernel, or Xen with the kernel as its first domain.
BootImageType = Literal["linux", "xen"]
#: Empty: not at all.
Partitioning = Literal["", "xen", "kvm"]
#: Each way to slice machines → the type of boot-image that it needs; without any it is `linux`.
PARTITIONINGS: Mapping[str, BootImageType] = {"xen": "xen", "kvm": "linux"}
#: Each way → how libvirt calls it (`partitions.Technology`); and what else a host of that way may turn out to be.
TECHNOLOGIES: Mapping[str, tuple[Technology, ...]] = {"xen": ("xen-pv",), "kvm": ("kvm", "qemu")}
#: Those whose host has no help of its CPUs: every instruction of theirs is emulated.
EMULATED: frozenset[str] = frozenset(("qemu",))
#: Those whose partitions have firmware, and boot from the network as machines do; of others the host reads kernel and
#: initrd from files.
NETBOOTING: frozenset[str] = frozenset(("kvm", "qemu"))
#: Bytes of memory below which today's kernels with the initrd of a boot-image hardly come up.
LEAST_MEMORY = 160 << 20


def little_memory(memory: int) -> str:
    """What is to be said of so much memory; empty where it is enough."""
    return "" if memory >= LEAST_MEMORY else \
        f"{format_size(memory)} is little: today's kernels want {format_size(LEAST_MEMORY)} to boot"


def technology_on(partitioning: str, seen: str) -> Technology:
    """What partitions of a host are: by its VE's way, and what its libvirtd says that it is (`seen`)."""
    known = TECHNOLOGIES[partitioning]
    return next((technology for technology in known if technology == seen), known[0])


def word_of(technology: str) -> str:
    """How profiles and people call a technology: by its VE's way where that is all there is to say."""
    return next((way for way, known in TECHNOLOGIES.items() if known[0] == technology), technology)


#: On virtualization hosts the bridge that has the machine's address, and on which partitions hang.
BRIDGE = "qrm0"
#: The hypervisor in a boot-image: what boot loaders of BIOS machines start, and what UEFI does.
XEN, XEN_EFI = "xen.gz", "xen.efi"
