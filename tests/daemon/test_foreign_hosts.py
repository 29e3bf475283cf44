"""Virtualization hosts that were added as they are: their domains are listed, started and stopped."""
from __future__ import annotations

from typing import Any

import pytest

from qrm_tui.core.errors import BadInput, QrmError, Refused, Unreachable
from tests.daemon.test_partitions import make
from tests.daemon.world import World

LXC1 = {"name": "lxc1", "technology": "lxc", "address": "10.0.0.9"}


async def added(world: World) -> None:
    await world.do("host.add", **LXC1)
    await world.rack.until(lambda: world.qrmd.farm.count("domain") == 2)


def state(world: World, name: str = "lxc1.web") -> str:
    return str(world.qrmd.farm.get("domain", name).state)


async def test_its_domains_are_listed_and_switched(world: World) -> None:
    await added(world)
    row = await world.qrmd.show("host", "lxc1")
    assert (row["state"], row["technology"], row["added"], row["foreign"]) == ("ok", "lxc", True, ["db", "web"])
    row = await world.qrmd.show("domain", "lxc1.web")
    assert (row["state"], row["host"], row["title"], row["technology"]) == ("running", "lxc1", "web", "lxc")
    for operation, more, then in (("stop", {}, "off"), ("start", {}, "running"), ("stop", {"force": True}, "off")):
        assert await world.do(f"domain.{operation}", name="lxc1.web", **more) == "done"
        assert (state(world), state(world, "lxc1.db")) == (then, "running")
    with pytest.raises(Refused, match=r"lxc1\.web is off already"):
        await world.do("domain.stop", name="lxc1.web")


async def test_it_is_there_after_a_restart_and_gone_when_it_is_forgotten(world: World) -> None:
    await added(world)
    assert await world.do("domain.stop", name="lxc1.web") == "done"
    await world.kill_and_start()
    await world.rack.until(lambda: world.qrmd.farm.count("domain") == 2)
    assert state(world) == "off"
    await world.do("host.remove", name="lxc1")
    assert world.qrmd.farm.count("domain") == world.qrmd.farm.count("host") == 0
    await added(world)
    assert (state(world), state(world, "lxc1.db")) == ("off", "running"), "what was there went on"


async def test_one_that_does_not_answer_leaves_its_domains_unknown(world: World, monkeypatch: Any) -> None:
    await added(world)

    async def silent() -> None:
        raise Unreachable("no answer within 10 s")

    monkeypatch.setattr(world.rack.simulated.foreign["10.0.0.9"], "look", silent)
    with pytest.raises(Unreachable):
        await world.qrmd.hosts.look("lxc1")
    row = await world.qrmd.show("domain", "lxc1.web")
    assert (row["state"], row["next"]) == ("unknown", "qrm host why lxc1") and "no answer within" in row["why"]
    assert [alert["name"] for alert in world.qrmd.status()["alerts"] if alert["kind"] != "user"] == ["lxc1"]
    assert (await world.qrmd.show("host", "lxc1"))["next"] == "is it on, and its network? Look at 10.0.0.9"
    with pytest.raises(Refused, match="lxc1 is error: no answer"):
        await world.do("domain.start", name="lxc1.web")


async def test_no_partitions_are_made_there(world: World) -> None:
    await added(world)
    with pytest.raises(Refused, match="lxc1 was added as it is: partitions are made on machines that run a VE"):
        await make(world, "lxc1")


async def test_domains_on_our_own_hosts_are_shown_and_never_touched(world: World) -> None:
    name = await world.host()
    hypervisor = next(iter(world.rack.simulated.hypervisors.values()))
    await hypervisor.line.call("define", lambda connection: connection.defineXML(
        "<domain type='test'><name>a b:ü</name><memory>65536</memory><os><type>hvm</type></os></domain>"))
    await world.qrmd.hosts.look(name)
    (item,) = world.qrmd.farm.all("domain")
    assert (item.name, item.wanted.title) == (f"{name}.a_b", "a b:ü")
    with pytest.raises(Refused, match="is none of ours, and is never touched"):
        await world.do("domain.start", name=item.name)
    with pytest.raises(Refused, match="qrm ve stop hosts"):
        await world.do("host.remove", name=name)
    await hypervisor.line.call("define", lambda connection: connection.defineXML(
        "<domain type='test'><name>web</name><memory>65536</memory><os><type>hvm</type></os></domain>"))
    await world.qrmd.hosts.look(name)
    with pytest.raises(Refused, match="has a domain web that is none of ours"):
        await make(world, name, name="web")


@pytest.mark.parametrize(("given", "words"), [
    ({"technology": "esx"}, "secret: is needed for esx"), ({"secret": "/x"}, "secret: is for --technology esx alone"),
    ({"technology": "vserver"}, "not one of lxc, esx, kvm, xen"), ({"address": "10.0.0.99"}, "does not answer"),
    ({"name": "r1"}, "resource 'r1' is there already"),
])
async def test_what_cannot_be_added_is_refused(world: World, given: dict[str, Any], words: str) -> None:
    await world.machine()
    with pytest.raises((BadInput, QrmError), match=words):
        await world.do("host.add", **{**LXC1, **given})
    assert not world.qrmd.farm.count("host")


async def test_the_same_host_twice_is_refused_and_names_are_not_taken_twice(world: World) -> None:
    await world.do("host.add", **{**LXC1, "name": "r1"})
    with pytest.raises(Refused, match=r"what is at 10\.0\.0\.9 is host r1 already"):
        await world.do("host.add", **LXC1)
    assert await world.machine() == "r2"
