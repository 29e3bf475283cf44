"""The ssh runner against an ssh server in process."""
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from qrm_tui.runners.ssh import SshRunner, make_key


def _answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Ends at once, whatever is sent to it."""
    process.stdout.write(b"said\n")
    process.exit(3)


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[SshRunner]:
    key = tmp_path / "ssh" / "id_ed25519"
    public = make_key(key)
    (tmp_path / "authorized").write_text(public)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[host_key], process_factory=_answer, encoding=None,
                                   authorized_client_keys=str(tmp_path / "authorized"))
    made = SshRunner("store", "127.0.0.1", user="root", port=server.get_port(), key_file=key,
                     host_key=host_key.export_public_key().decode())
    yield made
    await made.close()
    server.close()
    await server.wait_closed()


async def test_a_command_that_ends_without_reading_has_answered(runner: SshRunner) -> None:
    for text in ("", "not read\n" * 100_000):
        done = await runner.run(("exit-at-once",), input=text)
        assert (done.status, done.out) == (3, "said\n")
