"""A host's sshd that leads to a socket there, and a line that is cut when a test says so."""
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from qrm_tui.runners.libvirt import SshReach
from qrm_tui.runners.ssh import SshRunner, make_key


class _Server(asyncssh.SSHServer):
    def __init__(self, lines: list[asyncssh.SSHServerConnection]) -> None:
        self._lines = lines

    def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
        self._lines.append(connection)

    def begin_auth(self, username: str) -> bool:
        return False

    def unix_connection_requested(self, dest_path: str) -> bool:
        return True


class SshLine:
    """The way to libvirtd over ssh."""

    def __init__(self, reach: SshReach, lines: list[asyncssh.SSHServerConnection]) -> None:
        self.reach, self._lines = reach, lines

    def cut(self) -> None:
        """Every line that is there now; new ones are taken."""
        for line in self._lines:
            line.abort()
        self._lines.clear()


@asynccontextmanager
async def ssh_line(folder: Path, socket: Path) -> AsyncIterator[SshLine]:
    """Leads to libvirtd's socket; leaves nothing in the folder for sockets."""
    host_key, lines = asyncssh.generate_private_key("ssh-ed25519"), list[asyncssh.SSHServerConnection]()
    server = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[host_key], server_factory=lambda: _Server(lines))
    make_key(folder / "key")
    runner = SshRunner("host1", "127.0.0.1", user="root", port=server.get_port(), key_file=folder / "key",
                       host_key=host_key.export_public_key().decode())
    yield SshLine(SshReach(runner, "qemu", folder / "run", str(socket)), lines)
    assert list((folder / "run").iterdir()) == []
    await runner.close()
    server.close()
    await server.wait_closed()
