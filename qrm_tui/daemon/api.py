"""qrmd's HTTP: reading is the same for every kind, and what changes something is planned, then run."""
from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from qrm_tui import __version__
from qrm_tui.core.errors import BadInput, NotPermitted, QrmError, Refused
from qrm_tui.core.kinds import WORDS
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.console_api import ConsoleApi
from qrm_tui.daemon.http import answer, body, trouble, whole
from qrm_tui.daemon.install_api import InstallApi
from qrm_tui.daemon.openapi import document
from qrm_tui.daemon.peer import Peer, peer_from_scope, role_of
from qrm_tui.daemon.records import Author
from qrm_tui.daemon.server import Qrmd
from qrm_tui.daemon.session_api import SessionApi, Tied

_log = logging.getLogger("qrmd.api")

Endpoint = Callable[[Request], Awaitable[Response]]
RoleOf = Callable[[Peer], Role]
#: Does what only a practice farm can: verb and arguments in, an answer out.
Practise = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class _PlanRequest(msgspec.Struct):
    operation: str
    arguments: dict[str, Any] = {}
    reason: str = ""
    #: ask each step whether it is done already
    look: bool = True


class _PracticeRequest(msgspec.Struct):
    arguments: dict[str, Any] = {}


class _RunRequest(msgspec.Struct):
    plan: str
    reason: str = ""


def _lines(events: AsyncIterator[Any]) -> StreamingResponse:
    async def encoded() -> AsyncIterator[bytes]:
        async for event in events:
            yield msgspec.json.encode(event) + b"\n"

    return StreamingResponse(encoded(), media_type="application/x-ndjson")


class Api:
    """The routes over one server."""

    def __init__(self, qrmd: Qrmd, role_of_peer: RoleOf = role_of, practice: Practise | None = None) -> None:
        self._qrmd, self._role_of, self._practice = qrmd, role_of_peer, practice
        self._sessions = SessionApi(qrmd.log_in)

    def app(self) -> Starlette:
        """The ASGI application."""
        get = {
            "/v1/hello": self.hello, "/v1/farm": self.farm, "/v1/list/{kind}": self.list,
            "/v1/show/{kind}/{name}": self.show, "/v1/watch": self.watch, "/v1/job/{number}/plan": self.job_plan,
            "/v1/job/{number}/log": self.job_log, "/v1/journal/verify": self.verify, "/openapi.json": self.openapi,
        }
        routes = [Route(path, self._guarded(endpoint), methods=["GET"]) for path, endpoint in get.items()]
        routes += [Route("/v1/plan", self._guarded(self.plan), methods=["POST"]),
                   Route("/v1/run", self._guarded(self.run), methods=["POST"]),
                   Route("/v1/practice/{verb}", self._guarded(self.practise), methods=["POST"])]
        routes += ConsoleApi(self._qrmd.consoles).routes(self._guarded)
        routes += InstallApi(self._qrmd.installing).routes(self._guarded)
        routes += self._sessions.routes(self._guarded)
        return Starlette(routes=routes)

    def _guarded(self, endpoint: Callable[[Request, Peer, Role], Awaitable[Response]]) -> Endpoint:
        async def guarded(request: Request) -> Response:
            peer = peer_from_scope(request.scope.get("client"))
            try:
                peer, role, session = self._sessions.who(request, peer, self._role_of(peer))
                response = await endpoint(request, peer, role)
                streams = isinstance(response, StreamingResponse)
                return Tied(response, session, self._qrmd.log_in.sessions) if session and streams else response
            except QrmError as error:
                return trouble(error)
            except Exception:
                _log.exception("%s %s", request.method, request.url.path)
                return trouble(QrmError("qrmd is in trouble; its log says more (/var/log/qrm/qrm.log)"))

        return guarded

    async def hello(self, request: Request, peer: Peer, role: Role) -> Response:
        qrmd = self._qrmd
        return answer({"version": __version__, "server": qrmd.host, "farm": qrmd.name, "practice": qrmd.practice,
                      "user": peer.user, "role": role.name, "revision": qrmd.farm.revision, "pid": os.getpid(),
                      "started": qrmd.started, "installer": qrmd.installing.own, "install_job": qrmd.installing.job,
                      **self._sessions.about(request)})

    async def farm(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer(self._qrmd.status())

    async def list(self, request: Request, peer: Peer, role: Role) -> Response:
        query = request.query_params
        return answer(await self._qrmd.list(
            request.path_params["kind"], query.get("filter", ""), query.get("sort", ""),
            whole(query.get("limit"), None, "limit"), whole(query.get("offset"), 0, "offset") or 0))

    async def show(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer(await self._qrmd.show(request.path_params["kind"], request.path_params["name"]))

    async def watch(self, request: Request, peer: Peer, role: Role) -> Response:
        kinds = [kind for kind in request.query_params.get("kinds", "").split(",") if kind]
        unknown = [kind for kind in kinds if kind not in WORDS]
        if unknown or not kinds:
            raise BadInput(f"kinds: some of {', '.join(WORDS)}, with commas between")
        return _lines(self._qrmd.changes.watch(kinds, whole(request.query_params.get("since"), None, "since")))

    async def plan(self, request: Request, peer: Peer, role: Role) -> Response:
        asked = await body(request, _PlanRequest)
        plan = await self._qrmd.plan(asked.operation, asked.arguments, role, asked.reason[:1000])
        return answer(await self._qrmd.planning.describe(plan, look=asked.look))

    async def run(self, request: Request, peer: Peer, role: Role) -> Response:
        asked = await body(request, _RunRequest)
        author = Author(peer.user, peer.terminal)
        return answer(await self._qrmd.run(asked.plan, author, role, asked.reason[:1000]))

    async def practise(self, request: Request, peer: Peer, role: Role) -> Response:
        if self._practice is None:
            raise Refused("this is no practice farm: its machines have buttons of their own")
        if role < Role.operator:
            raise NotPermitted(f"a practice farm's machines are an operator's; you are {role.name}")
        asked = await body(request, _PracticeRequest)
        return answer(await self._practice(request.path_params["verb"], asked.arguments))

    def _number(self, request: Request) -> int:
        number = whole(request.path_params["number"], None, "job")
        assert number is not None
        self._qrmd.farm.get("job", str(number))
        return number

    async def job_plan(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer(await self._qrmd.job_plan(self._number(request)))

    async def job_log(self, request: Request, peer: Peer, role: Role) -> Response:
        log = self._qrmd.jobs.log(self._number(request))
        start = whole(request.query_params.get("from"), 0, "from") or 0
        return _lines(log.read(start, request.query_params.get("follow") in ("1", "true")))

    async def verify(self, request: Request, peer: Peer, role: Role) -> Response:
        entries, trouble = await self._qrmd.store.verify_journal()
        return answer({"ok": not trouble, "entries": entries, "trouble": trouble})

    async def openapi(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer(document())
