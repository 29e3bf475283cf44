"""One HTTP/1.1 connection to qrmd's unix socket: a request and its answer, in pieces."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import h11

#: How much is read at once, in bytes; also the transport's buffer.
_PIECE = 1 << 18
#: Largest head of an answer, in bytes.
_HEAD = 1 << 16
#: Seconds until a socket that exists must have taken the connection.
_CONNECT = 10.0


class LineLost(Exception):
    """The connection ended or fell silent; `heard` tells whether a byte of the answer had come."""

    def __init__(self, why: str, heard: bool) -> None:
        super().__init__(why)
        self.heard = heard


class NotOurs(Exception):
    """What answers does not speak HTTP."""


class Line:
    """A connection; use `open`. Every failure of the far end is LineLost or NotOurs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self._heard = False
        self._ended = False

    @classmethod
    async def open(cls, path: str) -> Line:
        """A new connection; OSError (with TimeoutError) as the kernel tells it."""
        async with asyncio.timeout(_CONNECT):
            reader, writer = await asyncio.open_unix_connection(path, limit=_PIECE)
        return cls(reader, writer)

    async def ask(self, method: str, target: str, body: bytes | None, patience: float | None,
                  session: str = "") -> int:
        """Send a request; the answer's status once its head is there. `patience`: seconds of silence allowed;
        `session`: the token of who has logged in."""
        headers = [("Host", "qrmd"), ("Accept", "application/json")]
        if session:
            headers.append(("Authorization", f"Bearer {session}"))
        if body is not None:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        self._heard = False
        wire = self._http.send(h11.Request(method=method, target=target, headers=headers)) or b""
        if body is not None:
            wire += self._http.send(h11.Data(data=body)) or b""
        wire += self._http.send(h11.EndOfMessage()) or b""
        try:
            self._writer.write(wire)
            await self._writer.drain()
        except OSError as error:
            raise LineLost(error.strerror or "the connection broke", heard=False) from None
        while True:
            event = await self._next(patience)
            if isinstance(event, h11.Response):
                return event.status_code
            if not isinstance(event, h11.InformationalResponse):
                raise LineLost("the server closed the connection", self._heard)

    async def pieces(self, patience: float | None) -> AsyncIterator[bytes]:
        """The answer's body; ends when it is whole."""
        while True:
            event = await self._next(patience)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise LineLost("the server closed the connection", self._heard)

    async def _next(self, patience: float | None) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                if self._ended:
                    raise LineLost("the server closed the connection", self._heard) from None
                raise NotOurs(str(error)) from None
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11 types its sentinels as classes
            try:
                async with asyncio.timeout(patience):
                    data = await self._reader.read(_PIECE)
            except TimeoutError:
                raise LineLost(f"nothing came for {patience:g} seconds", self._heard) from None
            except OSError as error:
                raise LineLost(error.strerror or "the connection broke", self._heard) from None
            self._heard = self._heard or bool(data)
            self._ended = not data
            self._http.receive_data(data)

    def renew(self) -> bool:
        """Make ready for another request; False: the connection cannot carry one."""
        if self.stale:
            return False
        try:
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            return False
        return True

    @property
    def stale(self) -> bool:
        """The server has closed it while it was idle."""
        return self._reader.at_eof() or self._writer.is_closing()

    def close(self) -> None:
        """Drop it; nothing is waited for."""
        self._writer.close()
