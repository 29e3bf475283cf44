"""A console as somebody has it who typed `qrm console attach`: a terminal, keys, and what is shown."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import time
from types import TracebackType

from tests.lab.machine import ESCAPES
from tests.services.command_line import PROGRAMS, CommandLine

LEAVE = b"\x1dq"


class Attached:
    """`qrm console attach NAME` on a terminal of its own, until the block ends."""

    def __init__(self, line: CommandLine, name: str) -> None:
        self._argv = [str(PROGRAMS / "qrm"), "console", "attach", name]
        self._environment = {**os.environ, "QRM_CONNECT": str(line.socket), "TERM": "xterm"}
        self._shown = b""

    def __enter__(self) -> Attached:
        self._terminal, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        self._process = subprocess.Popen(self._argv, stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment,
                                         start_new_session=True)
        os.close(theirs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def types(self, text: str) -> None:
        """Types a line, and forgets what was shown before it."""
        self.presses(f"{text}\r".encode())

    def presses(self, keys: bytes) -> None:
        """Keys as a terminal sends them; forgets what was shown before them."""
        self._shown = b""
        os.write(self._terminal, keys)

    def shows(self, pattern: str, seconds: float) -> str:
        """What is shown once it matches a regular expression; an AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, shown := ESCAPES.sub("", self._shown.decode(errors="replace"))):
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"no {pattern!r} within {seconds:.0f} s:\n{shown[-2000:]}"
            if select.select([self._terminal], [], [], remaining)[0]:
                try:
                    self._shown += os.read(self._terminal, 65536)
                except OSError:  # EIO: the program has ended (pty(7))
                    raise AssertionError(f"it ended before it showed {pattern!r}:\n{shown[-2000:]}") from None
        return shown

    def leaves(self) -> int:
        """By its keys; the exit code."""
        os.write(self._terminal, LEAVE)
        return self._process.wait(30)
