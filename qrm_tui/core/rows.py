"""Objects as flat rows: the fields that scripts, filters and screens read."""
from __future__ import annotations

from collections.abc import Callable

import msgspec

from qrm_tui.core import states
from qrm_tui.core.farm import Farm
from qrm_tui.core.fields import Row
from qrm_tui.core.model import ImageWanted, Item, JobRecord, StorageSeen, StorageWanted


def _storage(item: Item, farm: Farm) -> Row:
    seen = item.seen or StorageSeen()
    return {
        "type": item.wanted.type, "address": item.wanted.address, "env": dict(item.wanted.env),
        "size": seen.size, "free": seen.free, "images": len(farm.images_on(item.name)),
        "pool_size": seen.pool_size, "pool_data": seen.pool_data, "pool_metadata": seen.pool_metadata,
        "pool_promised": seen.pool_promised, "versions": dict(seen.versions), "user": item.wanted.user,
        "port": item.wanted.port, "host_key": item.wanted.host_key,
    }


def _image(item: Item, farm: Farm) -> Row:
    wanted, seen = item.wanted, item.seen
    return {
        "storage": wanted.storage, "path": wanted.path, "size": (seen.size if seen else 0) or wanted.size,
        "used": seen.used if seen else None, "origin": wanted.origin or None,
        "reserve": seen.reserve if seen else None, "fill": seen.fill if seen else None,
        "full_at": seen.full_at if seen else None,
        "used_by": list(wanted.allowed), "clones": farm.clones(item.name), "fs": wanted.filesystem,
        "thin": wanted.thin, "managed": wanted.managed, "hostname": wanted.hostname, "export_id": wanted.export_id,
        "mounted": bool(seen and seen.mounted), "volume_id": seen.volume_id if seen else "", "id": wanted.id,
    }


def _job(item: Item, farm: Farm) -> Row:
    fields: Row = msgspec.to_builtins(item.wanted)
    return fields


_FIELDS: dict[str, Callable[[Item, Farm], Row]] = {"storage": _storage, "image": _image, "job": _job}


_SAMPLES = {"storage": StorageWanted(type="", address=""), "image": ImageWanted(id="", storage="", path=""),
            "job": JobRecord(id=0, operation="", object="", arguments={})}


def fields_of(kind: str) -> frozenset[str]:
    """The names of a row's fields, also where there is no row yet."""
    return frozenset(row_of(Item(kind=kind, name="", wanted=_SAMPLES[kind]), Farm()))


def row_of(item: Item, farm: Farm) -> Row:
    """The row of an object, times in seconds."""
    return {"name": item.name, "state": item.state, "since": item.since, "seen_at": item.seen_at,
            "revision": item.revision, **_FIELDS[item.kind](item, farm)}


def detail_of(item: Item, farm: Farm) -> Row:
    """The row with *why*: reason, remedy."""
    verdict = states.judge(item, farm)
    why = f"{verdict.why}; {verdict.warning}" if verdict.warning else verdict.why
    return {**row_of(item, farm), "why": why, "next": verdict.remedy}
