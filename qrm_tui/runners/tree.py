"""Edits inside a foreign tree: every path is resolved inside it by the kernel, so no link of its owner leads out.

This file's text also runs on storage servers (`python3 -I -`), so it uses the standard library of Python 3.6 alone.
openat2(2) with RESOLVE_IN_ROOT treats the tree as the root, for absolute links and `..` too; a file is replaced by
renaming a new one over its name, which replaces a link and never follows it.
"""
import ctypes
import errno
import fnmatch
import json
import os
import stat
import sys

# openat2's number is the same on every architecture but alpha (linux/include/uapi/asm-generic/unistd.h)
_OPENAT2 = 437
# linux/include/uapi/linux/openat2.h
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10
_MOST = 1 << 20


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_libc = ctypes.CDLL(None, use_errno=True)


def _open(root, path, flags):
    how = _How(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    fd = _libc.syscall(_OPENAT2, root, os.fsencode(path.lstrip("/") or "."), ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return fd


def _folder(root, path):
    """The folder that holds `path`, or None."""
    try:
        return _open(root, os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


def _kind(folder, name):
    """lstat of a name in a folder, or None."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _read(folder, name, limit=_MOST):
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        content = file.read(limit + 1)
    return content if len(content) <= limit else None


def _replace(folder, name, content, mode, owner, sync=True):
    temporary = ".qrm-new"
    try:
        os.unlink(temporary, dir_fd=folder)
    except FileNotFoundError:
        pass
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(fd, mode)
        if os.geteuid() == 0:
            os.fchown(fd, *owner)
        if sync:
            os.fsync(fd)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    if sync:
        os.fsync(folder)


def _remove(folder, name):
    info = _kind(folder, name)
    if info is None:
        return
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for entry in os.listdir(inner):
            _remove(inner, entry)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)


def _write(folder, name, edit):
    info = _kind(folder, name)
    if edit.get("when") == "exists" and info is None:
        return False
    mode = edit.get("mode", stat.S_IMODE(info.st_mode) if info and stat.S_ISREG(info.st_mode) else 0o644)
    content = edit["content"].encode()
    if info and stat.S_ISREG(info.st_mode) and _read(folder, name) == content and stat.S_IMODE(info.st_mode) == mode:
        return False
    _replace(folder, name, content, mode, (0, 0), edit.get("sync", True))
    return True


def _make(folder, name, edit):
    """A folder of root's; whatever has that name already stays."""
    if _kind(folder, name) is not None:
        return False
    os.mkdir(name, edit["mode"], dir_fd=folder)
    os.fsync(folder)
    return True


def _empty(folder, name, edit):
    info = _kind(folder, name)
    if info is None or (stat.S_ISREG(info.st_mode) and info.st_size == 0):
        return False
    regular = stat.S_ISREG(info.st_mode)
    _replace(folder, name, b"", stat.S_IMODE(info.st_mode) if regular else 0o644,
             (info.st_uid, info.st_gid) if regular else (0, 0))
    return True


def _set(folder, name, edit):
    info = _kind(folder, name)
    if info is None or not stat.S_ISREG(info.st_mode):
        return False
    content = _read(folder, name)
    if content is None:
        return False
    key, separator = edit["key"], edit["separator"]
    new = (key + separator + edit["value"]).encode()
    lines = content.split(b"\n")
    at = [i for i, line in enumerate(lines) if line.split(separator.strip().encode() or None, 1)[:1] == [key.encode()]]
    if not at or all(lines[i] == new for i in at):
        return False
    for i in at:
        lines[i] = new
    _replace(folder, name, b"\n".join(lines), stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid))
    return True


def _remove_all(folder, pattern, edit):
    names = [name for name in os.listdir(folder) if fnmatch.fnmatch(name, pattern)]
    for name in names:
        _remove(folder, name)
    return bool(names)


def _clear(folder, name, edit):
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        names = os.listdir(inner)
        for entry in names:
            _remove(inner, entry)
    finally:
        os.close(inner)
    return bool(names)


_VERBS = {"write": _write, "folder": _make, "empty": _empty, "set": _set, "remove": _remove_all, "clear": _clear}


def edit(root, edits):
    """Make the edits in the tree at `root`; returns the paths that changed. Running it again changes nothing."""
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    changed = []
    try:
        for entry in edits:
            folder = _folder(top, entry["path"])
            if folder is None:
                continue
            try:
                if _VERBS[entry["do"]](folder, os.path.basename(entry["path"]), entry):
                    changed.append(entry["path"])
            finally:
                os.close(folder)
    finally:
        os.close(top)
    return changed


def main(root, text):
    """Edits as JSON text; prints the changed paths as JSON."""
    try:
        print(json.dumps(edit(root, json.loads(text))))
    except OSError as error:
        sys.exit("%s: %s" % (error.filename or root, error.strerror))
