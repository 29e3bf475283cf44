"""A database's errors in words: what is wrong and what to do. Never a password: MariaDB does not say it either."""
from __future__ import annotations

from sqlalchemy import URL
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from qrm_tui.core.database import CREATE
from qrm_tui.core.names import printable

_NOT_LET_IN = ("{said}: MariaDB does not let {user} in. Its password is the first line of the password file; root "
               "needs none, by the socket of its own machine alone")
_NO_RIGHT = "{said}: in MariaDB, GRANT ALL PRIVILEGES ON {name}.* TO '{user}'@'…'"
_NO_ANSWER = "{said}: MariaDB does not answer at {place}; is it running? There, systemctl status mariadb tells"
_LOST = "{said}: MariaDB is gone, or was restarted; it is asked anew with what comes next"
_FULL = "{said}; if its disk is full, make room there"
_BUSY = "{said}: MariaDB has no connection left (max_connections)"
#: https://mariadb.com/kb/en/mariadb-error-code-reference/; from 2000 on the client's (PyMySQL, constants/CR.py).
_MARIADB = {
    1045: _NOT_LET_IN, 1698: _NOT_LET_IN,
    1130: "{said}: MariaDB has no '{user}' for this machine: CREATE USER '{user}'@'…' there, with our address",
    1044: _NO_RIGHT, 1142: _NO_RIGHT,
    1049: "{said}: in MariaDB, " + CREATE,
    2002: _NO_ANSWER, 2003: _NO_ANSWER,
    2059: "{said}: qrmd logs in with a password of the usual kind, or as root by the socket: ALTER USER '{user}'@'…' "
          "IDENTIFIED VIA mysql_native_password USING PASSWORD('…')",
    2006: _LOST, 2013: _LOST, 1053: _LOST, 1927: _LOST,
    1021: _FULL, 1030: _FULL, 1114: _FULL,
    1040: _BUSY, 1203: _BUSY,
    1205: "{said}: somebody else holds rows of {name} in MariaDB; another qrmd?",
    1290: "{said}: MariaDB takes no changes (read_only)",
}
_TWICE = "{said}: another qrmd writes into this database, too. End one of them, and restart the other"


def words(error: SQLAlchemyError, url: URL) -> str:
    """In one line."""
    said = getattr(error, "orig", None) or error
    code = said.args[0] if len(said.args) == 2 and isinstance(said.args[0], int) else 0
    line = printable(str(said.args[1] if code else said).splitlines()[0], 300)
    if isinstance(error, IntegrityError) and "journal" in str(error.statement):
        form = _TWICE
    elif url.get_backend_name() == "sqlite":
        form = _FULL
    else:
        form = _MARIADB.get(code, "{said}")
    socket = url.query.get("unix_socket")
    return form.format(said=line, user=url.username, name=url.database,
                       place=socket or (f"{url.host}:{url.port}" if url.port else url.host))
