"""ssh://: real OpenSSH against an ssh server in process that carries the socket to a canned qrmd."""
from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from qrm_tui.client import tunnel
from qrm_tui.client.connection import Client
from qrm_tui.client.where import SshHost
from qrm_tui.core import errors
from tests.unit.fake_qrmd import FakeQrmd


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeQrmd]:
    with FakeQrmd(tmp_path / "s") as server:
        yield server


def tunnels(folder: Path) -> list[Path]:
    """Folders of the tunnels that are open."""
    return list(folder.glob("qrm-*"))


def status_of(pid: int) -> str:
    """proc_pid_status(5)."""
    return Path(f"/proc/{pid}/status").read_text()


class _Host(asyncssh.SSHServer):
    """An ssh host that lets everyone in and carries qrmd's socket to the test's server."""

    target = ""
    asked: list[str]

    def begin_auth(self, username: str) -> bool:
        return False

    def unix_connection_requested(self, dest_path: str) -> Any:
        self.asked.append(dest_path)
        return self._carry if self.target else False

    async def _carry(self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self.target)

        async def pump(source: Any, sink: Any) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.write_eof()

        try:
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        except (asyncssh.ConnectionLost, ConnectionError):
            pass   # the tunnel was cut
        finally:
            far_writer.close()


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A folder with a path short enough for sockets, whatever pytest's own is."""
    with tempfile.TemporaryDirectory(prefix="q", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
async def ssh_host(fake: FakeQrmd, tmp_path: Path, runtime: Path,
                   monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[type[_Host]]:
    """A real ssh server in process; OpenSSH's client reads a configuration of the test's own."""
    host = type("Host", (_Host,), {"target": fake.path, "asked": []})
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=host, server_host_keys=[key])
    key.write_public_key(tmp_path / "key.pub")
    port = server.get_port()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'key.pub').read_text()}")
    (tmp_path / "config").write_text(f"Host demo\n  HostName 127.0.0.1\n  Port {port}\n"
                                     f"  UserKnownHostsFile {tmp_path}/known\n  IdentityFile none\n")
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {tmp_path}/config "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    yield host
    server.close()


async def test_ssh_carries_the_socket(ssh_host: type[_Host], fake: FakeQrmd, runtime: Path) -> None:
    fake.events = [{"event": "alive", "revision": 7}]
    async with Client("ssh://demo") as client:
        assert (await client.hello())["farm"] == "lab"
        assert await anext(client.watch(["job"])) == fake.events[0]
        folder, = tunnels(runtime)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(ssh_host.asked) == {"/run/qrm/qrmd.sock"}
    assert not tunnels(runtime)


async def test_calls_at_once_share_a_tunnel(ssh_host: type[_Host], runtime: Path) -> None:
    async with Client("ssh://demo") as client:
        await asyncio.gather(client.hello(), client.farm(), client.hello())
        assert len(tunnels(runtime)) == 1


async def test_ssh_s_own_words_are_told(ssh_host: type[_Host], tmp_path: Path, runtime: Path) -> None:
    (tmp_path / "known").write_text("")
    with pytest.raises(errors.NoServer, match=r"Host key verification failed.*try `ssh demo` by hand"):
        await Client("ssh://demo").hello()
    assert not tunnels(runtime)


async def test_a_host_without_qrmd(ssh_host: type[_Host]) -> None:
    ssh_host.target = ""
    async with Client("ssh://demo") as client:
        with pytest.raises(errors.NoServer, match="ssh reaches demo, but no qrmd answers there"):
            await client.hello()


async def test_a_tunnel_that_broke_is_dug_again(ssh_host: type[_Host]) -> None:
    async with Client("ssh://demo") as client:
        await client.hello()
        assert client._tunnel is not None
        process = client._tunnel._process
        process.kill()
        await process.wait()
        assert (await client.hello())["farm"] == "lab"


async def test_ctrl_c_is_not_ssh_s(ssh_host: type[_Host]) -> None:
    async with Client("ssh://demo") as client:
        await client.hello()
        assert client._tunnel is not None
        status = status_of(client._tunnel._process.pid)
        ignored = int(status.split("SigIgn:")[1].split()[0], 16)
        assert ignored & 1 << (signal.SIGINT - 1)
        assert (await client.hello())["farm"] == "lab"


async def test_no_ssh_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.NoServer, match="openssh-client"):
        await Client("ssh://demo").hello()


async def test_ssh_dies_with_the_client(ssh_host: type[_Host], tmp_path: Path) -> None:
    script = """
import asyncio, sys
from qrm_tui.client.connection import Client
async def main():
    client = Client("ssh://demo")
    await client.hello()
    print(client._tunnel._process.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    handle = os.pidfd_open(pid)
    process.kill()
    await process.wait()
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, gone.set)
    async with asyncio.timeout(10):
        await gone.wait()
    asyncio.get_running_loop().remove_reader(handle)
    os.close(handle)


def test_ssh_never_takes_a_host_for_an_option() -> None:
    command = tunnel.ssh_command(SshHost("demo", "root", 2222), "/tmp/s", may_ask=False)
    assert command[-4:] == ["-L", "/tmp/s:/run/qrm/qrmd.sock", "--", "demo"]
    assert "BatchMode=yes" in command
    assert command[command.index("-p") + 1] == "2222"
    assert command[command.index("-l") + 1] == "root"
