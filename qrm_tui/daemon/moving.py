"""What qrmd knows moves to another folder or database, before qrmd itself begins.

A copy comes first, whole and on the disk; then the note says that it counts, by one rename; then what was left goes.
Killed in between, either the one or the other counts, and the next start goes on from there. Where it cannot move it
stays where it is, and says why: a farm without a server is worse than one with its data in the former place.
"""
from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from sqlalchemy import URL

from qrm_tui.core.data_place import NOTE, SQLITE, Place
from qrm_tui.core.errors import Broken, QrmError, Refused
from qrm_tui.core.units import format_size
from qrm_tui.db import address

_log = logging.getLogger("qrmd")
#: Below a data folder: what is no data but sockets and marks, and the database, which moves by itself.
_APART = frozenset(("hosts", NOTE, f"{NOTE}.new", "lost+found"))
_DATABASE = ("qrm.db", "qrm.db-wal", "qrm.db-shm", "qrm.db-journal")
#: In a folder that data moves into: nothing in it counts yet.
_COMING = ".qrm-is-moving-here"
#: Bytes that a folder has free at least besides what moves: for a database and consoles that begin.
_LEAST = 64 << 20
#: File systems (stat(1), %T) that no database may lie on, and why.
_UNFIT = {"nfs": "SQLite's locks do not hold on NFS", "smb2": "SQLite's locks do not hold on SMB",
          "cifs": "SQLite's locks do not hold on SMB", "tmpfs": "a tmpfs is gone with the next boot",
          "ramfs": "a ramfs is gone with the next boot"}
_PASSING = ("tmpfs", "ramfs")


class _Note(Place, frozen=True, kw_only=True):
    """Where all of it lies, and folders that it lay in before, which are to be emptied."""

    leaves: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        return Place(data=self.data, database=self.database, password_file=self.password_file)


def where(note: Path) -> Place:
    """Where it lies now; Broken if that cannot be read."""
    return _noted(note).place


def settle(wanted: Place, note: Path, tell: Callable[[str], None]) -> tuple[Place, str]:
    """Where it lies, after it has moved to what is wanted; and why it has not, or nothing. `tell`: what goes on."""
    now = _noted(note)
    _leave(now, note)
    if now.data == wanted.data and now.database == wanted.database:
        return _with_password(now, wanted, note)
    tell(f"moving from {now} to {wanted}")
    former = (now.data,) if now.data != wanted.data or now.database == SQLITE else ()
    moved = _Note(**msgspec.structs.asdict(wanted), leaves=former)
    try:
        _copy(now, wanted, tell)
        _write(note, moved)
    except (QrmError, OSError) as error:
        if _noted(note) == moved:  # it counts already
            raise
        if wanted.data != now.data:
            _discard(Path(wanted.data))
        why = f"what qrmd knows stays in {now}, and does not move to {wanted}: {error}; systemctl restart qrmd tries " \
              "again"
        _log.error("%s", why)
        return now.place, why
    _log.info("moved from %s to %s", now, wanted)
    _leave(moved, note)
    return wanted, ""


def _with_password(now: _Note, wanted: Place, note: Path) -> tuple[Place, str]:
    """All lies where it is wanted, but for the file with the password, perhaps."""
    if now.password_file == wanted.password_file:
        return wanted, ""
    try:
        url_of(wanted)
        _write(note, _Note(**msgspec.structs.asdict(wanted)))
    except (QrmError, OSError) as error:
        why = f"the database's password is still that of {now.password_file or 'nobody'}: {error}"
        _log.error("%s", why)
        return now.place, why
    return wanted, ""


def try_place(place: Place, note: Path) -> None:
    """Whether all of it can lie there; Refused, Broken, OSError say why not. Nothing is changed, or left behind."""
    now = _noted(note)
    if place.data != now.data:
        _check_folder(Path(place.data), Path(now.data), place.database == SQLITE)
    if place.database != SQLITE and (place.database, place.password_file) != (now.database, now.password_file):
        from qrm_tui.db import moving

        moving.try_move(url_of(now), url_of(place))


def url_of(place: Place) -> URL:
    """The address of its database, with the password; BadInput if that cannot be read."""
    secret = place.password_file if place.database != SQLITE else ""
    password = address.password_in(Path(secret)) if secret else ""
    return address.url_of(place.database, Path(place.data), password)


# where it lies


def _noted(note: Path) -> _Note:
    try:
        return msgspec.json.decode(note.read_bytes(), type=_Note)
    except FileNotFoundError:
        return _Note(data=str(note.parent))
    except (OSError, msgspec.DecodeError) as error:
        raise Broken(f"{note} says where qrmd keeps what it knows, and cannot be read: {error}") from None


def _write(note: Path, content: _Note) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    new = note.with_name(note.name + ".new")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    new.rename(note)
    _sync(note.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# the move


def _copy(now: Place, wanted: Place, tell: Callable[[str], None]) -> None:
    source, target = Path(now.data), Path(wanted.data)
    if source != target:
        _check_folder(target, source, wanted.database == SQLITE)
        _clear(target)
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(0o700)
        (target / _COMING).write_text(f"from {source}\n")
        for path in _files(source):
            tell(f"moving {path.relative_to(source)} to {target}")
            _copy_file(path, target / path.relative_to(source), source, target)
        for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
            _sync(folder)
    if now.database != SQLITE or (source / _DATABASE[0]).exists():
        from qrm_tui.db import moving  # SQLAlchemy is loaded where it is needed

        tell(f"moving the database to {wanted.database}")
        moving.move(url_of(now), url_of(wanted))


def _copy_file(path: Path, new: Path, source: Path, target: Path) -> None:
    for folder in reversed([parent for parent in path.relative_to(source).parents if parent != Path()]):
        (target / folder).mkdir(mode=0o700, exist_ok=True)
        shutil.copystat(source / folder, target / folder)
    shutil.copy2(path, new, follow_symlinks=False)
    if not new.is_symlink():
        with new.open("rb") as file:
            os.fsync(file.fileno())


def _files(folder: Path) -> Iterator[Path]:
    """Files and links of a data folder, but for the database's."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name in _APART or path.name in _DATABASE or path.name == _COMING:
            continue
        for one in (sorted(path.rglob("*")) if path.is_dir() and not path.is_symlink() else [path]):
            if one.is_symlink() or one.is_file():
                yield one


def _size(folder: Path) -> int:
    """Bytes, with its database."""
    sizes = [path.lstat().st_size for path in _files(folder)]
    return sum(sizes) + sum((folder / name).stat().st_size for name in _DATABASE if (folder / name).exists())


def _check_folder(folder: Path, source: Path, database: bool) -> None:
    """Whether data can be moved into it, with their database or not."""
    if folder in source.parents or source in folder.parents:
        raise Refused(f"{folder} and {source} lie one in the other; name a folder beside it")
    size, there = _size(source), next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise Refused(f"{there} is no folder")
    if there == folder and not (folder / _COMING).exists():
        found = sorted(path.name for path in folder.iterdir() if path.name not in _APART)
        if found:
            raise Refused(f"{folder} is not empty: {', '.join(found[:3])}{' ...' if len(found) > 3 else ''} "
                          f"{'lies' if len(found) == 1 else 'lie'} in it; name another folder")
    kind = subprocess.run(["stat", "--file-system", "--format", "%T", "--", there], capture_output=True, text=True,
                          timeout=30, check=False).stdout.strip()
    if kind in _UNFIT and (database or kind in _PASSING):
        raise Refused(f"{there}: {_UNFIT[kind]}; name a folder on a disk of this server")
    free = shutil.disk_usage(there).free
    if free < size + _LEAST:
        raise Refused(f"{there} has {format_size(free)} free: {format_size(size + _LEAST)} are needed")
    if not os.access(there, os.W_OK) or os.statvfs(there).f_flag & os.ST_RDONLY:
        raise Refused(f"{there} cannot be written to")


def _clear(folder: Path) -> None:
    """What a move that was killed has left in the folder."""
    if not (folder / _COMING).exists():
        return
    for path in folder.iterdir():
        if path.name not in _APART and path.name != _COMING:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _discard(folder: Path) -> None:
    """What a move that failed has brought there."""
    with contextlib.suppress(OSError):
        _clear(folder)
        (folder / _COMING).unlink(missing_ok=True)


def _leave(now: _Note, note: Path) -> None:
    """What lies in former places goes, and marks in the new one."""
    (Path(now.data) / _COMING).unlink(missing_ok=True)
    if not now.leaves:
        return
    for folder in map(Path, now.leaves):
        for name in _DATABASE:
            (folder / name).unlink(missing_ok=True)
        if str(folder) == now.data or not folder.is_dir():
            continue
        for path in folder.iterdir():
            if path.name not in _APART or path.name == "hosts":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if folder != note.parent:
            with contextlib.suppress(OSError):  # a mount point, or another's file came meanwhile
                folder.rmdir()
    _write(note, msgspec.structs.replace(now, leaves=()))
