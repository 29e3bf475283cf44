"""The openQRM server when it is installed: its disks, kept by all that made them, for labs that start from there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.lab import manager, server_inventory
from tests.lab.cache import cache_folder, cached, file_ingredients
from tests.lab.manager import Manager, package
from tests.lab.namespace import Namespace
from tests.lab.server_image import ServerImage
from tests.lab.server_inventory import everything

KEPT = 3
"""So many are kept, of those that were wanted last: each change of the program makes another one, of some 30 MB."""


class Installed(NamedTuple):
    """Disks of a server that was installed and switched off."""

    folder: Path

    @property
    def bare(self) -> set[str]:
        """Everything that was there before (`server_inventory`)."""
        return set(json.loads((self.folder / "made.json").read_text())["bare"])

    @property
    def told(self) -> str:
        """When it was installed, and how long that took."""
        made = json.loads((self.folder / "made.json").read_text())
        return f"installed {made['at']} UTC in {made['seconds']:.0f} s, kept by its image, answers and package"


def installed(image: ServerImage, answers: str) -> Installed:
    """Installed first if this package never was on this image with these answers. Raises ImageError, LabError."""

    def build(folder: Path) -> None:
        with Namespace() as namespace:
            server = Manager(namespace, image)
            server.start()
            server.make_group()
            server.install_program()
            server.begin()
            bare = sorted(everything(server))
            server.write("/root/answers.toml", answers)
            began = time.monotonic()
            server.qrm("install", "run", "--answers", "/root/answers.toml", "--yes")
            made = {"at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "seconds": time.monotonic() - began}
            server.shut_down()
            server.keep_disks(folder)
        (folder / "made.json").write_text(json.dumps(made | {"bare": bare}))

    with tempfile.TemporaryDirectory() as scratch:
        content = hashlib.sha256(package(Path(scratch)).read_bytes()).hexdigest()
    recipe = file_ingredients(Path(__file__), Path(manager.__file__), Path(server_inventory.__file__))
    folder = cached("installed", [image.folder.name, answers, content, *recipe], build)
    os.utime(folder)
    _forget(folder)
    return Installed(folder)


def _forget(used: Path) -> None:
    """Those that nobody has wanted for the longest time."""
    others = [folder for folder in cache_folder().glob("installed-????????????????") if folder != used]
    for folder in sorted(others, key=lambda folder: folder.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


