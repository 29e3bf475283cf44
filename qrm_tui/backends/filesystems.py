"""File systems of images: how each is made, told apart, and grown. One table; mke2fs(8), tune2fs(8), mkfs.xfs(8)."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qrm_tui.core.plan import Check, Run


@dataclass(frozen=True, slots=True)
class Filesystem:
    """argv of one file system's tools; `{id}`, `{device}`, `{path}` are filled in."""

    make: tuple[str, ...]
    renew_id: tuple[str, ...]
    grow: tuple[str, ...]
    #: smallest volume in bytes that its mkfs takes
    smallest: int
    package: str
    #: of a clone's mount
    clone_options: tuple[str, ...] = ()


FILESYSTEMS: Mapping[str, Filesystem] = {
    # metadata_csum_seed: without it a new UUID means that every checksum is written anew, which grows with the size
    "ext4": Filesystem(("mkfs.ext4", "-q", "-F", "-O", "metadata_csum_seed", "-U", "{id}", "{device}"),
                       ("tune2fs", "-U", "{id}", "{device}"), ("resize2fs", "{device}"), 8 << 20, "e2fsprogs"),
    "ext3": Filesystem(("mkfs.ext3", "-q", "-F", "-U", "{id}", "{device}"),
                       ("tune2fs", "-U", "{id}", "{device}"), ("resize2fs", "{device}"), 8 << 20, "e2fsprogs"),
    "xfs": Filesystem(("mkfs.xfs", "-q", "-f", "-m", "uuid={id}", "{device}"),
                      # a frozen xfs leaves its log dirty, and then takes no new UUID; it is mounted beside its twin
                      (), ("xfs_growfs", "{path}"), 300 << 20, "xfsprogs", ("nouuid",)),
}


def _filled(argv: tuple[str, ...], **words: str) -> tuple[str, ...]:
    return tuple(part.format(**words) for part in argv)


def has_id(device: str, filesystem_id: str) -> Check:
    """The device holds the file system with this UUID."""
    return Check(argv=("blkid", "-p", "-s", "UUID", "-o", "value", device), expect="equals", text=filesystem_id)


def make(machine: str, filesystem: str, device: str, filesystem_id: str) -> Run:
    """A new file system; runs under a name of its own, since large ones take their time."""
    return Run(machine=machine, summary=f"make file system {filesystem} on {device}", long=True,
               argv=_filled(FILESYSTEMS[filesystem].make, id=filesystem_id, device=device),
               done=has_id(device, filesystem_id))


def renew_id(machine: str, filesystem: str, device: str, filesystem_id: str) -> list[Run]:
    """A clone's file system gets a UUID of its own, where that can be done at once."""
    if not FILESYSTEMS[filesystem].renew_id:
        return []
    return [Run(machine=machine, summary=f"give the file system on {device} an identity of its own",
                argv=_filled(FILESYSTEMS[filesystem].renew_id, id=filesystem_id, device=device),
                done=has_id(device, filesystem_id))]


def grow(machine: str, filesystem: str, device: str, path: str) -> Run:
    """The mounted file system grows to its volume's size; running it again changes nothing."""
    return Run(machine=machine, summary=f"grow the file system on {device}", long=True,
               argv=_filled(FILESYSTEMS[filesystem].grow, device=device, path=path))
