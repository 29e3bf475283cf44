"""A program on a pseudo-terminal: keys are typed, what it sends is kept, and an emulator shows it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.terminal.looks import text_of

ROOT = Path(__file__).parent.parent
#: Seconds until something awaited counts as failed.
PATIENCE = 60.0
#: Seconds of sleep without a byte after which it has done what it does; and between two looks at that.
QUIET, _GLANCE = 0.15, 0.02
APP = [sys.executable, "-m", "qrm_tui.app"]


class FarEnd:
    """The far end of a terminal's line, MASTER: keys are typed there, what comes is kept, and an emulator shows it."""

    def __init__(self, master: int, size: tuple[int, int] = (80, 24)) -> None:
        self.sent = bytearray()
        self._master = master
        self._emulator = BitttyEmulator(*size)

    # typing and reading

    def type(self, text: str) -> None:
        """What the keys send."""
        os.write(self._master, text.encode())

    def read(self, seconds: float) -> bytes:
        """What comes within these seconds, at the latest after the first piece."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        try:
            piece = os.read(self._master, 1 << 16)
        except OSError:
            return b""
        self.sent += piece
        self._emulator.feed(piece, time.time())
        return piece

    def screen(self) -> str:
        """What can be read on it now."""
        return "\n".join(text_of(self._emulator.line(row)).rstrip() for row in range(self._emulator.rows))

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        return False

    def wait_for(self, *texts: str, seconds: float = PATIENCE) -> None:
        """Until all of these are on the screen and nothing more comes; the failure shows the screen."""
        self.wait_until(lambda: all(text in self.screen() for text in texts), f"no {texts}", seconds)
        self.settle()

    def wait_until(self, reached: Callable[[], bool], trouble: str, seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline or (self.ended and not self.read(0)):
                raise AssertionError(f"{trouble}; {'it ended' if self.ended else 'it runs'}:\n{self.screen()}")
            self.read(0.1)

    def settle(self) -> None:
        """Until nothing more comes, and the program sleeps."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < QUIET:
            if self.read(_GLANCE) or self._works():
                quiet_since = time.monotonic()

    def _works(self) -> bool:
        """Whether the program does something yet, as far as can be seen from here."""
        return False


class OnTerminal(FarEnd):
    """Started at once; ended, if it still runs, at the end of a `with`."""

    def __init__(self, command: Sequence[str], *, term: str, size: tuple[int, int] = (80, 24),
                 environment: Mapping[str, str] | None = None) -> None:
        master, self._terminal = pty.openpty()
        super().__init__(master, size)
        self.device = os.ttyname(self._terminal)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        unset = ("COLORTERM", "NO_COLOR", "QRM_LOOK", "LINES", "COLUMNS", "TERM_PROGRAM", "QRM_CONNECT")
        environ = {name: value for name, value in os.environ.items() if name not in unset}
        self.modes = termios.tcgetattr(self._terminal)
        self._process = subprocess.Popen(
            command, stdin=self._terminal, stdout=self._terminal, stderr=self._terminal, cwd=ROOT, close_fds=True,
            env={**environ, "TERM": term, "TZ": "UTC", "PYTHONPATH": str(ROOT), **(environment or {})},
            preexec_fn=self._lead)

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for descriptor in (self._master, self._terminal):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    @staticmethod
    def _lead() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    # typing and reading

    def press(self, *keys: str) -> None:
        """One after the other, each when the program has done what it does for the one before.

        An escape is told from the beginning of a sequence by the pause after it.
        """
        for key in keys:
            self.type(key)
            self.settle()

    def scribble(self, text: str) -> None:
        """Another program writes on this terminal."""
        os.write(self._terminal, text.encode())
        self.settle()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def hang_up(self) -> None:
        """The line is gone: the kernel sends SIGHUP, and nothing can be written any more."""
        os.close(self._terminal)
        os.close(self._master)

    @property
    def now(self) -> list[object]:
        """The terminal's modes, as tcgetattr tells them."""
        return termios.tcgetattr(self._terminal)

    def _works(self) -> bool:
        """Whether any of its threads runs or would like to; on a busy machine that is more than what it sends."""
        for stat in Path(f"/proc/{self._process.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                if stat.read_text().rpartition(")")[2].split()[0] in "RD":
                    return True
        return False

    # the end

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> int:
        """Until it has ended and all that it sent is read; its status."""
        self.wait_until(lambda: self.ended, "it does not end")
        self.settle()
        return self._process.wait()

    def wait_after_hang_up(self) -> int:
        """Until it has ended, with nobody to read; its status."""
        return self._process.wait(PATIENCE)
