"""What a storage server of type lvm-nfs shows of itself and of its images."""
from __future__ import annotations

from qrm_tui.backends import lvm
from qrm_tui.core.facts import StorageFacts, Volume, promised
from qrm_tui.core.model import ImageSeen, ImageWanted, Item, StorageSeen, StorageWanted


def see_storage(facts: StorageFacts, wanted: StorageWanted) -> StorageSeen:
    """A storage server from its facts."""
    pool = facts.volumes.get(wanted.pool) if wanted.pool else None
    return StorageSeen(
        size=facts.group.size if facts.group else 0, free=facts.group.free if facts.group else 0,
        pool_size=pool.size if pool else 0, pool_data=pool.data if pool else None,
        pool_metadata=pool.metadata if pool else None, pool_promised=promised(facts, wanted.pool) if pool else 0,
        versions=facts.versions, troubles=(*facts.troubles, *_pool_troubles(wanted, pool)),
    )


def _pool_troubles(wanted: StorageWanted, pool: Volume | None) -> tuple[str, ...]:
    if wanted.pool and (pool is None or pool.kind != "t"):
        return (f"there is no thin pool {wanted.pool} in volume group {wanted.group}",)
    return ()


def see_images(facts: StorageFacts, images: list[Item], former_at: float, now: float) -> dict[str, ImageSeen]:
    """Each image as its server's facts show it; the pace of a snapshot is from what was seen at `former_at`."""
    by_tag = {tag: volume for volume in facts.volumes.values() for tag in volume.tags}
    return {
        item.name: _see_image(facts, item, by_tag.get(lvm.image_tag(item.wanted.id)), former_at, now)
        for item in images
    }


def _see_image(facts: StorageFacts, item: Item, volume: Volume | None, former_at: float, now: float) -> ImageSeen:
    wanted: ImageWanted = item.wanted
    mount = facts.mounts.get(wanted.path)
    exported = tuple(sorted(facts.exports.get(wanted.path, ())))
    if not wanted.managed:
        return ImageSeen(size=mount.size if mount else 0, used=mount.used if mount else None,
                         mounted=mount is not None, exported=exported,
                         present=mount is not None or facts.paths.get(wanted.path) != "absent")
    if volume is None:
        return ImageSeen(present=False, exported=exported)
    classic = volume.kind == "s"
    return ImageSeen(
        volume_id=volume.id, size=volume.origin_size if classic else volume.size,
        used=mount.used if mount else None, fill=volume.data if classic else None,
        full_at=_full_at(item, volume.data, former_at, now) if classic else None,
        mounted=mount is not None, exported=exported, lost=classic and volume.lost,
    )


def _full_at(item: Item, fill: float | None, former_at: float, now: float) -> float | None:
    """When the snapshot is full if it goes on as since it was seen last; seconds since the epoch."""
    seen: ImageSeen | None = item.seen
    if fill is None or seen is None or seen.fill is None or now <= former_at:
        return None
    if fill <= seen.fill:
        return seen.full_at if fill == seen.fill else None
    former = seen.fill
    pace = (fill - former) / (now - former_at)
    return round(now + (1 - fill) / pace)
