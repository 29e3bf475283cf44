"""Machines that fall silent: who is looked after by ssh, and what the sweep costs."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from qrm_tui.core.environments import Assignment, VeWanted
from qrm_tui.core.model import Item
from qrm_tui.core.node_wire import Beat
from qrm_tui.daemon import silence
from qrm_tui.daemon.machines import RealMachines
from tests.daemon.rackroom import Room, request

ADDRESS = "10.0.0.20"


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.open()
    yield made
    await made.close()


async def _active(room: Room, stage: str = "system") -> None:
    await room.enlist(request(stage=stage, runs="ve-1"), ADDRESS)
    ve = VeWanted(id="ve-1", boot_image="debian", image="web", life="running", assigned=(Assignment("r1", "web"),))
    room.farm.put(Item(kind="ve", name="web", wanted=ve))
    room.farm.put(msgspec.structs.replace(room.item(), wanted=msgspec.structs.replace(room.item().wanted, ve="web")))


async def _pass(room: Room, seconds: int) -> set[str]:
    """Seconds go by, one after another; the states that r1 has in them."""
    states = set()
    for _ in range(seconds):
        room.wait(1)
        await room.silence.looked()
        states.add(room.item().state)
    return states


async def test_one_whose_agent_was_removed_stays_active_while_ssh_answers(room: Room) -> None:
    await _active(room)
    room.answering.add(ADDRESS)
    assert await _pass(room, 300) == {"active"}
    assert 12 <= len(room.asked) <= 16, "every 20 s, from the second missed beat on"
    room.answering.clear()
    assert await _pass(room, 39) == {"active"}
    assert "unknown" in await _pass(room, 20) and room.item().state == "unknown"
    room.answering.add(ADDRESS)
    await _pass(room, 20)
    assert room.item().state == "active"


async def test_one_that_speaks_again_is_not_looked_after(room: Room) -> None:
    await _active(room)
    await _pass(room, 25)
    assert len(room.asked) == 1
    for _ in range(30):
        room.rack.hear([Beat("r1", room.seen().boot, "system", "ve-1", None, "", 10.0)])
        await _pass(room, 10)
    assert len(room.asked) == 1


async def test_only_those_that_should_be_at_work_are_looked_after(room: Room) -> None:
    await room.enlist(request())
    await _pass(room, 100)
    await _active(room)
    room.rack.hear([Beat("r1", room.seen().boot, "system", "ve-1", None, "off", 10.0)])
    await _pass(room, 100)
    assert room.asked == [] and room.item().state == "off"


async def test_a_system_without_an_agent_has_come_up_when_ssh_answers(room: Room) -> None:
    await _active(room, "root")
    assert room.item().state == "booting"
    await _pass(room, 30)
    room.answering.add(ADDRESS)
    await _pass(room, 20)
    assert (room.item().state, room.seen().stage) == ("active", "system")


async def test_only_some_are_looked_after_at_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "AT_ONCE", 3)
    room.farm.put(Item(kind="ve", name="web", wanted=VeWanted(id="ve-1", boot_image="d", image="w", life="running")))
    for number in range(10):
        name = (await room.enlist(request(f"52:54:00:77:00:{number:02x}", stage="system", runs="ve-1"),
                                  f"10.0.0.{number}")).name
        item = room.item(name)
        room.farm.put(msgspec.structs.replace(item, wanted=msgspec.structs.replace(item.wanted, ve="web")))
    room.wait(25)
    assert len(room.silence._looks) == 3
    for _ in range(10):
        await room.silence.looked()
        room.wait(1)
    assert sorted(set(room.asked)) == sorted(f"10.0.0.{number}" for number in range(10))


async def test_a_second_in_which_nothing_happens_asks_nobody(room: Room) -> None:
    for number in range(200):
        await room.enlist(request(f"52:54:00:77:00:{number:02x}"), "127.0.0.1")
    judged: list[str] = []
    judge = room.rack.judge_again
    room.rack.judge_again = lambda item: (judged.append(item.name), judge(item))[1]  # type: ignore[method-assign,func-returns-value]
    for _ in range(29):
        room.wait(1)
    assert judged == []
    room.wait(2)
    assert len(judged) == 200 and {room.item(f"r{number + 1}").state for number in range(200)} == {"unknown"}


@pytest.mark.parametrize("by", [86400.0, -86400.0])
async def test_a_clock_that_is_set_by_a_day_changes_no_silence(room: Room, by: float) -> None:
    await room.enlist(request())
    room.wait(15)
    stage = room.now - room.seen().stage_at
    room.set_clock(by)
    assert room.item().state == "idle"
    assert (room.now - room.seen().heard, room.now - room.seen().stage_at) == (15, stage)
    room.wait(10)
    assert room.item().state == "idle"
    room.wait(10)
    assert room.item().state == "unknown"


@pytest.mark.parametrize("by", [86400.0, -86400.0])
async def test_a_beat_just_when_the_clock_is_set(room: Room, by: float) -> None:
    await room.enlist(request())
    room.wait(8)
    room.now += by
    room.set_by += by
    room.rack.hear([Beat("r1", room.seen().boot, "agent", "idle", None, "", 10.0)])
    room.wait(1)
    assert room.item().state == "idle" and 0 <= room.now - room.seen().heard <= 10
    room.wait(35)
    assert room.item().state == "unknown"


@pytest.mark.parametrize(("said", "answers"), [
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", True), (b"Welcome\r\nSSH-2.0-x\r\n", True), (b"HTTP/1.1 400\r\n", False),
    (b"", False), (b"x" * 100_000, False),
])
async def test_who_answers_on_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, answers: bool) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connect = asyncio.open_connection
    monkeypatch.setattr(asyncio, "open_connection", lambda host, _, **more: connect(host, port, **more))
    machines = RealMachines(tmp_path)
    assert await machines.answers("127.0.0.1") is answers
    server.close()
    await server.wait_closed()
    assert await machines.answers("127.0.0.1") is False
