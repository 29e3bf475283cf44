"""The two ends of a terminal: stdout is data, stderr is talk."""
from __future__ import annotations

import os
import sys
from typing import TextIO

from qrm_tui.core.errors import QrmError
from qrm_tui.core.names import printable

#: Longest line of foreign text shown; longer ones are cut.
_LONGEST = 10_000
_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}


class ReaderGone(Exception):
    """Who read our output has closed it (`| head`): nothing more is wanted."""


def emit(text: str) -> None:
    """A line (or several) of data on stdout; ReaderGone, or QrmError when it cannot be written (a full disk)."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        # what is still buffered must not fail a second time when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from None
        raise QrmError(f"the answer cannot be written to stdout: {error.strerror}") from None


def talk(text: str, end: str = "\n") -> None:
    """A word to the person, on stderr; nobody listening is no trouble."""
    try:
        sys.stderr.write(text + end)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def harmless(text: object) -> str:
    """Foreign text for a line of a terminal: controls escaped, tabs as blanks."""
    return printable(str(text).expandtabs(8), _LONGEST)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sits at it."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def can_move(stream: TextIO) -> bool:
    """Whether a line can be written over on it."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") != "dumb"


def width(stream: TextIO) -> int:
    """Columns of the terminal that a stream is; 0: no limit (a file, a pipe)."""
    if not is_terminal(stream):
        return 0
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def paint(text: str, style: str, stream: TextIO) -> str:
    """Text in bold or a colour where the stream shows them; meaning never hangs on it."""
    if not style or "NO_COLOR" in os.environ or not can_move(stream):
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"
