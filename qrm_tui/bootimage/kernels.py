"""Where a boot-image's kernel comes from: a Debian package, or a kernel that is installed on this machine."""
from __future__ import annotations

import abc
import re
import subprocess
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from qrm_tui.bootimage.errors import CannotBuild
from qrm_tui.bootimage.modules import is_module

#: Debian Policy 5.6.1.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+~-]*")
#: Bytes of one file in a package: the largest modules have some 10 MB.
_LARGEST = 256 << 20


class Kernel(abc.ABC):
    """A kernel and its files, by their paths as they lie when installed (`boot/vmlinuz-…`, `lib/modules/…`)."""

    version: str

    @abc.abstractmethod
    def files(self) -> Iterator[tuple[str, bytes]]:
        """The kernel, and all below its folder of modules."""

    @property
    def image(self) -> str:
        return f"boot/vmlinuz-{self.version}"

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
        for path in sorted((self._root / self.folder).rglob("*")):
            if path.is_file() and (is_module(path.name) or path.name.startswith("modules.")):
                yield path.relative_to(self._root).as_posix(), path.read_bytes()


class PackagedKernel(Kernel):
    """One in a .deb file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        names = _names(file)
        image = next((name for name in names if name.startswith("boot/vmlinuz-")), "")
        names.close()
        if not image:
            raise NoKernel(f"{file.name} is no kernel package: there is no /boot/vmlinuz-... in it")
        self.version = image.removeprefix("boot/vmlinuz-")

    def files(self) -> Iterator[tuple[str, bytes]]:
        with _contents(self._file) as archive:
            for member in archive:
                name = _plain(member.name)
                if member.isfile() and (name == self.image or name.startswith(self.folder)):
                    if member.size > _LARGEST:
                        raise CannotBuild(f"{name} in {self._file.name} has {member.size} bytes: that is no module")
                    read = archive.extractfile(member)
                    yield name, read.read() if read else b""


class NoKernel(CannotBuild):
    """A package that has no kernel in it; it may depend on one that has."""


def _plain(name: str) -> str:
    # Debian 13 and later have modules below /usr
    return name.removeprefix("./").removeprefix("usr/")


@contextmanager
def _contents(file: Path) -> Iterator[tarfile.TarFile]:
    """All files; who reads them to the end learns whether that was the end."""
    bad = CannotBuild(f"{file} is no Debian package, or cut short")
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                yield archive
            while process.stdout.read(1 << 16):
                pass
            if process.wait() != 0:
                raise bad
        except (tarfile.TarError, EOFError):
            raise bad from None
        finally:
            process.terminate()  # of no effect if it has ended: who only looks for one file need not read all


def _names(file: Path) -> Generator[str, None, None]:
    with _contents(file) as archive:
        for member in archive:
            yield _plain(member.name)


def _said(argv: list[str], folder: Path) -> tuple[int, str]:
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, errors="replace", check=False,
                              stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise CannotBuild(f"{argv[0]} is not there: boot-images are made on Debian and its like") from None
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
    return done.returncode, done.stdout if done.returncode == 0 else (lines[-1] if lines else "without a word")


def _download(package: str, folder: Path) -> Path:
    # apt's own unprivileged account cannot write into our folder
    status, said = _said(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package], folder)
    if status:
        raise CannotBuild(f"package {package} cannot be fetched: {said.removeprefix('E: ')} (is its name right? "
                          "apt-get update brings the lists up to date)")
    found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        raise CannotBuild(f"package {package} was fetched, and there is no .deb file of it")
    return found[-1]


def fetch(package: str, folder: Path) -> PackagedKernel:
    """The kernel of a package, given by its name or as a file; one that only depends on it (linux-image-amd64) does."""
    if package.startswith("/"):
        file = Path(package)
        if not file.is_file():
            raise CannotBuild(f"there is no file {package}")
    elif _PACKAGE.fullmatch(package):
        file = _download(package, folder)
    else:
        raise CannotBuild(f"{package!r} is neither a package's name nor the path of a .deb file")
    try:
        return PackagedKernel(file)
    except NoKernel:
        status, depends = _said(["dpkg-deb", "--field", str(file), "Depends"], folder)
        names = re.findall(r"\blinux-image-[a-z0-9+.-]+", depends) if status == 0 else []
        if not names:
            raise
    return PackagedKernel(_download(names[0], folder))
