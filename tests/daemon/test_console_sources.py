"""Where consoles come from: real programs on terminals of their own, and practice farms' machines."""
from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qrm_tui.client.connection import Client
from qrm_tui.client.console import (
    set_size,
    type_into,
)
from qrm_tui.core.errors import NotPermitted, Refused
from qrm_tui.daemon.peer import Peer
from tests.daemon.console_room import PATIENCE, Room
from tests.daemon.world import World
from tests.unit.test_console_log import text


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.start()
    yield made
    await made.end()


def process_of(room: Room) -> int:
    line: Any = room.console()._line
    return int(line._process.pid)


def command_line(pid: int) -> bytes:
    """Empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_a_command_is_run_without_a_shell_and_ends_with_the_server(room: Room) -> None:
    await room.add("r1", command="sh -c 'tty >/dev/null && stty size; cat' qrm $HOME")
    async with room.watch() as watch:
        await watch.says(b"24 80")
        await type_into(room.client, "r1", watch.session, b"caf\xc3\xa9 \x03\x04\x00\xff\r")
        await watch.says(b"caf\xc3\xa9 \x03\x04\x00\xff\r")
    pid = process_of(room)
    assert b"$HOME" in command_line(pid)
    await room.stop()
    assert not command_line(pid)


async def test_a_program_hears_of_the_terminals_size(room: Room) -> None:
    await room.add("r1", command="sh -c 'trap \"stty size\" WINCH; echo ready; while :; do read line; done'")
    async with room.watch() as watch:
        await watch.says(b"ready")
        await type_into(room.client, "r1", watch.session, b"\n")
        await set_size(room.client, "r1", watch.session, 132, 50)
        await type_into(room.client, "r1", watch.session, b"\n")
        await watch.says(b"50 132")


async def test_a_program_that_ends_is_started_again_with_none_left(room: Room) -> None:
    await room.add("r1", command="sh -c 'sleep 1000 & echo $!; exit 3'")
    async with room.watch() as watch:
        await watch.until(lambda told: len(told.gaps) >= 2)
        assert watch.gaps[0].why == "its program ended with status 3"
    await room.stop()
    assert not any(b"sleep" in command_line(int(word)) for word in watch.text.split())


async def test_a_program_that_is_not_there_is_an_error_with_words(room: Room) -> None:
    await room.add("r1", command="/nowhere/at-all -x")
    console = await room.stands("r1", "error")
    assert console.reason == "/nowhere/at-all cannot be started: No such file or directory"


async def test_a_program_that_does_not_read_is_told(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrm_tui.runners.console_command._TAKES", 0.05)
    await room.add("r1", command="sh -c 'echo ready; exec sleep 1000'")
    async with room.watch() as watch:
        await watch.says(b"ready")
        with pytest.raises(Refused, match="does not take what is typed"):
            for _ in range(10):
                await type_into(room.client, "r1", watch.session, b"x" * 60_000)


async def test_a_program_that_ignores_the_end_is_killed(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrm_tui.runners.console_command._ENDS", 0.05)
    await room.add("r1", command="sh -c 'trap : TERM HUP; echo ready; while :; do sleep 1000; done'")
    async with room.watch() as watch:
        await watch.says(b"ready")
    pid = process_of(room)
    await room.stop()
    assert not command_line(pid)


async def test_nothing_is_left_open(room: Room) -> None:
    async def once() -> None:
        await room.add("r1")
        await room.stands("r1", "connected")
        room.qrmd.farm.delete("resource", "r1")
        async with asyncio.timeout(PATIENCE):
            while room.qrmd.consoles.rows() or room.qrmd.consoles._changing:
                await asyncio.sleep(0.001)

    await once()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await once()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_another_users_session_is_not_ones_own(room: Room) -> None:
    await room.far_end()
    async with room.watch() as watch:
        session = room.console().sessions[watch.session]
        session.peer = type(session.peer)(1, 12345, ())
        with pytest.raises(NotPermitted, match="12345's"):
            await type_into(Client(str(room.socket)), "r1", watch.session, b"x")


async def test_a_practice_farms_machine_boots_logs_in_and_obeys(world: World) -> None:
    name = await world.machine()
    console = world.qrmd.consoles.find(name)

    async def says(word: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            while True:
                changed, said = console.changed, text(console.log)
                if word in said:
                    return said
                await changed.wait()

    said = await says(b"nothing to do: waiting for work")
    stages = [b"BIOS", b"DHCP", b"PXELINUX", b"Linux version", b"the server knows this machine as " + name.encode()]
    assert sorted(stages, key=said.index) == stages and console.row()["source"] == "practice"
    # whatever is noted of it, nothing real is run
    await world.do("resource.edit", name=name, console="command", console_command="touch /tmp/never")
    assert console is world.qrmd.consoles.find(name) and console.state == "connected"
    await world.do("image.add", name="golden", storage="s1", size="5000M")
    await world.do("ve.create", name="web", boot_image="debian12", image="golden")
    assert await world.do("ve.start", name="web") == "done"
    await says(b"login: ")
    session = console.join(Peer(1, 0, ()))
    for line, word in ((b"root\r", b"Password: "), (b"x\r", b"~# "), (b"uname -a\r", b"GNU/Linux"),
                       (b"exit\r", b"logout")):
        await console.type(session, line)
        await says(word)
