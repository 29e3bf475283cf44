"""Partitions' local disks, from volume groups of their hosts, on simulated hosts."""
from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qrm_tui.core.errors import QrmError
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.partitions import HostGroup
from qrm_tui.core.plan import Domain, Run
from tests.daemon.test_partitions import idle, make, partition, resource
from tests.daemon.world import GIB, World


@pytest.mark.parametrize(("partitioning", "path"), [("xen", 'dev="xvda"'), ("kvm", 'dev="vda"')])
async def test_a_disk_is_made_empty_given_and_removed_with_its_partition(world: World, partitioning: str,
                                                                         path: str) -> None:
    name = await world.host(partitioning)
    await world.qrmd.hosts.look(name)
    assert (await world.qrmd.show("host", name))["groups"] == {"local": 100 * GIB}
    plan = await world.qrmd.plan("partition.create", {"host": name, "memory": "256M", "disk": "2G"},
                                 Role.administrator)
    (xml,) = (step.xml for step in plan.steps if isinstance(step, Domain) and step.do == "define")
    assert path in xml and f"/dev/local/qrm-{name}-1" in xml
    zero = next(step for step in plan.steps if isinstance(step, Run) and step.argv[0] == "blkdiscard")
    assert zero.long and zero.argv[-1] == f"/dev/local/qrm-{name}-1"
    await make(world, name, count=2, disk="2G")
    await idle(world, f"{name}-1")
    assert resource(world, f"{name}-1").seen.inventory.disks[0].size == 2 * GIB
    row = await world.qrmd.show("host", name)
    assert (row["groups"], row["disk_free"]) == ({"local": 96 * GIB}, 96 * GIB)
    row = await world.qrmd.show("partition", f"{name}-1")
    assert (row["disk"], row["disk_group"]) == (2 * GIB, "local")
    for number in (1, 2):
        assert await world.do("partition.remove", name=f"{name}-{number}") == "done"
    assert await world.leftovers() == []
    await world.qrmd.hosts.look(name)
    assert (await world.qrmd.show("host", name))["groups"] == {"local": 100 * GIB}


@pytest.mark.parametrize(("groups", "arguments", "words"), [
    ((), {}, "has no volume group of its own for disks: leave the disk out, or make one there"),
    (({"name": "vol", "unfit": "filesystem-images of this farm are in it"},), {},
     r"volume group vol of host r1 is not taken: filesystem-images of this farm are in it\)"),
    (({"name": "a", "free": 3 * GIB}, {"name": "b", "free": 5 * GIB}), {"count": 3},
     "group b of host r1 has the most room, 5G: 2 disks of 2G would fit, 3 are wanted"),
    (({"name": "a", "free": 1 * GIB}, {"name": "b", "free": 5 * GIB}), {"disk_group": "a"},
     "group a of host r1 has 1G: no disk of 2G fits"),
    (({"name": "a", "free": 3 * GIB},), {"disk_group": "c"}, r"no volume group c; there is only a \(3G free\)"),
    (({"name": "a", "free": 3 * GIB},), {"disk_group": "a", "disk": None}, "is for partitions with a --disk"),
    (({"name": "a", "free": 3 * GIB},), {"name": "web_vorigin"}, "LVM keeps names with '_vorigin' in them"),
])
async def test_what_a_host_has_no_room_for_is_refused(world: World, groups: tuple[dict[str, Any], ...],
                                                      arguments: dict[str, Any], words: str) -> None:
    name = await world.host()
    await world.qrmd.hosts.look(name)
    item = world.qrmd.farm.get("host", name)
    seen = msgspec.structs.replace(item.seen, groups=tuple(HostGroup(**group) for group in groups))
    world.qrmd.farm.put(msgspec.structs.replace(item, seen=seen))
    with pytest.raises(QrmError, match=words):
        await make(world, name, **{"disk": "2G", **arguments})


async def test_the_named_group_is_taken(world: World) -> None:
    name = await world.host()
    await make(world, name, disk="1G", disk_group="local")
    assert partition(world, f"{name}-1").wanted.disk_group == "local"


async def test_a_group_of_a_storage_server_on_that_machine_is_none(world: World) -> None:
    name = await world.host()
    await world.qrmd.hosts.look(name)
    host, server = world.qrmd.farm.get("host", name), world.qrmd.farm.get("storage", "s1")
    world.qrmd.farm.put(msgspec.structs.replace(server, wanted=msgspec.structs.replace(
        server.wanted, address=host.wanted.address, env={"SERVER_VOL": "local"})))
    with pytest.raises(QrmError, match="a storage server keeps filesystem-images in it"):
        await make(world, name, disk="1G")


async def test_a_host_whose_image_has_no_lvm_says_so(world: World) -> None:
    name = await world.host()
    world.machine_of(name).faults.fail.append(("vgs", "command not found"))
    await world.qrmd.hosts.look(name)
    with pytest.raises(QrmError, match=r"for disks \(vgs: command not found\): leave the disk out"):
        await make(world, name, disk="1G")


async def test_a_disk_goes_by_its_tag_once_nothing_has_it_open(world: World) -> None:
    name = await world.host()
    await make(world, name, disk="1G")
    await idle(world, f"{name}-1")
    plan = await world.qrmd.plan("partition.remove", {"name": f"{name}-1"}, Role.administrator)
    kinds = [type(step).__name__ for step in plan.steps]
    wait = kinds.index("Wait")
    removed = plan.steps[wait + 1]
    assert isinstance(removed, Run) and removed.argv[:2] == ("lvremove", "--yes")
    assert f"qrm.partition.{partition(world, f'{name}-1').wanted.id}" in removed.argv[3]
