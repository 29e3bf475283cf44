"""Every state and stage that the farm's objects go through, as qrmd tells its watchers."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from qrm_tui.client.connection import Client
from qrm_tui.core.errors import NoServer


class Change(NamedTuple):
    """What an object became; `at`: time.monotonic()."""

    at: float
    kind: str
    name: str
    row: dict[str, Any]


class Watch:
    """Follows `kinds` in a thread of its own until it is closed; a lost line is taken up again."""

    def __init__(self, socket: Path, kinds: tuple[str, ...] = ("resource", "ve", "job")) -> None:
        self._socket = socket
        self._kinds = kinds
        self._changes: list[Change] = []
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(10)

    def changes(self, kind: str, name: str = "", since: float = 0) -> list[Change]:
        """What happened so far, of one object or all of a kind."""
        return [change for change in self._changes
                if change.kind == kind and name in ("", change.name) and change.at >= since]  # fmt: skip

    def path(self, kind: str, name: str, field: str, since: float = 0) -> list[tuple[str, float]]:
        """The values that a field went through, each with the time of its first sight."""
        found: list[tuple[str, float]] = []
        for change in self.changes(kind, name, since):
            value = str(change.row.get(field) or "")
            if value and (not found or found[-1][0] != value):
                found.append((value, change.at))
        return found

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        self._task = self._loop.create_task(self._follow())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()

    async def _follow(self) -> None:
        while True:
            try:
                async with Client(str(self._socket)) as client:
                    async for entry in client.watch(self._kinds):
                        whole = entry["event"] == "snapshot"
                        rows = {entry["kind"]: entry["rows"]} if whole else entry.get("changed", {})
                        at = time.monotonic()
                        self._changes.extend(Change(at, kind, row["name"], row) for kind in rows for row in rows[kind])
            except NoServer:
                await asyncio.sleep(0.5)
