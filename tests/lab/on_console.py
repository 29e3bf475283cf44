"""A machine that is a process here, and whose console goes to a file."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE = 240.0
"""Seconds until something awaited counts as failed; far more than any needs."""


class OnConsole:
    """What is read there, and waited for."""

    console_log: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def console(self) -> str:
        return self.console_log.read_text(errors="replace") if self.console_log.exists() else ""

    def wait_for(self, what: str, reached: Callable[[], bool]) -> None:
        """Until something is so; the failure shows the end of the console."""
        deadline = time.monotonic() + DEADLINE
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} in {DEADLINE:.0f} s:\n{self.console()[-3000:]}")
            time.sleep(0.1)
