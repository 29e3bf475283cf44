"""How much a connection may: uvicorn's protocol with limits on headers, on time, and on how many there are.

uvicorn with httptools has none of these: one who sends a header a minute, or one without end, would be waited for.
"""
from __future__ import annotations

import ipaddress
import random
import resource
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes of a request's first line and headers, and of a whole request as it goes over the line (chunks, trailers).
MOST_HEADERS, MOST_REQUEST = 8 << 10, 512 << 10
#: Seconds from the connection until the request is there.
PATIENCE = 20.0
#: Connections at once, and of one address; this machine itself (practice) may have more.
MOST_CONNECTIONS, MOST_OF_ONE = 16_000, 32
#: Descriptors for all else.
_SPARE = 200


def _answer(status: str, text: str, more: str = "") -> bytes:
    return (f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(text)}\r\n{more}"
            f"connection: close\r\n\r\n{text}").encode()


_TOO_SLOW = _answer("408 Request Timeout", "the request did not come in time\n")
_TOO_LONG = _answer("431 Request Header Fields Too Large", f"headers have at most {MOST_HEADERS} bytes\n")


def _is_own(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True  # no network connection


@dataclass(slots=True)
class Limits:
    """The limits, and the connections that there are."""

    most: int = MOST_CONNECTIONS
    most_of_one: int = MOST_OF_ONE
    patience: float = PATIENCE
    connections: int = 0
    of: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_process(cls) -> Limits:
        """As many connections as the process may have open, once it takes all that it is allowed (getrlimit(2))."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        files = MOST_CONNECTIONS + _SPARE if hard == resource.RLIM_INFINITY else hard
        return cls(most=max(1, min(MOST_CONNECTIONS, files - _SPARE)))

    def take(self, address: str) -> bool:
        """One more from there, if it may."""
        if self.connections >= self.most or (self.of[address] >= self.most_of_one and not _is_own(address)):
            return False
        self.connections += 1
        self.of[address] += 1
        return True

    def give_back(self, address: str) -> None:
        self.connections -= 1
        self.of[address] -= 1
        if not self.of[address]:
            del self.of[address]


class LimitedProtocol(HttpToolsProtocol):
    """One request a connection, whole within `limits.patience` seconds."""

    def __init__(self, *args: Any, limits: Limits, **named: Any) -> None:
        super().__init__(*args, **named)
        self._limits = limits
        self._taken, self._received, self._has_headers = "", 0, False
        self._patience: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if not self._limits.take(address):
            retry = f"retry-after: {random.randint(5, 30)}\r\n"
            transport.write(_answer("503 Service Unavailable", "too many connections: come again\n", retry))
            transport.close()
            return
        self._taken = address or "-"
        self._patience = self.loop.call_later(self._limits.patience, self._end_with, _TOO_SLOW)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if self._taken:
            self._limits.give_back(self._taken.removeprefix("-"))
            self._taken = ""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        if not self._has_headers and self._received > MOST_HEADERS:
            self._end_with(_TOO_LONG)
        elif self._received > MOST_REQUEST:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._has_headers = True
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MOST_HEADERS:
            self._end_with(_TOO_LONG)
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._patience.cancel()
        if self.cycle is not None:
            super().on_message_complete()

    def _end_with(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            if self.cycle is None or not self.cycle.response_started:
                self.transport.write(answer)
            self.transport.close()
