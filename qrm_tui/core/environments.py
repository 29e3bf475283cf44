"""Virtual environments and boot-images: what is started, on how many machines, and with which kernel."""
from __future__ import annotations

from typing import Literal

import msgspec

from qrm_tui.core.partitionings import BootImageType, Partitioning

#: What sshd(8) has made for itself, in a root.
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
VeLife = Literal["stopped", "starting", "running", "stopping"]


def node_name(resource: str) -> str:
    """What a machine on a root that it shares is called: a host name has no `_` (RFC 1123)."""
    return resource.replace("_", "-")


def node_folder(resource: str) -> str:
    """In such a root: the folder of the files that are only this machine's."""
    return f"/.qrm/nodes/{node_name(resource)}"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine must have at least; 0 and empty: whatever."""

    cpus: int = 0
    mhz: int = 0
    memory: int = 0
    nics: int = 0
    kind: Literal["", "physical", "partition"] = ""
    #: of partitions: this technology
    technology: str = ""


class Assignment(msgspec.Struct, frozen=True):
    """A machine of a virtual environment and the image that is its root."""

    resource: str
    image: str


class VeWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual environment as it should be."""

    id: str
    boot_image: str
    image: str
    partitioning: Partitioning = ""
    profile: Profile = Profile()
    #: on how many machines; each has a clone of the image as its own root
    multi_server: int = 1
    #: they share the image as their root, which none of them writes into; what each writes lies in its memory
    same_for_all: bool = False
    life: VeLife = "stopped"
    assigned: tuple[Assignment, ...] = ()


class BootImageWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A boot-image: a kernel and the initrd that was made for it, perhaps with a hypervisor."""

    id: str
    #: `linux`: kernel and initrd; `xen`: hypervisor, kernel and initrd
    type: BootImageType = "linux"
    #: of type `xen`, where Xen was taken from: a package, a package's file, or `xen` for the distribution's own
    hypervisor: str = ""
    #: where it was made from: a kernel package, a package's file, or a running system's kernel version
    source: str = ""
    version: str = ""
    life: Literal["creating", "present", "removing"] = "present"


class BootImageSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A boot-image as it lies on the server."""

    size: int = 0
    #: of its kernel
    version: str = ""
    #: what it has of kernel, initrd, and the hypervisor for either kind of firmware
    files: tuple[str, ...] = ()
    #: machines that boot it can share a root: its kernel and initrd have what that needs
    shares: bool = False
    #: what is wrong with its files; empty: all there, and as they were made
    trouble: str = ""
