"""Consoles over HTTP: the list, a stream of frames for each watcher, and what the one who types sends."""
from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from qrm_tui.core.console_wire import MOST_TYPED
from qrm_tui.core.errors import BadInput, NotPermitted
from qrm_tui.core.operations.console import TYPES
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.operations.registry import find
from qrm_tui.core.sysrq import check_letter
from qrm_tui.daemon.console_recorder import Console, Session
from qrm_tui.daemon.console_watch import recorded, watch
from qrm_tui.daemon.consoles import Consoles
from qrm_tui.daemon.http import answer, body, whole
from qrm_tui.daemon.peer import Peer
from qrm_tui.daemon.planning import check_role

Endpoint = Callable[[Request, Peer, Role], Awaitable[Response]]
Guarded = Callable[[Endpoint], Callable[[Request], Awaitable[Response]]]
#: Lines from the log that a watcher gets first where nothing is said.
_LINES = 2000
_FRAMES = "application/octet-stream"


class _Said(msgspec.Struct):
    session: str
    #: a word of the client's own for this request: sent a second time, it is not done again
    stroke: str = ""
    data: str = ""
    columns: int = 0
    rows: int = 0
    #: of SysRq; none: a break alone
    letter: str | None = None


class _Watching(StreamingResponse):
    """A stream that is a session: it ends with its reader, whenever that is."""

    def __init__(self, console: Console, offset: int, peer: Peer) -> None:
        self._console, self._session = console, console.join(peer)
        super().__init__(watch(console, offset, self._session), media_type=_FRAMES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._console.leave(self._session)


class ConsoleApi:
    """The routes."""

    def __init__(self, consoles: Consoles) -> None:
        self._consoles = consoles

    def routes(self, guarded: Guarded) -> list[Route]:
        """For the application."""
        path = "/v1/consoles/{name}"
        verbs = {"input": self.input, "take": self.take, "break": self.send_break, "size": self.size}
        return [Route("/v1/consoles", guarded(self.list), methods=["GET"]),
                Route(f"{path}/stream", guarded(self.stream), methods=["GET"]),
                *(Route(f"{path}/{verb}", guarded(endpoint), methods=["POST"]) for verb, endpoint in verbs.items())]

    async def list(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer({"consoles": self._consoles.rows()})

    async def stream(self, request: Request, peer: Peer, role: Role) -> Response:
        query = request.query_params
        follows = query.get("follow", "1") in ("1", "true")
        check_role(find("console.attach" if follows else "console.log"), role)
        console = self._consoles.find(request.path_params["name"])
        offset = self._offset(console, request)
        if follows:
            if query.get("opens") in ("1", "true") and role >= TYPES:
                self._consoles.opened(console, peer)
            return _Watching(console, offset, peer)
        return StreamingResponse(recorded(console, offset), media_type=_FRAMES)

    @staticmethod
    def _offset(console: Console, request: Request) -> int:
        query, log = request.query_params, console.log
        begin = whole(query.get("from"), None, "from")
        lines = whole(query.get("lines"), None, "lines")
        since = query.get("since")
        if since:
            try:
                begin = max(begin or 0, log.offset_of_time(max(0, int(float(since) * 1e6))))
            except (ValueError, OverflowError):
                raise BadInput(f"since: {since!r} are no seconds since the epoch") from None
        if begin is None and lines is None:
            lines = _LINES
        if lines is not None:
            begin = max(begin or 0, log.offset_of_lines(lines))
        return min(begin or 0, log.end)

    async def _session(self, request: Request, peer: Peer, role: Role) -> tuple[Console, Session, _Said | None]:
        """The session that asks, and what it says; None instead of what was done before."""
        if role < TYPES:
            raise NotPermitted(f"typing on a console needs the role {TYPES.name}; you are {role.name}")
        said: _Said = await body(request, _Said)
        console = self._consoles.find(request.path_params["name"])
        session = console.session(said.session, peer)
        if said.stroke:
            if said.stroke in session.strokes:
                return console, session, None
            session.strokes.append(said.stroke[:64])
        return console, session, said

    async def input(self, request: Request, peer: Peer, role: Role) -> Response:
        console, session, said = await self._session(request, peer, role)
        if said is not None:
            try:
                data = b64decode(said.data, validate=True)
            except (binascii.Error, ValueError):
                raise BadInput("data: is not base64") from None
            if len(data) > MOST_TYPED:
                raise BadInput(f"data: at most {MOST_TYPED} bytes at once")
            await console.type(session, data)
            self._consoles.opened(console, peer)
        return answer({})

    async def take(self, request: Request, peer: Peer, role: Role) -> Response:
        console, session, said = await self._session(request, peer, role)
        if said is not None:
            await self._consoles.take(console, session)
        return answer({})

    async def send_break(self, request: Request, peer: Peer, role: Role) -> Response:
        console, session, said = await self._session(request, peer, role)
        if said is not None:
            if said.letter is None:
                await console.send_break(session)
            else:
                await self._consoles.send_sysrq(console, session, check_letter(said.letter))
        return answer({})

    async def size(self, request: Request, peer: Peer, role: Role) -> Response:
        console, session, said = await self._session(request, peer, role)
        if said is not None:
            if not (0 < said.columns < 10_000 and 0 < said.rows < 10_000):
                raise BadInput("columns, rows: from 1 to 9999")
            console.resize(session, said.columns, said.rows)
        return answer({})
