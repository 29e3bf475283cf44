"""Where qrmd keeps what it knows: the folder of its data, and its database.

What is wanted stands in FILE, which the component `qrmd` writes. A qrmd that starts and has it elsewhere moves first
(daemon/moving.py).
"""
from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec

from qrm_tui.core.database import parse
from qrm_tui.core.names import check_path, printable

#: The folder that systemd makes for qrmd (StateDirectory=).
USUAL = "/var/lib/qrm"
FILE = "/etc/qrm/data.toml"
#: In that folder: where all of it lies now.
NOTE = "place.json"
#: A database of its own, in that folder.
SQLITE = "sqlite"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Folders of everybody (hier(7)): qrmd closes its own to all others.
_EVERYBODYS = frozenset((
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/media",
    "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/backups",
    "/var/cache", "/var/lib", "/var/local", "/var/log", "/var/log/qrm", "/var/mail", "/var/opt", "/var/spool",
    "/var/tmp"))
#: What is gone with the next boot, is the system's own, or is handed out to machines.
_NEVER = {"/dev": "is the kernel's", "/proc": "is the kernel's", "/sys": "is the kernel's",
          "/run": "is gone with the next boot", "/tmp": "is gone with the next boot",
          "/var/run": "is gone with the next boot", "/var/tmp": "is emptied now and then",
          "/usr": "is the system's own", "/boot": "is the boot loader's", "/etc": "is for settings",
          "/srv/qrm": "is handed out to machines"}
#: Nothing that units of systemd (`%`, blanks) or TOML (quotes) read as something else.
_PLAIN = re.compile(r"[A-Za-z0-9._@+/-]+")
#: Characters of a path: sockets lie below it (unix(7): 107 in all).
_LONGEST = 60


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A folder, a database, and the file with the password for it (empty: none is needed)."""

    data: str = USUAL
    database: str = SQLITE
    password_file: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Place:
        """As the component's settings have it."""
        return cls(**{key: settings[key] for key in cls.__struct_fields__ if settings.get(key)})

    @property
    def here(self) -> bool:
        """Whether its database is this machine's own MariaDB."""
        there = parse(self.database)
        return there is not None and there.host in _LOOPBACK

    def __str__(self) -> str:
        return self.data if self.database == SQLITE else f"{self.data} and {self.database}"


def check_data_folder(text: str) -> str:
    """A folder that qrmd may have for itself; ValueError says why not."""
    path = check_plain_path(text)
    if len(path) > _LONGEST:
        raise ValueError(f"a folder whose path has at most {_LONGEST} characters is wanted")
    for never, why in _NEVER.items():
        if path == never or path.startswith(f"{never}/"):
            raise ValueError(f"{never} {why}: name a folder elsewhere, as in {USUAL}")
    if path in _EVERYBODYS:
        raise ValueError(f"{path} is everybody's, and qrmd closes its folder to others: name one in it, as in "
                         f"{path.rstrip('/')}/qrm-data")
    return path


def check_plain_path(text: str) -> str:
    """An absolute path of letters, digits and a few signs; ValueError says why not."""
    path = check_path(text)
    if not _PLAIN.fullmatch(path):
        raise ValueError(f"{printable(path)!r} has other signs in it than letters, digits and . _ @ + -")
    return path


def check_database(text: str) -> str:
    """`sqlite`, or a MariaDB (core/database.py); ValueError says why not."""
    parse(text)
    return text


def read_place(text: str) -> Place:
    """What a file of settings says, with the usual for the rest; ValueError says what is wrong in it."""
    settings: dict[str, Any] = tomllib.loads(text)
    for key in settings:
        if key not in Place.__struct_fields__:
            raise ValueError(f"there is no {printable(key)!r}; there are {', '.join(Place.__struct_fields__)}")
        if not isinstance(settings[key], str):
            raise ValueError(f"{key} is a text, in quotes")
    place = Place(**settings)
    for key, check in (("data", check_data_folder), ("database", check_database), ("password_file", check_plain_path)):
        try:
            if getattr(place, key) or key == "data":
                check(getattr(place, key))
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    return place
