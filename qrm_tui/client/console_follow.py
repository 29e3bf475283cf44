"""A console followed for good: what comes, and that the line is lost; then it goes on from there."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NamedTuple

from qrm_tui.client.connection import Client
from qrm_tui.client.console import ConsoleEvent, Gap, Output, open_console
from qrm_tui.core.errors import NoServer, QrmError

#: Seconds between attempts to watch again.
BACKOFF = (0.5, 1, 2, 4, 8, 15)


class Lost(NamedTuple):
    """The line is lost, or the server says no; it is tried again."""

    error: QrmError


async def follow_console(client: Callable[[], Client], name: str, *, lines: int,
                         glance: bool = False) -> AsyncGenerator[ConsoleEvent | Lost, None]:
    """The last lines of a console, and what comes, endless; `client` gives the one to ask at each attempt. A line that
    was lost is taken up where it was; so is one that the server let go, and one that it does not know yet, but those
    are asked for seldom."""
    offset: int | None = None
    attempt = 0
    while True:
        try:
            async with aclosing(open_console(client(), name, lines=lines, start=offset, glance=glance)) as events:
                async for event in events:
                    attempt = 0
                    yield event
                    if isinstance(event, Output):
                        offset = event.offset + len(event.data)
                    elif isinstance(event, Gap):
                        offset = max(offset or 0, event.offset)
            error: QrmError = NoServer("the server ended it")
        except NoServer as trouble:
            error = trouble
        except QrmError as trouble:
            error, attempt = trouble, len(BACKOFF)
        yield Lost(error)
        await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
        attempt += 1
