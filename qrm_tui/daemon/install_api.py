"""qrmd's HTTP for whoever sets up the server; all of it only looks."""
from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrm_tui.core.errors import NotPermitted
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.http import answer
from qrm_tui.daemon.installing import Installing
from qrm_tui.daemon.peer import Peer

_Endpoint = Callable[[Request, Peer, Role], Awaitable[Response]]


class InstallApi:
    """The routes."""

    def __init__(self, installing: Installing) -> None:
        self._installing = installing

    def routes(self, guarded: Callable[[_Endpoint], Callable[[Request], Awaitable[Response]]]) -> list[Route]:
        """Behind the same guard as all others."""
        return [Route(f"/v1/install/{name}", guarded(endpoint), methods=["GET"]) for name, endpoint in (
            ("answers", self.answers), ("checks", self.checks), ("recording", self.recording))]

    async def answers(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer(await self._installing.answers(request.query_params.get("interface", "")))

    async def checks(self, request: Request, peer: Peer, role: Role) -> Response:
        _operator(role)   # it sends packets
        return answer(await self._installing.checks(request.query_params.get("interface", "")))

    async def recording(self, request: Request, peer: Peer, role: Role) -> Response:
        _operator(role)
        return answer({"recording": await self._installing.record(request.query_params.get("what", "")[:200])})


def _operator(role: Role) -> None:
    if role < Role.operator:
        raise NotPermitted(f"to look at the server so closely needs the role operator; you are {role.name}")
