"""A console's bytes as text: without the sequences that colour, move and title, however they are cut."""
from __future__ import annotations

import re

from qrm_tui.core.names import printable

#: Sequences that move, colour, title ...: CSI, strings (OSC, DCS, SOS, PM, APC), and the short ones (ECMA-48).
SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x18\x1a]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
#: Characters of a line that are shown at the most.
_LONGEST_LINE = 10_000

#: What moves the cursor to another line, or wipes the screen, ends a line; what moves it on in its line is a blank.
_ENDS_LINE, _BLANK = re.compile(rb"\x1b\[[0-9;]{0,48}[ABEFHJdf]"), re.compile(rb"\x1b\[[0-9;]{0,48}[CG]")
_OTHER = re.compile(rb"\x1b(?:\[[0-?]{0,48}[ -/]{0,8}[@-~]|[ -/]{0,8}[0-OQ-WYZ\\`-~])")
_STRING = re.compile(rb"\x1b[\]PX^_][^\x07\x1b\x18\x1a\n]*\x07?")
_STRING_BEGUN, _STRING_END = re.compile(rb"\x1b[\]PX^_][^\x07\x1b\x18\x1a\n]*"), re.compile(rb"[\x07\x1b\x18\x1a\n]")
_BEGUN = re.compile(rb"\x1b(?:\[[0-?]{0,48}[ -/]{0,8}|[ -/]{0,8})")
#: Bytes of a string that are passed over: what is longer is none.
_LONGEST_STRING = 4096
_LINE_ENDS = bytes.maketrans(b"\r\v\f", b"\n\n\n")
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r"))


def plain(line: str) -> str:
    """A line as one would read it on the screen at last: sequences gone, overwritten text gone, controls escaped."""
    text = SEQUENCE.sub("", line).rstrip("\r").rpartition("\r")[2]
    if "\b" in text:
        kept: list[str] = []
        for letter in text:
            if letter != "\b":
                kept.append(letter)
            elif kept:
                kept.pop()
        text = "".join(kept)
    return printable(text.replace("\0", "").replace("\a", "").expandtabs(8), _LONGEST_LINE)


class PlainBytes:
    """Bytes as they come, as lines of text without sequences and controls; what is remembered is a few bytes.

    A string that does not end goes on for no more than its line, or 4 KiB: what a broken line, or a hostile machine,
    opens by chance must not swallow what the kernel says after it.
    """

    def __init__(self) -> None:
        self._rest = b""
        #: bytes that the string which was begun may still take; 0: none was
        self._string = 0

    def feed(self, data: bytes) -> bytes:
        """What is text of it; each line ends with a newline, whatever ended it."""
        if self._string:
            data = self._after_string(data)
        if self._rest:
            data, self._rest = self._rest + data, b""
        if b"\x1b" in data:
            data = self._without_sequences(data)
        return data.translate(_LINE_ENDS, _CONTROLS)

    def _after_string(self, data: bytes) -> bytes:
        found = _STRING_END.search(data, 0, self._string)
        if found is not None:
            self._string = 0
            return data[found.end() if data[found.start()] == 7 else found.start():]
        passed = min(len(data), self._string)
        self._string -= passed
        return data[passed:]

    def _without_sequences(self, data: bytes) -> bytes:
        last = data.rfind(b"\x1b")
        if _BEGUN.fullmatch(data, last):
            data, self._rest = data[:last], data[last:]
        elif _STRING_BEGUN.fullmatch(data, last):
            self._string = max(0, _LONGEST_STRING - (len(data) - last))
            data = data[:last] + data[last + _LONGEST_STRING:]
        # a control stands where a sequence was, so that what is left and right of it does not become another one
        data = _STRING.sub(_string_gone, data)
        return _OTHER.sub(b"\0", _BLANK.sub(b"\t", _ENDS_LINE.sub(b"\n", data)))


def _string_gone(found: re.Match[bytes]) -> bytes:
    return b"\0" + found[0][_LONGEST_STRING:]
