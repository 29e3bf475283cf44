"""Connections to the database, set up so that what was committed holds, and is what was written."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from qrm_tui.core.errors import Broken

#: Seconds: a server that is asked to connect, one that is silent in the middle of an answer, and, at the server, locks
#: that somebody holds and a transaction whose client is gone without a word: its locks would stay.
_CONNECT, _SILENT, _LOCKED, _FORSAKEN = 10, 60, 10, 30
#: Strict, or what is too long would be cut off; and the server's own settings may not change what our statements mean.
_SESSION = (f"set session sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout={_LOCKED}, "
            f"idle_transaction_timeout={_FORSAKEN}")
#: PyMySQL's CR_AUTH_PLUGIN_CANNOT_LOAD.
_NO_PLUGIN = 2059
#: A character's most bytes on their way there: 4 in UTF-8, each escaped.
_WIDEST = 8


def engine_of(url: str | URL, *, durable: bool = True) -> Engine:
    """`durable` False trades power failures for speed (SQLite alone)."""
    made = make_url(url)
    # what is written stays out of errors: it is long, and some of it is nobody's business
    if made.get_backend_name() == "sqlite":
        engine = create_engine(made, hide_parameters=True)
        _set_up_sqlite(engine, "FULL" if durable else "OFF")
    else:
        engine = create_engine(made, hide_parameters=True, pool_pre_ping=True, connect_args={
            "connect_timeout": _CONNECT, "read_timeout": _SILENT, "write_timeout": _SILENT})
        _set_up_mariadb(engine)
    return engine


def _set_up_sqlite(engine: Engine, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"pragma {pragma}")


def _set_up_mariadb(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _: Any, args: Any, kwargs: Any) -> Any:
        try:
            return dialect.connect(*args, **kwargs)
        except RuntimeError as error:  # PyMySQL's word for a way to log in that it has no package for
            raise dialect.dbapi.OperationalError(_NO_PLUGIN, str(error)) from None

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
            cursor.execute("select @@max_allowed_packet")
            (record.info["most"],) = cursor.fetchone()

    @event.listens_for(engine, "before_cursor_execute")
    def _fits(connection: Connection, cursor: Any, statement: str, parameters: Any, _: Any, many: bool) -> None:
        # the server only closes the line on what is too large
        most = connection.info["most"]
        for row in parameters if many else (parameters,):
            size = len(cursor.mogrify(statement, row).encode()) if _length(row) * _WIDEST > most else 0
            if size >= most:
                connection.invalidate()  # the next one has what it is set to by then
                raise Broken(_too_large(size, most))


def _length(row: Mapping[str, Any] | Iterable[Any]) -> int:
    values = row.values() if isinstance(row, Mapping) else row
    return sum(len(value) for value in values if isinstance(value, str))


def _too_large(size: int, most: int) -> str:
    return (f"what is to be written is {size:,} bytes long, and MariaDB takes {most:,} in one piece "
            f"(max_allowed_packet): set global max_allowed_packet={1 << size.bit_length()}; there, and in its "
            "settings for when it is restarted")


def weaknesses(engine: Engine) -> list[str]:
    """What the server is set to that loses what it said it had."""
    if engine.dialect.name == "sqlite":
        return []
    with engine.connect() as connection:
        flush = connection.execute(sqlalchemy.text("select @@innodb_flush_log_at_trx_commit")).scalar_one()
    return [] if flush == 1 else [
        f"MariaDB is set to innodb_flush_log_at_trx_commit={flush}: when power fails, it loses what was done last. "
        "Set it to 1"]
