"""Transactions, one after another, in a thread of their own; and what becomes of one whose end nobody heard."""
from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlmodel import Session

from qrm_tui.core.errors import Broken
from qrm_tui.db.troubles import words

T = TypeVar("T")
#: Seconds until a database that went away while it committed is asked again.
AGAIN = 1.0
_log = logging.getLogger("qrmd.database")


@dataclass(eq=False)
class _Asked(Generic[T]):
    """`is_there`: whether what `work` wrote, and gave as its result, is in the database. None: nothing was written."""

    work: Callable[[Session], T]
    committed: Callable[[T], None]
    is_there: Callable[[Session, T], bool] | None
    result: T | None = None
    doubtful: bool = False
    settled: bool = False
    error: Exception | None = None


class _NotNow(Broken):
    """It may be otherwise when the database is asked again."""


class Transactions:
    """A commit whose answer was lost with the connection is in doubt: nothing else is done before the database was
    asked whether it holds, and it is made again if it does not. So nobody is told of a trouble who then finds his
    change made, and nothing is made twice."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "database")
        self._doubt: _Asked[Any] | None = None

    async def inside(self, work: Callable[[], T]) -> T:
        """Anything else that is done in that thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def call(self, work: Callable[[Session], T], committed: Callable[[T], None] = lambda result: None,
                   is_there: Callable[[Session, T], bool] | None = None) -> T:
        """`work` in one transaction; in its thread, `committed` once it holds. Broken: nothing was done."""
        asked = _Asked(work, committed, is_there)
        try:
            await self.inside(partial(self._serve, asked))
        except Broken as error:
            if not asked.doubtful:
                raise
            _log.warning("whether a change was written is asked until the database tells: %s", error)
        while asked.doubtful and not asked.settled:
            await asyncio.sleep(AGAIN)
            with contextlib.suppress(Broken):
                await self.inside(partial(self._serve, asked))
        if asked.error:
            raise asked.error
        return asked.result  # type: ignore[return-value]

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._engine.dispose()

    def _serve(self, asked: _Asked[Any]) -> None:
        if self._doubt:
            self._settle(self._doubt)
        if not asked.doubtful:
            self._transact(asked)

    def _settle(self, doubt: _Asked[Any]) -> None:
        """Learn what became of it, and make it again if nothing did. _NotNow: that cannot be known yet."""
        assert doubt.is_there is not None
        look = _Asked(partial(doubt.is_there, result=doubt.result), lambda there: None, None)
        self._transact(look)
        try:
            if look.result:
                doubt.committed(doubt.result)
            else:
                self._transact(doubt)
        except _NotNow:
            raise
        except Exception as error:  # whatever it is, it is told to the one who asked
            doubt.error = error
        doubt.settled, self._doubt = True, None

    def _transact(self, asked: _Asked[Any]) -> None:
        committing = False
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                asked.result = asked.work(session)
                session.flush()
                committing = True
        except SQLAlchemyError as error:
            if committing and asked.is_there and getattr(error, "connection_invalidated", False):
                asked.doubtful, self._doubt = True, asked
            kind = _NotNow if isinstance(error, OperationalError | InterfaceError) else Broken
            raise kind(f"the database cannot be used: {words(error, self._engine.url)}") from error
        asked.committed(asked.result)
