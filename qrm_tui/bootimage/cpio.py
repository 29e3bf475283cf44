"""Writes an initramfs: a cpio archive in the format newc.

The format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
All belongs to root and is of no time, so that the same content makes the same archive.
"""
from __future__ import annotations

import stat
from typing import BinaryIO


class Archive:
    """An archive in the making; folders come before what is in them."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._number = 0
        self._folders: set[str] = set()

    def folder(self, path: str, mode: int = 0o755) -> None:
        """A folder, and those that it lies in; one that is there already stays."""
        above = path.rpartition("/")[0]
        if above:
            self.folder(above)
        if path not in self._folders:
            self._folders.add(path)
            self._entry(path, stat.S_IFDIR | mode)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """A regular file, its folders first."""
        if "/" in path:
            self.folder(path.rpartition("/")[0])
        self._entry(path, stat.S_IFREG | mode, content)

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """A character device."""
        self.folder(path.rpartition("/")[0])
        self._entry(path, stat.S_IFCHR | mode, device=(major, minor))

    def end(self) -> None:
        """The mark that nothing follows."""
        self._entry("TRAILER!!!", 0)

    def _entry(self, path: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._number += 1
        name = path.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self._number, mode, 0, 0, links, 0, len(content), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        for part in (head, content):
            self._out.write(part)
            self._out.write(bytes(-len(part) % 4))
