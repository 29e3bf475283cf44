"""The golden root of the netboot lab's customers: a small Debian with systemd and ssh, as a tar archive."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.lab import debian
from tests.lab.cache import LAB, cached, file_ingredients, run

PACKAGES = ("systemd-sysv", "udev", "kmod", "iproute2", "openssh-server")
MASKED_UNITS = (
    # each takes some 10 s over NFS on an emulated processor; all folders are there
    "systemd-tmpfiles-setup.service", "systemd-journal-catalog-update.service",
    # nobody sits in front of the machines: who logs in does it on the console that the kernel speaks on
    "getty@tty1.service",
)
USED_UNITS = frozenset(("getty.target",))
"""Masked in the roots of other machines; a customer's console asks for a login."""
PASSWORD = "a-lab's-root"
"""Root's, at a console; sshd takes keys alone."""
FILES = LAB / "golden"
"""Files laid over the root as they are."""


@dataclass(frozen=True)
class Golden:
    """One cache entry; its files are read and never written after the build."""

    folder: Path

    @property
    def archive(self) -> Path:
        """A tar archive of all that is below `/`."""
        return self.folder / "golden.tar"

    @property
    def key(self) -> Path:
        """The private key that logs in as root wherever this runs."""
        return self.folder / "key"


def golden() -> Golden:
    """Built first if there is none. Raises ImageError."""

    def build(folder: Path) -> None:
        root = debian.bootstrap(folder, PACKAGES)
        shutil.copytree(FILES, root, dirs_exist_ok=True)
        debian.mask(root, {*debian.MASKED_UNITS, *MASKED_UNITS} - USED_UNITS)
        run(debian.fenced(["chroot", str(root), "chpasswd"]), f"root:{PASSWORD}\n")
        archived(root, folder)

    parts = file_ingredients(Path(__file__), Path(debian.__file__), FILES)
    return Golden(cached("golden", [debian.host_suite(), *parts], build))


def archived(root: Path, folder: Path) -> None:
    """A root becomes the archive of a Golden in `folder`, with a key that logs in; `root` is gone afterwards."""
    debian.key_pair(folder / "key")
    debian.let_in(root, folder / "key.pub")
    (root / "etc/machine-id").write_text("")
    archive = ["tar", "--create", "--numeric-owner", "--xattrs", "--file", str(folder / "golden.tar")]
    run([*archive, "--directory", str(root), "."])
    shutil.rmtree(root)
