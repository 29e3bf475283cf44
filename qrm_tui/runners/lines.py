"""A command's output: read to its end whatever its size, kept up to a limit, told line by line."""
from __future__ import annotations

from typing import Protocol

from qrm_tui.runners.base import OnLine


class _Reader(Protocol):
    async def read(self, n: int = -1, /) -> bytes: ...


async def collect(reader: _Reader, stream: str, on_line: OnLine | None, limit: int) -> str:
    """All that comes, up to `limit` bytes; `\\r` ends a line too, as progress displays use it."""
    kept, size, rest = [], 0, b""
    while chunk := await reader.read(65536):
        if size < limit:
            kept.append(chunk[: limit - size])
            size += len(chunk)
        if on_line is not None:
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                if line:
                    on_line(stream, line[:2000].decode(errors="replace"))
            rest = rest[-2000:]
    if rest and on_line is not None:
        on_line(stream, rest.decode(errors="replace"))
    return b"".join(kept).decode(errors="replace")
