"""What machines ask over HTTP: to be enlisted, and, every few seconds, what to do.

Everything that arrives is hostile until it is read: sizes are held before bodies are, and what is refused is told in
one line of text, which an agent puts on its console.
"""
from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from qrm_tui import __version__
from qrm_tui.core.enlistment import RUNS
from qrm_tui.core.names import printable
from qrm_tui.core.node_wire import MOST_BEAT, MOST_ENLIST, Beat, BeatRequest, EnlistRequest
from qrm_tui.node.link import Link
from qrm_tui.node.table import Machines

#: Enlistments that wait for qrmd at once, and bytes of all bodies that are held.
MOST_ENLISTING, MOST_HELD = 15_000, 64 << 20
#: Seconds after which machines that are turned away come again, at random: together they would be turned away again.
BUSY, AWAY = (2, 12), (5, 30)
_TOKEN = 64

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_read_enlist = msgspec.json.Decoder(EnlistRequest).decode
_read_beat = msgspec.json.Decoder(BeatRequest).decode
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE = (b"connection", b"close")


class Answer(NamedTuple):
    """A status and lines of text; `retry`: come again after so many seconds."""

    status: int
    text: str
    retry: int = 0


class _Refused(Exception):
    def __init__(self, status: int, text: str, retry: tuple[int, int] | None = None) -> None:
        super().__init__(text)
        self.answer = Answer(status, text + "\n", random.randint(*retry) if retry else 0)


class _Gone(Exception):
    """The machine has hung up."""


class NodeApp:
    """The ASGI application."""

    def __init__(self, link: Link, machines: Machines, *, most_enlisting: int = MOST_ENLISTING,
                 most_held: int = MOST_HELD) -> None:
        self._link, self._machines = link, machines
        self._most_enlisting, self._most_held = most_enlisting, most_held
        self.held = 0
        self._routes: dict[str, tuple[str, int, Callable[[Scope, bytes], Awaitable[Answer]]]] = {
            "/v1/beat": ("POST", MOST_BEAT, self._beat), "/v1/enlist": ("POST", MOST_ENLIST, self._enlist),
            "/v1/hello": ("GET", 0, self._hello)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            answer = await self._answer(scope, receive)
        except _Refused as refused:
            answer = refused.answer
        except _Gone:
            return
        body = answer.text.encode("utf-8", "backslashreplace")
        headers = [_TEXT, _CLOSE, (b"content-length", b"%d" % len(body))]
        if answer.retry:
            headers.append((b"retry-after", b"%d" % answer.retry))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        route = self._routes.get(scope["path"])
        if route is None:
            raise _Refused(404, "there is nothing here")
        method, most, work = route
        if scope["method"] != method:
            raise _Refused(405, f"{method} it")
        size = self._size(scope, most)
        if self.held + size > self._most_held:
            raise _Refused(503, "too many machines speak at once: come again", BUSY)
        self.held += size
        try:
            return await work(scope, await self._body(receive, most) if most else b"")
        finally:
            self.held -= size

    @staticmethod
    def _size(scope: Scope, most: int) -> int:
        """Bytes that the body is said to have, or may have."""
        said = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if said is None:
            return most
        size = int(said) if said.isdigit() and len(said) < 12 else most + 1
        if size > most:
            raise _Refused(413, f"a request here has at most {most} bytes")
        return size

    @staticmethod
    async def _body(receive: Receive, most: int) -> bytes:
        content = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            content += message.get("body", b"")
            if len(content) > most:
                raise _Refused(413, f"a request here has at most {most} bytes")
            if not message.get("more_body"):
                return bytes(content)

    # what is asked

    async def _hello(self, scope: Scope, body: bytes) -> Answer:
        return Answer(200, f"qrmd-node {__version__}\nqrmd {'connected' if self._link.connected else 'away'}\n")

    async def _enlist(self, scope: Scope, body: bytes) -> Answer:
        request = _read(_read_enlist, body)
        if self._link.asked >= self._most_enlisting:
            raise _Refused(503, "too many machines enlist at once: come again", BUSY)
        shown = _token(scope)
        try:
            answer = await self._link.enlist(str((scope.get("client") or ("",))[0]), _digest(shown), request)
        except (OverflowError, UnicodeError) as error:  # what JSON can say and msgpack cannot
            raise _Refused(400, f"this cannot be passed on: {printable(str(error), 200)}") from None
        if answer is None:
            raise _Refused(503, "the server is away: come again", AWAY)
        if answer.status != 200:
            raise _Refused(answer.status, printable(answer.reason, 300), BUSY if answer.status == 503 else None)
        return Answer(200, f"token {answer.token or shown}\nname {answer.name}\nbeat {answer.beat:.0f}\n"
                           f"order {answer.order or 'stay'}\n")

    async def _beat(self, scope: Scope, body: bytes) -> Answer:
        entry = self._machines.find(_digest(_token(scope)))
        if entry is None:
            raise self._unknown()
        said = _read(_read_beat, body)
        if said.boot.strip().lower() != entry.boot:
            raise self._unknown()
        if not RUNS.fullmatch(said.runs):
            raise _Refused(400, "runs: neither idle nor an id")
        self._link.beat(Beat(entry.name, entry.boot, said.stage, said.runs, said.load, said.bye, entry.beat,
                             filled=said.filled))
        order = entry.order if self._link.connected else ""
        return Answer(200, f"beat {entry.beat:.0f}\norder {order or 'stay'}\n")

    def _unknown(self) -> _Refused:
        if not self._link.connected:  # it may have enlisted, and the table does not know it yet
            return _Refused(503, "the server is away: come again", AWAY)
        return _Refused(401, "this token is not known: enlist anew")


def _read(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError) as error:
        raise _Refused(400, f"this cannot be read: {printable(str(error), 200)}") from None


def _token(scope: Scope) -> str:
    """The token that is shown; empty: none, or what cannot be one."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            word, _, token = bytes(value).partition(b" ")
            token = token.strip()
            return token.decode() if word.lower() == b"bearer" and len(token) == _TOKEN and token.isalnum() else ""
    return ""


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest() if token else ""
