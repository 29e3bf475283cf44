"""Consoles over the socket: recorded, watched, typed into; lines that are lost, disks that are full."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qrm_tui.client.console import (
    Typist,
    list_consoles,
    open_console,
    read_log,
    send_break,
    send_sysrq,
    set_size,
    take,
    type_into,
)
from qrm_tui.client.line import Line
from qrm_tui.core.environments import Assignment, VeWanted
from qrm_tui.core.errors import BadInput, NoServer, NotFound, NotPermitted, Refused
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.records import Author
from qrm_tui.runners.console import SYSRQ, NoLine
from tests.daemon.console_room import PATIENCE, Room
from tests.unit.test_console_log import FullDisk

MIB = 1 << 20


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.start()
    yield made
    await made.end()


async def test_it_is_recorded_from_the_first_byte_and_watched_live(room: Room) -> None:
    end = await room.far_end()
    end.say(b"BIOS\r\n")
    async with room.watch() as watch:
        await watch.says(b"BIOS\r\n")
        assert (watch.first, watch.order[0], watch.gaps) == (0, "Status", [])
        end.say(b"Linux\r\n")
        await watch.says(b"BIOS\r\nLinux\r\n")
    (row,) = await list_consoles(room.client)
    assert row.items() >= {"name": "r1", "source": "command", "state": "connected", "reason": ""}.items()
    assert row["size"] >= 13


async def test_what_is_said_before_the_line_counts_as_there_is_not_lost(room: Room) -> None:
    end = await room.far_end()
    end.greeting = b"hello\r\n"
    end.die()
    async with room.watch() as watch:
        await watch.says(b"hello\r\n")


async def test_history_comes_by_lines_by_offset_and_by_time(room: Room) -> None:
    end = await room.far_end()
    room.qrmd.consoles.find("r1").clock = lambda: float(now)
    for now in range(1000, 3000):
        end.say(b"line %d\r\n" % now)
    async with room.watch(lines=3) as watch:
        await watch.says(b"line 2999")
        assert watch.text == b"line 2997\r\nline 2998\r\nline 2999\r\n" and watch.times == [2997.0, 2998.0, 2999.0]
    async with room.watch(start=11) as watch:
        await watch.says(b"line 2999")
        assert (watch.first, watch.times[0], len(watch.times)) == (11, 1001.0, 1999)
    events = [event async for event in read_log(room.client, "r1", since=2998.5)]
    assert [getattr(event, "data", b"") for event in events] == [b"", b"line 2999\r\n"]
    assert events[0].session == ""  # type: ignore[union-attr]


async def test_ten_watchers_while_it_floods_and_one_of_them_stalls(room: Room) -> None:
    end = await room.far_end()
    stalled = await Line.open(str(room.socket))
    await stalled.ask("GET", "/v1/consoles/r1/stream?from=0", None, PATIENCE)
    async with asyncio.TaskGroup() as group:

        async def one() -> bytes:
            async with room.watch() as watch:
                await watch.until(lambda told: told.text.endswith(b"the end\r\n"))
                return watch.text

        watchers = [group.create_task(one()) for _ in range(9)]
        await room.until("r1", lambda console: len(console.sessions) == 10)
        said = b"".join(b"%06d flood\r\n" % number for number in range(300_000))
        for at in range(0, len(said), 4096):
            end.say(said[at:at + 4096])
            if at % (64 * 4096) == 0:
                await asyncio.sleep(0)
        end.say(b"the end\r\n")
    assert {task.result() for task in watchers} == {said + b"the end\r\n"}
    await room.until("r1", lambda console: len(console.sessions) == 1)
    # and the one that stalled goes on where it was, and misses nothing
    got = b""
    async for piece in stalled.pieces(PATIENCE):
        got += piece
        if got.endswith(b"the end\r\n"):
            break
    assert len(got) > len(said)
    stalled.close()
    await room.until("r1", lambda console: not console.sessions)


async def test_what_was_rotated_away_while_one_stalled_is_told(room: Room) -> None:
    end = await room.far_end()
    log = room.console().log
    log._segment, log._most = 64 << 10, 256 << 10
    stalled = await Line.open(str(room.socket))
    await stalled.ask("GET", "/v1/consoles/r1/stream?from=0", None, PATIENCE)
    await room.until("r1", lambda console: console.sessions)
    for _ in range(1000):
        end.say(b"x" * 9_999 + b"\n")
        await asyncio.sleep(0)
    end.say(b"the end\r\n")
    got = b""
    async for piece in stalled.pieces(PATIENCE):
        got += piece
        if got.endswith(b"the end\r\n"):
            break
    assert b"older output was rotated away" in got and len(got) < 10_000_000
    assert log.size <= 320 << 10
    stalled.close()


async def test_the_first_who_types_has_the_right_and_another_takes_it_over(room: Room) -> None:
    end = await room.far_end()
    async with room.watch() as one, room.watch() as other:
        assert one.status and one.status.typist is None
        await type_into(room.client, "r1", one.session, b"uptime\r")
        assert end.typed == b"uptime\r"
        await other.until(lambda watch: watch.status.typist)
        assert other.status and other.status.typist and other.status.typist.session == one.session
        with pytest.raises(Refused, match=r"types on the console of r1: take over first"):
            await type_into(room.client, "r1", other.session, b"x")
        await take(room.client, "r1", other.session)
        await one.until(lambda watch: watch.status.typist == Typist(watch.status.typist.who, other.session))
        with pytest.raises(Refused):
            await type_into(room.client, "r1", one.session, b"x")
        await type_into(room.client, "r1", other.session, b"w\r")
        assert end.typed == b"uptime\rw\r"
    journal = await room.client.list("journal", filter="operation=console.take")
    assert [entry["object"] for entry in journal["rows"]] == ["resource/r1"]
    await room.until("r1", lambda console: console.typist is None)


async def test_taking_what_nobody_has_is_no_news_for_the_journal(room: Room) -> None:
    await room.far_end()
    async with room.watch() as watch:
        await take(room.client, "r1", watch.session)
        await take(room.client, "r1", watch.session)
        await watch.until(lambda told: told.status.typist)
    assert (await room.client.list("journal", filter="operation=console.take"))["rows"] == []


async def test_break_and_size_go_to_the_far_end(room: Room) -> None:
    end = await room.far_end()
    async with room.watch() as one, room.watch() as other:
        await set_size(room.client, "r1", one.session, 132, 50)
        assert end.sizes == []  # only the terminal of the one who types counts
        await send_break(room.client, "r1", one.session)
        await set_size(room.client, "r1", one.session, 132, 50)
        assert (end.breaks, end.sizes) == (1, [(132, 50)])
        with pytest.raises(Refused):
            await send_break(room.client, "r1", other.session)
        with pytest.raises(BadInput):
            await set_size(room.client, "r1", one.session, 0, 50)


async def test_what_a_line_has_besides_typing_is_told_and_done(room: Room) -> None:
    end = await room.far_end()
    async with room.watch() as watch:
        assert watch.status and watch.status.means == {"break", "sysrq"}
        await send_sysrq(room.client, "r1", watch.session, "h")
        await send_sysrq(room.client, "r1", watch.session, "0")
        assert (end.letters, end.breaks, end.typed) == ("h0", 0, b"")
        assert (await room.client.list("journal", filter="operation=console.sysrq"))["rows"] == []
        await send_sysrq(room.client, "r1", watch.session, "b")
        (entry,) = (await room.client.list("journal", filter="operation=console.sysrq"))["rows"]
        assert (entry["object"], entry["reason"]) == ("resource/r1", "b: reboot at once"), "something is lost by it"
        end.means = frozenset((SYSRQ,))
        end.die()
        await watch.until(lambda told: told.status.state == "connected" and told.status.means == {"sysrq"})
        with pytest.raises(Refused, match="the console of r1: a command has no break"):
            await send_break(room.client, "r1", watch.session)
        end.refuses = NoLine("it is off")
        end.die("it is off")
        await watch.until(lambda told: told.status.state == "waiting" and told.status.means == frozenset())
        for asked in (send_break(room.client, "r1", watch.session), send_sysrq(room.client, "r1", watch.session, "b")):
            with pytest.raises(Refused, match="not connected: it is off"):
                await asked
    assert len((await room.client.list("journal", filter="operation=console.sysrq"))["rows"]) == 1


async def test_a_request_that_is_sent_again_types_once(room: Room) -> None:
    end = await room.far_end()
    async with room.watch() as watch:
        body = {"session": watch.session, "stroke": "s1", "data": "eA=="}
        for _ in range(3):
            await room.client.ask("POST", ("v1", "consoles", "r1", "input"), body=body)
    assert end.typed == b"x"


@pytest.mark.parametrize(("verb", "body", "error"), [
    ("input", {"session": "nobody's"}, NotFound), ("input", {}, BadInput), ("input", {"data": "%"}, BadInput),
    ("input", {"data": "eA" * 100_000}, BadInput), ("size", {"columns": "x"}, BadInput),
    *(("break", {"letter": letter}, BadInput) for letter in ("", "B", "hb", "\x0f", "\u00e9", 1)),
    ("input", {"data": "amFt"}, Refused), ("nothing", {}, Exception),
])
async def test_wrong_requests(room: Room, verb: str, body: dict[str, Any], error: type[Exception]) -> None:
    await room.far_end()
    async with room.watch() as watch:
        if body or verb != "input":
            body = {"session": watch.session, **body}
        with pytest.raises(error):
            await room.client.ask("POST", ("v1", "consoles", "r1", verb), body=body)


@pytest.mark.parametrize("query", ["from=x", "lines=-1", "since=yesterday", "since=nan", "since=inf"])
async def test_wrong_streams(room: Room, query: str) -> None:
    await room.far_end()
    key, _, value = query.partition("=")
    with pytest.raises(BadInput, match=key):
        async for _ in room.client.pieces(("v1", "consoles", "r1", "stream"), {key: value}):
            pass


async def test_a_viewer_watches_and_an_operator_types(room: Room) -> None:
    end = await room.far_end()
    room.role = Role.viewer
    async with room.watch() as watch:
        end.say(b"hello")
        await watch.says(b"hello")
        for refused in (type_into(room.client, "r1", watch.session, b"x"), take(room.client, "r1", watch.session),
                        send_break(room.client, "r1", watch.session), set_size(room.client, "r1", watch.session, 9, 9),
                        send_sysrq(room.client, "r1", watch.session, "b")):
            with pytest.raises(NotPermitted, match="needs the role operator; you are viewer"):
                await refused
        room.role = Role.operator
        await type_into(room.client, "r1", watch.session, b"x")
    assert end.typed == b"x"
    room.role = Role.nobody
    with pytest.raises(NotPermitted):
        await list_consoles(room.client)
    with pytest.raises(NotPermitted):
        async with room.watch():
            pass


async def test_a_command_that_runs_as_root_is_an_administrators(room: Room) -> None:
    await room.add("r1", command="", console="")
    arguments = {"name": "r1", "console": "command", "console_command": "cat"}
    with pytest.raises(NotPermitted, match=r"console_command of resource\.edit needs the role administrator"):
        await room.qrmd.plan("resource.edit", arguments, Role.operator)
    plan = await room.qrmd.plan("resource.edit", arguments, Role.administrator)
    with pytest.raises(NotPermitted):
        await room.qrmd.run(plan.id, Author("somebody"), Role.operator)
    with pytest.raises(NotFound, match="r1 has no console"):
        room.console()
    plan = await room.qrmd.plan("resource.edit", arguments, Role.administrator)
    await room.qrmd.run(plan.id, Author("admin"), Role.administrator)
    await room.stands("r1", "connected")
    row = await room.client.show("resource", "r1")
    assert (row["console"], row["console_command"]) == ("command", "cat")
    with pytest.raises(BadInput, match="is a session"):
        await room.qrmd.plan("console.attach", {"name": "r1"}, Role.administrator)


async def test_watchers_are_held_to_a_number(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    await room.far_end()
    monkeypatch.setattr("qrm_tui.daemon.console_recorder.MOST_WATCHERS", 1)
    async with room.watch():
        with pytest.raises(Refused, match="1 watch the console of r1 already"):
            async with room.watch():
                pass
    await room.until("r1", lambda console: not console.sessions)


async def test_the_terminals_size_is_told_to_a_line_that_is_new(room: Room) -> None:
    end = await room.far_end()
    async with room.watch() as watch:
        await type_into(room.client, "r1", watch.session, b"x")
        await set_size(room.client, "r1", watch.session, 132, 50)
        end.die()
        await room.until("r1", lambda console: end.opened == 2 and console.state == "connected")
    assert end.sizes == [(132, 50)] * 2


# lines that are lost


async def test_a_source_that_dies_comes_back_and_the_gap_is_told(room: Room) -> None:
    end = await room.far_end()
    async with room.watch() as watch:
        end.say(b"before\r\n")
        await watch.says(b"before")
        await type_into(room.client, "r1", watch.session, b"x")
        end.die("its program ended with status 255")
        await room.until("r1", lambda console: end.opened == 2 and console.state == "connected")
        end.say(b"after\r\n")
        await watch.says(b"after")
        (gap,) = watch.gaps
        assert (gap.offset, gap.why) == (8, "its program ended with status 255") and gap.since <= gap.until
        # a line that was lost takes the right to type from nobody
        await type_into(room.client, "r1", watch.session, b"y")
    async with room.watch() as watch:
        await watch.says(b"after")
        assert watch.order[-3:] == ["Output", "Gap", "Output"]


async def test_a_source_that_cannot_be_reached_is_told_and_tried_again(room: Room) -> None:
    end = await room.far_end()
    end.refuses = NoLine("Error: Unable to establish IPMI v2 / RMCP+ session")
    async with room.watch() as watch:
        end.die()
        await watch.until(lambda told: "RMCP" in told.status.reason)
        assert watch.status and watch.status.state == "waiting"
        with pytest.raises(Refused, match=r"not connected: .*RMCP"):
            await type_into(room.client, "r1", watch.session, b"x")
        end.refuses = NoLine("ipmitool cannot be started: No such file or directory", lasting=True)
        await watch.until(lambda told: told.status.state == "error")
        end.refuses = None
        await watch.until(lambda told: told.status.state == "connected" and not told.status.reason)
        await watch.until(lambda told: told.gaps or not told.text)


@pytest.mark.parametrize("killed", [False, True])
async def test_a_restart_of_the_server_is_a_gap(room: Room, killed: bool) -> None:
    end = await room.far_end()
    end.say(b"before\r\n")
    if killed:
        marks = room.console().marks
        marks.ended = lambda *told: None  # type: ignore[method-assign]
    await room.stop()
    assert not end.listening
    await room.start()
    await room.stands("r1", "connected")
    end.say(b"after\r\n")
    async with room.watch() as watch:
        await watch.says(b"after\r\n")
        assert watch.text == b"before\r\nafter\r\n" and watch.first == 0
        (gap,) = watch.gaps
        assert (gap.offset, gap.why) == (8, "qrmd was not running")
        assert 0 < gap.since <= gap.until


async def test_one_who_lost_the_server_goes_on_at_the_offset(room: Room) -> None:
    end = await room.far_end()
    end.say(b"one\r\n")
    async with room.watch() as watch:
        await watch.says(b"one")
    await room.stop()
    await room.start()
    await room.stands("r1", "connected")
    end.say(b"two\r\n")
    async with room.watch(start=5) as watch:
        await watch.says(b"two")
        assert (watch.text, watch.first, [gap.offset for gap in watch.gaps]) == (b"two\r\n", 5, [5])


# disks


async def test_a_full_disk_is_told_and_harms_nothing_else(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = await room.far_end("r1"), await room.far_end("r2")
    disk = FullDisk(monkeypatch, 40)
    async with room.watch("r1") as watch:
        one.say(b"before the disk was full\r\n")
        one.say(b"while it is\r\n")
        await watch.says(b"while it is\r\n")
        await watch.until(lambda told: told.status.state == "error")
        assert watch.status and watch.status.reason == "the log cannot be written: No space left on device"
        await type_into(room.client, "r1", watch.session, b"df\r")
        other.say(b"here, too\r\n")
        disk.room = 1 << 30
        one.say(b"after\r\n")
        await watch.until(lambda told: told.status.state == "connected")
        await watch.says(b"after\r\n")
        assert watch.text == b"before the disk was full\r\nwhile it is\r\nafter\r\n" and watch.gaps == []
    assert (await room.client.show("resource", "r1"))["name"] == "r1"
    await room.stop()
    await room.start()
    async with room.watch("r1") as watch:
        await watch.says(b"while it is\r\nafter\r\n")


async def test_all_consoles_together_are_held_to_a_total(room: Room) -> None:
    room.qrmd.consoles._total = MIB
    ends = [await room.far_end(f"r{number}") for number in range(1, 6)]
    for console in room.qrmd.consoles._consoles.values():
        console.log._segment = 128 << 10
    for _ in range(200):
        for end in ends:
            end.say(b"x" * 4095 + b"\n")
    sizes = [console.log.size for console in room.qrmd.consoles._consoles.values()]
    on_disk = sum(path.stat().st_size for path in (room.folder / "consoles").rglob("*") if path.is_file())
    assert sum(sizes) == on_disk <= MIB and min(sizes) > 0


async def test_the_log_goes_with_the_machine_and_stays_with_the_console(room: Room) -> None:
    end = await room.far_end()
    end.say(b"hello\r\n")
    folder = room.folder / "consoles" / "r1"
    for console in ("none", "command"):
        given = {"name": "r1", "console": console, **({"console_command": "cat"} if console == "command" else {})}
        plan = await room.qrmd.plan("resource.edit", given, Role.administrator)
        await room.qrmd.run(plan.id, Author("admin"), Role.administrator)
        async with asyncio.timeout(PATIENCE):
            while end.listening != (console == "command"):
                await asyncio.sleep(0)
        assert folder.is_dir()
    end.say(b"again\r\n")
    async with room.watch() as watch:
        await watch.says(b"hello\r\nagain\r\n")
    room.qrmd.farm.delete("resource", "r1")
    async with asyncio.timeout(PATIENCE):
        while folder.exists():
            await asyncio.sleep(0.001)
    assert await list_consoles(room.client) == []


async def test_a_ve_with_one_machine_has_its_console(room: Room) -> None:
    await room.far_end()
    await room.far_end("r2")
    for name, machines in (("shop", ["r1"]), ("farm", ["r1", "r2"]), ("none", [])):
        wanted = VeWanted(id=name, boot_image="b", image="i", assigned=tuple(
            Assignment(resource=machine, image="i") for machine in machines))
        room.qrmd.farm.put(Item(kind="ve", name=name, wanted=wanted))
    assert room.console("shop") is room.console("r1")
    for name, words in (("farm", "VE farm runs on r1, r2: name one resource"), ("none", "VE none runs on no machine"),
                        ("nothing", "there is no resource 'nothing'")):
        with pytest.raises(NotFound, match=words):
            room.console(name)


async def test_watchers_are_let_go_when_its_settings_change(room: Room) -> None:
    end = await room.far_end()
    end.say(b"hello")
    events = open_console(room.client, "r1")
    told = [await anext(events), await anext(events)]
    assert [type(event).__name__ for event in told] == ["Status", "Output"]
    plan = await room.qrmd.plan("resource.edit", {"name": "r1", "console": "none"}, Role.administrator)
    await room.qrmd.run(plan.id, Author("admin"), Role.administrator)
    with pytest.raises(NoServer, match="let the console of r1 go"):
        while True:
            await anext(events)
    with pytest.raises(NotFound, match="r1 has no console"):
        await anext(open_console(room.client, "r1"))
