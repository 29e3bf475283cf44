"""One command's line to the server: blocking calls on a client that is made when first needed."""
from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qrm_tui.cli.shared_options import Options
from qrm_tui.cli.terminal import is_terminal
from qrm_tui.client import sessions
from qrm_tui.client.connection import Client
from qrm_tui.client.where import default_where

Answer = TypeVar("Answer")


class Session:
    """Use as a context manager. Between two calls ctrl+c is a plain KeyboardInterrupt (a question can be left)."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._runner = asyncio.Runner()
        self._client: Client | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._client is not None:
            self._runner.run(self._client.close())
        self._runner.close()

    @property
    def where(self) -> str:
        """Which server."""
        return self.options.connect or default_where(os.environ)

    @property
    def logged_in(self) -> bool:
        """Whether commands show a session; it may have ended."""
        return bool(sessions.load(self.where))

    def call(self, ask: Callable[[Client], Awaitable[Answer]]) -> Answer:
        """Run what `ask` does with the client; errors of `core.errors`."""

        async def asking() -> Answer:
            if self._client is None:
                self._client = Client(self.where, may_ask=is_terminal(sys.stdin))
                self._client.session = sessions.load(self.where)
            return await ask(self._client)

        return self._runner.run(asking())
