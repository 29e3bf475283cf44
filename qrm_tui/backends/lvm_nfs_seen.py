"""What a storage server of type lvm-nfs shows of itself and of its images."""
from __future__ import annotations

import msgspec

from qrm_tui.backends import lvm
from qrm_tui.core.facts import MachineFacts, Volume, promised
from qrm_tui.core.model import ImageSeen, ImageWanted, Item, StorageSeen, StorageWanted

#: A snapshot's pace is measured over at least and at most so many seconds: what a boot writes is no pace for a week.
_PACE_FROM, _PACE_OVER = 60.0, 6 * 3600.0


def see_storage(facts: MachineFacts, wanted: StorageWanted) -> StorageSeen:
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


def see_images(facts: MachineFacts, images: list[Item], now: float) -> dict[str, ImageSeen]:
    """Each image as its server's facts show it."""
    by_tag = {tag: volume for volume in facts.volumes.values() for tag in volume.tags}
    return {item.name: _see_image(facts, item, by_tag.get(lvm.image_tag(item.wanted.id)), now) for item in images}


def _see_image(facts: MachineFacts, item: Item, volume: Volume | None, now: float) -> ImageSeen:
    wanted: ImageWanted = item.wanted
    mount = facts.mounts.get(wanted.path)
    exported = tuple(sorted(facts.exports.get(wanted.path, ())))
    if not wanted.managed:
        return ImageSeen(size=mount.size if mount else 0, used=mount.used if mount else None,
                         mounted=mount is not None, exported=exported,
                         present=mount is not None or facts.paths.get(wanted.path) != "absent")
    if volume is None:
        return ImageSeen(present=False, exported=exported)
    seen = ImageSeen(volume_id=volume.id, size=volume.size, used=mount.used if mount else None,
                     mounted=mount is not None, exported=exported)
    return _with_fill(seen, item.seen, volume, now) if volume.kind == "s" else seen


def _with_fill(seen: ImageSeen, before: ImageSeen | None, volume: Volume, now: float) -> ImageSeen:
    """A classic snapshot: how full, and when it will be full at its pace since it was last measured from."""
    at, from_ = (before.paced_at, before.paced_fill) if before else (None, None)
    full_at = before.full_at if before else None
    fill = volume.data
    if at is None or from_ is None or fill is None or fill < from_:
        at, from_, full_at = now, fill, None
    elif now - at >= _PACE_FROM:
        grown = fill - from_
        full_at = round(now + (1 - fill) * (now - at) / grown) if grown > 0 else None
        if now - at >= _PACE_OVER:
            at, from_ = now, fill
    return msgspec.structs.replace(seen, size=volume.origin_size, reserve=volume.size, fill=fill, lost=volume.lost,
                                   paced_at=at, paced_fill=from_, full_at=full_at)
