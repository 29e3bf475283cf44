"""Drivers for terminals that know less than Textual asks of them.

The Linux console, and what hangs on a serial line, are sent only what they know, and on leaving find themselves as they
were: no colours, no attributes, lines that wrap, a cursor, and a clear screen (there is no second one to go back to).
"""

from __future__ import annotations

import termios
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key

if TYPE_CHECKING:
    from textual.message import Message

#: What is not asked for: the second screen, mouse, focus, sizes, keys as kitty tells them; pointers and clipboards.
_NOT_ASKED_FOR = ("\x1b[?1049", "\x1b[?1000", "\x1b[?1003", "\x1b[?1006", "\x1b[?1015", "\x1b[?1016", "\x1b[?1004",
                  "\x1b[?2026", "\x1b[?2048", "\x1b[>", "\x1b[<u", "\x1b]")
_AS_IT_WAS = "\x1b[m\x1b[H\x1b[J"


class PlainDriver(LinuxDriver):
    """`on_key` is told each key before anybody else is."""

    on_key: Callable[[], object] | None = None

    def write(self, data: str) -> None:
        if not data.startswith(_NOT_ASKED_FOR):
            super().write(data)

    def stop_application_mode(self) -> None:
        self.write(_AS_IT_WAS)
        super().stop_application_mode()

    def process_message(self, message: Message) -> None:
        if self.on_key and isinstance(message, Key):
            self.on_key()
        super().process_message(message)


class SerialDriver(PlainDriver):
    """The line's own flow control stays: there are terminals that need it."""

    @classmethod
    def _patch_iflag(cls, attrs: int) -> int:
        patched: int = super()._patch_iflag(attrs)
        return patched | attrs & (termios.IXON | termios.IXOFF)

    @property
    def waiting(self) -> int:
        """How much is on its way to the line yet: pieces of ours, and bytes of the kernel's."""
        import array
        import fcntl

        writer = self._writer_thread
        pieces = writer._queue.qsize() if writer else 0
        size = array.array("i", [0])
        try:
            fcntl.ioctl(self.fileno, termios.TIOCOUTQ, size)
        except OSError:  # the line is gone
            return pieces
        return pieces + size[0]
