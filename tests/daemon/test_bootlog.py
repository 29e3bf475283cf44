"""Boots that the server's journal tells of: stages, machines that nobody knows, floods and nonsense."""
from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import msgspec
import pytest

from qrm_tui.backends.bootlog import Step
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.model import Item
from qrm_tui.core.node_wire import EnlistRequest
from qrm_tui.core.resources import ResourceSeen
from qrm_tui.daemon import bootlog
from tests.daemon.world import World

MAC, ADDRESS = "52:54:00:77:00:20", "10.88.0.100"


async def follow(world: World) -> None:
    """The server is set up, and follows its journal."""
    for name in ("dhcpd", "tftpd", "apache", "node"):
        settings = {"address": "192.168.88.1", "machines": "10.88.1.1-10.88.1.250"} if name == "dhcpd" else {}
        world.qrmd.farm.put(Item(kind="component", name=name, wanted=ComponentWanted(settings=settings), created=1))
    await until(lambda: bool(world.server._followers))


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.01)


def seen(world: World, mac: str = MAC) -> ResourceSeen:
    item = world.qrmd.farm.resource_of(mac)
    return (item.seen if item else None) or ResourceSeen()


async def test_an_unknown_machine_is_there_from_its_first_packet_and_goes_through_its_stages(world: World) -> None:
    await follow(world)
    for program, line, stage in (
        ("dhcpd", f"qrm pxe {MAC} arch 0", "dhcp"),
        ("dhcpd", f"DHCPACK on {ADDRESS} to {MAC} via br0", "dhcp"),
        ("in.tftpd", f"RRQ from {ADDRESS} filename pxelinux.0", "loader"),
        ("in.tftpd", f"RRQ from {ADDRESS} filename pxelinux.cfg/01-52-54-00-77-00-20", "loader"),
        ("in.tftpd", f"RRQ from {ADDRESS} filename images/idle/vmlinuz", "kernel"),
    ):
        world.server.say(program, line)
        await until(lambda stage=stage: seen(world).stage == stage)  # type: ignore[misc]
    item = world.qrmd.farm.resource_of(MAC)
    assert item and item.state == "booting" and item.wanted.maintenance and item.wanted.address == "10.88.1.1"
    # its enlistment takes it over
    answer = await world.qrmd.enlisting.ask(EnlistRequest(mac=MAC, boot="0" * 32), "10.88.1.1")
    assert (answer.status, answer.name) == (200, item.name)
    assert world.qrmd.farm.get("resource", item.name).state == "idle"
    assert world.qrmd.farm.count("resource") == 1


async def test_it_is_kept_over_a_restart(world: World) -> None:
    await take(world, "dhcp")
    name = world.qrmd.farm.resource_of(MAC).name  # type: ignore[union-attr]
    await world.kill_and_start()
    assert world.qrmd.farm.get("resource", name).wanted.mac == MAC


async def test_uefi_loads_over_http(world: World) -> None:
    await follow(world)
    world.server.say("dhcpd", f"qrm pxe {MAC} arch 7")
    world.server.say("dhcpd", f"DHCPACK on {ADDRESS} to {MAC} via br0")
    world.server.say("in.tftpd", f"RRQ from {ADDRESS} filename snponly.efi")
    await until(lambda: seen(world).stage == "loader")
    at = seen(world).stage_at
    world.server.say("dhcpd", f"qrm pxe {MAC} arch 7")  # the loader asks for an address itself
    world.server.say("qrm-http", f"{ADDRESS} GET /qrm/boot/ipxe/boot.ipxe 200 300")
    world.server.say("qrm-http", f"{ADDRESS} GET /qrm/boot/images/idle/vmlinuz 200 300")
    await until(lambda: seen(world).stage == "kernel")
    assert seen(world).stage_at >= at


async def take(world: World, stage: str, mac: str = MAC, address: str = "") -> None:
    await world.qrmd.bootlog.take(Step(stage, mac=mac, address=address))


@pytest.mark.parametrize(("before", "stage", "after"), [
    ("", "loader", "loader"), ("dhcp", "kernel", "kernel"), ("kernel", "loader", "kernel"),
    ("system", "loader", "system"),  # a system that fetches files boots not
    ("system", "dhcp", "dhcp"), ("agent", "dhcp", "dhcp"), ("kernel", "dhcp", "dhcp"), ("agent", "kernel", "agent"),
])
async def test_stages_go_on_and_only_firmware_begins_anew(world: World, before: str, stage: str, after: str) -> None:
    await take(world, "dhcp")
    item = world.qrmd.farm.resource_of(MAC)
    assert item
    world.qrmd.rack.show(item.name, stage=before, heard=5.0, off="")
    await take(world, stage)
    assert seen(world).stage == after


async def test_who_gets_no_address_stays_where_it_stalls(world: World) -> None:
    await take(world, "dhcp")
    at = seen(world).stage_at
    await take(world, "dhcp")
    assert seen(world).stage_at == at


async def test_one_that_was_off_is_not_off(world: World) -> None:
    await take(world, "dhcp")
    item = world.qrmd.farm.resource_of(MAC)
    assert item
    world.qrmd.rack.show(item.name, off="said", stage="")
    await take(world, "dhcp")
    assert seen(world).off == "" and world.qrmd.farm.get("resource", item.name).state == "booting"


async def test_files_of_unknown_machines_make_no_resources(world: World) -> None:
    await take(world, "loader", address=ADDRESS)
    await take(world, "kernel", mac="", address=ADDRESS)
    await take(world, "dhcp", mac="01:00:5e:00:00:01")  # a group's
    await take(world, "dhcp", mac="00:00:00:00:00:00")
    assert world.qrmd.farm.count("resource") == 0


async def test_a_flood_of_new_machines_ends_somewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootlog, "MOST_NEW", 20)
    monkeypatch.setattr(bootlog, "MOST_ADDRESSES", 50)
    for number in range(100):
        await take(world, "dhcp", mac=f"52:54:00:00:01:{number:02x}", address=f"10.1.0.{number}")
    assert world.qrmd.farm.count("resource") == 20
    assert len(world.qrmd.bootlog._leases) == 50


async def test_a_flood_of_lines_takes_no_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootlog, "MOST_WAITING", 100)
    line = json.dumps({"SYSLOG_IDENTIFIER": "dhcpd", "MESSAGE": f"qrm pxe {MAC} arch 0"})
    for _ in range(1000):
        world.qrmd.bootlog._line("out", line)
    assert len(world.qrmd.bootlog._waiting) == 100
    await until(lambda: not world.qrmd.bootlog._waiting)
    assert world.qrmd.farm.count("resource") == 1


async def test_it_follows_again_when_the_journal_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootlog, "FIRST_PAUSE", 0.01)
    await follow(world)
    world.server.faults.unreachable = True
    await until(lambda: not world.server._followers)
    world.server.faults.unreachable = False
    await until(lambda: bool(world.server._followers))
    world.server.say("dhcpd", f"qrm pxe {MAC} arch 0")
    await until(lambda: seen(world).stage == "dhcp")


async def test_a_removed_machine_appears_again_as_a_new_one(world: World) -> None:
    await take(world, "dhcp")
    item = world.qrmd.farm.resource_of(MAC)
    assert item
    await world.do("resource.remove", name=item.name)
    await take(world, "dhcp")
    again = world.qrmd.farm.resource_of(MAC)
    assert again and again.wanted.id != item.wanted.id
    assert msgspec.to_builtins(again.wanted)["mac"] == MAC
