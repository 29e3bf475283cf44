"""What the server keeps by itself: nonces, idle boot files, fixed addresses, and what it does when that fails."""
from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from qrm_tui.backends import boot, dhcpd
from qrm_tui.core.components import ComponentSeen, ComponentWanted
from qrm_tui.core.facts import File
from qrm_tui.core.model import Item
from qrm_tui.core.resources import ResourceSeen, ResourceWanted
from qrm_tui.daemon import upkeep as upkeep_module
from tests.daemon.world import World

SETTINGS: dict[str, dict[str, str]] = {"dhcpd": {"address": "192.168.88.1"}, "tftpd": {}, "apache": {}, "node": {}}
MAC = "52:54:00:00:00:{:02x}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "SETTLED"):
        monkeypatch.setattr(upkeep_module, name, 0.01)


@pytest.fixture
def omapi(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What dhcpd is told; it takes everything."""
    told: list[tuple[str, ...]] = []

    def argv(verb: str, name: str, mac: str, address: str = "") -> tuple[str, ...]:
        told.append((verb, name, mac, address))
        return ("test", "-d", "/")

    monkeypatch.setattr(dhcpd, "omapi_argv", argv)
    return told


def set_up(world: World, **changes: dict[str, str]) -> None:
    for name, settings in {**SETTINGS, **changes}.items():
        world.qrmd.farm.put(Item(kind="component", name=name, wanted=ComponentWanted(settings=settings), created=1,
                                 seen=ComponentSeen()))


async def add(world: World, number: int, *, nonce: str = "", stage: str = "", **wanted: Any) -> str:
    """A resource, kept in the database as enlistment keeps it."""
    name = f"r{number}"
    item = Item(kind="resource", name=name, created=1, revision=1, seen=ResourceSeen(nonce=nonce, stage=stage),
                wanted=ResourceWanted(id=f"id-{number}", mac=MAC.format(number), **wanted))
    await world.qrmd.rack.store(item)
    world.qrmd.farm.put(item)
    return name


async def text(world: World, path: str) -> str | None:
    found: File | None = await world.server.read_file(path)
    return found.content if found else None


async def settled(world: World) -> None:
    async with asyncio.timeout(20):
        await world.qrmd.upkeep.settle()


def seen(world: World, name: str) -> ResourceSeen:
    found = world.qrmd.farm.get("resource", name).seen
    assert isinstance(found, ResourceSeen)
    return found


async def test_a_new_machine_gets_its_files_and_its_address(world: World, omapi: list[tuple[str, ...]]) -> None:
    set_up(world)
    await add(world, 1, nonce="abc1", address="10.88.0.5")
    await settled(world)
    mac = MAC.format(1)
    assert await text(world, boot.nonce_path(mac)) == "abc1\n"
    for path in boot.machine_paths(mac):
        found = await text(world, path)
        assert found and "images/idle" in found and "http://192.168.88.1/qrm/boot" in found
    assert await text(world, f"{boot.ROOT}/ipxe/boot.ipxe")
    assert seen(world, "r1").nonce_kept
    assert omapi == [("add", "r1", mac, "10.88.0.5")]
    async with asyncio.timeout(20):
        while await text(world, dhcpd.HOSTS) is None:
            await asyncio.sleep(0.01)
    assert f"host r1 {{ hardware ethernet {mac}; fixed-address 10.88.0.5; }}" in (await text(world, dhcpd.HOSTS) or "")


async def test_an_address_waits_until_the_machine_asks_for_none(world: World, omapi: list[tuple[str, ...]]) -> None:
    set_up(world)
    await add(world, 1, stage="loader", address="10.88.0.5")
    await settled(world)
    assert omapi == []
    await world.qrmd.rack.see("r1", stage="agent")
    await settled(world)
    assert omapi == [("add", "r1", MAC.format(1), "10.88.0.5")]


async def test_a_new_nonce_touches_one_file(world: World, omapi: list[tuple[str, ...]],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(world)
    await add(world, 1, nonce="abc1")
    await settled(world)
    edited: list[Any] = []
    edit = world.server.edit_tree

    async def watched(root: str, edits: Any) -> list[str]:
        edited.extend(edits)
        return await edit(root, edits)

    monkeypatch.setattr(world.server, "edit_tree", watched)
    await world.qrmd.rack.see("r1", nonce="abc2", nonce_kept=False)
    await settled(world)
    assert [entry["path"] for entry in edited] == ["/nonce/52-54-00-00-00-01"]
    assert await text(world, boot.nonce_path(MAC.format(1))) == "abc2\n" and seen(world, "r1").nonce_kept


async def test_files_of_a_machine_with_a_ve_are_the_plans(world: World) -> None:
    await add(world, 1, ve="customer1", nonce="abc1")
    path = boot.pxelinux_path(MAC.format(1))
    await world.server.write_file(path, "# the VE's\n", 0o644, ())
    set_up(world)
    await settled(world)
    assert await text(world, path) == "# the VE's\n"
    # it was taken out of it: the plan has written what it boots
    item = world.qrmd.farm.get("resource", "r1")
    world.qrmd.farm.put(msgspec.structs.replace(item, wanted=msgspec.structs.replace(item.wanted, ve="")))
    await settled(world)
    assert await text(world, path) == "# the VE's\n"
    assert await text(world, boot.nonce_path(MAC.format(1))) == "abc1\n"


async def test_what_is_gone_leaves_no_files(world: World, omapi: list[tuple[str, ...]]) -> None:
    set_up(world)
    await add(world, 1, nonce="abc1", address="10.88.0.5")
    await settled(world)
    world.qrmd.farm.delete("resource", "r1")
    await settled(world)
    for path in (*boot.machine_paths(MAC.format(1)), boot.nonce_path(MAC.format(1))):
        assert await text(world, path) is None
    assert omapi[-1] == ("remove", "r1", MAC.format(1), "")


async def test_a_nonce_of_somebody_before_is_not_shown(world: World) -> None:
    await world.server.write_file(boot.nonce_path(MAC.format(1)), "0ld\n", 0o644, ())
    set_up(world)
    await add(world, 1)
    await settled(world)
    assert await text(world, boot.nonce_path(MAC.format(1))) is None


async def test_another_card_of_the_same_machine(world: World, omapi: list[tuple[str, ...]]) -> None:
    set_up(world)
    await add(world, 1, nonce="abc1")
    await settled(world)
    item = world.qrmd.farm.get("resource", "r1")
    world.qrmd.farm.put(msgspec.structs.replace(item, wanted=msgspec.structs.replace(item.wanted, mac=MAC.format(9))))
    await settled(world)
    assert await text(world, boot.nonce_path(MAC.format(1))) is None
    assert await text(world, boot.nonce_path(MAC.format(9))) == "abc1\n"
    assert await text(world, boot.machine_paths(MAC.format(9))[0])


async def test_a_full_disk_is_told_and_tried_again(world: World, omapi: list[tuple[str, ...]]) -> None:
    set_up(world)
    await settled(world)
    world.server.faults.disk_full = True
    await add(world, 1, nonce="abc1")
    async with asyncio.timeout(20):
        while not world.qrmd.upkeep.files.troubles:
            await asyncio.sleep(0.01)
    warnings = world.qrmd.farm.get("component", "tftpd").seen.warnings
    assert any("No space left" in warning for warning in warnings)
    assert not seen(world, "r1").nonce_kept, "its next boot cannot show it yet"
    world.server.faults.disk_full = False
    await settled(world)
    assert seen(world, "r1").nonce_kept and not world.qrmd.upkeep.files.troubles


async def test_a_dhcpd_that_refuses_one_gives_the_others_theirs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def argv(verb: str, name: str, mac: str, address: str = "") -> tuple[str, ...]:
        return ("test", "-d", "/nowhere" if name == "r1" else "/")

    monkeypatch.setattr(dhcpd, "omapi_argv", argv)
    set_up(world)
    for number in range(1, 12):
        await add(world, number, address=f"10.88.0.{number}")
    upkeep = world.qrmd.upkeep
    async with asyncio.timeout(20):
        while len(upkeep._hosts) < 10 or list(upkeep.addresses.troubles) != ["r1"]:
            await asyncio.sleep(0.01)
        assert set(upkeep.addresses.waiting) <= {"r1"}, "nobody else is tried again"
        while "10.88.0.11" not in (await text(world, dhcpd.HOSTS) or ""):
            await asyncio.sleep(0.01)
    assert world.qrmd.farm.get("component", "dhcpd").seen.warnings


async def test_killed_in_between_the_next_server_mends(world: World, omapi: list[tuple[str, ...]]) -> None:
    set_up(world)
    await world.server.write_file(dhcpd.HOSTS, dhcpd.hosts_text([("r8", MAC.format(8), "10.88.0.8")]), 0o644, ())
    await add(world, 1, nonce="abc1", address="10.88.0.5")
    await world.kill_and_start()
    await world.server.remove_file(boot.nonce_path(MAC.format(1)))
    await world.server.write_file(boot.pxelinux_path(MAC.format(1)), "somebody's nonsense\n", 0o644, ())
    set_up(world)
    await settled(world)
    assert await text(world, boot.nonce_path(MAC.format(1))) == "abc1\n" and seen(world, "r1").nonce_kept
    assert "images/idle" in (await text(world, boot.pxelinux_path(MAC.format(1))) or "")
    assert ("remove", "r8", MAC.format(8), "") in omapi, "what was removed while no server ran"


async def test_other_settings_are_all_files_anew(world: World, omapi: list[tuple[str, ...]]) -> None:
    set_up(world)
    await add(world, 1)
    await settled(world)
    set_up(world, apache={"port": "8080"})
    await settled(world)
    for path in (boot.ipxe_path(MAC.format(1)), f"{boot.ROOT}/ipxe/boot.ipxe"):
        assert "http://192.168.88.1:8080/qrm/boot" in (await text(world, path) or "")


async def test_without_netboot_nothing_is_written(world: World) -> None:
    await add(world, 1, nonce="abc1")
    await settled(world)
    assert not world.server.host.root.exists(boot.ROOT)
