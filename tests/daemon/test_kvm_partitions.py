"""Partitions of KVM hosts, which netboot as machines do, on simulated hosts."""
from __future__ import annotations

import msgspec

from qrm_tui.backends.boot import machine_paths
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import Domain, Record
from tests.daemon.test_partitions import idle, make, partition, resource
from tests.daemon.world import World


async def test_they_netboot_as_machines_do_and_arrive_in_maintenance(world: World) -> None:
    name = await world.host("kvm")
    await make(world, name, count=2)
    for made in (f"{name}-1", f"{name}-2"):
        await idle(world, made)
        item = resource(world, made)
        assert (item.wanted.kind, item.wanted.technology, item.wanted.host) == ("partition", "kvm", name)
        assert item.wanted.maintenance and item.wanted.mac.startswith("52:54:00:")
        assert partition(world, made).wanted.technology == "kvm"
        assert list(item.seen.stages) == ["dhcp", "loader", "kernel", "agent"]
        # no other was given before its own
        assert item.seen.address == item.wanted.address
    assert (await world.qrmd.show("host", name))["technology"] == "kvm"
    assert (await world.qrmd.show("resource", name))["virtualization"] == "kvm"


async def test_one_that_was_started_is_booting_until_its_first_packet_and_stalls_as_machines_do(world: World) -> None:
    name = await world.host("kvm")
    await make(world, name)
    made = f"{name}-1"
    await idle(world, made)
    assert await world.do("partition.stop", name=made, force=True) == "done"
    await world.rack.until(lambda: resource(world, made).state == "off")
    node = world.rack.simulated.node(made)
    node.pace = 1000
    assert await world.do("partition.start", name=made) == "done"
    row = await world.qrmd.show("resource", made)
    assert (row["state"], row["why"]) == ("booting", f"{name} has started it: its first packet is awaited")
    node.pull(again=False)
    node.pace, node.trouble.hangs = 0, "dhcp"
    node.power_on()
    node.network.say("dhcpd", f"qrm pxe {node.mac} arch 0")
    await world.rack.until(lambda: resource(world, made).seen.stage == "dhcp")
    assert (await world.qrmd.show("resource", made))["why"].startswith("it boots: dhcp for ")
    now = world.qrmd.farm.clock()
    world.qrmd.farm.clock = lambda: now + 90
    row = await world.qrmd.show("resource", made)
    assert row["why"].startswith("its boot stalls at dhcp")


async def test_one_is_deployed_by_its_boot_files_alone(world: World) -> None:
    name = await world.host("kvm")
    await make(world, name)
    made = f"{name}-1"
    await idle(world, made)
    await world.do("resource.maintenance", name=[made], off=True)
    assert await world.do("image.add", name="customer1", storage="s1", size="1G") == "done"
    await world.do("ve.create", name="customer1", boot_image="debian12", image="customer1", kind="partition",
                   technology="kvm", memory="256M")
    for operation, state in (("ve.start", "active"), ("ve.stop", "idle")):
        plan = await world.qrmd.plan(operation, {"name": "customer1"}, Role.administrator)
        switched = [step.do for step in plan.steps if isinstance(step, Domain)]
        assert switched == (["start", "stop", "start"] if operation == "ve.start" else ["stop", "start"])
        assert await world.do(operation, name="customer1") == "done"
        await world.rack.until(lambda state=state: resource(world, made).state == state)
        bios, _ = machine_paths(resource(world, made).wanted.mac)
        said = world.server.host.root.read(bios)
        assert ("qrm.ve=" in said) == (state == "active")
        assert "console=ttyS0,115200" in said and "tty0 " not in said
    assert await world.leftovers() == []


async def test_reset_in_place_it_boots_anew(world: World) -> None:
    name = await world.host("kvm")
    await make(world, name)
    made = f"{name}-1"
    await idle(world, made)
    before = resource(world, made).seen.boot
    plan = await world.qrmd.plan("partition.reset", {"name": made}, Role.administrator)
    assert [step.do for step in plan.steps if isinstance(step, Domain)] == ["reset"]
    assert await world.do("partition.reset", name=made) == "done"
    await world.rack.until(lambda: resource(world, made).seen.boot != before and resource(world, made).state == "idle")


async def test_more_memory_comes_at_its_next_start(world: World) -> None:
    name = await world.host("kvm")
    await make(world, name, memory="256M")
    made = f"{name}-1"
    await idle(world, made)
    plan = await world.qrmd.plan("partition.resize", {"name": made, "memory": "384M"}, Role.administrator)
    assert plan.warnings == ("its memory changes at its next start: it was started with room for 256M",)
    assert await world.do("partition.resize", name=made, memory="192M") == "done"
    assert partition(world, made).seen.domain.memory == 192 << 20


async def test_a_host_without_kvm_says_that_its_partitions_are_emulated(world: World) -> None:
    name = await world.host("kvm")
    item = world.qrmd.farm.get("host", name)
    world.qrmd.farm.put(msgspec.structs.replace(item, seen=msgspec.structs.replace(item.seen, technology="qemu")))
    row = await world.qrmd.show("host", name)
    assert (row["technology"], row["state"]) == ("qemu", "ok") and "emulated: slow" in row["why"]
    plan = await world.qrmd.plan("partition.create", {"host": name, "memory": "256M"}, Role.administrator)
    (defined,) = (step for step in plan.steps if isinstance(step, Domain) and step.do == "define")
    assert '<domain type="qemu">' in defined.xml
    (noted, *_) = (change for step in plan.steps if isinstance(step, Record) for change in step.changes
                   if change.kind == "resource")
    assert noted.wanted is not None and noted.wanted["technology"] == "qemu"
