"""The frames of a console's stream, as qrmd sends them and clients read them.

A frame is one byte (its kind), four bytes (the length of the rest, big-endian), the rest. `O`: eight bytes offset and
eight bytes wall time in microseconds, big-endian, then bytes of the console as they came. `S`: JSON, how things stand.
`G`: JSON, a gap.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

OUTPUT, STATUS, GAP = b"O", b"S", b"G"
#: Longest output of one frame, and longest frame that a client takes, in bytes.
MOST_OUTPUT, MOST_FRAME = 1 << 16, 1 << 20
#: Most bytes that one request types.
MOST_TYPED = 1 << 16
_HEAD = struct.Struct(">cI")
_OUTPUT = struct.Struct(">QQ")


class Frame(NamedTuple):
    """A kind (OUTPUT, STATUS, GAP) and what it carries."""

    kind: bytes
    payload: bytes


class WrongFrame(ValueError):
    """What came is no frame of a console's stream."""


def frame(kind: bytes, payload: bytes) -> bytes:
    """A frame for the wire."""
    return _HEAD.pack(kind, len(payload)) + payload


def output_frame(offset: int, at: int, data: bytes) -> bytes:
    """Output that begins at `offset`, and came at `at` (microseconds since the epoch)."""
    return _HEAD.pack(OUTPUT, _OUTPUT.size + len(data)) + _OUTPUT.pack(offset, at) + data


def read_output(payload: bytes) -> tuple[int, int, bytes]:
    """Offset, microseconds, bytes."""
    if len(payload) < _OUTPUT.size:
        raise WrongFrame("an output frame is too short")
    offset, at = _OUTPUT.unpack_from(payload)
    return offset, at, payload[_OUTPUT.size:]


class Frames:
    """Frames out of a stream's pieces, however they are cut."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are whole now; WrongFrame."""
        self._rest += piece
        at = 0
        try:
            while len(self._rest) - at >= _HEAD.size:
                kind, length = _HEAD.unpack_from(self._rest, at)
                if kind not in (OUTPUT, STATUS, GAP) or length > MOST_FRAME:
                    raise WrongFrame(f"there is no frame of kind {kind!r} with {length} bytes")
                begin, end = at + _HEAD.size, at + _HEAD.size + length
                if end > len(self._rest):
                    break
                at = end
                yield Frame(kind, bytes(self._rest[begin:end]))
        finally:
            del self._rest[:at]
