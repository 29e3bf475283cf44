"""Roots that several machines share ("same for all"): what they need, and what is each machine's own.

The image is exported to its machines to be read alone. Each lays files of its own over it, in memory, so no machine
changes another's root, and nothing that a machine does reaches the image (templates/initramfs/shared).
"""
from __future__ import annotations

from collections.abc import Sequence

from qrm_tui.backends import lvm_nfs_checks as checks
from qrm_tui.backends.planning import Call
from qrm_tui.core.environments import HOST_KEY, node_folder, node_name
from qrm_tui.core.errors import Refused
from qrm_tui.core.model import ImageWanted, Item

#: How much of its memory a machine's own files may take (tmpfs(5), size=).
SIZE = "50%"


def root_of(call: Call, name: str) -> ImageWanted:
    """The image as a root that is only read: clones of it do not matter, and other readers neither; Refused if somebody
    may write into it."""
    item = call.reading.get("image", name)
    checks.need_managed(item, "its export")
    checks.need_settled(call, item)
    if item.wanted.allowed and not item.wanted.read_only:
        checks.refuse_mixed(call.reading.farm, item)
    checks.own_volume(call, item)
    if item.seen and item.seen.lost:
        raise Refused(f"image {item.name} ran full and is lost: clone it anew")
    wanted: ImageWanted = item.wanted
    return wanted


def need_sharing(boot_image: Item) -> None:
    """Refused for a boot-image whose machines would mount a shared root as one of their own."""
    if boot_image.seen is not None and not boot_image.seen.shares:
        raise Refused(f"boot-image {boot_image.name} cannot boot a root that is the same for all: its kernel has no "
                      "overlay file system, or it was made by an older version; make one anew (qrm boot-image create)")


def need_names(machines: Sequence[str]) -> None:
    """Refused where two machines of a root would be called the same."""
    known: dict[str, str] = {}
    for machine in machines:
        other = known.setdefault(node_name(machine), machine)
        if other != machine:
            raise Refused(f"{other} and {machine} would both be called {node_name(machine)} on the root that they "
                          "share: take another machine for one of them")


def host_key_files(path: str, resource: str) -> tuple[str, str]:
    """On the storage server, where a machine's public ssh host key lies: its own one before the one of all."""
    return f"{path}{node_folder(resource)}{HOST_KEY}", f"{path}{HOST_KEY}"


def need_host_keys(call: Call, image: str, wanted: ImageWanted, machines: Sequence[str]) -> None:
    """Refused where a machine would make an ssh host key at each boot: nobody could tell it from another's."""
    for machine in machines:
        if not any(call.reading.file(wanted.storage, path) for path in host_key_files(wanted.path, machine)):
            raise Refused(f"image {image} has no {HOST_KEY}, and {machine} would make another one at each boot: nobody "
                          f"could tell that it is {machine} that answers. On {wanted.storage}: ssh-keygen -A -f "
                          f"{wanted.path}")


def lost(machines: Sequence[str]) -> str:
    """What it means that these go down."""
    return f"what {' and '.join(machines)} wrote since booting lies in memory alone, and is lost"


def notes(image: str, machines: Sequence[str]) -> list[str]:
    """What a person should know of such a start."""
    who = machines[0] if len(machines) == 1 else "each machine"
    return [f"image {image} is only read; what {who} writes lies in its memory, at most {SIZE} of it, and is gone when "
            "it boots anew: logs too, so send them elsewhere",
            f"files that {who} is to have at each boot lie in the image: {node_folder(machines[0])}/etc/... and so on"]
