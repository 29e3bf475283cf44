"""Partitions are held to their addresses by their simulated host from before their start on, or do not start."""
from __future__ import annotations

import pytest

from qrm_tui.core.errors import Refused
from qrm_tui.daemon.driving import Job
from tests.daemon.scenarios import SCENARIOS
from tests.daemon.test_partitions import idle, make, partition, resource
from tests.daemon.world import World


async def test_a_filter_is_there_while_it_runs(world: World) -> None:
    name = await world.host()
    await make(world, name, count=2)
    one, other = (partition(world, f"{name}-{number}").wanted.target for number in (1, 2))
    filters = world.machine_of(name).host.filters
    address = resource(world, f"{name}-1").wanted.address
    assert set(filters) == {one, other} and f"arp saddr ip {address} accept" in filters[one]
    await idle(world, f"{name}-1")
    assert await world.do("partition.pause", name=f"{name}-1") == "done"
    assert set(filters) == {one, other}
    assert await world.do("partition.stop", name=f"{name}-1", force=True) == "done"
    assert set(filters) == {other}
    assert await world.do("partition.remove", name=f"{name}-2") == "done"
    assert filters == {} and await world.leftovers() == []


async def test_its_address_is_another_one_when_it_is_off(world: World) -> None:
    name = await world.host()
    await make(world, name)
    made = f"{name}-1"
    await idle(world, made)
    with pytest.raises(Refused, match=f"{made} is running, and held .* qrm partition stop {made}"):
        await world.do("resource.edit", name=made, address="192.168.88.98")
    assert await world.do("resource.edit", name=made, console="none") == "done"
    assert await world.do("partition.stop", name=made, force=True) == "done"
    assert await world.do("resource.edit", name=made, address="192.168.88.98") == "done"
    assert await world.do("partition.start", name=made) == "done"
    (rules,) = world.machine_of(name).host.filters.values()
    assert "arp saddr ip 192.168.88.98 accept" in rules
    assert await world.leftovers() == []


async def test_a_host_that_was_restarted_gets_it_again_with_the_next_start(world: World) -> None:
    operation, setup, arguments = SCENARIOS["start partition"]
    await setup(world, "web")
    host = world.machine_of("r1").host

    def on_point(point: str, job: Job, step: int) -> None:
        if point == "begun" and step == 1:
            assert host.filters, "the first step has loaded it"
            host.filters.clear()

    world.qrmd.jobs.on_point = on_point
    number = await world.submit(operation, **arguments("web"))
    job = await world.qrmd.jobs.wait(number)
    assert (job.state, "r1 does not hold web to its addresses any more" in job.error) == ("undone", True), job.error
    assert partition(world, "web").state == "off"
    world.qrmd.jobs.on_point = lambda point, job, step: None
    assert await world.do(operation, **arguments("web")) == "done"
    assert await world.leftovers() == []


async def test_without_an_address_of_its_own_it_is_not_made(world: World) -> None:
    name = await world.host()
    taken = resource(world, name).wanted.address
    assert await world.do("component.configure", name="dhcpd", settings={"machines": f"{taken}-{taken}"}) == "done"
    with pytest.raises(Refused, match=r"no address is left for partition p, .*configure dhcpd machines=FIRST-LAST"):
        await make(world, name, name="p", count=1)
    assert await world.leftovers() == []


async def test_filters_that_somebody_flushed_are_told_and_loaded_again(world: World) -> None:
    name = await world.host()
    await make(world, name, count=2)
    host, farm = world.machine_of(name).host, world.qrmd.farm
    await world.qrmd.hosts.look(name)
    whole = dict(host.filters)
    assert (await world.qrmd.show("host", name))["why"] == "its libvirtd answers" and len(whole) == 2

    host.filters.clear()  # nft flush ruleset
    await world.qrmd.hosts.look(name)
    assert host.filters == whole
    row = await world.qrmd.show("host", name)
    assert row["state"] == "ok" and f"it did not hold {name}-1, {name}-2 to their addresses" in row["why"]
    (alert,) = [alert for alert in world.qrmd.status()["alerts"] if alert["name"] == name]
    assert alert["kind"] == "host" and "somebody had removed their filters" in alert["why"]
    assert "loaded again" in row["next"] and "nft flush ruleset" in row["next"]
    assert (await world.qrmd.show("partition", f"{name}-1"))["why"] == "it runs"

    now = farm.clock
    farm.clock = lambda: now() + 2 * 3600
    await world.qrmd.hosts.look(name)
    assert (await world.qrmd.show("host", name))["why"] == "its libvirtd answers"


async def test_one_that_cannot_be_held_again_is_an_alert_until_it_is(world: World) -> None:
    name = await world.host()
    await make(world, name)
    machine, made = world.machine_of(name), f"{name}-1"
    await world.qrmd.hosts.look(name)
    machine.host.filters.clear()
    machine.faults.fail += [("sh", "nft: Operation not permitted")] * 3  # to look, to compare, to load
    await world.qrmd.hosts.look(name)
    row = await world.qrmd.show("partition", made)
    assert row["state"] == "running" and "nft: Operation not permitted" in row["why"]
    assert f"qrm partition stop {made}" in row["next"]
    assert ("partition", made) in {(alert["kind"], alert["name"]) for alert in world.qrmd.status()["alerts"]}
    await world.qrmd.hosts.look(name)
    assert (await world.qrmd.show("partition", made))["why"] == "it runs" and machine.host.filters


async def test_what_is_off_or_in_a_jobs_hands_is_left_alone(world: World) -> None:
    name = await world.host()
    await make(world, name)
    made, host = f"{name}-1", world.machine_of(name).host
    looked = 0

    def on_point(point: str, job: Job, step: int) -> None:
        nonlocal looked
        if point == "begun":
            looked += 1
            host.filters.clear()

    world.qrmd.jobs.on_point = on_point
    assert await world.do("partition.stop", name=made, force=True) == "done"
    await world.qrmd.hosts.look(name)
    assert looked and host.filters == {} and partition(world, made).state == "off"
    assert (await world.qrmd.show("host", name))["why"] == "its libvirtd answers"
