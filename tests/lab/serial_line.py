"""The serial console of a machine in user-mode-linux, from the terminal at its other end."""

from __future__ import annotations

import contextlib
import os
import pty
from types import TracebackType

from tests.lab.uml import UmlMachine
from tests.on_terminal import FarEnd

GETTY = "serial-getty@ttyS0.service"
OPEN = f"""
udevadm trigger --action=add --subsystem-match=tty --sysname-match=ttyS0 --settle
echo "root:$1" | chpasswd
rm -f /run/nologin
systemctl start {GETTY}
"""
"""As a machine with a serial console comes up; in user-mode-linux nobody asks for one otherwise."""
HANG_UP = """
import fcntl, os
TIOCVHANGUP = 0x5437  # asm-generic/ioctls.h
fcntl.ioctl(os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), TIOCVHANGUP)
"""
"""What the kernel does when the carrier is gone (tty_vhangup): the session there is hung up, and getty begins anew."""
PASSWORD = "a fresh machine"
ROWS, COLUMNS = 24, 80
SHELL_SECONDS = 30.0
"""Until a shell's prompt or getty's next word must be there."""


class SerialLine(FarEnd):
    """80x24. `terminal` is what the machine gets as its ttyS0; `keys` counts what is pressed with `press`."""

    def __init__(self) -> None:
        master, self.terminal = pty.openpty()
        super().__init__(master, (COLUMNS, ROWS))
        self.keys = 0

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (self._master, self.terminal):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def open(self, machine: UmlMachine) -> None:
        """The machine has a login on it; root's password is PASSWORD."""
        machine.ssh("sh", "-ec", OPEN, "sh", PASSWORD)

    def hang_up(self, machine: UmlMachine) -> None:
        """The line is gone for a moment, as its machine sees it."""
        machine.ssh("python3", "-c", HANG_UP)

    def log_in(self) -> None:
        """Root logs in by typing, and says how large this terminal is."""
        self.type("\r")
        self.wait_for("login:", seconds=SHELL_SECONDS)
        self.type("root\r")
        self.wait_for("Password:", seconds=SHELL_SECONDS)
        self.type(f"{PASSWORD}\r")
        self.wait_for("root@", "#", seconds=SHELL_SECONDS)
        self.type(f"stty rows {ROWS} cols {COLUMNS}; clear\r")
        self.wait_until(lambda: self.screen().strip().endswith("#"), "no prompt", SHELL_SECONDS)

    def press(self, *keys: str) -> None:
        """One after the other."""
        for key in keys:
            self.type(key)
            self.keys += 1
            self.settle()
