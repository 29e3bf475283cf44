"""Small commands: folders, tests, findmnt, cat, versions, and the copy of a tree."""
from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from qrm_tui.backends.nfs import DROP_SCRIPT
from qrm_tui.backends.probing import PATHS_SCRIPT
from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good, only
from qrm_tui.practice.host import Host, Mounted
from qrm_tui.practice.volumes import shown_size
from qrm_tui.runners.base import Completed

#: As captured from Debian 12.
_VERSIONS: Mapping[tuple[str, ...], str] = {
    ("uname", "-r"): "6.1.0-42-amd64\n",
    ("lvm", "version"): "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185 (2022-05-18)\n"
                        "  Driver version:  4.47.0\n",
    ("dpkg-query", "-W", "-f", "${Version}", "nfs-kernel-server"): "1:2.6.2-4+deb12u1",
    ("dpkg-query", "-W", "-f", "${Version}", "e2fsprogs"): "1.47.0-2+b2",
    ("systemctl", "--version"): "systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT +SELINUX +APPARMOR\n",
    ("python3", "--version"): "Python 3.11.2\n",
    ("rsync", "--version"): "rsync  version 3.5.0  protocol version 32\n",
}
#: Bytes a second that rsync copies in a farm that runs at life's own pace, and how many times it tells of it.
_RSYNC_SPEED, _RSYNC_TELLS = 80 << 20, 20


def version(host: Host, argv: Sequence[str]) -> Completed:
    """The versions that a probe asks for."""
    if tuple(argv) not in _VERSIONS:
        raise NotPractised("these arguments")
    return good(_VERSIONS[tuple(argv)])


def mkdir(host: Host, argv: Sequence[str]) -> Completed | Effects:
    match argv:
        case ("mkdir", "-p", "--", path):
            place = host.root.here(path)
            if place.is_dir():
                return good()
            try:
                place.mkdir(parents=True)
            except OSError as error:
                return bad(1, f"mkdir: cannot create directory '{path}': {os.strerror(error.errno or 0)}\n")
            return only(f"mkdir {path}: made", good())
    raise NotPractised("these arguments")


def rmdir(host: Host, argv: Sequence[str]) -> Completed | Effects:
    match argv:
        case ("rmdir", "--", path):
            try:
                if path.rstrip("/") in host.mounts:
                    raise OSError(errno.EBUSY, "")
                host.root.here(path, follow=False).rmdir()
            except OSError as error:
                return bad(1, f"rmdir: failed to remove '{path}': {os.strerror(error.errno or 0)}\n")
            return only(f"rmdir {path}: gone", good())
    raise NotPractised("these arguments")


def test(host: Host, argv: Sequence[str]) -> Completed:
    match argv:
        case ("test", "-d", path):
            return Completed(0 if host.root.here(path).is_dir() else 1, "", "")
        case ("test", "-e", path):
            return Completed(0 if host.root.exists(path) else 1, "", "")
        case ("test", "!", "-e", path):
            return Completed(1 if host.root.exists(path) else 0, "", "")
    raise NotPractised("these arguments")


def cat(host: Host, argv: Sequence[str]) -> Completed:
    match argv:
        case ("cat", "/var/lib/nfs/etab"):
            return good(host.root.read("/var/lib/nfs/etab"))
    raise NotPractised("these arguments")


def findmnt(host: Host, argv: Sequence[str]) -> Completed:
    """All mounts as JSON, or one as a line (util-linux 2.38.1)."""
    match argv:
        case ("findmnt", "--json", "--bytes", "--list", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS,SIZE,USED"):
            rows = ",".join(_mount_row(host, mounted) for mounted in host.mounts.values())
            return good(f'{{\n   "filesystems": [\n      {rows}\n   ]\n}}\n')
        case ("findmnt", "--json", "--bytes", "--list", "--output", "TARGET,SOURCE,FSTYPE,SIZE,AVAIL"):
            return good(json.dumps({"filesystems": [
                {"target": mounted.target, "source": mounted.source, "fstype": mounted.type, "size": size,
                 "avail": size - used} for mounted in host.mounts.values() for size, used in [host.sizes(mounted)]]}))
        case ("findmnt", "--noheadings", "--mountpoint", path):
            found = host.mounts.get(path)
            return good(f"{found.target} {found.source} {found.type:<6} {found.options}\n") if found else bad(1, "")
    raise NotPractised("these arguments")


def _mount_row(host: Host, mounted: Mounted) -> str:
    size, used = host.sizes(mounted)
    words = {"target": mounted.target, "source": mounted.source, "fstype": mounted.type, "options": mounted.options,
             "size": size, "used": used}
    lines = ",\n".join(f'         "{word}": {json.dumps(value)}' for word, value in words.items())
    return f"{{\n{lines}\n      }}"


def shell(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """The fixed scripts of ours: what lies at each path; NFS sessions are dropped."""
    match argv:
        case ("sh", "-c", script, "qrm", *addresses) if script == DROP_SCRIPT:
            host.sessions -= set(addresses)
            return only(f"nfs sessions of {', '.join(addresses)}: dropped", good())
        case ("sh", "-c", script, "qrm", *paths) if script == PATHS_SCRIPT:
            return good("".join(f"{_state(host, path)}\n" for path in paths))
    raise NotPractised("this script")


def _state(host: Host, path: str) -> str:
    if host.root.here(path, follow=False).is_symlink():
        place = host.root.here(path)
        return "empty" if place.is_dir() and not any(place.iterdir()) else "used"
    place = host.root.here(path)
    if not place.exists():
        return "absent"
    return "empty" if place.is_dir() and not any(place.iterdir()) else "used"


def rsync(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """A tree replaces another: every file is really copied, and progress told as --info=progress2 does."""
    match argv:
        case ("rsync", "-aAXHS", "--numeric-ids", "--one-file-system", "--delete", *rest, "--", source, target):
            if rest[:2] != ["--info=progress2", "--no-inc-recursive"] or not all(
                    word.startswith("--exclude=/") for word in rest[2:]):
                raise NotPractised(f"the options {' '.join(rest)}")
            kept = {word.removeprefix("--exclude=/").rstrip("/") for word in rest[2:]}
            return _copy(host, source.rstrip("/"), target.rstrip("/"), kept)
    raise NotPractised("these arguments")


def _copy(host: Host, source: str, target: str, kept: set[str]) -> Completed | Effects:
    here, there = host.root.here(source), host.root.here(target)
    if not here.is_dir():
        return bad(23, f'rsync: [sender] change_dir "{source}" failed: No such file or directory (2)\n'
                       "rsync error: some files/attrs were not transferred (see previous errors) (code 23) at "
                       "main.c(1394) [sender=3.5.0]\n")
    if not there.parent.is_dir():
        return bad(11, f'rsync: [Receiver] mkdir "{target}" failed: No such file or directory (2)\n'
                       "rsync error: error in file IO (code 11) at main.c(808) [Receiver=3.5.0]\n")
    there.mkdir(exist_ok=True)
    return _copying(host, source, target, kept)


def _copying(host: Host, source: str, target: str, kept: set[str]) -> Effects:
    here, there = host.root.here(source), host.root.here(target)
    from_, into = host.mounts.get(source), host.mounts.get(target)
    size = host.sizes(from_)[1] if from_ else 0
    room = shown_size(into.volume.filesystem) if into and into.volume and into.volume.filesystem else size
    entries = [path for path in sorted(here.rglob("*")) if path.relative_to(here).parts[0] not in kept]
    done = 0
    for tell in range(1, _RSYNC_TELLS + 1):
        due = len(entries) * tell // _RSYNC_TELLS
        for path in entries[done:due]:
            _place(path, there / path.relative_to(here))
        done = due
        copied = size * tell // _RSYNC_TELLS
        if copied > room:
            return bad(11, f'rsync: [receiver] write failed on "{target}/usr": No space left on device (28)\n'
                           "rsync error: error in file IO (code 11) at receiver.c(657) [receiver=3.5.0]\n")
        yield Point(f"rsync {target}: half of the files" if tell == _RSYNC_TELLS // 2 else "",
                    size / _RSYNC_SPEED / _RSYNC_TELLS,
                    f"{copied:>15,} {99 * tell // _RSYNC_TELLS:>3}%   80.00MB/s    0:00:00 "
                    f"(xfr#{done}, to-chk={len(entries) - done}/{len(entries)})")
    wanted = {path.relative_to(here) for path in entries}
    for path in sorted(there.rglob("*"), reverse=True):
        if path.relative_to(there) not in wanted and path.relative_to(there).parts[0] not in kept:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    if into and into.volume and into.volume.filesystem:
        host.write(into.volume, size)
        into.volume.filesystem.used = size
    yield Point(f"rsync {target}: what was there besides is gone")
    return good()


def _place(source: Path, target: Path) -> None:
    """One file, link or folder; whatever else has its place goes."""
    folder = source.is_dir() and not source.is_symlink()
    if (target.exists() or target.is_symlink()) and not (folder and target.is_dir() and not target.is_symlink()):
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
    if folder:
        target.mkdir(exist_ok=True)
        shutil.copystat(source, target)
    elif source.is_symlink():
        target.symlink_to(source.readlink())
    else:
        shutil.copy2(source, target)
