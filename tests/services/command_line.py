"""The command line as its users run it, against a server that listens on a socket here."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


class CommandLine:
    """`qrm` with the server at `socket`; a command counts as hung after `patience` seconds."""

    def __init__(self, socket: Path, *, patience: float = DEADLINE) -> None:
        self.socket = socket
        self._patience = patience

    def qrm(self, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """The real `qrm`, as typed by somebody without a terminal."""
        environment = {**os.environ, "QRM_CONNECT": str(self.socket), "QRM_DEBUG": "1"}
        return subprocess.run([str(PROGRAMS / "qrm"), *words], input=input or "", capture_output=True, text=True,
                              timeout=self._patience, env=environment)

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
