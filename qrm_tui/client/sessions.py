"""Where the command line keeps the session of who has logged in: for this terminal's commands alone."""
from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from urllib.parse import quote

from qrm_tui.core.errors import Refused

#: Of a server's name, as a file's.
_LONGEST = 150


def _folder() -> Path:
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(own) / "qrm-sessions" if own and Path(own).is_dir() else Path(f"/tmp/qrm-sessions-{os.getuid()}")


def _file(where: str) -> Path:
    """One for each server and each session of processes (a terminal's window), which its leader's start tells apart
    from a later one of the same number (proc(5): field 22 of stat)."""
    leader = os.getsid(0)
    try:
        began = Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = "0"
    return _folder() / f"{leader}-{began}-{quote(where, safe='')[:_LONGEST]}"


def _ours() -> bool:
    """Whether the folder is there and nobody else can have put anything into it."""
    try:
        about = _folder().lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o077


def load(where: str) -> str:
    """The session with that server; empty: none."""
    if not _ours():
        return ""
    try:
        return _file(where).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def keep(where: str, session: str) -> None:
    """Keep it for the next command; Refused if there is no safe place."""
    with contextlib.suppress(FileExistsError):
        _folder().mkdir(mode=0o700)
    if not _ours():
        raise Refused(f"{_folder()} is not a folder of yours alone (mode 0700): look who made it, and remove it")
    path = _file(where)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(session)


def forget(where: str) -> None:
    """Keep it no longer."""
    if _ours():
        _file(where).unlink(missing_ok=True)
