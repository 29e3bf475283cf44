"""The farm's objects: what is wanted of each, what was last seen of it, and when.

Sizes are bytes, times seconds since the epoch. An object's state follows from wanted and seen by `states` alone.
"""
from __future__ import annotations

from typing import Any, Literal

import msgspec

from qrm_tui.core.components import ComponentSeen, ComponentWanted
from qrm_tui.core.environments import BootImageSeen, BootImageWanted, VeWanted
from qrm_tui.core.partitions import DomainSeen, DomainWanted, HostSeen, HostWanted, PartitionSeen, PartitionWanted
from qrm_tui.core.resources import ResourceSeen, ResourceWanted
from qrm_tui.core.users import UserSeen, UserWanted

ImageLife = Literal["creating", "present", "removing"]
JobState = Literal["waiting", "running", "done", "undoing", "undone", "failed"]
FINISHED: frozenset[str] = frozenset(("done", "undone", "failed"))


class StorageWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A storage server as it was registered."""

    type: str
    address: str
    user: str = "root"
    port: int = 22
    env: dict[str, str] = {}
    #: the pinned public key, `ssh-ed25519 AAAA…`; empty for this machine itself
    host_key: str = ""

    @property
    def group(self) -> str:
        """The volume group for images."""
        return self.env.get("SERVER_VOL", "vol")

    @property
    def pool(self) -> str:
        """The thin pool for images; empty: classic volumes."""
        return self.env.get("THIN_POOL", "")

    @property
    def overcommit(self) -> float:
        """How much may be promised of the thin pool, as a share of its size."""
        return int(self.env.get("OVERCOMMIT", "300%").rstrip("%") or 300) / 100


class StorageSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A storage server as it answered last."""

    size: int = 0
    free: int = 0
    #: of the thin pool: shares from 0 to 1, and bytes promised to its volumes
    pool_size: int = 0
    pool_data: float | None = None
    pool_metadata: float | None = None
    pool_promised: int = 0
    versions: dict[str, str] = {}
    #: what is wrong there, in words
    troubles: tuple[str, ...] = ()
    #: not answering: the reason; empty while it answers
    silent: str = ""


class ImageWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A filesystem-image as it should be."""

    id: str
    storage: str
    path: str
    filesystem: str = "ext4"
    size: int = 0
    #: the export's own id: clones share a file system's, and NFS clients would meet in the wrong volume
    export_id: str = ""
    filesystem_id: str = ""
    #: the image that it is a clone of
    origin: str = ""
    thin: bool = False
    hostname: str = ""
    #: addresses that may mount it
    allowed: tuple[str, ...] = ()
    #: those may only read it: all of them, since no machine may write into what is another's root
    read_only: bool = False
    #: False: only registered; nothing of it is ever changed
    managed: bool = True
    life: ImageLife = "present"


class ImageSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A filesystem-image as its storage server showed it last."""

    volume_id: str = ""
    size: int = 0
    used: int | None = None
    #: of a snapshot: how full its room for changes is, 0 to 1
    fill: float | None = None
    #: of a classic snapshot: bytes of that room
    reserve: int | None = None
    #: when and how full it was when its pace was last measured from
    paced_at: float | None = None
    paced_fill: float | None = None
    #: when a snapshot is full at that pace
    full_at: float | None = None
    mounted: bool = False
    #: addresses that the kernel exports it to now
    exported: tuple[str, ...] = ()
    #: a classic snapshot that ran full is lost
    lost: bool = False
    present: bool = True


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """How much a step has done of what it does now."""

    done: float
    total: float
    #: `bytes` that are fetched, `packages` that are unpacked and set up
    unit: str
    #: when it began with that
    since: float
    #: how many packages there are in all, whatever it does now
    packages: float = 0


class JobRecord(msgspec.Struct, kw_only=True):
    """A job as scripts and screens read it."""

    id: int
    operation: str
    object: str
    arguments: dict[str, Any]
    state: JobState = "waiting"
    #: the step that runs (from 0), and how many there are
    step: int = 0
    steps: int = 0
    doing: str = ""
    #: 0 to 1 of the step that runs, where it can tell
    progress: float | None = None
    #: the same in real units, where it counts in some
    amount: Amount | None = None
    who: str = ""
    terminal: str = ""
    reason: str = ""
    asked: float = 0
    started: float | None = None
    ended: float | None = None
    error: str = ""
    #: what it waits for: whose lock, which machine
    waits_for: str = ""
    cancelling: bool = False
    #: objects besides that it has alone while it runs: clones that a start makes, machines that it takes
    holds: tuple[str, ...] = ()


WANTED_TYPES: dict[str, type] = {
    "storage": StorageWanted, "image": ImageWanted, "job": JobRecord, "resource": ResourceWanted, "ve": VeWanted,
    "boot-image": BootImageWanted, "component": ComponentWanted, "partition": PartitionWanted, "host": HostWanted,
    "domain": DomainWanted, "user": UserWanted,
}
SEEN_TYPES: dict[str, type] = {
    "storage": StorageSeen, "image": ImageSeen, "resource": ResourceSeen, "boot-image": BootImageSeen,
    "component": ComponentSeen, "partition": PartitionSeen, "host": HostSeen, "domain": DomainSeen, "user": UserSeen,
}


class Item(msgspec.Struct, kw_only=True):
    """One object of the farm."""

    kind: str
    name: str
    wanted: Any
    seen: Any = None
    seen_at: float | None = None
    state: str = "unknown"
    #: when it came into this state
    since: float = 0
    #: grows with every change of what is wanted; plans rely on it
    revision: int = 0
    created: float = 0


def convert_wanted(kind: str, data: dict[str, Any]) -> Any:
    """What is wanted of an object, from JSON."""
    return msgspec.convert(data, WANTED_TYPES[kind])
