"""What consoles say raises events: whoever looks or not, told once, until somebody has seen to it."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from qrm_tui.client.console import list_consoles, read_log, type_into
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.resources import ResourceSeen, ResourceWanted
from qrm_tui.core.rows import row_of
from qrm_tui.daemon.console_events import ANOTHER, PACE, ConsoleEvents
from qrm_tui.daemon.console_patterns import Matcher
from tests.daemon.console_room import PATIENCE, Room

PANIC = b"[   12.3] Kernel panic - not syncing: Attempted to kill init!\r\n"
OOM = b"[   99.9] Out of memory: Killed process 412 (mysqld)\r\n"


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.start()
    yield made
    await made.end()


def row(room: Room, name: str = "r1") -> dict[str, Any]:
    return row_of(room.qrmd.farm.get("resource", name), room.qrmd.farm)


async def alerts(room: Room) -> list[str]:
    """Reasons of what the farm's status alerts of because of a console."""
    return [alert["why"] for alert in (await room.client.farm())["alerts"] if "its console said" in alert["why"]]


async def test_an_event_is_raised_though_nobody_looks(room: Room) -> None:
    end = await room.far_end()
    end.say(b"\x1b[31m[   12.3] Kern")
    end.say(b"el pa\x1b[0mnic - not syncing: Attempted")
    end.say(b" to kill init!\r\n")
    (told,) = await list_consoles(room.client)
    assert told.items() >= {"event": "Kernel panic", "event_severity": "alert", "event_stands": True, "event_count": 1,
                            "event_text": PANIC.decode().strip()}.items()
    assert row(room).items() >= {key: told[key] for key in told if key.startswith("event")}.items()
    (why,) = await alerts(room)
    assert why.startswith("its console said Kernel panic, ") and why.endswith("Attempted to kill init!")
    (alert,) = (await room.client.farm())["alerts"]
    assert alert["kind"] == "resource" and "qrm resource power r1 reset" in alert["next"]


async def test_a_note_marks_the_console_and_alerts_nobody_and_overtakes_an_alert(room: Room) -> None:
    end = await room.far_end()
    end.say(PANIC)
    assert await alerts(room)
    end.say(b"\r\nDebian GNU/Linux 12 r1 ttyS0\r\n\r\nr1 login: ")
    assert row(room).items() >= {"event": "login:", "event_severity": "note", "event_stands": False}.items()
    assert not await alerts(room)
    # and what is typed there afterwards is in no list
    end.say(b"secret\r\n")
    assert row(room)["event_text"] == "r1 login:"


async def test_a_note_is_over_when_another_boot_begins_or_the_machine_is_off(room: Room) -> None:
    end, now = await room.far_end(), room.qrmd.farm.clock
    room.qrmd.rack.show("r1", boot="b1", stage="dhcp", stage_at=now())
    end.say(b"r1 login: ")
    room.qrmd.rack.show("r1", stage="system", stage_at=now())
    room.qrmd.rack.clock_was_set(3600)
    assert row(room)["event"] == "login:", "it is as old as its boot, whatever the clock says"
    room.qrmd.rack.show("r1", stage="dhcp", stage_at=now())
    assert (row(room)["event"], (await list_consoles(room.client))[0]["event"]) == (None, None)
    end.say(b"\r\nr1 login: ")
    assert (row(room)["event"], row(room)["event_count"]) == ("login:", 1)
    room.qrmd.rack.show("r1", stage="", boot="", off="proved")
    assert row(room)["event"] is None
    # what its kernel said last stays
    end.say(b"\r\n" + PANIC)
    assert row(room)["event"] == "Kernel panic"


async def test_it_stands_until_somebody_who_may_type_has_opened_the_console(room: Room) -> None:
    end = await room.far_end()
    end.say(PANIC)
    async with room.watch(glance=True):
        assert await alerts(room)
    assert [event async for event in read_log(room.client, "r1")] and await alerts(room)
    room.role = Role.viewer
    async with room.watch():
        assert await alerts(room)
    room.role = Role.operator
    async with room.watch():
        assert not await alerts(room)
    assert row(room).items() >= {"event": "Kernel panic", "event_stands": False}.items() and row(room)["event_seen_by"]
    # the next one is another event
    end.say(PANIC)
    assert row(room).items() >= {"event_stands": True, "event_count": 1, "event_seen_by": None}.items()


async def test_who_has_it_open_already_has_seen_it_when_they_type(room: Room) -> None:
    end = await room.far_end()
    async with room.watch() as watch:
        end.say(PANIC)
        assert await alerts(room)
        await type_into(room.client, "r1", watch.session, b"\r")
        assert not await alerts(room)


async def test_it_is_over_when_the_machine_has_come_up_in_another_boot(room: Room) -> None:
    end = await room.far_end()
    room.qrmd.rack.show("r1", boot="b1")
    end.say(PANIC)
    room.qrmd.rack.show("r1", stage="dhcp")
    assert await alerts(room), "it has begun to boot, and may not come up"
    room.qrmd.rack.show("r1", boot="b2", stage="agent")
    assert not await alerts(room)
    # in a loop it is one event, however many boots
    room.qrmd.consoles._events._pace = 0.0
    end.say(PANIC)
    assert row(room).items() >= {"event_count": 2, "event_stands": True}.items()


async def test_an_event_survives_a_restart_and_so_does_that_it_was_seen(room: Room) -> None:
    for name in ("r1", "r2"):
        (await room.far_end(name)).say(OOM)
    async with room.watch("r2"):
        pass
    await room.stop()
    await room.start()
    assert [alert["name"] for alert in (await room.client.farm())["alerts"]
            if "its console said" in alert["why"]] == ["r1"]
    await room.stands("r1", "connected")
    room.machines.ends["r1"].say(OOM)
    await room.qrmd.rack.written()
    assert row(room, "r1")["event_count"] == 2
    assert row(room, "r2").items() >= {"event": "Out of memory", "event_stands": False}.items()


async def test_a_console_whose_disk_is_full_raises_events_all_the_same(room: Room, monkeypatch: Any) -> None:
    end = await room.far_end()

    def full(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qrm_tui.daemon.console_log.os.write", full)
    end.say(OOM)
    assert row(room)["event_stands"] and "cannot be written" in room.console().reason


async def test_a_machine_that_is_removed_takes_its_event_along(room: Room) -> None:
    end = await room.far_end()
    end.say(OOM)
    room.qrmd.farm.delete("resource", "r1")
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*room.qrmd.consoles._changing)
    assert not room.qrmd.consoles._events._events and not await alerts(room)


class Loop:
    """Events by clocks that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.farm = Farm(lambda: self.now, lambda: self.now)
        self.farm.put(Item(kind="resource", name="r1", wanted=ResourceWanted(id="1", mac="52:54:00:00:00:01")))
        self.told: list[tuple[str, int]] = []
        self.events = ConsoleEvents(self.farm, self.show)
        self.matcher = Matcher()

    def show(self, name: str, **changes: Any) -> None:
        self.told.append((changes["event"].name, changes["event"].count))
        item = self.farm.get("resource", name)
        item.seen = ResourceSeen(**changes)

    def say(self, data: bytes) -> None:
        self.events.found("r1", self.matcher.feed(data))


async def test_a_looping_panic_is_one_event_with_a_count_told_now_and_then() -> None:
    loop = Loop()
    for _ in range(1000):
        loop.say(PANIC + OOM)
        loop.now += 0.01
    assert loop.told[:2] == [("Kernel panic", 1), ("Out of memory", 1)]
    assert len(loop.told) <= 2 + 2 * (10 / PACE + 1)
    loop.events.stop()
    assert loop.told[-1] == ("Out of memory", 1000), "what waits to be told is told at the end"


async def test_the_same_after_a_long_time_is_another_event() -> None:
    loop = Loop()
    loop.say(OOM)
    loop.now += ANOTHER - 1
    loop.say(OOM)
    loop.now += ANOTHER + 1
    loop.say(OOM)
    assert loop.told == [("Out of memory", 1), ("Out of memory", 2), ("Out of memory", 1)]


async def test_what_waits_is_told_by_itself() -> None:
    loop = Loop()
    loop.events = ConsoleEvents(loop.farm, loop.show, pace=0.01)
    loop.say(OOM)
    loop.say(OOM)
    assert loop.told == [("Out of memory", 1)]
    async with asyncio.timeout(PATIENCE):
        while len(loop.told) < 2:
            await asyncio.sleep(0)
    assert loop.told[1] == ("Out of memory", 2)
