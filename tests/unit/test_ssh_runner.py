"""The ssh runner against an ssh server in process."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from qrm_tui.runners.ssh import KEEPALIVE, SshRunner, make_key


def _answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Says a word; ends at once, whatever is sent to it, or never."""
    process.stdout.write(b"said\n")
    if process.command and "exit-at-once" in process.command:
        process.exit(3)


class Line:
    """A relay to a port, which can stop to carry anything."""

    def __init__(self) -> None:
        #: the port that it leads to, and its own
        self.to, self.port = 0, 0
        self._carries = asyncio.Event()
        self._carries.set()
        self._tasks: list[asyncio.Task[None]] = []

    def freeze(self) -> None:
        self._carries.clear()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        self._tasks += [asyncio.create_task(self._carry(reader, far_writer)),
                        asyncio.create_task(self._carry(far_reader, writer))]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65536):
                await self._carries.wait()
                writer.write(data)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    made = Line()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def runner(tmp_path: Path, line: Line) -> AsyncIterator[SshRunner]:
    key = tmp_path / "ssh" / "id_ed25519"
    public = make_key(key)
    (tmp_path / "authorized").write_text(public)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[host_key], process_factory=_answer, encoding=None,
                                   authorized_client_keys=str(tmp_path / "authorized"))
    line.to = server.get_port()
    made = SshRunner("store", "127.0.0.1", user="root", port=line.port, key_file=key,
                     host_key=host_key.export_public_key().decode())
    yield made
    await made.close()
    server.close()
    await server.wait_closed()


async def test_a_command_that_ends_without_reading_has_answered(runner: SshRunner) -> None:
    for text in ("", "not read\n" * 100_000):
        done = await runner.run(("exit-at-once",), input=text)
        assert (done.status, done.out) == (3, "said\n")


async def test_one_who_gives_up_does_not_wait_for_a_machine_that_hangs(runner: SshRunner, line: Line) -> None:
    said = asyncio.Event()
    running = asyncio.create_task(runner.run(("stay",), on_line=lambda stream, text: said.set()))
    await said.wait()
    line.freeze()
    running.cancel()
    async with asyncio.timeout(KEEPALIVE):  # the line itself is given up much later
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
