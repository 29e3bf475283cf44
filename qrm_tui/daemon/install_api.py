"""qrmd's HTTP for whoever sets up the server; all of it only looks, and keeps a draft of what was chosen."""
from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrm_tui.core.errors import NotPermitted, Refused
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.setup import Draft
from qrm_tui.daemon.http import answer, body
from qrm_tui.daemon.installing import Installing
from qrm_tui.daemon.peer import Peer

#: Bytes of a draft: some hundred settings.
_LARGEST_DRAFT = 64 << 10
_Endpoint = Callable[[Request, Peer, Role], Awaitable[Response]]


class InstallApi:
    """The routes."""

    def __init__(self, installing: Installing) -> None:
        self._installing = installing

    def routes(self, guarded: Callable[[_Endpoint], Callable[[Request], Awaitable[Response]]]) -> list[Route]:
        """Behind the same guard as all others."""
        return [
            *(Route(f"/v1/install/{name}", guarded(endpoint), methods=["GET"]) for name, endpoint in (
                ("answers", self.answers), ("checks", self.checks), ("packages/{component}", self.packages),
                ("recording", self.recording), ("draft", self.draft))),
            Route("/v1/install/draft", guarded(self.keep_draft), methods=["PUT"]),
            Route("/v1/install/draft", guarded(self.forget_draft), methods=["DELETE"]),
        ]

    async def answers(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer(await self._installing.answers(request.query_params.get("interface", "")))

    async def checks(self, request: Request, peer: Peer, role: Role) -> Response:
        _operator(role)   # it sends packets
        return answer(await self._installing.checks(request.query_params.get("interface", "")))

    async def packages(self, request: Request, peer: Peer, role: Role) -> Response:
        return answer(await self._installing.packages(request.path_params["component"]))

    async def draft(self, request: Request, peer: Peer, role: Role) -> Response:
        kept = await self._installing.drafts.kept()
        return answer({"draft": kept[0], "at": kept[1]} if kept else {"draft": None})

    async def keep_draft(self, request: Request, peer: Peer, role: Role) -> Response:
        _administrator(role)
        draft = await body(request, Draft, _LARGEST_DRAFT)
        try:
            await self._installing.drafts.keep(draft)
        except OSError as error:
            raise Refused(f"what was chosen cannot be kept: {error.strerror}") from None
        return answer({})

    async def forget_draft(self, request: Request, peer: Peer, role: Role) -> Response:
        _administrator(role)
        await self._installing.drafts.forget()
        return answer({})

    async def recording(self, request: Request, peer: Peer, role: Role) -> Response:
        _operator(role)
        return answer({"recording": await self._installing.record(request.query_params.get("what", "")[:200])})


def _administrator(role: Role) -> None:
    if role < Role.administrator:
        raise NotPermitted(f"to set up the server needs the role administrator; you are {role.name}")


def _operator(role: Role) -> None:
    if role < Role.operator:
        raise NotPermitted(f"to look at the server so closely needs the role operator; you are {role.name}")
