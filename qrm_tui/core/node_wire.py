"""What goes between machines, qrmd-node and qrmd: the requests of agents, and the frames of the socket between the two.

A frame is a length (four bytes, most significant first) and a message in msgpack. Neither end trusts the other with
more than `MOST_FRAME` bytes at once. Times between the two are seconds of waiting, never a clock's.
"""
from __future__ import annotations

from typing import Any, Literal

import msgspec

from qrm_tui.core.resources import IDLE, Inventory, Order

#: Bytes of a request of a machine, by its path, and of a frame.
MOST_ENLIST, MOST_BEAT, MOST_FRAME = 64 << 10, 4 << 10, 4 << 20
#: Machines in one frame of a table.
PART = 500

Stage = Literal["agent", "root", "system"]
Bye = Literal["", "off", "reboot"]


class EnlistRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/enlist: a machine has booted, and says what it is."""

    mac: str
    #: random hex, made up at each boot
    boot: str
    #: what its boot files gave it to show once
    nonce: str = ""
    stage: Stage = "agent"
    runs: str = IDLE
    inventory: Inventory = Inventory()


class BeatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/beat: it is there, and how it fares; `bye` only when it goes down."""

    boot: str
    stage: Stage = "agent"
    runs: str = IDLE
    load: float | None = None
    #: on a root that it shares: how full the memory for its own files is, 0 to 1
    filled: float | None = None
    bye: Bye = ""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What qrmd-node knows of a machine: enough to answer its heartbeats."""

    name: str
    #: SHA-256 of its token, in hex
    token: str
    boot: str
    #: seconds until its next heartbeat
    beat: float
    order: Order = ""


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """A heartbeat as it goes on to qrmd."""

    name: str
    boot: str
    stage: Stage
    runs: str
    load: float | None
    bye: Bye
    #: seconds that it was told to wait for the next
    told: float
    #: seconds ago that it was heard
    ago: float = 0
    filled: float | None = None


# from qrmd-node to qrmd

class Enlist(msgspec.Struct, frozen=True, tag="enlist", array_like=True):
    """A machine asks to be enlisted; it is answered by `Enlisted` with the same number."""

    number: int
    #: where it spoke from
    address: str
    #: SHA-256 of the token that it showed, in hex; empty: none
    shown: str
    request: EnlistRequest


class Beats(msgspec.Struct, frozen=True, tag="beats", array_like=True):
    """The newest heartbeat of each machine that was heard since the last of these."""

    beats: list[Beat]


# from qrmd to qrmd-node

class Enlisted(msgspec.Struct, frozen=True, tag="enlisted", array_like=True):
    """200: it is enlisted; else why not, in one line."""

    number: int
    status: Literal[200, 400, 403, 503]
    reason: str = ""
    #: in hex; empty: the one that it showed stays good
    token: str = ""
    name: str = ""
    beat: float = 0
    order: Order = ""


class Table(msgspec.Struct, frozen=True, tag="table", array_like=True):
    """Machines that are new or changed, names of those that are gone; `first` begins a new table, `last` ends it."""

    entries: list[Entry]
    gone: list[str] = []
    first: bool = False
    last: bool = False


ToServer = Enlist | Beats
ToNode = Enlisted | Table

_encode = msgspec.msgpack.Encoder().encode


def frame(message: ToServer | ToNode) -> bytes:
    """A message as it goes over the socket."""
    body = _encode(message)
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Puts frames together from what arrives, and decodes them."""

    def __init__(self, messages: Any) -> None:
        self._decode = msgspec.msgpack.Decoder(messages).decode
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The messages that are whole now; ValueError when the other end sends what it must not."""
        waiting = self._waiting
        waiting += data
        found, at = [], 0
        while len(waiting) - at >= 4:
            size = int.from_bytes(waiting[at: at + 4], "big")
            if size > MOST_FRAME:
                raise ValueError(f"a frame of {size} bytes; at most {MOST_FRAME} are taken")
            if len(waiting) - at - 4 < size:
                break
            found.append(self._decode(waiting[at + 4: at + 4 + size]))
            at += 4 + size
        del waiting[:at]
        return found
