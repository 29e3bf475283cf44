"""Programs that carry a console: what becomes of them when qrmd is killed, and ipmitool's manners."""
from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qrm_tui.backends import power
from qrm_tui.core.resources import Power
from qrm_tui.runners.console import NoLine, NotTaken
from qrm_tui.runners.console_command import SolSource, _Echoes
from tests.unit.processes import runs

OPENS = """
import asyncio
from qrm_tui.runners.console_command import open_pty

async def main():
    said = asyncio.Event()
    line = open_pty(["sleep", "1000"], lambda data: None, lambda why: None)
    print(line._process.pid, flush=True)
    await said.wait()

asyncio.run(main())
"""


def test_a_server_that_is_killed_leaves_no_program() -> None:
    server = subprocess.Popen([sys.executable, "-c", OPENS], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    program = int(server.stdout.readline())
    assert runs(program)
    server.kill()
    server.wait()
    deadline = time.monotonic() + 20
    while runs(program):
        assert time.monotonic() < deadline


def test_serial_over_lan_shows_no_password() -> None:
    how = Power(method="ipmi", address="10.1.0.7", user="admin", secret="/etc/qrm/bmc")
    assert shlex.join(power.sol_argv(how)).endswith("-H 10.1.0.7 -U admin -f /etc/qrm/bmc sol activate")
    assert power.sol_release_argv(how)[-2:] == ("sol", "deactivate")


class Ipmitool:
    """A script in its place, which says what ipmitool does and notes what it reads."""

    def __init__(self, folder: Path, says: str, then: str = "exec cat >>heard") -> None:
        self.folder = folder
        script = f"cd {shlex.quote(str(folder))}; printf {shlex.quote(says)}; {then}"
        self.source = SolSource(("sh", "-c", script), ("touch", str(folder / "released")))
        self.got: list[bytes] = []

    def heard(self, size: int) -> bytes:
        path, deadline = self.folder / "heard", time.monotonic() + 20
        while not path.exists() or path.stat().st_size < size:
            assert time.monotonic() < deadline
        return path.read_bytes()


async def test_ipmitools_own_words_are_no_part_of_the_console(tmp_path: Path) -> None:
    tool = Ipmitool(tmp_path, "[SOL Session operational.  Use ~? for help]\\nlogin: ")
    line = await tool.source.open(tool.got.append, lambda why: None)
    await line.type(b"~.a~\r~B\r~~\r")
    with pytest.raises(NotTaken):
        await line.type(b"x")
        await line.send_break()
    with pytest.raises(NotTaken, match="beginning of a line"):
        await line.send_sysrq("h")
    await line.type(b"\r")
    await line.send_sysrq("h")
    await line.type(b"~\r")
    assert line.means == {"break", "sysrq"}
    # only at the beginning of a line it is ipmitool's
    assert tool.heard(21) == b"~~.a~\r~~B\r~~~\rx\r~Bh~\r"
    await line.close()
    assert b"".join(tool.got) == b"login: "
    assert not (tmp_path / "released").exists()


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_what_ipmitool_says_of_a_break_is_no_part_of_the_console(size: int) -> None:
    got: list[bytes] = []
    echoes = _Echoes(got.append)
    said = b"~B [send break]\r\nof the machine ~B [sen\r\n~~B [send break]\nSysRq ~B [send break]\r\n~B"
    echoes.received(b"~B [send break]\n")  # no break went out: the machine's
    for _ in range(2):
        echoes.expect()
    for place in range(0, len(said), size):
        echoes.received(said[place:place + size])
    echoes.end()
    assert b"".join(got) == b"~B [send break]\nof the machine ~B [sen\r\n~SysRq ~B [send break]\r\n~B"


@pytest.mark.parametrize(("says", "why", "released"), [
    ("Error: Unable to establish IPMI v2 / RMCP+ session\\n", "Error: Unable to establish IPMI v2 / RMCP+ session",
     False),
    ("Info: SOL payload already active on another session\\n", "Info: SOL payload already active on another session",
     True),
    ("", "its program ended with status 1", False),
])
async def test_why_there_is_no_line(tmp_path: Path, says: str, why: str, released: bool) -> None:
    tool = Ipmitool(tmp_path, says, "exit 1")
    with pytest.raises(NoLine) as caught:
        await tool.source.open(tool.got.append, lambda why: None)
    assert (str(caught.value), caught.value.lasting, tool.got) == (why, False, [])
    assert (tmp_path / "released").exists() == released


async def test_a_session_that_the_controller_ends_is_told(tmp_path: Path) -> None:
    tool = Ipmitool(tmp_path, "[SOL Session operational.  Use ~? for help]\\n", "read line; exit 0")
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    line = await tool.source.open(tool.got.append, ended.set_result)
    await line.type(b"\n")
    async with asyncio.timeout(20):
        assert await ended == "its program ended with status 0"
    with pytest.raises(NotTaken, match="lost"):
        await line.type(b"x")
    line.resize(80, 24)
    await line.close()


def test_few_descriptors_are_given_to_a_program(tmp_path: Path) -> None:
    """Sockets and databases of the server are none of its business."""
    code = OPENS.replace('"sleep", "1000"', '"sh", "-c", "ls /proc/self/fd | wc -l >$0", OUT').replace(
        "OUT", repr(str(tmp_path / "out")))
    with (tmp_path / "inherited").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                                  pass_fds=[file.fileno()])
    assert server.stdout and server.stdout.readline()
    deadline = time.monotonic() + 20
    while not (tmp_path / "out").exists() or not (tmp_path / "out").read_text():
        assert time.monotonic() < deadline
    assert int((tmp_path / "out").read_text()) == 4  # the three, and the one that `ls` reads from
    server.kill()
    server.wait()
