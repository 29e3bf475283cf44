"""Logging in and out over HTTP, and what ties an answer to the session that it is given to."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from qrm_tui.core.errors import NotLoggedIn, NotPermitted
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.http import answer, body
from qrm_tui.daemon.log_in import LogIn
from qrm_tui.daemon.peer import Peer
from qrm_tui.daemon.sessions import LoggedIn, Sessions

_log = logging.getLogger("qrmd.login")

Endpoint = Callable[[Request, Peer, Role], Awaitable[Response]]
Guarded = Callable[[Endpoint], Callable[[Request], Awaitable[Response]]]
_HELLO, _LOG_IN, _LOG_OUT = "/v1/hello", "/v1/login", "/v1/logout"
#: What needs no role.
_OPEN = frozenset((_HELLO, _LOG_IN, _LOG_OUT, "/v1/unlock", "/v1/password"))
_ENDED = ("your session has ended (too long without a word or in all, a restart of the server, or another password): "
          "log in again (qrm login), or forget it (qrm logout)")
#: Bytes of a request of somebody who is not known yet.
_MOST = 4096


class _LogInRequest(msgspec.Struct):
    name: str
    password: str


class _UnlockRequest(msgspec.Struct):
    password: str


class _PasswordRequest(msgspec.Struct):
    old: str
    new: str


def token_of(request: Request) -> str:
    """The session that a request shows; empty: none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Tied(Response):
    """An answer that ends with its session, however long it would go on."""

    def __init__(self, response: Response, session: LoggedIn, sessions: Sessions) -> None:
        self._response, self._session, self._sessions = response, session, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._sessions.streaming(self._session):
            going = asyncio.ensure_future(self._response(scope, receive, send))
            ended = asyncio.ensure_future(self._session.ended.wait())
            try:
                await asyncio.wait((going, ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                cut = not going.done()
                for task in (going, ended):
                    task.cancel()
                await asyncio.gather(going, ended, return_exceptions=True)
        if not cut:
            going.result()


class SessionApi:
    """The routes."""

    def __init__(self, log_in: LogIn) -> None:
        self._log_in = log_in

    def routes(self, guarded: Guarded) -> list[Route]:
        """For the application."""
        endpoints = {_LOG_IN: self.log_in, _LOG_OUT: self.log_out, "/v1/unlock": self.unlock,
                     "/v1/password": self.password}
        return [Route(path, guarded(endpoint), methods=["POST"]) for path, endpoint in endpoints.items()]

    def who(self, request: Request, peer: Peer, role: Role) -> tuple[Peer, Role, LoggedIn | None]:
        """Who asks and what they may: a session counts before the account that shows it. NotLoggedIn, NotPermitted."""
        path, token, session = request.url.path, token_of(request), None
        if token and path != _LOG_IN:
            session, role = self._log_in.sessions.find(token, peer.uid), Role.nobody
            if session is None and path not in (_HELLO, _LOG_OUT):
                raise NotLoggedIn(_ENDED)
        if session is not None:
            peer, role = peer.as_user(session.user), self._log_in.sessions.role(session)
        if role is Role.nobody and path not in _OPEN:
            raise self._refusal(peer, session)
        request.state.session = session
        return peer, role, session

    def _refusal(self, peer: Peer, session: LoggedIn | None) -> NotPermitted:
        if session is not None:
            return NotLoggedIn(f"{session.user} needs a password of their own first: qrm user password")
        groups = f"{peer.account} may nothing here: become a member of qrm-viewer, qrm-operator or qrm-admin"
        if self._log_in.settings.allowed:
            return NotLoggedIn(f"{groups}, or log in by name and password (qrm login)")
        return NotPermitted(groups)

    def about(self, request: Request) -> dict[str, object]:
        """What hello says of logging in."""
        settings, session = self._log_in.settings, request.state.session
        known = {"user": session.user, "must_change": self._log_in.sessions.role(session) is Role.nobody} \
            if session else None
        return {"log_in": settings.allowed, "session": known, "lock": settings.lock,
                "first_user": settings.allowed and self._log_in.is_new}

    def _needed(self, request: Request) -> LoggedIn:
        session: LoggedIn | None = request.state.session
        if session is None:
            raise NotLoggedIn("nobody has logged in here (qrm login)")
        return session

    async def log_in(self, request: Request, peer: Peer, role: Role) -> Response:
        asked = await body(request, _LogInRequest, _MOST)
        token, session = await self._log_in.log_in(asked.name, asked.password, peer)
        role = self._log_in.sessions.role(session)
        return answer({"token": token, "user": session.user, "role": role.name, "must_change": role is Role.nobody})

    async def log_out(self, request: Request, peer: Peer, role: Role) -> Response:
        if request.state.session is not None:
            self._log_in.sessions.end(token_of(request))
            _log.info("%s has logged out (%s)", peer.user, peer.terminal)
        return answer({})

    async def unlock(self, request: Request, peer: Peer, role: Role) -> Response:
        session = self._needed(request)
        await self._log_in.unlock(session, (await body(request, _UnlockRequest, _MOST)).password, peer)
        return answer({})

    async def password(self, request: Request, peer: Peer, role: Role) -> Response:
        session = self._needed(request)
        asked = await body(request, _PasswordRequest, _MOST)
        await self._log_in.change(session, asked.old, asked.new, peer)
        return answer({"user": session.user, "role": self._log_in.sessions.role(session).name})
