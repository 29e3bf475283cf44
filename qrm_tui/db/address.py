"""A setting's database as SQLAlchemy's URL, with the password from its file; a URL hides it wherever it is shown."""
from __future__ import annotations

import os
import stat
from pathlib import Path

from sqlalchemy import URL

from qrm_tui.core import database as places
from qrm_tui.core.errors import BadInput

#: In the data folder.
FILE = "qrm.db"
_MOST = 1000


def url_of(database: str, data_folder: Path, password: str = "") -> URL:
    """`database` as in core.database; BadInput if it names none."""
    try:
        place = places.parse(database)
    except ValueError as error:
        raise BadInput(f"database: {error}") from None
    if place is None:
        return URL.create("sqlite", database=str(data_folder / FILE))
    query = {"charset": "utf8mb4"} | ({"unix_socket": place.socket} if place.socket else {})
    # this dialect refuses MySQL, which was never tried
    return URL.create("mariadb+pymysql", place.user, password or None, place.host,
                      None if place.socket else place.port, place.name, query)


def password_in(file: Path) -> str:
    """The first line of a file that nobody but its owner can read; BadInput says why it cannot be used."""
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if mode & 0o077:
                raise BadInput(f"{file} is the database's password, and others can read it (mode {mode:04o}): "
                               f"chmod 600 {file}")
            line = opened.read(_MOST).split(b"\n")[0].removesuffix(b"\r")
    except OSError as error:
        raise BadInput(f"{file}, the database's password, cannot be read: {error.strerror}") from None
    try:
        password = line.decode()
    except UnicodeDecodeError:
        raise BadInput(f"{file}: the first line is the database's password, in UTF-8") from None
    if not password:
        raise BadInput(f"{file} is empty: its first line is the database's password")
    return password
