"""A folder that plays the root of a machine: every path is resolved inside it, links too."""
from __future__ import annotations

import errno
import os
from pathlib import Path

_MOST_LINKS = 40


class RootFolder:
    """Paths of the machine as paths here. Nothing outside of the folder is ever reached by one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()

    def here(self, path: str, *, follow: bool = True) -> Path:
        """Where a path of the machine lies; `follow`: also if its last part is a link. OSError if links go round."""
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        at, links = self.folder, 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                at = at.parent if at != self.folder else at
                continue
            following = at / part
            if following.is_symlink() and (follow or waiting):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.fspath(following.readlink())
                if target.startswith("/"):
                    at = self.folder
                waiting.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
            else:
                at = following
        return at

    def exists(self, path: str) -> bool:
        return self.here(path).exists()

    def read(self, path: str) -> str:
        """A text; OSError as the system says it."""
        return self.here(path).read_text(errors="replace")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file there, with the folders that it needs."""
        place = self.here(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
