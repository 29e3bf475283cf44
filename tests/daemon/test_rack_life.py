"""Machines of the rack and what runs on them, through all that happens to them: power cuts, silence, two admins."""
from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from qrm_tui.backends import ve_start
from qrm_tui.core.errors import Refused, Stale
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.partitionings import BRIDGE
from qrm_tui.core.plan import HERE
from qrm_tui.core.resources import STAGES
from qrm_tui.core.states import judge
from qrm_tui.practice.node import SimulatedNode, Trouble
from tests.daemon.rack_world import MODEL
from tests.daemon.world import ADMIN, World


def state(world: World, kind: str, name: str) -> str:
    return world.qrmd.farm.get(kind, name).state


def why(world: World, kind: str, name: str) -> str:
    return judge(world.qrmd.farm.get(kind, name), world.qrmd.farm).why


async def define(world: World, name: str = "shop", **more: Any) -> None:
    """An image and a VE of that name."""
    assert await world.do("image.add", name=name, storage="s1", size="1G") == "done"
    await world.do("ve.create", name=name, boot_image="debian12", image=name, **more)


async def running(world: World) -> SimulatedNode:
    """VE `shop` runs on r1."""
    await world.machine()
    await define(world)
    assert await world.do("ve.start", name="shop") == "done"
    return next(iter(world.rack.simulated.nodes.values()))


async def test_a_machine_that_nobody_knows_is_listed_idle_and_in_maintenance(world: World) -> None:
    await world.set_up()
    name = await world.rack.boot(world.rack.add())
    item = world.qrmd.farm.get("resource", name)
    assert (name, item.state, item.wanted.maintenance) == ("r1", "idle", True)
    assert (item.seen.inventory.cpus, item.seen.inventory.product) == (2, "Standard PC")
    with pytest.raises(Refused, match="no resource fits"):
        await define(world)
        await world.do("ve.start", name="shop")


async def test_maintenance_of_several_is_one_entry_in_the_journal(world: World) -> None:
    await world.set_up()
    names = [await world.rack.boot(world.rack.add()) for _ in range(3)]
    _, before = await world.qrmd.store.journal()
    await world.do("resource.maintenance", name=names, off=True)
    entries, after = await world.qrmd.store.journal(0, 1)
    assert after == before + 1 and entries[0].object == f"resource/{names[0]} and 2 more"
    assert not any(world.qrmd.farm.get("resource", name).wanted.maintenance for name in names)
    assert await world.qrmd.store.verify_journal() == (after, "")


async def test_it_gets_its_own_address_at_its_next_boot_and_its_root_is_exported_to_that(world: World) -> None:
    node = await running(world)
    wanted = world.qrmd.farm.get("resource", "r1").wanted.address
    assert node.address == wanted == "192.168.88.10"
    assert world.classic.host.offered()["/vol/shop"] == (wanted,)
    written = (world.classic.folder / "vol/shop/var/log/qrm-practice").read_text()
    assert written.split()[1] == wanted


@pytest.mark.parametrize("stage", STAGES)
async def test_power_that_fails_in_any_stage_of_a_boot_loses_nothing(world: World, stage: str) -> None:
    await world.machine()
    await define(world)
    node = next(iter(world.rack.simulated.nodes.values()))
    node.trouble = Trouble(hangs=stage)
    job = await world.submit("ve.start", name="shop")
    before = world.qrmd.farm.get("resource", "r1").seen.boot
    async with asyncio.timeout(20):
        while node.stage != stage or node.boot == before:
            await asyncio.sleep(0)
    await node.power_off()
    node.trouble = Trouble()
    node.power_on()
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert state(world, "ve", "shop") == "active"
    assert await world.leftovers() == []


async def test_a_machine_that_boots_by_itself_just_then_is_told_once_more(world: World) -> None:
    """It comes up idle, since its boot files were not there yet, and the order was for the boot before."""
    await world.machine()
    await define(world)
    node = next(iter(world.rack.simulated.nodes.values()))

    def on_point(point: str, job: object, step: int) -> None:
        if (point, step) == ("begun", 1):
            node.pull(again=True)

    world.qrmd.jobs.on_point = on_point
    assert await world.do("ve.start", name="shop") == "done"
    assert state(world, "ve", "shop") == "active"


async def test_a_machine_that_hangs_brings_its_start_back_and_stays_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ve_start, "SECONDS", 0.3)
    await world.machine()
    await define(world)
    node = next(iter(world.rack.simulated.nodes.values()))
    node.trouble = Trouble(hangs="kernel")
    job = await world.submit("ve.start", name="shop")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "undone" and "r1" in record.error and "not so after" in record.error
    assert state(world, "ve", "shop") == "inactive"
    assert world.classic.host.offered().get("/vol/shop", ()) == ()
    node.trouble = Trouble()
    node.pull(again=True)
    await world.rack.until(lambda: state(world, "resource", "r1") == "idle")
    assert await world.leftovers() == []


async def test_machines_boot_while_the_server_is_away_and_are_known_when_it_is_back(world: World) -> None:
    node = await running(world)
    new = world.rack.add()
    world.alive = False
    await world.qrmd.stop()
    node.pull(again=True)
    new.power_on()
    async with asyncio.timeout(20):
        while node.stage != "agent" or new.stage != "agent":
            await asyncio.sleep(0)
    await world.kill_and_start()
    await world.rack.until(lambda: state(world, "ve", "shop") == "active")
    await world.rack.until(lambda: world.rack.resource(new) is not None)
    await world.rack.until(lambda: state(world, "resource", "r2") == "idle")
    await world.qrmd.upkeep.settle()
    assert await world.leftovers() == []


async def test_two_admins_start_the_same_ve(world: World) -> None:
    for _ in range(2):
        await world.machine()
    await define(world)
    plans = [await world.qrmd.plan("ve.start", {"name": "shop"}, Role.administrator) for _ in range(2)]
    outcomes = await asyncio.gather(*(world.qrmd.run(plan.id, ADMIN, Role.administrator) for plan in plans),
                                    return_exceptions=True)
    states = []
    for outcome in outcomes:
        states.append("refused" if isinstance(outcome, Stale) else
                      (await world.qrmd.jobs.wait(outcome["job"]["id"])).state)  # type: ignore[index]
    assert sorted(states) in (["done", "refused"], ["done", "undone"])
    with pytest.raises(Refused, match=r"runs already \(active\) on r1"):
        await world.do("ve.start", name="shop")
    assert await world.leftovers() == []


async def test_several_ves_start_at_once_each_on_a_machine_of_its_own(world: World) -> None:
    names = ["a", "b", "c"]
    for name in names:
        await world.machine()
        await define(world, name)
    outcomes = []
    for name in names:  # each plan sees what the one before it took
        plan = await world.qrmd.plan("ve.start", {"name": name}, Role.administrator)
        outcomes.append(await world.qrmd.run(plan.id, ADMIN, Role.administrator))
        await world.rack.until(lambda name=name: world.qrmd.farm.get("ve", name).wanted.assigned)  # type: ignore[misc]
    for outcome in outcomes:
        assert (await world.qrmd.jobs.wait(outcome["job"]["id"])).state == "done"
    assert len({world.qrmd.farm.get("ve", name).wanted.assigned[0].resource for name in names}) == 3
    assert await world.leftovers() == []


async def test_a_machine_that_is_not_heard_of_degrades_its_ve_and_why_says_which(world: World) -> None:
    for _ in range(2):
        await world.machine()
    assert await world.do("image.add", name="golden", storage="s1", size="1G") == "done"
    await world.do("ve.create", name="shop", boot_image="debian12", image="golden", multi_server=2)
    assert await world.do("ve.start", name="shop") == "done"
    item = world.qrmd.farm.get("resource", "r2")
    await next(node for node in world.rack.simulated.nodes.values() if node.mac == item.wanted.mac).power_off()
    world.qrmd.rack.show("r2", heard=1.0, answered=0.0)
    assert state(world, "ve", "shop") == "degraded"
    assert why(world, "ve", "shop").startswith("r2 is unknown: it was not heard of for ")


async def test_clones_that_a_start_makes_are_being_made_and_nothing_is_wrong(world: World) -> None:
    for _ in range(2):
        await world.machine()
    assert await world.do("image.add", name="golden", storage="s1", size="1G") == "done"
    await world.do("ve.create", name="shop", boot_image="debian12", image="golden", multi_server=2)
    seen: set[str] = set()
    world.qrmd.farm.listen(lambda kind, name, item: seen.add(item.state) if kind == "image" and item else None)
    assert await world.do("ve.start", name="shop") == "done"
    assert "creating" in seen and "error" not in seen


async def test_a_root_that_cannot_be_mounted_names_its_image_and_storage_server(world: World) -> None:
    await world.machine()
    await define(world)
    node = next(iter(world.rack.simulated.nodes.values()))
    node.trouble = Trouble(hangs="root")
    job = await world.submit("ve.start", name="shop")
    await world.rack.until(lambda: node.stage == "root" and world.rack.resource(node).seen.stage in ("kernel", "agent"))  # type: ignore[union-attr]
    world.qrmd.rack.show("r1", stage="root", stage_at=1.0, heard=1.0)
    world.classic.host.mounts.pop("/vol/shop")
    await world.qrmd.watchers.look("s1")
    said = why(world, "ve", "shop")
    assert "its boot stalls at root" in said and "its image shop is error: /vol/shop is not mounted" in said
    await world.qrmd.jobs.cancel(job)
    assert (await world.qrmd.jobs.wait(job)).state in ("undone", "failed")


async def test_a_silent_machine_is_stopped_only_by_force_and_cut_off_then(world: World) -> None:
    node = await running(world)
    node.trouble = Trouble(silent=True)
    world.qrmd.rack.show("r1", heard=1.0)
    with pytest.raises(Refused, match="nothing can reset r1"):
        await world.do("ve.stop", name="shop")
    assert await world.do("ve.stop", name="shop", force=True) == "done"
    assert world.classic.host.offered().get("/vol/shop", ()) == () and not world.classic.host.sessions
    # somebody pushes its button: it comes up idle
    node.trouble = Trouble()
    node.pull(again=True)
    await world.rack.until(lambda: state(world, "resource", "r1") == "idle")
    assert await world.leftovers() == []


async def test_a_machine_that_hangs_is_reset_by_its_controller(world: World) -> None:
    node = await running(world)
    world.server.host.root.write("/etc/qrm/bmc", "secret\n", 0o600)
    await world.do("resource.edit", name="r1", power="ipmi", power_address=f"192.168.89.{node.number}",
                   power_user="admin", power_secret="/etc/qrm/bmc")
    node.trouble = Trouble(silent=True)
    world.qrmd.rack.show("r1", heard=1.0)
    job = await world.submit("resource.power", name="r1", action="reset")
    node.trouble = Trouble()
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert state(world, "ve", "shop") == "active"
    assert any(argv[0] == "ipmitool" and argv[-1] == "reset" for argv in world.server.history)


async def test_off_is_believed_when_its_controller_says_so(world: World) -> None:
    name = await world.machine()
    node = next(iter(world.rack.simulated.nodes.values()))
    world.server.host.root.write("/etc/qrm/bmc", "secret\n", 0o600)
    await world.do("resource.edit", name=name, power="ipmi", power_address=f"192.168.89.{node.number}",
                   power_user="admin", power_secret="/etc/qrm/bmc")
    await node.power_off()
    world.qrmd.rack.show(name, heard=2.0, stage_at=1.0)
    assert state(world, "resource", name) == "unknown"
    await world.qrmd.controllers.ask_all()
    assert state(world, "resource", name) == "off"
    assert await world.do("resource.power", name=name, action="on") == "done"
    await world.rack.until(lambda: state(world, "resource", name) == "idle")


async def test_an_orderly_power_off_is_seen(world: World) -> None:
    name = await world.machine()
    assert await world.do("resource.power", name=name, action="off") == "done"
    assert state(world, "resource", name) == "off"
    assert "said good-bye" in why(world, "resource", name)


async def test_one_that_goes_down_to_reboot_and_is_not_seen_again_is_unknown(world: World) -> None:
    name = await world.machine()
    now = world.qrmd.farm.clock()
    world.qrmd.rack.show(name, beat=0.0, stage="", heard=now, stage_at=1.0)
    assert state(world, "resource", name) == "booting"
    world.qrmd.rack.show(name, heard=now - 601)
    assert state(world, "resource", name) == "unknown"


async def test_whoever_takes_the_agent_out_is_no_error(world: World) -> None:
    node = await running(world)
    node.trouble = Trouble(silent=True)
    world.qrmd.rack.show("r1", heard=1.0, answered=world.qrmd.farm.clock())
    assert state(world, "resource", "r1") == "active" and "its agent is silent" in why(world, "resource", "r1")
    assert state(world, "ve", "shop") == "active"


async def test_a_forgotten_machine_comes_back_as_a_new_one(world: World) -> None:
    await world.machine()
    node = next(iter(world.rack.simulated.nodes.values()))
    await node.power_off()
    assert await world.do("resource.remove", name="r1") == "done"
    assert world.qrmd.farm.count("resource") == 0
    assert await world.rack.boot(node)
    assert next(iter(world.qrmd.farm.all("resource"))).wanted.maintenance


async def test_a_boot_file_changed_by_hand_between_plan_and_run_is_refused(world: World) -> None:
    await world.machine()
    await define(world)
    plan = await world.qrmd.plan("ve.start", {"name": "shop"}, Role.administrator)
    path = next(step.path for step in plan.steps if getattr(step, "path", "").startswith("/srv/qrm/boot"))
    world.server.host.root.write(path, "# mine\n")
    with pytest.raises(Stale, match=f"on {HERE}: the file {path}"):
        await world.qrmd.run(plan.id, ADMIN, Role.administrator)
    assert world.server.host.root.read(path) == "# mine\n"


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
async def test_a_virtualization_host_boots_its_hypervisor_and_goes_home(world: World, firmware: str) -> None:
    await world.set_up()
    node = world.rack.add(dataclasses.replace(MODEL, firmware=firmware))
    await world.do("resource.maintenance", name=await world.rack.boot(node), off=True)
    assert await world.do("boot-image.create", name="xen", package="linux-image-amd64", hypervisor="xen") == "done"
    assert await world.do("image.add", name="host", storage="s1", size="1G") == "done"
    await world.do("ve.create", name="host", boot_image="xen", image="host", partitioning="xen")
    with pytest.raises(Refused, match="is what VE host boots"):
        await world.do("boot-image.remove", name="xen")
    assert await world.do("ve.start", name="host") == "done"
    assert state(world, "ve", "host") == "active" and node.words["qrm.bridge"] == BRIDGE
    assert await world.do("ve.stop", name="host") == "done"
    await world.rack.until(lambda: state(world, "resource", "r1") == "idle")
    assert "qrm.bridge" not in node.words
