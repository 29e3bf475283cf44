"""Hand-made farms and facts for planner tests."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from qrm_tui.backends import lvm
from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core.facts import Group, MachineFacts, Mount, Reading, Volume
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageSeen, ImageWanted, Item, StorageSeen, StorageWanted
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.registry import find

GIB = 1 << 30


def make_farm(*images: ImageWanted, pool: str = "", clock: Callable[[], float] = lambda: 1000.0) -> Farm:
    """A farm with the storage server s1 (group vol) and these images."""
    farm = Farm(clock)
    env = {"SERVER_VOL": "vol", **({"THIN_POOL": pool, "OVERCOMMIT": "200%"} if pool else {})}
    server = StorageWanted(type="lvm-nfs", address="10.0.0.9", env=env)
    farm.put(Item(kind="storage", name="s1", created=1, wanted=server,
                  seen=StorageSeen(size=100 * GIB, free=50 * GIB)))
    for wanted in images:
        farm.put(Item(kind="image", name=wanted.path.rpartition("/")[2], wanted=wanted, created=2, revision=1,
                      seen=ImageSeen(mounted=True, exported=wanted.allowed, size=wanted.size)))
    return farm


def image(name: str, **changes: Any) -> ImageWanted:
    """An image on s1."""
    wanted = ImageWanted(id=f"id-{name}", storage="s1", path=f"/vol/{name}", size=5 * GIB, export_id=f"export-{name}",
                         filesystem_id=f"fs-{name}")
    return msgspec.structs.replace(wanted, **changes)


def volume(name: str, **changes: Any) -> Volume:
    """The volume of that image."""
    made = Volume(name=name, group="vol", id=f"uuid-{name}", size=5 * GIB, attributes="-wi-ao----",
                  tags=("qrm", lvm.image_tag(f"id-{name}")))
    return msgspec.structs.replace(made, **changes)


def make_facts(*volumes: Volume, free: int = 50 * GIB, **more: Any) -> MachineFacts:
    """Facts of s1 with these volumes, each mounted."""
    mounts = {f"/vol/{v.name}": Mount(target=f"/vol/{v.name}", source=f"/dev/mapper/vol-{v.name}", filesystem="ext4",
                                      size=v.size, used=GIB) for v in volumes if v.kind != "t"}
    return MachineFacts(**{"group": Group(name="vol", id="g", size=100 * GIB, free=free),
                           "volumes": {v.name: v for v in volumes}, "mounts": mounts, **more})


def draw(plan: Callable[[Call], Draft], operation: str, farm: Farm, facts: MachineFacts, **arguments: Any) -> Draft:
    """The draft that a planner makes."""
    reading = Reading(farm, {"s1": facts})
    parsed = check_arguments(find(operation).arguments, arguments)
    return plan(Call(parsed, reading, lambda purpose: f"new-{purpose}"))
