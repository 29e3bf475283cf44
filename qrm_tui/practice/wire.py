"""Simulated machines' way to qrmd-node: real HTTP over a unix socket, their addresses told as a proxy tells them."""
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from qrm_tui.practice.node import NoAnswer

#: Seconds for an answer, and bytes of one: a machine's busybox would give up as well.
_PATIENCE, _MOST = 30.0, 64 << 10
#: Machines that speak at the same time; more wait, as in a switch's queue.
_AT_ONCE = 200


class HttpWire:
    """Posts to the node endpoint that listens at `socket`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def post(self, address: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Status and text; NoAnswer if nobody answers in time."""
        lines = [f"POST {path} HTTP/1.1", "Host: qrm", f"X-Forwarded-For: {address}", "Connection: close",
                 "Content-Type: application/json", f"Content-Length: {len(body)}",
                 *(f"{name}: {value}" for name, value in headers.items())]
        async with self._places:
            try:
                async with asyncio.timeout(_PATIENCE):
                    answer = await self._exchange("\r\n".join([*lines, "", ""]).encode() + body)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                raise NoAnswer(str(error) or "no answer in time") from None
        head, _, text = answer.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        if not status or not status[0].isdigit():
            raise NoAnswer("the answer cannot be read")
        return int(status[0]), text.decode(errors="replace")

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read(_MOST)
        finally:
            writer.close()
