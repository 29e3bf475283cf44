"""A farm with many consoles, each with a queue of its own; any of their lines can be lost."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from qrm_tui.core.console_wire import STATUS, frame, output_frame
from qrm_tui.core.errors import NoServer, NotFound
from tests.screens.fake_client import NOW, FakeClient, resource


class WallClient(FakeClient):
    """Machines r1 ... rN with consoles; `r0` has none."""

    def __init__(self, machines: int = 24) -> None:
        super().__init__(rows={"resource": [resource(f"r{number}") for number in range(machines + 1)]})
        self.queues: dict[str, asyncio.Queue[bytes | None]] = defaultdict(lambda: asyncio.Queue(maxsize=8))
        self.offsets: dict[str, int] = defaultdict(int)
        self.starts: dict[str, list[Mapping[str, Any]]] = defaultdict(list)

    async def pieces(self, parts: Sequence[str], query: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        name = parts[2]
        self.starts[name].append(dict(query))
        if name == "r0":
            raise NotFound("r0 has no console that is known here")
        yield frame(STATUS, json.dumps({"session": f"s-{name}", "typist": None, "watchers": 1, "state": "connected",
                                        "reason": "", "marks": []}).encode())
        while (piece := await self.queues[name].get()) is not None:
            yield piece
        raise NoServer("the line is lost")

    async def ask(self, method: str, parts: Sequence[str], *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return {"consoles": [{"name": name, "source": "ipmi-sol", "state": "connected"}
                             for name in self.rows["resource"] if name != "r0"]}

    async def say(self, name: str, data: bytes | str, at: float = NOW - 3) -> None:
        """A machine says something."""
        data = data.encode() if isinstance(data, str) else data
        await self.queues[name].put(output_frame(self.offsets[name], round(at * 1e6), data))
        self.offsets[name] += len(data)

    def found(self, name: str, event: str, severity: str = "alert", **more: Any) -> None:
        """The server has found something on this console."""
        row = self.rows["resource"][name]
        self.push({"resource": [{**row, "event": event, "event_severity": severity, "event_at": NOW, "event_count": 1,
                                 "event_text": f"{event}!", "event_stands": severity == "alert", **more}]})

    async def lose(self, name: str) -> None:
        """The line to this console is lost."""
        await self.queues[name].put(None)
