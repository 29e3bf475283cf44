"""Enlistment and its nonces, on a database that is killed now and then; what a machine's life looks like meanwhile."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from qrm_tui.core import rows
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.environments import Assignment, VeWanted
from qrm_tui.core.errors import Broken, StepFailed
from qrm_tui.core.model import Item
from qrm_tui.core.node_wire import Beat, Enlisted
from qrm_tui.core.plan import Await, Order
from qrm_tui.core.resources import ResourceWanted
from qrm_tui.core.states import judge
from qrm_tui.daemon import enlisting, keeper, newcomers, rack
from qrm_tui.daemon.enlisting import digest_of
from qrm_tui.daemon.records import Records
from qrm_tui.db.store import Write
from tests.daemon.rackroom import GIB, HAS, MAC, Room, new_boot, request


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.open()
    yield made
    await made.close()


async def _known(room: Room) -> Enlisted:
    """r1 has enlisted, and its boot files give its next nonce."""
    answer = await room.enlist(request())
    await room.keep_nonce()
    return answer


def _dhcpd(room: Room, machines: str) -> None:
    settings = {"machines": machines, "address": "10.0.0.1/24", "router": "10.0.0.3"}
    room.farm.put(Item(kind="component", name="dhcpd", wanted=ComponentWanted(settings=settings)))


# new machines

async def test_an_unknown_machine_becomes_a_resource_in_maintenance(room: Room) -> None:
    _dhcpd(room, "10.0.0.1-10.0.0.5")
    answer = await room.enlist(request("52-54-00-77-00-20".upper()))
    item, seen = room.item(), room.seen()
    assert (answer.status, answer.name, answer.order, item.state) == (200, "r1", "", "idle")
    assert (item.wanted.mac, item.wanted.maintenance, item.wanted.address) == (MAC, True, "10.0.0.2")
    assert (seen.token, seen.address, seen.inventory) == (digest_of(answer.token), "10.0.0.20", HAS)
    assert len(seen.nonce) == 32 and not seen.nonce_kept and room.upkeep.names == ["r1"]
    (entry,), total = await room.store.journal()
    assert (total, entry.operation, entry.who, entry.object) == (1, "resource.enlist", "node", "resource/r1")
    assert '"serial":"7XKQ2J3"' in entry.details
    # the server's and the router's are nobody's, and none is given twice
    others = [await room.enlist(request(f"52:54:00:77:00:{number:02x}")) for number in range(3)]
    assert [room.item(one.name).wanted.address for one in others] == ["10.0.0.4", "10.0.0.5", ""]


@pytest.mark.parametrize("machines", ["", "nonsense", "10.0.0.9-10.0.0.2", "10.0.0.1"])
async def test_without_addresses_to_give_none_is_given(room: Room, machines: str) -> None:
    _dhcpd(room, machines)
    assert (await room.enlist(request())).status == 200 and room.item().wanted.address == ""


async def test_names_go_on_from_the_highest(room: Room) -> None:
    wanted = ResourceWanted(id="x", mac="52:54:00:00:00:01")
    for name in ("r7", "rack", "r\u0663"):
        room.farm.put(Item(kind="resource", name=name, wanted=wanted))
    assert (await room.enlist(request())).name == "r8"
    room.farm.delete("resource", "r8")
    assert (await room.enlist(request())).name == "r9"


async def test_nonsense_changes_nothing(room: Room) -> None:
    answer = await room.enlist(request("ff:ff:ff:ff:ff:ff"))
    assert (answer.status, answer.token) == (400, "") and "MAC" in answer.reason
    assert room.farm.count("resource") == 0


async def test_one_address_does_not_fill_the_farm(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "MOST_OF_ONE", 3)
    answers = [await room.enlist(request(f"52:54:00:77:00:{number:02x}")) for number in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 503, 503]
    assert (await room.enlist(request("52:54:00:77:00:99"), "10.0.0.99")).status == 200
    room.now += newcomers.FORGIVEN + 1
    assert (await room.enlist(request("52:54:00:77:00:98"))).status == 200
    monkeypatch.setattr(newcomers, "MOST_RESOURCES", 5)
    assert (await room.enlist(request("52:54:00:77:00:97"), "10.0.0.98")).status == 503


async def test_many_in_one_transaction_and_one_machine_many_times(room: Room) -> None:
    writes: list[Write] = []
    write = room.store.write

    async def counted(what: Write) -> None:
        writes.append(what)
        await write(what)

    room.store.write = counted  # type: ignore[method-assign]
    asked = [request(f"52:54:00:77:00:{number % 100:02x}") for number in range(200)]
    answers = await asyncio.gather(*(room.enlisting.ask(one, "127.0.0.1") for one in asked))
    assert {answer.status for answer in answers} == {200}
    assert room.farm.count("resource") == 100 and len(writes) <= 3
    # who asked twice has the later token, and both times the same name
    for first, second in zip(answers[:100], answers[100:], strict=True):
        assert first.name == second.name and room.seen(first.name).token == digest_of(second.token)
    assert await room.store.verify_journal() == (100, "")


async def test_too_many_wait(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enlisting, "MOST_WAITING", 2)
    asked = [room.enlisting.ask(request(f"52:54:00:77:00:{number:02x}"), "10.0.0.1") for number in range(4)]
    assert [answer.status for answer in await asyncio.gather(*asked)] == [200, 200, 503, 503]


async def test_another_card_of_a_machine_that_is_known(room: Room) -> None:
    await _known(room)
    other = msgspec.structs.replace(HAS, nics=())
    assert (await room.enlist(request("52:54:00:77:00:21", inventory=other))).name == "r2"
    assert room.seen("r2").warning == ""  # r1 is there: two machines with one number, or somebody lies
    room.wait(60)
    await room.enlist(request("52:54:00:77:00:22", inventory=other), "10.0.0.22")
    assert "serial number of r2, which is not heard of" in room.seen("r3").warning
    assert "serial number of r2" in rows.detail_of(room.item("r3"), room.farm)["why"]
    nameless = msgspec.structs.replace(HAS, serial="Default string")
    for mac in ("52:54:00:77:00:23", "52:54:00:77:00:24"):
        room.wait(60)
        await room.enlist(request(mac, inventory=nameless))
    assert room.seen("r5").warning == ""


# known machines

async def test_each_boot_shows_the_next_nonce(room: Room) -> None:
    first = await _known(room)
    tokens = {first.token}
    for _ in range(3):
        nonce = room.seen().nonce
        answer = await room.enlist(request(nonce=nonce.upper()))
        tokens.add(answer.token)
        assert answer.status == 200 and room.seen().nonce != nonce and not room.seen().nonce_kept
        await room.keep_nonce()
        assert room.seen().nonce_kept
    assert len(tokens) == 4 and room.seen().token == digest_of(answer.token) and room.seen().warning == ""
    assert len(room.upkeep.names) == 4
    assert (await room.store.journal())[1] == 1


@pytest.mark.parametrize(("nonce", "word"), [("", "no nonce"), ("00" * 16, "a wrong nonce")])
async def test_one_who_shows_nothing_right_is_refused_and_told_of(room: Room, nonce: str, word: str) -> None:
    await _known(room)
    before = room.seen()
    refused = await room.enlist(request(nonce=nonce), "10.6.6.6")
    assert (refused.status, refused.token) == (403, "") and word in refused.reason
    assert room.seen() == msgspec.structs.replace(before, warning=room.seen().warning)
    assert "10.6.6.6" in room.seen().warning and word in room.seen().warning
    assert room.item().state == "idle", "a warning takes no good machine down"
    await room.rack.keeper.now()
    assert (await room.store.objects())[0].seen.warning == room.seen().warning
    # many tries are one warning
    await room.enlist(request(nonce=nonce), "10.6.6.7")
    assert "10.6.6.6" in room.seen().warning
    # and the machine's next boot is a good one
    assert (await room.enlist(request(nonce=room.seen().nonce))).status == 200 and room.seen().warning == ""


async def test_a_nonce_counts_once(room: Room) -> None:
    await _known(room)
    nonce = room.seen().nonce
    assert (await room.enlist(request(nonce=nonce))).status == 200
    # until the boot files have the next one, the machine has nothing else to show: power may have failed
    token = (await room.enlist(request(nonce=nonce))).token
    next_nonce = await room.keep_nonce()
    refused = await room.enlist(request(nonce=nonce), "10.6.6.6")
    assert refused.status == 403 and "used already" in refused.reason and "used already" in room.seen().warning
    assert room.seen().token == digest_of(token)
    assert (await room.enlist(request(nonce=next_nonce))).status == 200


async def test_an_answer_that_got_lost_is_given_again(room: Room) -> None:
    asked = request()
    lost = await room.enlist(asked)
    await room.keep_nonce()
    again = await room.enlist(asked)
    assert (again.status, again.name) == (200, "r1") and room.seen().token == digest_of(again.token) != lost.token
    nonce = await room.keep_nonce()
    asked = request(nonce=nonce)
    await room.enlist(asked)
    await room.keep_nonce()
    assert (await room.enlist(asked)).status == 200
    # a boot word that can be guessed helps nobody
    short = request(nonce=room.seen().nonce, boot="abcdef01")
    assert (await room.enlist(short)).status == 200
    await room.keep_nonce()
    assert (await room.enlist(short)).status == 403


async def test_its_token_is_as_good_as_its_nonce(room: Room) -> None:
    boot = new_boot()
    first = await room.enlist(request(boot=boot))
    nonce = await room.keep_nonce()
    same = await room.enlist(request(boot=boot, stage="system"), token=first.token)
    assert (same.status, same.token) == (200, ""), "the token stays good in the same boot"
    assert room.seen().token == digest_of(first.token) and room.seen().nonce == nonce
    new = await room.enlist(request(), token=first.token)
    assert new.status == 200 and new.token and room.seen().token == digest_of(new.token)
    assert (await room.enlist(request(), token=first.token)).status == 403, "it ended with the boot that it was for"
    other = await room.enlist(request("52:54:00:77:00:21"))
    assert (await room.enlist(request(), token=other.token)).status == 403


async def test_killed_between_accepting_and_keeping(room: Room) -> None:
    """kill -9 of qrmd after a nonce was accepted, before its boot files have the next one: nobody is locked out."""
    await room.enlist(request())
    await room.restart()
    assert (await room.enlist(request())).status == 200, "its first nonce was never written"
    old = await room.keep_nonce()
    await room.enlist(request(nonce=old))
    new = room.seen().nonce
    await room.restart()
    assert (room.seen().nonce, room.seen().nonce_kept) == (new, False)
    assert (await room.enlist(request(nonce=old))).status == 200
    await room.restart()
    # the file was written, and the server killed before it could say so
    answer = await room.enlist(request(nonce=new))
    assert answer.status == 200
    await room.keep_nonce()
    await room.restart()
    assert (await room.enlist(request(nonce=new))).status == 403
    assert room.seen().token == digest_of(answer.token)


async def test_a_nonce_that_is_no_more_is_not_kept(room: Room) -> None:
    await room.enlist(request())
    await room.rack.nonce_kept("r1", "00" * 16)
    await room.rack.nonce_kept("r9", "00" * 16)
    assert not room.seen().nonce_kept


async def test_without_a_database_nobody_is_enlisted_and_nobody_locked_out(room: Room) -> None:
    await _known(room)
    before, write = room.seen(), room.store.write

    async def full(what: Write) -> None:
        raise Broken("the database cannot be used: database or disk is full")

    room.store.write = full  # type: ignore[method-assign]
    room.upkeep.names.clear()
    answers = await asyncio.gather(room.enlisting.ask(request(nonce=before.nonce), "10.0.0.20"),
                                   room.enlisting.ask(request("52:54:00:77:00:21"), "10.0.0.21"))
    assert [answer.status for answer in answers] == [503, 503] and not any(answer.token for answer in answers)
    assert room.farm.count("resource") == 1 and room.upkeep.names == []
    assert (room.seen().token, room.seen().nonce, room.seen().nonce_kept) == (before.token, before.nonce, True)
    room.store.write = write  # type: ignore[method-assign]
    assert (await room.enlist(request(nonce=before.nonce))).status == 200
    assert (await room.enlist(request("52:54:00:77:00:21"))).status == 200


async def test_what_got_worse_since_the_boot_before(room: Room) -> None:
    await _known(room)
    less = msgspec.structs.replace(HAS, memory=8 * GIB)
    nonce = room.seen().nonce
    await room.enlist(request(nonce=nonce, inventory=less))
    assert room.seen().warning == "memory 16G before, 8G now" and room.seen().inventory == less
    assert (room.item().state, "16G before" in rows.detail_of(room.item(), room.farm)["why"]) == ("idle", True)
    # it stays while this boot lasts
    boot = room.seen().boot
    assert (await room.enlist(request(nonce=nonce, boot=boot, inventory=less))).status == 200
    assert room.seen().warning == "memory 16G before, 8G now"


async def test_a_resource_that_was_made_by_hand_enlists(room: Room) -> None:
    wanted = msgspec.to_builtins(ResourceWanted(id="i", mac=MAC))
    from qrm_tui.core.plan import Change

    await Records(room.farm, room.store).apply([Change(kind="resource", name="web1", wanted=wanted)], Write())
    assert (await room.enlist(request())).name == "web1"
    assert room.seen("web1").nonce and room.upkeep.names == ["web1"]
    await room.keep_nonce("web1")
    assert (await room.enlist(request())).status == 403


async def test_one_that_was_seen_to_boot_enlists_for_the_first_time(room: Room) -> None:
    _dhcpd(room, "10.0.0.10-10.0.0.20")
    await _known(room)
    room.wait(60)
    assert await room.enlisting.appear("52:54:00:77:00:21") == "r2"
    room.rack.show("r2", stage="dhcp", stage_at=room.now)
    # whatever it shows: nothing was ever given to it
    answer = await room.enlist(request("52:54:00:77:00:21", nonce="ab" * 16))
    assert (answer.status, answer.name) == (200, "r2")
    assert "serial number of r1" in room.seen("r2").warning and room.seen("r2").nonce
    entries, _ = await room.store.journal()
    assert [entry.object for entry in entries] == ["resource/r2", "resource/r1"]


async def test_one_that_enlists_does_not_appear_as_another(room: Room) -> None:
    """Its first packet is read from the journal while the database writes its enlistment."""
    _dhcpd(room, "10.0.0.10-10.0.0.20")
    write, names = room.store.write, []

    async def slow(what: Write) -> None:
        if what.entries:
            names.append(await room.enlisting.appear(MAC))
            names.append(await room.enlisting.appear("52:54:00:77:00:21"))
        await write(what)

    room.store.write = slow  # type: ignore[method-assign]
    assert (await room.enlist(request())).name == "r1"
    assert names == ["", "r2"] and room.farm.count("resource") == 2
    assert len({room.item(name).wanted.address for name in ("r1", "r2")}) == 2


async def test_a_nonce_is_in_the_database_before_it_is_in_a_file(room: Room) -> None:
    await _known(room)
    kept: list[str] = []

    async def file() -> None:
        nonce = room.seen().nonce
        await room.rack.written()
        (item,) = [item for item in await room.store.objects() if item.name == "r1"]
        kept.append(item.seen.nonce)
        assert item.seen.nonce == nonce

    files: list[asyncio.Task[None]] = []
    room.farm.listen(lambda kind, name, item: files.append(asyncio.create_task(file())))
    assert (await room.enlist(request(nonce=room.seen().nonce))).status == 200
    await asyncio.gather(*files)
    assert kept and set(kept) == {room.seen().nonce}


# orders

async def test_an_order_is_for_one_boot(room: Room) -> None:
    boot = new_boot()
    await room.enlist(request(boot=boot))
    await room.rack.tell(Order(summary="", resource="r1", order="reboot", boot=boot))
    assert room.rack.entry_of("r1").order == "reboot"  # type: ignore[union-attr]
    assert (await room.enlist(request(boot=boot))).order == "reboot"
    await room.enlist(request())
    assert (room.seen().order, room.rack.entry_of("r1").order) == ("", "")  # type: ignore[union-attr]
    await room.rack.tell(Order(summary="", resource="r1", order="off", boot=boot))
    assert room.seen().order == ""


async def test_beats_come_quicker_while_somebody_waits(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    await room.enlist(request())
    assert room.rack.beat_of("r1") == 10
    told: list[str] = []
    room.rack.listen(told.append)
    step = Await(summary="waits", resource="r1", until="off", seconds=1000)
    waiting = asyncio.create_task(room.rack.until(step, room.now, lambda text: None))
    await asyncio.sleep(0)
    assert room.rack.beat_of("r1") == 2 and told == ["r1"]
    room.rack.hear([_beat(room, bye="off")])
    await waiting
    assert room.rack.beat_of("r1") == 10
    monkeypatch.setattr(rack, "MANY", 0)
    assert room.rack.beat_of("r1") == 20


@pytest.mark.parametrize("by", [86400.0, -86400.0])
async def test_a_clock_that_is_set_ends_no_waiting(room: Room, by: float) -> None:
    await room.enlist(request())
    step = Await(summary="waits", resource="r1", until="off", seconds=100)
    waiting = asyncio.create_task(room.rack.until(step, room.now, lambda text: None))
    await asyncio.sleep(0)
    room.set_clock(by)
    room.rack.hear([_beat(room)])
    await asyncio.sleep(0)
    assert not waiting.done()
    room.wait(101)
    room.rack.hear([_beat(room)])
    with pytest.raises(StepFailed, match="not so after 100 s"):
        await waiting


async def test_a_job_that_is_taken_up_late_gives_its_machine_the_time_to_speak(room: Room) -> None:
    await room.enlist(request())
    step = Await(summary="waits", resource="r1", until="off", seconds=100)
    waiting = asyncio.create_task(room.rack.until(step, room.now - 5000, lambda text: None))
    await asyncio.sleep(0)
    room.wait(30)
    room.rack.hear([_beat(room, bye="off")])
    await waiting


# what machines say while they run

def _beat(room: Room, **said: Any) -> Beat:
    return Beat(**{"name": "r1", "boot": room.seen().boot, "stage": "agent", "runs": "idle", "load": None, "bye": "",  # type: ignore[arg-type]
                   "told": 10.0, **said})


def _states(room: Room) -> list[str]:
    """The state of r1 at each change that watchers are told."""
    found: list[str] = []

    def changed(kind: str, name: str, item: Item | None) -> None:
        if kind == "resource" and name == "r1" and item is not None:
            found.append(item.state)

    room.farm.listen(changed)
    return found


async def test_a_heartbeat_writes_and_tells_only_what_is_another_state(room: Room) -> None:
    await _known(room)
    told, writes = _states(room), []
    write = room.store.write

    async def counted(what: Write) -> None:
        writes.append([item.state for item in what.seen])
        await write(what)

    room.store.write = counted  # type: ignore[method-assign]
    for _ in range(20):
        room.wait(10)
        room.rack.hear([_beat(room)])
    await room.rack.keeper.now()
    assert (told, writes, room.seen().heard) == ([], [], room.now)
    room.wait(31)
    assert told == ["unknown"]
    await room.rack.keeper.now()
    room.rack.hear([_beat(room)])
    await room.rack.keeper.now()
    assert told == ["unknown", "idle"] and writes == [["unknown"], ["idle"]]


async def test_memory_for_its_own_files_that_gets_full_is_told(room: Room) -> None:
    await _known(room)
    told = _states(room)
    for filled, warns in ((0.5, False), (0.5, False), (0.85, True), (7.0, False)):
        room.rack.hear([_beat(room, filled=filled)])
        assert room.seen().filled == (filled if filled <= 1 else None)
        assert ("its own files fill 85%" in judge(room.item(), room.farm).warning) is warns
    assert len(told) == 3, "as often as it changes"


async def test_a_load_is_told_rarely(room: Room) -> None:
    await room.enlist(request())
    told = _states(room)
    for second in range(0, 120, 2):
        room.now += 2
        room.rack.hear([_beat(room, load=float(second))])
    assert 3 <= len(told) <= 5
    told.clear()
    for _ in range(20):
        room.now += 10
        room.rack.hear([_beat(room, load=118.5)])
    assert len(told) <= 1 and room.seen().load == 118.5
    for wrong in (float("nan"), float("inf"), -1.0):
        room.rack.hear([_beat(room, load=wrong)])
        assert room.seen().load is None


async def test_beats_of_others_and_of_boots_before_are_nothing(room: Room) -> None:
    await _known(room)
    old = _beat(room)
    await room.enlist(request(nonce=room.seen().nonce))
    room.now += 5
    before = room.seen()
    room.rack.hear([old, _beat(room, name="r77"), _beat(room, runs="../x"), _beat(room, runs="y" * 300)])
    assert room.seen() == before


async def test_a_machines_life(room: Room) -> None:
    """From its first packet over a VE of its own and a power failure to idle again; the clock is turned by hand."""
    await _known(room)
    ve = VeWanted(id="ve-1", boot_image="debian", image="web", life="running", assigned=(Assignment("r1", "web"),))
    room.farm.put(Item(kind="ve", name="web", wanted=ve))
    room.farm.put(msgspec.structs.replace(room.item(), wanted=msgspec.structs.replace(room.item().wanted, ve="web")))
    room.rack.hear([_beat(room, bye="reboot")])
    assert (room.item().state, room.seen().off, room.seen().stage) == ("booting", "", "")
    assert "its first packet is awaited" in rows.detail_of(room.item(), room.farm)["why"]
    for stage in ("dhcp", "loader", "kernel"):
        room.wait(5)
        await room.rack.see("r1", stage=stage, stage_at=room.now)
        assert room.item().state == "booting"
        assert f"{stage} for" in rows.detail_of(room.item(), room.farm)["why"]
    room.wait(5)
    await room.enlist(request(nonce=room.seen().nonce, runs="ve-1"))
    await room.keep_nonce()
    room.rack.hear([_beat(room, runs="ve-1", stage="root")])
    assert room.item().state == "booting"
    room.wait(8)
    room.rack.hear([_beat(room, runs="ve-1", stage="system", load=0.3)])
    assert (room.item().state, room.farm.get("ve", "web").state, room.seen().stage_at) == ("active", "active", room.now)
    room.wait(25)
    assert room.item().state == "active"
    room.wait(10)  # its power fails
    assert (room.item().state, room.farm.get("ve", "web").state) == ("unknown", "error")
    await room.rack.see("r1", stage="dhcp", stage_at=room.now)
    room.wait(59)
    assert room.item().state == "booting"
    room.wait(2)
    assert room.item().state == "error" and "stalls at dhcp" in rows.detail_of(room.item(), room.farm)["why"]
    nonce = room.seen().nonce
    await room.enlist(request(nonce=nonce))
    assert room.item().state == "error" and "came up idle" in rows.detail_of(room.item(), room.farm)["why"]
    room.farm.put(msgspec.structs.replace(room.item(), wanted=msgspec.structs.replace(room.item().wanted, ve="")))
    assert room.item().state == "idle"
    room.wait(3600)  # an idle machine that falls silent is no stalled boot
    assert room.item().state == "unknown"
    room.rack.hear([_beat(room)])
    assert room.item().state == "idle"
    room.rack.hear([_beat(room, bye="off")])
    assert room.item().state == "off"
    await room.enlist(request(nonce=nonce, boot=room.seen().boot))
    assert room.item().state == "idle"


async def test_a_restarted_server_gives_machines_the_time_to_speak(room: Room) -> None:
    await _known(room)
    room.now += 3600
    told = _states(room)
    await room.restart()
    assert room.item().state == "idle" and told == []
    room.wait(59)
    assert room.item().state == "idle"
    room.wait(2)
    assert room.item().state == "unknown"


async def test_what_was_seen_is_tried_again_when_the_database_has_room(room: Room,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "AGAIN", 0.01)
    await _known(room)
    write, tries = room.store.write, 0

    async def full(what: Write) -> None:
        nonlocal tries
        tries += 1
        if tries > 2:
            room.store.write = write  # type: ignore[method-assign]
        raise Broken("full")

    room.store.write = full  # type: ignore[method-assign]
    room.wait(31)
    async with asyncio.timeout(10):
        while (await room.store.objects())[0].state != "unknown":
            await asyncio.sleep(0.01)
    assert tries == 3


# secrets

async def test_no_secret_is_shown_logged_or_journalled(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await _known(room)
    nonce = room.seen().nonce
    again = await room.enlist(request(nonce=nonce))
    await room.enlist(request(nonce=nonce[:-1] + "0"), "10.6.6.6")
    seen = room.seen()
    secrets = [answer.token, again.token, digest_of(answer.token), digest_of(again.token), nonce, seen.nonce, seen.boot]
    entries, _ = await room.store.journal()
    public = [str(rows.detail_of(room.item(), room.farm)), caplog.text, str([vars(entry) for entry in entries])]
    assert not [secret for secret in secrets for text in public if secret in text]
    kept = "".join(map(repr, await room.store.objects()))
    assert again.token not in kept, "of a token only its digest is kept"
