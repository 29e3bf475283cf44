"""A real qrmd of the tests' own in the lab's network, and the command line that speaks with it."""
from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer

PROGRAMS = Path(sys.executable).parent
DEADLINE = 120.0
"""Seconds until something awaited counts as failed; the slowest job here takes some 15 s."""
POLL = 0.2
"""Seconds between two looks at something awaited; each is a program started, on a machine that is busy enough."""
FINISHED = ("done", "undone", "failed")

Row = dict[str, Any]


def until(what: str, reached: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Waits until `reached` gives something true, and returns that; an AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, f"not so after {seconds:.0f} s: {what}"
        time.sleep(POLL)
    return found


class RealFarm:
    """qrmd as its users start it: own state folder, socket and log; it logs in to `server` with the lab's key."""

    def __init__(self, namespace: Namespace, server: StorageServer, name: str) -> None:
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None
        self.server = server
        self.folder = namespace.scratch / f"farm-{name}"
        self.state = self.folder / "state"
        self.socket = self.folder / "qrmd.sock"
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

    # the command line

    def qrm(self, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """The real `qrm`, as typed by somebody without a terminal."""
        return subprocess.run([str(PROGRAMS / "qrm"), *words], input=input or "", capture_output=True, text=True,
                              timeout=DEADLINE, env={**os.environ, "QRM_CONNECT": str(self.socket), "QRM_DEBUG": "1"})

    def qrm_json(self, *words: str, input: str | None = None) -> Any:
        """What `qrm … --json` prints; it must exit with 0."""
        done = self.qrm(*words, "--json", input=input)
        assert done.returncode == 0, f"qrm {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def do(self, *words: str) -> Row:
        """A verb that runs a job, until it is done; the job."""
        row: Row = self.qrm_json(*words, "--yes")
        assert row["state"] == "done", row
        return row

    def fails(self, *words: str) -> tuple[Row, str]:
        """A job that does not end done: the job and what was said on stderr."""
        done = self.qrm(*words, "--yes", "--json")
        assert done.returncode == 1, f"qrm {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout), done.stderr

    def refused(self, *words: str) -> str:
        """What stderr says of a command that a check refuses: nothing on stdout, exit code 3."""
        done = self.qrm(*words, "--yes")
        assert (done.returncode, done.stdout) == (3, ""), f"qrm {' '.join(words)}: {done.returncode}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stderr

    # jobs and objects

    def begin(self, *words: str) -> str:
        """Starts a job; its number."""
        done = self.qrm(*words, "--yes", "--no-wait")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def job(self, number: str) -> Row:
        row: Row = self.qrm_json("job", "show", number)
        return row

    def ended(self, number: str) -> Row:
        """The job once it has ended, whichever way."""
        done = self.qrm("job", "wait", number, "--json")
        assert done.returncode in (0, 1), f"job {number}: {done.returncode}\n{done.stderr}"
        row: Row = json.loads(done.stdout)
        assert row["state"] in FINISHED and done.returncode == int(row["state"] != "done")
        return row

    def job_log(self, number: str) -> str:
        return self.qrm("job", "log", number).stdout

    def images(self) -> dict[str, Row]:
        return {row["name"]: row for row in self.qrm_json("image", "list")}

    def together(self, *commands: tuple[str, ...]) -> None:
        """Several jobs at once, until all are done."""
        ended = [self.ended(number) for number in [self.begin(*command) for command in commands]]
        assert [row["state"] for row in ended] == ["done"] * len(ended), ended
