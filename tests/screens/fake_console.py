"""A farm with consoles: what machines say is scripted, what is typed is kept. Frames go over the real wire's code."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from qrm_tui.core.console_wire import GAP, STATUS, frame, output_frame
from qrm_tui.core.errors import NoServer, Refused
from tests.screens.fake_client import NOW, FakeClient

OURS = "session-1"


class ConsoleClient(FakeClient):
    """One console, of r1."""

    def __init__(self) -> None:
        super().__init__()
        self.typist: dict[str, str] | None = None
        self.watchers = 1
        self.means = ["break", "sysrq"]
        self.typed = bytearray()
        self.offset = 0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.starts: list[Mapping[str, Any]] = []
        #: verbs that are refused, with words
        self.refuses: dict[str, str] = {}
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=8)

    async def pieces(self, parts: Sequence[str], query: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        self.starts.append(dict(query))
        yield self.status_frame()
        while (piece := await self.queue.get()) is not None:
            yield piece
        raise NoServer("the line is lost")

    async def ask(self, method: str, parts: Sequence[str], *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if method == "GET":
            return {"consoles": [{"name": "r1", "source": "ipmi-sol", "state": "connected"}]}
        verb, said = parts[-1], dict(body or {})
        self.asked.append((verb, said))
        if verb in self.refuses:
            raise Refused(self.refuses[verb])
        if verb == "take" or (verb == "input" and self.typist is None):
            self.typist = {"who": "root", "session": said["session"]}
            await self.queue.put(self.status_frame())
        if verb == "input":
            self.typed += base64.b64decode(said["data"])
        return {}

    def status_frame(self, **more: Any) -> bytes:
        return frame(STATUS, json.dumps({"session": OURS, "typist": self.typist, "watchers": self.watchers,
                                         "state": "connected", "reason": "", "marks": [], "means": self.means,
                                         **more}).encode())

    async def say(self, data: bytes | str, at: float = NOW) -> None:
        """The machine says something."""
        data = data.encode() if isinstance(data, str) else data
        await self.queue.put(output_frame(self.offset, round(at * 1e6), data))
        self.offset += len(data)

    async def gap(self, since: float, until: float, why: str) -> None:
        """Something is missing."""
        await self.queue.put(frame(GAP, json.dumps({"offset": self.offset, "from": since, "to": until,
                                                    "why": why}).encode()))

    async def stands(self, **more: Any) -> None:
        """How things stand has changed."""
        await self.queue.put(self.status_frame(**more))
