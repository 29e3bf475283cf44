"""Partitions are held to their addresses by their simulated host from before their start on, or do not start."""
from __future__ import annotations

import pytest

from qrm_tui.core.errors import Refused
from qrm_tui.daemon.jobs import Job
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
