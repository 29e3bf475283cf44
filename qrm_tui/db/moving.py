"""All rows of one database into another, in one transaction: they are all there, or none is."""
from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, Row, Table, delete, event, func, insert, make_url, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, SQLModel

from qrm_tui.core.errors import Broken, Refused
from qrm_tui.db import chain, migrate
from qrm_tui.db.engine import engine_of, weaknesses
from qrm_tui.db.troubles import words

#: What others refer to comes first.
_TABLES = tuple(SQLModel.metadata.tables[name] for name in ("object", "job", "step", "journal"))
_JOURNAL = _TABLES[-1]
#: Rows that are read at once, rows and characters that are written at once: a plan may be megabytes long.
_READ, _ROWS, _CHARACTERS = 20, 500, 1 << 20
_TRIAL = "qrm_trial"
_log = logging.getLogger("qrmd.database")


def move(source: str | URL, target: str | URL) -> int:
    """How many rows there are in both then. Nobody may write meanwhile; `source` stays as it is.

    May be run again whenever it was cut off. Refused if there is nothing to move, or `target` has other rows; Broken
    if one of them cannot be used."""
    if make_url(source) == make_url(target):
        raise Refused("what is to be moved is in that database: it is there already")
    with _opened(source, "to move from") as ours, _opened(target, "to move to") as theirs:
        _needs_a_farm(ours)
        migrate.upgrade(ours)
        migrate.upgrade(theirs)
        for weakness in weaknesses(theirs):
            _log.warning(weakness)
        with ours.connect() as reading, theirs.begin() as writing:
            if reading.dialect.name == "sqlite":
                reading.exec_driver_sql("begin")  # the driver does so for changes alone
            stands = _stands(reading, writing)
            if stands != "same":
                for table in reversed(_TABLES):
                    writing.execute(delete(table))
                digests = {table.name: _copy(table, reading, writing) for table in _TABLES}
                _verify(digests, reading, writing)
            moved = sum(_counts(writing).values())
        _keep_file(theirs)
    _log.info("%d rows are in %s", moved, theirs.url)
    return moved


def reach(target: str | URL) -> None:
    """Whether a farm could be moved there, as far as that can be told without one: Broken says why not."""
    with _opened(target, "to move to") as theirs, theirs.begin() as connection:
        if theirs.dialect.name != "sqlite":
            # rights can have any form: it is tried
            for statement in (f"create or replace table {_TRIAL} (number integer)", f"drop table {_TRIAL}"):
                connection.exec_driver_sql(statement)


def try_move(source: str | URL, target: str | URL) -> None:
    """Whether `move` can be done, while `source` is in use; Refused, Broken say why not. `target` is as it was then."""
    reach(target)
    with _opened(target, "to move to") as theirs:
        if migrate.current(theirs) is not None:
            with _opened(source, "to move from") as ours, ours.connect() as reading, theirs.connect() as writing:
                _stands(reading, writing)


def _stands(reading: Connection, writing: Connection) -> Literal["empty", "same", "former"]:
    """How the target stands to what is moved: it has nothing, the same rows, or those of the same farm at a former time
    (from which it once moved away). Refused: another farm's."""
    has = _counts(writing)
    if not any(has.values()):
        return "empty"
    if has == _counts(reading) and _digests(reading) == _digests(writing):
        return "same"
    seq, sealed = _JOURNAL.c.seq, _JOURNAL.c.hash
    end = writing.execute(select(seq, sealed).order_by(seq.desc()).limit(1)).first()
    if end is not None and reading.execute(select(sealed).where(seq == end.seq)).scalar() == end.hash:
        return "former"
    there = ", ".join(f"{table}: {rows}" for table, rows in has.items())
    raise Refused(f"{writing.engine.url} has rows already ({there}), others than those to move: give an empty one")


@contextlib.contextmanager
def _opened(url: str | URL, what: str) -> Iterator[Engine]:
    engine, last = engine_of(url), []

    @event.listens_for(engine, "handle_error")
    def _note(context: ExceptionContext) -> None:
        last[:] = [context.sqlalchemy_exception]

    try:
        yield engine
    except SQLAlchemyError as error:
        if error not in last:
            raise  # the other one's
        raise Broken(f"the database {what} cannot be used: {words(error, engine.url)}") from error
    finally:
        engine.dispose()


def _keep_file(engine: Engine) -> None:
    """A new file's name is on the disk, too: what it came from may go next."""
    if engine.dialect.name == "sqlite" and engine.url.database:
        folder = os.open(Path(engine.url.database).parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _needs_a_farm(engine: Engine) -> None:
    # looking for it would make the file
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if (file and not Path(file).exists()) or migrate.current(engine) is None:
        raise Refused(f"there is no farm in {engine.url}: nothing is to be moved")


def _rows(table: Table, connection: Connection) -> Iterator[Row[Any]]:
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_READ)
    yield from connection.execute(query)


def _copy(table: Table, reading: Connection, writing: Connection) -> str:
    """The digest of what was read."""
    digest, batch, size = hashlib.sha256(), [], 0
    for row in _rows(table, reading):
        size += _feed(digest, row)
        batch.append(dict(row._mapping))
        if len(batch) >= _ROWS or size >= _CHARACTERS:
            writing.execute(insert(table), batch)
            batch, size = [], 0
    if batch:
        writing.execute(insert(table), batch)
    return digest.hexdigest()


def _feed(digest: Any, row: Row[Any]) -> int:
    text = json.dumps(list(row))
    digest.update(text.encode() + b"\n")
    return len(text)


def _digests(connection: Connection) -> dict[str, str]:
    digests = {}
    for table in _TABLES:
        digest = hashlib.sha256()
        for row in _rows(table, connection):
            _feed(digest, row)
        digests[table.name] = digest.hexdigest()
    return digests


def _counts(connection: Connection) -> dict[str, int]:
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _TABLES}


def _verify(digests: dict[str, str], reading: Connection, writing: Connection) -> None:
    """What was written is read back, before it counts."""
    if _counts(reading) != _counts(writing) or digests != _digests(writing):
        raise Broken(f"{writing.engine.url} does not hold what was written: nothing was moved")
    was, now = chain.check(Session(reading)), chain.check(Session(writing))
    if was != now:
        raise Broken(f"the journal's chain was {was} and is {now} in {writing.engine.url}: nothing was moved")
    if now[1]:
        _log.warning("the journal is moved as it is: %s", now[1])
