"""A way to a server elsewhere: OpenSSH carries its unix socket to a private one here."""
from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import tempfile
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path

from qrm_tui.client.where import INSTALLED, LONGEST_SOCKET, SshHost
from qrm_tui.core.errors import NoServer
from qrm_tui.core.names import printable

#: Seconds for ssh to log in: without a person only the network takes time, with one a password is typed.
_PATIENCE, _PATIENCE_ASKING = 30.0, 180.0
#: Seconds between two looks for ssh's socket.
_BEAT = 0.02
_PR_SET_PDEATHSIG = 1   # <linux/prctl.h>


def ssh_command(host: SshHost, local: str, may_ask: bool) -> list[str]:
    """The ssh that carries `INSTALLED` of `host` to the socket `local`; `may_ask`: it may prompt on the terminal."""
    options = ("ExitOnForwardFailure=yes", f"BatchMode={'no' if may_ask else 'yes'}", "ConnectTimeout=15",
               # a connection of our own: a shared one would keep the socket when we are gone
               "ControlMaster=no", "ControlPath=none", "ForwardAgent=no", "ForwardX11=no", "PermitLocalCommand=no",
               # a dead line is noticed within 45 seconds
               "ServerAliveInterval=15", "ServerAliveCountMax=3", "StreamLocalBindMask=0177")
    command = ["ssh", "-N", "-T"]
    for option in options:
        command += ["-o", option]
    if host.port:
        command += ["-p", str(host.port)]
    if host.user:
        command += ["-l", host.user]
    return [*command, "-L", f"{local}:{INSTALLED}", "--", host.host]


class Tunnel:
    """A running ssh; use `open`, and `close` at the end. It dies with this process in any case."""

    def __init__(self, host: SshHost, folder: str, process: asyncio.subprocess.Process) -> None:
        self._host, self._process = host, process
        self.path = f"{folder}/qrmd.sock"
        self._said: deque[str] = deque(maxlen=5)
        self._remove = weakref.finalize(self, shutil.rmtree, folder, True)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls, host: SshHost, *, may_ask: bool = False) -> Tunnel:
        """Log in and wait for the socket; NoServer tells ssh's own words."""
        folder = tempfile.mkdtemp(prefix="qrm-", dir=_folder_for_sockets())
        try:
            process = await asyncio.create_subprocess_exec(
                *ssh_command(host, f"{folder}/qrmd.sock", may_ask), stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, preexec_fn=_before_ssh())
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)
            raise NoServer("there is no ssh program on this machine: install openssh-client") from None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        tunnel = cls(host, folder, process)
        try:
            await tunnel._ready(_PATIENCE_ASKING if may_ask else _PATIENCE)
        except BaseException:
            await tunnel.close()
            raise
        return tunnel

    @property
    def alive(self) -> bool:
        """ssh still runs."""
        return self._process.returncode is None

    @property
    def said(self) -> str:
        """The last that ssh wrote, in a line."""
        return "; ".join(self._said)

    async def close(self) -> None:
        """End ssh and remove the socket."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        self._remove()

    async def _ready(self, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                while not _accepts(self.path):
                    if not self.alive:
                        await self._listening
                        raise NoServer(f"ssh does not reach {self._host}: {self.said or 'it ended without a word'}; "
                                       f"try `ssh {self._host}` by hand")
                    await asyncio.sleep(_BEAT)
        except TimeoutError:
            raise NoServer(f"ssh did not reach {self._host} within {patience:.0f} seconds; "
                           f"try `ssh {self._host}` by hand") from None

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(ValueError):   # a line longer than the stream's limit: nothing that a person reads
            while line := await self._process.stderr.readline():
                if text := line.decode(errors="replace").strip():
                    self._said.append(printable(text, 300))


def _accepts(path: str) -> bool:
    """ssh makes the file before it listens on it."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def _folder_for_sockets() -> str:
    """A folder of ours where a socket's path is short enough; ssh adds 17 letters while it makes one."""
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    fits = len(own) + len("/qrm-12345678/qrmd.sock") + 17 <= LONGEST_SOCKET
    return own if own and fits and Path(own).is_dir() and os.access(own, os.W_OK) else "/tmp"


def _before_ssh() -> Callable[[], None]:
    """What the child does first: ctrl+c is ours to handle, and where there is prctl(2) the kernel ends it with us."""
    parent = os.getpid()
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:   # it ended before the kernel was asked
                os._exit(1)

    return prepare
