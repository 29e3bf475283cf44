"""VEs whose root is the same for all, on a simulated rack: private parts, machines that come and go, hosts."""
from __future__ import annotations

import pytest

from qrm_tui.core.errors import Refused, Unreachable
from qrm_tui.practice.node import SimulatedNode
from tests.daemon.world import World

LOG = "/var/log/qrm-practice"
KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


async def shared(world: World, machines: int = 3) -> None:
    """VE `farm`, on two of three machines; r1 has files of its own in the image."""
    for _ in range(machines):
        await world.machine()
    assert await world.do("image.add", name="web", storage="s1", size="1G") == "done"
    world.classic.host.root.write("/vol/web/.qrm/nodes/r1/etc/app.conf", "of r1\n")
    await world.do("ve.create", name="farm", boot_image="debian12", image="web", multi_server=2, same_for_all=True)
    assert await world.do("ve.start", name="farm") == "done"


def node(world: World, name: str) -> SimulatedNode:
    found = world.rack.simulated.by_mac(world.qrmd.farm.get("resource", name).wanted.mac)
    assert found is not None
    return found


def readers(world: World) -> list[str]:
    return sorted(world.classic.host.offered().get("/vol/web", ()))


def address(world: World, name: str) -> str:
    return str(world.qrmd.farm.get("resource", name).wanted.address)


async def test_each_has_its_own_files_and_the_image_is_as_it_was(world: World) -> None:
    await shared(world)
    first, second = node(world, "r1"), node(world, "r2")
    assert (first.own["/etc/hostname"], second.own["/etc/hostname"]) == ("r1\n", "r2\n")
    assert first.own["/etc/machine-id"] != second.own["/etc/machine-id"]
    assert first.own["/etc/app.conf"] == "of r1\n" and "/etc/app.conf" not in second.own
    assert first.own[LOG] != second.own[LOG]
    assert not world.classic.host.root.exists(f"/vol/web{LOG}")
    assert world.classic.host.access("/vol/web", address(world, "r1")) == "ro"
    row = await world.qrmd.show("ve", "farm")
    assert (row["state"], row["same_for_all"], row["resources"], row["images"]) == (
        "active", True, ["r1", "r2"], ["web", "web"])
    image = await world.qrmd.show("image", "web")
    assert (image["state"], image["read_only"], image["used_by"]) == ("in use", True, ["farm"])


async def test_one_comes_and_one_leaves_while_the_others_run(world: World) -> None:
    await shared(world)
    boots = {name: node(world, name).boot for name in ("r1", "r2")}
    assert await world.do("ve.add-resource", name="farm") == "done"
    assert readers(world) == sorted(address(world, name) for name in ("r1", "r2", "r3"))
    assert await world.do("ve.remove-resource", name="farm", resource="r1") == "done"
    assert readers(world) == sorted(address(world, name) for name in ("r2", "r3"))
    assert address(world, "r1") not in world.classic.host.sessions
    assert node(world, "r2").boot == boots["r2"] and node(world, "r1").boot != boots["r1"]
    assert world.qrmd.farm.get("ve", "farm").state == "active"
    assert await world.do("ve.stop", name="farm") == "done"
    assert readers(world) == [] and await world.leftovers() == []
    assert world.qrmd.farm.get("image", "web").wanted.read_only is False


async def test_whoever_would_write_waits_until_the_last_reader_is_off_or_cut_off(world: World) -> None:
    await shared(world)
    await world.do("ve.create", name="writer", boot_image="debian12", image="web")
    await node(world, "r2").power_off()
    with pytest.raises(Refused, match="is read by r1"):
        await world.do("ve.start", name="writer")
    assert await world.do("ve.remove-resource", name="farm", resource="r2", force=True) == "done"
    with pytest.raises(Refused, match="is read by r1"):
        await world.do("ve.start", name="writer")
    assert await world.do("ve.stop", name="farm") == "done"
    assert await world.do("ve.start", name="writer") == "done"
    await world.do("ve.edit", name="farm", multi_server=1)
    with pytest.raises(Refused, match="may be written into by"):
        await world.do("ve.start", name="farm")


async def test_one_that_boots_anew_has_nothing_of_before(world: World) -> None:
    await shared(world)
    before = dict(node(world, "r1").own)
    assert await world.do("resource.power", name="r1", action="reset") == "done"
    after = node(world, "r1").own
    assert after["/etc/hostname"] == "r1\n" and after["/etc/machine-id"] != before["/etc/machine-id"]


async def test_a_host_s_key_is_its_own_one_where_it_has_one(world: World) -> None:
    name = await world.host(same_for_all=True)
    ask = world.qrmd.machines._host_key
    assert await ask(name) == "ssh-ed25519 AAAAhost"
    root = world.classic.host.root
    root.write(f"/vol/xen_host/.qrm/nodes/{name}{KEY}", "ssh-ed25519 AAAAown root@r1\n")
    assert await ask(name) == "ssh-ed25519 AAAAown"
    for path in (f"/vol/xen_host/.qrm/nodes/{name}{KEY}", f"/vol/xen_host{KEY}"):
        root.here(path).unlink()
    with pytest.raises(Unreachable, match="has no /etc/ssh"):
        await ask(name)


async def test_a_host_that_boots_anew_knows_no_partitions_and_is_told_of_them_again(world: World) -> None:
    name = await world.host(same_for_all=True)
    assert not world.classic.host.root.exists("/vol/xen_host/root/.ssh"), "nothing is written into a shared root"
    farm = world.qrmd.farm
    assert await world.do("partition.create", host=name, count=2, memory="256M") == "done"
    await world.rack.until(lambda: farm.get("resource", f"{name}-1").state == "idle")
    await world.do("resource.maintenance", name=[f"{name}-1"], off=True)
    assert await world.do("image.add", name="customer1", storage="s1", size="1G") == "done"
    await world.do("ve.create", name="customer1", boot_image="debian12", image="customer1", kind="partition",
                   technology="xen", memory="256M")
    assert await world.do("ve.start", name="customer1") == "done"
    assert await world.do("resource.power", name=name, action="reset") == "done"
    await world.rack.until(lambda: all(farm.get(kind, f"{name}-{number}").state == "off" for number in (1, 2)
                                       for kind in ("partition", "resource")))
    await world.qrmd.hosts.look(name)
    why = (await world.qrmd.show("partition", f"{name}-2"))["why"]
    assert why == f"{name} booted anew, on a root that is the same for all: it knows none of its domains"
    for number, state in ((1, "active"), (2, "idle")):
        assert await world.do("partition.start", name=f"{name}-{number}") == "done"
        await world.rack.until(lambda number=number, state=state: farm.get(
            "resource", f"{name}-{number}").state == state)
    assert await world.leftovers() == []
