"""A real ipmitool carries a console over serial-over-LAN from a real IPMI controller (OpenIPMI's simulator)."""
from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qrm_tui.backends import power
from qrm_tui.core.errors import Refused
from qrm_tui.daemon.console_log import ConsoleLog
from qrm_tui.daemon.console_recorder import Console, Session
from qrm_tui.daemon.peer import Peer
from qrm_tui.runners.console_command import SolSource
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace
from tests.services.bmc import Controller, InNamespace

# the simulator leaves the question for cipher suites unanswered, which costs nine seconds a session
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("power")]

PATIENCE, PORT, BREAK = 60.0, 7001, b"\xff\xf3"
#: The machine's serial line: says hello, then every line that it gets with its letters turned.
MACHINE = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    line, _ = listener.accept()
    line.sendall(b"Debian GNU/Linux 12 r1 ttyS0\\r\\n")
    got = b""
    while data := line.recv(4096):
        got += data
        *whole, got = got.split(b"\\r")
        for text in whole:
            line.sendall(text[::-1] + b"\\r\\n")
"""


@pytest.fixture(scope="module")
def controller(lab_namespace: Namespace) -> Iterator[Controller]:
    machine = lab_namespace.popen([sys.executable, "-c", MACHINE, BRIDGE_ADDRESS, str(PORT)], start_new_session=True)
    made = Controller(lab_namespace, f"tcp:{BRIDGE_ADDRESS}:{PORT}")
    asyncio.run(made.ready(InNamespace(lab_namespace)))
    yield made
    made.end()
    machine.kill()
    machine.wait()


def _source(controller: Controller, namespace: Namespace, secret: Path | None = None) -> SolSource:
    how = controller.power_of(secret)
    return SolSource(tuple(namespace.argv(power.sol_argv(how))), tuple(namespace.argv(power.sol_release_argv(how))))


@asynccontextmanager
async def _recording(source: SolSource, folder: Path) -> AsyncIterator[Console]:
    console = Console("r1", source, ConsoleLog(folder / "r1"), lambda: 1.0, lambda more: None,
                      lambda name, hits: None, first_pause=0.1)
    console.start()
    try:
        yield console
    finally:
        await console.stop()


async def _until(console: Console, word: bytes) -> bytes:
    async with asyncio.timeout(PATIENCE):
        while True:
            changed, said, offset = console.changed, b"", 0
            while piece := console.log.read(offset):
                said, offset = said + piece.data, piece.offset + len(piece.data)
            if word in said or word.decode() in f"{console.state} {console.reason}":
                return said
            await changed.wait()


async def test_it_is_recorded_typed_into_and_taken_back_from_one_who_is_gone(
    controller: Controller, lab_namespace: Namespace, tmp_path: Path
) -> None:
    source, session = _source(controller, lab_namespace), Session(Peer(1, 0, ()))
    async with _recording(source, tmp_path) as console:
        await _until(console, b"connected")
        await console.type(session, b"olleh\r")
        assert b"operational" not in await _until(console, b"hello\r\n")
        # ipmitool would take these for its own
        await console.type(session, b"~.~?~\r~~.\r")
        await _until(console, b"~?~.~\r\n")
        await _until(console, b".~~\r\n")
        await console.type(session, b"x")
        with pytest.raises(Refused, match="beginning of a line"):
            await console.send_break(session)
        await console.type(session, b"\r")
        await console.send_break(session)
        await console.type(session, b"retfa\r")
        # the simulator tells a break as telnet does (RFC 854), and the machine turns that, too, before it or after it
        assert BREAK[::-1] in await _until(console, b"after")
        await console.send_sysrq(session, "h")
        await console.type(session, b"\rrettal\r")
        said = await _until(console, b"latter")
        assert said.count(BREAK[::-1]) == 2 and b"send break" not in said
        # killed without a word: the controller still holds its only session
        console._line._line._process.kill()  # type: ignore[union-attr]
        await _until(console, b"waiting")
        await _until(console, b"connected")
        await console.type(session, b"niaga\r")
        await _until(console, b"again\r\n")
        pid = console._line._line._process.pid  # type: ignore[union-attr]
    assert not Path(f"/proc/{pid}").exists()  # noqa: ASYNC240


async def test_a_wrong_password_is_told_in_ipmitools_words(
    controller: Controller, lab_namespace: Namespace, tmp_path: Path
) -> None:
    wrong = controller.folder / "wrong"
    wrong.write_text("guess\n")
    async with _recording(_source(controller, lab_namespace, wrong), tmp_path) as console:
        assert await _until(console, b"Unable to establish") == b""
        assert console.state == "waiting"
