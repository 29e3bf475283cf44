"""What the lab builds once and keeps outside the checkout: a folder a recipe, named by all that it is made of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

LAB = Path(__file__).parent


class ImageError(RuntimeError):
    """Something can't be built; the message says what is missing or what failed."""


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qrm-tui" / "lab"


def cached(name: str, ingredients: Iterable[str], build: Callable[[Path], None]) -> Path:
    """The folder that `build` fills, built first if there is none; a second builder waits for the first.

    Raises ImageError.
    """
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{_digest(ingredients)}"
    with _locked(cache / f"{folder.name}.lock"):
        if not folder.is_dir():
            started = time.monotonic()
            print(f"lab: building {folder}, once", file=sys.stderr, flush=True)
            building = folder.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)  # of a build that was killed: we hold its lock
            building.mkdir(mode=0o755)
            try:
                build(building)
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
            print(f"lab: built in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return folder


def _digest(ingredients: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in ingredients:
        content = part.encode()
        digest.update(b"%d\n%s\n" % (len(content), content))
    return digest.hexdigest()[:16]


def file_ingredients(*paths: Path) -> Iterator[str]:
    """Name, mode and content of files, and of all files below folders."""
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                yield f"{file.relative_to(LAB)} {file.stat().st_mode & 0o111}"
                yield file.read_text()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(argv: Sequence[str], stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
    """What ARGV prints; `environment` is added to our own. Raises ImageError."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, env={**os.environ, **(environment or {})}
        )
    except FileNotFoundError as error:
        raise ImageError(f"{argv[0]} is missing; the lab's packages are in {LAB / 'packages.txt'}") from error
    if done.returncode:
        raise ImageError(f"{' '.join(argv)} failed ({done.returncode}):\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout
