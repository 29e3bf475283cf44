"""Debian packages that a boot-image is made from: fetched by apt, read file by file and never installed."""
from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from qrm_tui.bootimage.errors import CannotBuild

#: Debian Policy 5.6.1.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
#: Bytes of one file in a package: the largest modules have some 10 MB.
_LARGEST = 256 << 20
T = TypeVar("T")


class NothingInIt(CannotBuild):
    """A package that has not what was looked for in it; it may depend on one that has."""


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


def names(file: Path) -> Generator[str, None, None]:
    """The paths in a package, as they lie when installed, without a first slash."""
    with _contents(file) as archive:
        for member in archive:
            yield _plain(member.name)


def read(file: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and content of the files in a package that are wanted."""
    with _contents(file) as archive:
        for member in archive:
            name = _plain(member.name)
            if member.isfile() and wanted(name):
                if member.size > _LARGEST:
                    raise CannotBuild(f"{name} in {file.name} has {member.size} bytes: that is no part of a system "
                                      "that boots")
                content = archive.extractfile(member)
                yield name, content.read() if content else b""


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


def fetch(package: str, folder: Path, opened: Callable[[Path], T], needed: str) -> T:
    """A package by its name or as a file, opened.

    `opened` raises NothingInIt for one that only depends on what is looked for, as linux-image-amd64 does; `needed`
    matches the name of what it depends on then.
    """
    if package.startswith("/"):
        file = Path(package)
        if not file.is_file():
            raise CannotBuild(f"there is no file {package}")
    elif _PACKAGE.fullmatch(package):
        file = _download(package, folder)
    else:
        raise CannotBuild(f"{package!r} is neither a package's name nor the path of a .deb file")
    try:
        return opened(file)
    except NothingInIt:
        status, depends = _said(["dpkg-deb", "--field", str(file), "Depends"], folder)
        found = re.findall(needed, depends) if status == 0 else []
        if not found:
            raise
    return opened(_download(found[0], folder))
