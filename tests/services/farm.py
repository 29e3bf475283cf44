"""A real qrmd of the tests' own in the lab's network, and the command line that speaks with it."""
from __future__ import annotations

import shutil
import signal
import socket
import subprocess

from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer
from tests.services.command_line import PROGRAMS, CommandLine, until


class RealFarm(CommandLine):
    """qrmd as its users start it: own state folder, socket and log; it logs in to `server` with the lab's key."""

    def __init__(self, namespace: Namespace, server: StorageServer, name: str) -> None:
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None
        self.server = server
        self.folder = namespace.scratch / f"farm-{name}"
        self.state = self.folder / "state"
        super().__init__(self.folder / "qrmd.sock")
        self.log = self.folder / "qrmd.log"
        key = self.state / "ssh" / "id_ed25519"
        key.parent.mkdir(parents=True)
        shutil.copy(server.client_key, key)
        key.chmod(0o600)

    # the server

    def start(self) -> None:
        """Starts qrmd, the first time or again on the same state, and waits until it listens."""
        assert self._process is None, "qrmd runs already"
        with (self.folder / "qrmd.out").open("ab") as out:
            self._process = self._namespace.popen(
                [str(PROGRAMS / "qrmd"), "--socket", str(self.socket), "--state", str(self.state), "--log",
                 str(self.log), "--settings", str(self.folder / "qrmd.toml")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        until("qrmd answers", self._answers, 60)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"qrmd ended at once\n{self.log_tail()}"
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            try:
                line.connect(str(self.socket))
                # it listens before it has read its database: wait for the first answer, too
                line.sendall(b"GET /v1/hello HTTP/1.1\r\nHost: qrm\r\nConnection: close\r\n\r\n")
                return line.recv(12).startswith(b"HTTP/1.1")
            except OSError:
                return False

    def kill(self) -> None:
        """kill -9: no chance to tidy up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as an upgrade or a shutdown does it."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log_tail(self, lines: int = 60) -> str:
        """The end of qrmd's log and of what it printed besides."""
        texts = [file.read_text(errors="replace") for file in (self.log, self.folder / "qrmd.out") if file.exists()]
        return "\n".join("\n".join(text.splitlines()[-lines:]) for text in texts)
