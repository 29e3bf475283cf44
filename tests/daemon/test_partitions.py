"""Partitions on simulated hosts, through libvirt's own simulated driver: made, booted, deployed, switched, removed."""
from __future__ import annotations

from typing import Any

import pytest

from qrm_tui.core.errors import BadInput, Refused, Unreachable
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.peer import Peer
from qrm_tui.practice.rack import inject
from tests.daemon.world import World


def partition(world: World, name: str) -> Item:
    return world.qrmd.farm.get("partition", name)


def resource(world: World, name: str) -> Item:
    return world.qrmd.farm.get("resource", name)


async def idle(world: World, name: str) -> None:
    await world.rack.until(lambda: resource(world, name).state == "idle")


async def make(world: World, on: str, **arguments: Any) -> str:
    state = await world.do("partition.create", host=on, **{"memory": "256M", **arguments})
    assert state == "done", [job.wanted.error for job in world.qrmd.farm.all("job")][-1]
    return state


async def test_partitions_are_made_boot_idle_and_arrive_in_maintenance(world: World) -> None:
    name = await world.host()
    assert await make(world, name, count=2, cpus=1, mhz=400) == "done"
    for made in (f"{name}-1", f"{name}-2"):
        await idle(world, made)
        item = resource(world, made)
        assert (item.wanted.kind, item.wanted.technology, item.wanted.host) == ("partition", "xen", name)
        assert item.wanted.maintenance and item.wanted.address
        assert partition(world, made).state == "running"
    row = (await world.qrmd.show("host", name))
    assert (row["partitions"], row["foreign"], row["technology"]) == (2, [], "xen")
    assert (await world.qrmd.show("resource", name))["virtualization"] == "xen"


@pytest.mark.parametrize(("partitioning", "means"), [("xen", ["sysrq"]), ("kvm", ["break", "sysrq"])])
async def test_its_console_takes_sysrq_in_its_own_way(world: World, partitioning: str, means: list[str]) -> None:
    name = await world.host(partitioning)
    await make(world, name)
    made = f"{name}-1"
    await idle(world, made)
    console = world.qrmd.consoles.find(made)
    session = console.join(Peer(1, 0, ()))
    assert console.status(session)["means"] == means

    def said(before: int) -> bytes:
        piece = console.log.read(before)
        return piece.data if piece else b""

    before = console.log.end
    await console.type(session, b"\x0fb")
    assert (resource(world, made).state, said(before)) == ("idle", b""), "a key is a key"
    await console.send_sysrq(session, "h")
    assert b"sysrq: HELP" in said(before)
    if "break" in means:
        await console.send_break(session)
        await console.type(session, b"h")
        assert (said(before)).count(b"sysrq: HELP") == 2
    else:
        with pytest.raises(Refused, match=rf"the console of {made}: .* has no break"):
            await console.send_break(session)


async def test_one_is_deployed_like_any_machine_and_goes_back_to_idle(world: World) -> None:
    name = await world.host()
    assert await make(world, name) == "done"
    made = f"{name}-1"
    await idle(world, made)
    await world.do("resource.maintenance", name=[made], off=True)
    assert await world.do("image.add", name="customer1", storage="s1", size="1G") == "done"
    await world.do("ve.create", name="customer1", boot_image="debian12", image="customer1", kind="partition",
                   technology="xen", memory="256M")
    assert await world.do("ve.start", name="customer1") == "done"
    assert resource(world, made).state == "active"
    plan = await world.qrmd.plan("resource.power", {"name": name, "action": "off"}, Role.administrator)
    assert plan.warnings[-1] == f"its partitions go down with it: {made} (VE customer1)"
    with pytest.raises(Refused, match="belongs to VE customer1"):
        await world.do("partition.remove", name=made)
    with pytest.raises(Refused, match=f"hosts {made}"):
        await world.do("ve.stop", name="hosts")
    assert await world.do("ve.stop", name="customer1") == "done"
    await idle(world, made)


async def test_paused_resumed_stopped_and_started(world: World) -> None:
    name = await world.host()
    assert await make(world, name) == "done"
    made = f"{name}-1"
    await idle(world, made)
    for more, words in (({"mhz": 99999}, "99999 are wanted"), ({"cpus": 999}, "999 are wanted"),
                        ({"memory": "900T"}, "of its memory free")):
        with pytest.raises(Refused, match=words):
            await world.do("partition.resize", name=made, **more)
    with pytest.raises(BadInput, match="say what it is to have"):
        await world.do("partition.resize", name=made)
    plan = await world.qrmd.plan("partition.resize", {"name": made, "memory": "9M"}, Role.administrator)
    assert "9M is little" in plan.warnings[0]
    for operation, state in (("pause", "paused"), ("resume", "running"), ("reset", "running"), ("stop", "off"),
                             ("start", "running")):
        assert await world.do(f"partition.{operation}", name=made) == "done", operation
        assert partition(world, made).state == state
        if state == "off":
            await world.rack.until(lambda: resource(world, made).state == "off")
    await idle(world, made)


async def test_removed_nothing_is_left(world: World) -> None:
    name = await world.host()
    before = await world.leftovers()
    assert await make(world, name, name="small", count=1) == "done"
    await idle(world, "small")
    assert await world.do("partition.remove", name="small") == "done"
    assert world.qrmd.farm.find("partition", "small") is None and world.qrmd.farm.find("resource", "small") is None
    assert await world.leftovers() == before == []
    assert (await world.qrmd.show("host", name))["foreign"] == []


async def test_what_somebody_made_with_xl_is_foreign_until_it_is_gone(world: World) -> None:
    """libvirt does not know such a domain."""
    name = await world.host()
    listed = world.machine_of(name).host.listed
    listed.append("theirs                                       5   128     1     --p---       0.0 "
                  "11111111-2222-3333-4444-555555555555        -                -")
    await world.qrmd.hosts.look(name)
    assert (await world.qrmd.show("host", name))["foreign"] == ["theirs"]
    row = await world.qrmd.show("domain", f"{name}.theirs")
    assert (row["state"], row["memory"], row["host"]) == ("paused", 128 << 20, name)
    with pytest.raises(Refused, match="has a domain theirs that is none of ours"):
        await make(world, name, name="theirs")
    listed.clear()
    await world.qrmd.hosts.look(name)
    assert (await world.qrmd.show("host", name))["foreign"] == [] == list(world.qrmd.farm.all("domain"))


@pytest.mark.parametrize(("arguments", "words"), [
    ({"cpus": 999}, "999 are wanted"), ({"memory": "900T"}, "none of 900T fits"),
    ({"disk": "900T"}, "no disk of 900T fits"),
    ({"mhz": 99999}, "MHz"), ({"count": 1000}, "at most"), ({"name": "r1"}, "is there already"),
])
async def test_what_does_not_fit_is_refused(world: World, arguments: dict[str, Any], words: str) -> None:
    name = await world.host()
    with pytest.raises(Exception, match=words):
        await make(world, name, **arguments)


async def test_a_machine_that_is_no_host_is_told(world: World) -> None:
    name = await world.machine()
    with pytest.raises(Refused, match="runs no VE with partitioning"):
        await make(world, name)


async def test_one_that_crashes_is_an_alert_and_is_started_again(world: World) -> None:
    name = await world.host()
    assert await make(world, name) == "done"
    made = f"{name}-1"
    await idle(world, made)
    await inject(world.rack.simulated.node(made), "panic", {})
    await world.rack.until(lambda: partition(world, made).state == "crashed")
    alerts = {(alert["kind"], alert["name"]): alert for alert in world.qrmd.status()["alerts"]}
    assert "panicked" in alerts["partition", made]["why"] and f"qrm partition start {made}" in alerts[
        "partition", made]["next"]
    row = await world.qrmd.show("resource", made)
    assert (row["state"], row["event"], row["event_stands"]) == ("off", "Kernel panic", True), "a wall shows it"
    assert "Kernel panic" in alerts["resource", made]["why"]
    assert alerts["resource", made]["next"].endswith(f"then qrm partition start {made}")
    world.rack.simulated.node(made).trouble.hangs = "agent"
    assert await world.do("partition.start", name=made) == "done"
    assert partition(world, made).state == "running"
    row = await world.qrmd.show("resource", made)
    assert (row["state"], row["why"].split(";")[0]) == ("booting", f"{name} has started it: its agent is awaited")
    assert row["event_stands"], "until it has come up in another boot"
    world.rack.simulated.node(made).trouble.hangs = ""
    assert await world.do("partition.reset", name=made) == "done"
    await idle(world, made)
    assert not (await world.qrmd.show("resource", made))["event_stands"]


async def test_a_paused_one_stands_still_and_is_no_alert(world: World) -> None:
    name = await world.host()
    assert await make(world, name) == "done"
    made = f"{name}-1"
    await idle(world, made)
    await world.do("resource.maintenance", name=[made], off=True)
    assert await world.do("partition.pause", name=made) == "done"
    row = await world.qrmd.show("resource", made)
    assert (row["state"], row["next"]) == ("unknown", f"qrm partition resume {made}")
    await world.qrmd.hosts.look(name)
    assert partition(world, made).seen_at == world.qrmd.farm.get("host", name).seen_at
    assert not [alert for alert in world.qrmd.status()["alerts"] if alert["name"] == made]


async def test_a_plug_that_is_pulled_is_seen_at_the_host(world: World) -> None:
    name = await world.host()
    assert await make(world, name) == "done"
    made = f"{name}-1"
    await idle(world, made)
    await inject(world.rack.simulated.node(made), "unplug", {})
    await world.rack.until(lambda: partition(world, made).state == "off" and resource(world, made).state == "off")
    assert (await world.qrmd.show("resource", made))["next"] == f"qrm partition start {made}"
    with pytest.raises(BadInput, match="has no button"):
        await world.rack.simulated.power_on([made])


async def test_a_host_that_loses_power_is_one_alert_and_its_partitions_are_off_when_it_is_back(world: World) -> None:
    name = await world.host()
    assert await make(world, name, count=2) == "done"
    made = [f"{name}-1", f"{name}-2"]
    for one in made:
        await idle(world, one)
    await world.do("resource.maintenance", name=made, off=True)
    node = world.rack.simulated.by_mac(resource(world, name).wanted.mac)
    assert node is not None
    console = world.qrmd.consoles.find(made[0])
    assert console.state == "connected"
    await node.unplug()
    with pytest.raises(Unreachable):
        await world.qrmd.hosts.look(name)
    assert [partition(world, one).state for one in made] == ["unknown", "unknown"]
    (alert,) = world.qrmd.status()["alerts"]
    assert (alert["kind"], alert["name"]) == ("host", name)
    assert alert["why"].endswith("no answer on ssh; nothing is known of its 2 partitions")
    node.power_on()
    await world.rack.until(lambda: {partition(world, one).state for one in made} == {"off"})
    assert (await world.qrmd.show("partition", made[0]))["why"] == "it went off by itself"
    assert console.state == "waiting"
    assert await world.do("partition.start", name=made[0]) == "done"
    await idle(world, made[0])
    assert console.state == "connected"


async def test_rows_tell_what_is_used(world: World) -> None:
    name = await world.host()
    assert await make(world, name, memory="256M") == "done"
    await world.qrmd.hosts.look(name)
    row, whole = await world.qrmd.show("partition", f"{name}-1"), (await world.qrmd.show("host", name))["memory"]
    assert row["memory_share"] == round((256 << 20) / whole, 3)
    assert 0 <= row["busy"] <= 1 and (await world.qrmd.show("host", name))["busy"] <= row["busy"]


async def test_a_line_that_is_cut_in_the_middle_of_a_start_loses_nothing(world: World) -> None:
    name = await world.host()
    (hypervisor,) = world.rack.simulated.hypervisors.values()
    for what in ("define", "start", "resume"):
        cuts = [f"{hypervisor.name}: {what}"]

        def cut(effect: str, cuts: list[str] = cuts) -> None:
            if effect in cuts:
                cuts.remove(effect)
                raise Unreachable("the ssh line was cut")

        hypervisor.half = cut
        assert await make(world, name) == "done" and not cuts
    made = [item.name for item in world.qrmd.farm.all("partition")]
    assert len(made) == 3
    for one in made:
        await idle(world, one)
        assert partition(world, one).state == "running"


async def test_a_libvirtd_that_dies_leaves_its_partitions_unknown_and_not_crashed(world: World) -> None:
    name = await world.host()
    assert await make(world, name) == "done"
    made = f"{name}-1"
    await idle(world, made)
    await world.do("resource.maintenance", name=[made], off=True)
    (hypervisor,) = world.rack.simulated.hypervisors.values()
    answers = hypervisor.line.call

    async def dead(*_: object, **__: object) -> object:
        raise Unreachable("libvirtd does not answer")

    hypervisor.line.call = dead
    with pytest.raises(Unreachable):
        await world.qrmd.hosts.look(name)
    assert (partition(world, made).state, resource(world, made).state) == ("unknown", "idle"), "its agent still speaks"
    assert [(alert["kind"], alert["name"]) for alert in world.qrmd.status()["alerts"]] == [("host", name)]
    hypervisor.line.call = answers
    await world.qrmd.hosts.look(name)
    assert partition(world, made).state == "running" and not world.qrmd.status()["alerts"]
