"""A machine over ssh: one connection, opened when needed and again when lost, with its host key pinned."""
from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncssh

from qrm_tui.core.errors import Broken, Refused, StepFailed, Unreachable
from qrm_tui.runners.base import MOST_OUTPUT, SHORT, Completed, OnLine
from qrm_tui.runners.command import CommandRunner
from qrm_tui.runners.lines import collect

#: Seconds to connect, and until a line without an answer is given up (keepalive x count).
CONNECT, KEEPALIVE, KEEPALIVE_COUNT = 10, 5, 3
_LOST = (OSError, asyncssh.Error, asyncio.IncompleteReadError)


async def fetch_host_key(address: str, port: int) -> asyncssh.SSHKey:
    """The key that the machine shows now; Unreachable if there is none."""
    try:
        async with asyncio.timeout(CONNECT):
            key = await asyncssh.get_server_host_key(address, port)
    except (*_LOST, TimeoutError) as error:
        raise Unreachable(f"{address} does not answer on ssh port {port}: {_words(error)}") from None
    if key is None:
        raise Unreachable(f"{address} shows no ssh host key")
    return key


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT} s"
    return str(error) or type(error).__name__


class SshRunner(CommandRunner):
    """Commands over OpenSSH's protocol; with another user than root through `sudo -n`."""

    def __init__(self, name: str, address: str, *, user: str, port: int,
                 host_key: str | Callable[[], Awaitable[str]], key_file: Path) -> None:
        """`host_key`: the pinned one, or what tells it when a line is opened (Unreachable while it cannot)."""
        self.name = name
        self._address, self._user, self._port = address, user, port
        self._host_key, self._key_file = host_key, key_file
        self._connection: asyncssh.SSHClientConnection | None = None
        self._lock = asyncio.Lock()

    async def _connect(self) -> asyncssh.SSHClientConnection:
        async with self._lock:
            if self._connection is not None and not self._connection.is_closed():
                return self._connection
            pinned = self._host_key if isinstance(self._host_key, str) else await self._host_key()
            try:
                trusted = asyncssh.import_public_key(pinned)
            except asyncssh.KeyImportError:
                raise Unreachable(f"the ssh host key that {self._address} should show is none: {pinned[:60]!r}") \
                    from None
            try:
                async with asyncio.timeout(CONNECT):
                    self._connection = await asyncssh.connect(
                        self._address, self._port, username=self._user, client_keys=[str(self._key_file)],
                        known_hosts=([trusted], [], []), keepalive_interval=KEEPALIVE, config=[],
                        keepalive_count_max=KEEPALIVE_COUNT, agent_path=None, server_host_key_algs="default")
            except asyncssh.HostKeyNotVerifiable:
                raise Unreachable(f"{self._address} shows another ssh host key than the pinned one: it was installed "
                                  "anew, or somebody sits in between; remove and add the server to pin its new key") \
                    from None
            except asyncssh.PermissionDenied:
                raise Unreachable(f"{self._address} refuses the log-in of {self._user}: add qrmd's key to its "
                                  "authorized_keys (`qrm farm status` shows it)") from None
            except (*_LOST, TimeoutError) as error:
                raise Unreachable(f"{self._address} does not answer: {_words(error)}") from None
            return self._connection

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        connection = await self._connect()
        words = argv if self._user == "root" else ("sudo", "-n", "--", *argv)
        command = "LC_ALL=C.UTF-8 exec " + shlex.join(words) if self._user == "root" else shlex.join(words)
        try:
            async with asyncio.timeout(seconds or None):
                process = await connection.create_process(command, encoding=None)
                try:
                    # it may have ended already, without reading: then its answer is there, and the line is well
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.write(input.encode())
                        process.stdin.write_eof()
                    out, err = await asyncio.gather(collect(process.stdout, "out", on_line, MOST_OUTPUT),
                                                    collect(process.stderr, "err", on_line, MOST_OUTPUT))
                    await process.wait_closed()
                    status = process.returncode
                finally:
                    process.close()  # not awaited: a machine that hangs does not confirm it
        except TimeoutError:
            raise StepFailed(f"{argv[0]} on {self.name} did not end within {seconds:.0f} s") from None
        except _LOST as error:
            self._forget(connection)
            raise Unreachable(f"{self._address} went away: {_words(error)}") from None
        if status is None:
            # the channel closed without an exit status: the line, not the command, has ended
            self._forget(connection)
            raise Unreachable(f"{self._address} went away in the middle of {argv[0]}")
        return Completed(status, out, err)

    async def forward_socket(self, here: Path, there: str) -> asyncssh.SSHListener:
        """A unix socket here leads to the one at `there`, until it is closed or the line is lost; Unreachable if
        nothing listens there, Broken if there is no room for one here."""
        connection = await self._connect()
        try:
            async with asyncio.timeout(CONNECT):
                # asked first: what listens here could only hang up without a word
                _, writer = await connection.open_unix_connection(there, encoding=None)
                writer.close()
        except asyncssh.ChannelOpenError as error:
            raise Unreachable(f"nothing answers at {there} on {self._address}: {_words(error)}") from None
        except (*_LOST, TimeoutError) as error:
            self._forget(connection)
            raise Unreachable(f"{self._address} went away: {_words(error)}") from None
        try:
            return await connection.forward_local_path(str(here), there)
        except (OSError, asyncssh.Error) as error:
            raise Broken(f"no socket can be made at {here}: {_words(error)}") from None

    def _forget(self, connection: asyncssh.SSHClientConnection) -> None:
        connection.abort()
        if self._connection is connection:
            self._connection = None

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


def make_key(path: Path) -> str:
    """qrmd's own key pair, made once; returns the public key."""
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519", comment="qrmd")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        key.write_private_key(str(path))
    return asyncssh.read_private_key(str(path)).export_public_key().decode().strip()


def fingerprint(host_key: str) -> str:
    """As `ssh-keygen -lf` prints it."""
    return asyncssh.import_public_key(host_key).get_fingerprint()


def check_fingerprint(host_key: str, expected: str | None, address: str) -> None:
    """Refused if a fingerprint was insisted on and the machine shows another."""
    if expected and fingerprint(host_key) != expected:
        raise Refused(f"{address} shows ssh host key {fingerprint(host_key)}, not {expected}: look at the machine's "
                      "own console before you trust it")
