"""Where a boot-image's kernel comes from: a Debian package, or a kernel that is installed on this machine."""
from __future__ import annotations

import abc
import re
from collections.abc import Iterator
from pathlib import Path

from qrm_tui.bootimage import packages
from qrm_tui.bootimage.errors import CannotBuild
from qrm_tui.bootimage.modules import is_module

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+~-]*")


class Kernel(abc.ABC):
    """A kernel and its files, by their paths as they lie when installed (`boot/vmlinuz-…`, `lib/modules/…`)."""

    version: str

    @abc.abstractmethod
    def files(self) -> Iterator[tuple[str, bytes]]:
        """The kernel, what it was configured with where that is told, and all below its folder of modules."""

    @property
    def image(self) -> str:
        return f"boot/vmlinuz-{self.version}"

    @property
    def config(self) -> str:
        return f"boot/config-{self.version}"

    @property
    def folder(self) -> str:
        return f"lib/modules/{self.version}/"


class InstalledKernel(Kernel):
    """One that this machine could boot itself."""

    def __init__(self, version: str, root: Path = Path("/")) -> None:
        if not _VERSION.fullmatch(version) or ".." in version:
            raise CannotBuild(f"{version!r} is no kernel's version, as uname -r prints it")
        self.version, self._root = version, root
        if not (root / self.image).is_file():
            there = sorted(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*"))
            raise CannotBuild(f"no kernel {version} is installed here: there is no {root / self.image}"
                              + (f"; there are {', '.join(there)}" if there else ""))
        if not (root / self.folder).is_dir():
            raise CannotBuild(f"kernel {version} has no modules here: there is no {root / self.folder}")

    def files(self) -> Iterator[tuple[str, bytes]]:
        yield self.image, (self._root / self.image).read_bytes()
        if (self._root / self.config).is_file():
            yield self.config, (self._root / self.config).read_bytes()
        for path in sorted((self._root / self.folder).rglob("*")):
            if path.is_file() and (is_module(path.name) or path.name.startswith("modules.")):
                yield path.relative_to(self._root).as_posix(), path.read_bytes()


class PackagedKernel(Kernel):
    """One in a .deb file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        names = packages.names(file)
        image = next((name for name in names if name.startswith("boot/vmlinuz-")), "")
        names.close()
        if not image:
            raise packages.NothingInIt(f"{file.name} is no kernel package: there is no /boot/vmlinuz-... in it")
        self.version = image.removeprefix("boot/vmlinuz-")

    def files(self) -> Iterator[tuple[str, bytes]]:
        return packages.read(self._file, lambda name: name in (self.image, self.config)
                             or name.startswith(self.folder))


def fetch(package: str, folder: Path) -> PackagedKernel:
    """The kernel of a package, given by its name or as a file; one that only depends on it (linux-image-amd64) does."""
    return packages.fetch(package, folder, PackagedKernel, r"\blinux-image-[a-z0-9+.-]+")
