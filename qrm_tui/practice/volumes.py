"""What a simulated volume group holds: volumes, the file systems on them, and how full each is."""
from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Kind = Literal["plain", "snapshot", "pool", "thin"]

#: lvm2's default extent, and what a pool's metadata and the spare of it take in small groups (lvmthin(7)).
EXTENT = 4 << 20
_POOL_METADATA = 2 * EXTENT
#: A classic snapshot's chunk and what its table takes for each (linux/drivers/md/dm-snap-persistent.c).
_CHUNK, _EXCEPTION = 4096, 16


@dataclass(slots=True)
class Filesystem:
    """A file system: its type and UUID, the bytes that it spans, and those in use."""

    type: str
    id: str
    size: int
    used: int
    #: copied while it was mounted: xfs_admin(8) wants its log replayed first
    unclean: bool = False


@dataclass(slots=True)
class SimulatedVolume:
    """A logical volume. Sizes are bytes."""

    name: str
    id: str
    kind: Kind
    size: int
    tags: tuple[str, ...] = ()
    origin: str = ""
    pool: str = ""
    filesystem: Filesystem | None = None
    #: of a snapshot: bytes of its room in use; of a thin volume: bytes of the pool that only it uses
    written: int = 0
    #: of a thin volume: bytes that it shows, shared ones too
    mapped: int = 0
    #: a classic snapshot that ran full
    lost: bool = False
    #: something besides a mount has it open
    held: bool = False
    #: bytes a second that its users write
    rate: float = 0


@dataclass(slots=True)
class SimulatedGroup:
    """A volume group."""

    name: str
    size: int
    id: str = ""
    extent: int = EXTENT
    volumes: dict[str, SimulatedVolume] = field(default_factory=dict)
    #: what the extents that were freed last still hold
    leftover: Filesystem | None = None

    def __post_init__(self) -> None:
        self.size -= self.size % self.extent

    @property
    def free(self) -> int:
        """Bytes that no volume has."""
        taken = sum(volume.size for volume in self.volumes.values() if volume.kind != "thin")
        pools = sum(volume.kind == "pool" for volume in self.volumes.values())
        return self.size - taken - (_POOL_METADATA * pools)

    def ordered(self) -> list[SimulatedVolume]:
        """As lvs(8) sorts them."""
        return [self.volumes[name] for name in sorted(self.volumes)]

    def snapshots(self, name: str) -> list[SimulatedVolume]:
        """The classic snapshots of a volume."""
        return [volume for volume in self.ordered() if volume.kind == "snapshot" and volume.origin == name]

    def thins(self, pool: str) -> list[SimulatedVolume]:
        """The volumes in a thin pool."""
        return [volume for volume in self.ordered() if volume.kind == "thin" and volume.pool == pool]

    def pool_used(self, pool: str) -> int:
        """Bytes of a thin pool that its volumes use; never more than it has."""
        return min(sum(volume.written for volume in self.thins(pool)), self.volumes[pool].size)

    def round_up(self, size: int) -> int:
        return -(-size // self.extent) * self.extent


def most_room(group: SimulatedGroup, origin: SimulatedVolume) -> int:
    """The largest room that a classic snapshot of `origin` can use: all of it, and the table of its chunks."""
    chunks = -(-origin.size // _CHUNK)
    return group.round_up(origin.size + chunks * _EXCEPTION + 2 * _CHUNK)


def new_id(source: random.Random) -> str:
    """A UUID as LVM writes them."""
    letters = string.ascii_letters + string.digits
    return "-".join("".join(source.choices(letters, k=length)) for length in (6, 4, 4, 4, 4, 4, 6))


#: (bytes of the volume, bytes that findmnt does not count): measured with e2fsprogs 1.47.0 for ext4 and ext3.
_EXT_OVERHEAD = ((8 << 20, 1642496), (16 << 20, 2366464), (64 << 20, 9726976), (100 << 20, 12356608),
                 (256 << 20, 27354112), (1 << 30, 53039104), (5000 << 20, 169869312))
_XFS_LOG = 64 << 20


def shown_size(filesystem: Filesystem) -> int:
    """What statvfs(3) tells of the file system's size, within a few percent."""
    size = filesystem.size
    if filesystem.type == "xfs":
        return size - _XFS_LOG
    low, high = _EXT_OVERHEAD[0], _EXT_OVERHEAD[-1]
    for point, following in pairwise(_EXT_OVERHEAD):
        if point[0] <= size:
            low, high = point, following
    slope = (high[1] - low[1]) / (high[0] - low[0])
    return int(size - max(0, low[1] + (size - low[0]) * slope))


def written_by_mkfs(kind: str, size: int) -> int:
    """Bytes that mkfs writes, which a thin volume has of its pool then: journals and tables; as measured."""
    if kind == "xfs":
        return _XFS_LOG + (1 << 20)
    return (11 << 20) + int(size * (0.011 if kind == "ext4" else 0.028))


def first_used(kind: str, size: int) -> int:
    """Bytes in use right after mkfs: measured as above; of xfs about 0.6 % and 17 MB."""
    if kind == "xfs":
        return (17 << 20) + int(size * 0.006)
    return 14336 if kind == "ext4" or size <= 8 << 20 else 14336 + size // 40000
