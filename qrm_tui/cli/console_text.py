"""A console's bytes for a terminal that must not be harmed: as plain lines, or live without what could do more."""
from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from qrm_tui.core.console_text import plain

#: Longest line, and longest sequence that is awaited.
_LONGEST, _LONGEST_SEQUENCE = 64 << 10, 4096
_CSI = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_CSI_BEGUN = re.compile(rb"\x1b\[[0-?]*[ -/]*")


class Lines:
    """Bytes as lines of harmless text."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that have ended now."""
        self._rest += self._decoder.decode(data)
        *whole, self._rest = self._rest.split("\n")
        if len(self._rest) > _LONGEST:
            whole.append(self._rest)
            self._rest = ""
        for line in whole:
            yield plain(line)

    def end(self) -> Iterator[str]:
        """What is left, though no line's end came."""
        if self._rest:
            yield plain(self._rest)
            self._rest = ""


class Guard:
    """Bytes for the terminal that one watches at: what it shows goes through, what would set its title or clipboard, or
    make it answer as if somebody typed, does not."""

    def __init__(self) -> None:
        #: who types gets the answers for the machine (`resize` asks for the cursor's place)
        self.may_answer = False
        #: the machine switched to the other screen
        self.other_screen = False
        self._rest = b""
        self._in_string = False

    def feed(self, data: bytes) -> bytes:
        """What may be shown now."""
        data, self._rest = self._rest + data, b""
        shown, at = bytearray(), 0
        while at < len(data):
            if self._in_string:
                at = self._skip_string(data, at)
                continue
            escape = data.find(b"\x1b", at)
            if escape < 0:
                shown += data[at:].replace(b"\x05", b"")
                break
            shown += data[at:escape].replace(b"\x05", b"")
            at = self._sequence(data, escape, shown)
            if at < 0:
                self._rest = data[escape:]
                break
        return bytes(shown)

    def _skip_string(self, data: bytes, at: int) -> int:
        for place in range(at, len(data)):
            if data[place] in b"\x07\x18\x1a":
                self._in_string = False
                return place + 1
            if data[place] == 0x1B:
                if place + 1 == len(data):
                    self._rest = data[place:]
                    return len(data)
                self._in_string = False
                return place + 2 if data[place + 1:place + 2] == b"\\" else place
        return len(data)

    def _sequence(self, data: bytes, at: int, shown: bytearray) -> int:
        """Where to go on after the sequence at `at`; -1: the rest of it has not come yet."""
        kind = data[at + 1:at + 2]
        if not kind:
            return -1
        if not 0x20 <= kind[0] < 0x7F:  # a terminal would go on with the sequence after it
            return at + 1
        if kind in (b"]", b"P", b"X", b"^", b"_"):
            self._in_string = True
            return at + 2
        if kind == b"[":
            found = _CSI.match(data, at)
            if found is None:
                begun = _CSI_BEGUN.match(data, at)
                assert begun is not None
                awaits = begun.end() == len(data) and len(data) - at < _LONGEST_SEQUENCE
                return -1 if awaits else begun.end()
            self._note_screen(found[0])
            if not self._asks(found[0]):
                shown += found[0]
            return found.end()
        if kind != b"Z":  # DECID: who are you
            shown += data[at:at + 2]
        return at + 2

    def _note_screen(self, sequence: bytes) -> None:
        if sequence[:3] == b"\x1b[?" and b"1049" in sequence and sequence[-1:] in b"hl":
            self.other_screen = sequence.endswith(b"h")

    def _asks(self, sequence: bytes) -> bool:
        """Whether the terminal would answer it: DSR, DA, window reports, DECRQM, XTVERSION, keyboard modes."""
        last = sequence[-1:]
        if last in (b"n", b"c"):
            return not self.may_answer
        return (last == b"t" or (last == b"p" and b"$" in sequence) or (last == b"q" and sequence[2:3] == b">")
                or (last == b"u" and sequence[2:3] == b"?"))
