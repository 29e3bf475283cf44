"""Where qrmd keeps its database, as people write it: a file of its own, MariaDB on this machine, or on another one."""
from __future__ import annotations

import re
from typing import NamedTuple

from qrm_tui.core import names

#: Debian's (/etc/mysql/mariadb.conf.d/50-server.cnf).
SOCKET = "/run/mysqld/mysqld.sock"
#: What this is in words, for forms.
HINT = "sqlite, mariadb (on this machine), or mariadb://USER@HOST[:PORT]/NAME"
CREATE = "CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_SCHEME, _LONGEST = "mariadb://", 500
_USER, _NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}"), re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ADDRESS = re.compile(r"(\[[^]]*\]|[^:\[\]]*)(?::([^:]*))?")
_OWN_SOCKET = "?unix_socket="


class MariaDB(NamedTuple):
    """A database in a MariaDB server. `socket`: on this machine, by this path; else by TCP."""

    user: str
    host: str
    port: int
    name: str
    socket: str


#: root of this machine needs no password: the server asks the kernel who is at its socket (unix_socket).
HERE = MariaDB("root", "localhost", 3306, "qrm", SOCKET)


def parse(database: str) -> MariaDB | None:
    """Which MariaDB it names; None for a file of its own. ValueError says what is wrong, and never a password."""
    if database in ("", "sqlite"):
        return None
    if database == "mariadb":
        return HERE
    if not database.startswith(_SCHEME):
        raise ValueError(_no_such(database))
    user, at, rest = database.removeprefix(_SCHEME).rpartition("@")
    if ":" in user:
        raise ValueError("keep the password in a file (mode 0600), not in here")
    if len(database) > _LONGEST or not database.isprintable() or " " in database:
        raise ValueError(f"it has at most {_LONGEST} characters, without blanks and controls")
    if not at or not user:
        raise ValueError("it names no user: mariadb://USER@HOST/NAME")
    if not _USER.fullmatch(user):
        raise ValueError(f"{names.printable(user)!r} is no user: letters, digits, '_', '.', '-'")
    place, slash, name = rest.partition("/")
    name, own, socket = name.partition(_OWN_SOCKET)
    host, port = _host_and_port(place)
    if not slash or not name:
        raise ValueError(f"it names no database: mariadb://{user}@{place}/qrm")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{names.printable(name)!r} is no name of a database: letters, digits, '_', beginning with a "
                         "letter, 64 at most")
    # as with MariaDB's own programs: localhost is the socket, 127.0.0.1 is TCP
    if own:
        socket = names.check_path(socket)
    elif host == "localhost" and port is None:
        socket = SOCKET
    if socket and host != "localhost":
        raise ValueError(f"a socket is on this machine: mariadb://{user}@localhost/{name}{_OWN_SOCKET}{socket}")
    return MariaDB(user, host, port or HERE.port, name, socket)


def _no_such(database: str) -> str:
    # what was given stays out of it: there may be a password in it
    if database and _SCHEME.startswith(database[:len(_SCHEME)]):
        return f"wanted is {HINT}"
    kind = re.match(r"[A-Za-z0-9+]{1,20}", database)
    word = f"{kind[0]!r} is no kind of database that qrmd has" if kind else "that is no database"
    return f"{word}: {HINT}"


def _host_and_port(place: str) -> tuple[str, int | None]:
    parts = _ADDRESS.fullmatch(place)
    if not parts or not parts[1]:
        raise ValueError(f"{names.printable(place)!r} is no HOST or HOST:PORT; IPv6 is [ADDRESS]" if place
                         else "it names no host: mariadb://USER@HOST/NAME")
    host = parts[1]
    host = names.check_ip(host[1:-1]) if host.startswith("[") else names.check_address(host)
    if parts[2] is None:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", parts[2]) or not 1 <= int(parts[2]) <= 65535:
        raise ValueError(f"{names.printable(parts[2], 20)!r} is no port: 1 to 65535")
    return host, int(parts[2])


def wrong_with(database: str) -> str:
    """Why that is no place for a database, or nothing."""
    try:
        parse(database)
    except ValueError as error:
        return str(error)
    return ""


def preparing(place: MariaDB = HERE) -> tuple[str, ...]:
    """The command that makes an empty database on this machine, by root; it may run again."""
    return ("mariadb", f"--socket={place.socket}", "--user=root", "--execute", CREATE.format(name=place.name))
