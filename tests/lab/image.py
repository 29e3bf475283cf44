"""The storage server's image: Debian with systemd, LVM, NFS and ssh."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import debian
from tests.lab.cache import LAB, ImageError, cached, file_ingredients

ROOT_FILES = LAB / "root"
"""Files laid over the root of every machine in user-mode-linux as they are."""

PACKAGES = (
    "systemd-sysv", "udev", "kmod", "iproute2", "util-linux",
    "lvm2", "thin-provisioning-tools", "nfs-kernel-server", "nfs-common",
    "openssh-server", "python3-minimal", "e2fsprogs", "xfsprogs", "rsync",
)  # fmt: skip

MODULES = (
    "dm-mod", "dm-snapshot", "dm-thin-pool", "dm-mirror", "nfsd", "nfs", "nfsv3", "nfsv4", "xfs", "ext4", "loop",
    "iscsi_target_mod", "target_core_iblock",
)  # fmt: skip
"""Kernel modules to copy, each with those that it depends on; user-mode-linux may also have some built in."""

IMAGE_SIZE = 2 << 30
"""Bytes; sparse, so only what is used takes room."""

UML_KERNEL = Path("/usr/bin/linux.uml")
UML_MODULES = Path("/usr/lib/uml/modules")


@dataclass(frozen=True)
class Image:
    """What a machine in user-mode-linux boots; its files are read and never written after the build."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "linux"

    @property
    def root(self) -> Path:
        return self.folder / "root.ext4"

    @property
    def client_key(self) -> Path:
        return self.folder / "client_key"

    @property
    def host_public_key(self) -> str:
        """Algorithm and key as in a known_hosts line, without the address."""
        return (self.folder / "ssh_host_ed25519_key.pub").read_text().rsplit(" ", 1)[0].strip()


def image() -> Image:
    """The image of this recipe, built first if there is none. Raises ImageError."""

    def build(folder: Path) -> None:
        root = debian.bootstrap(folder, PACKAGES)
        finish(root, folder, debian.MASKED_UNITS, IMAGE_SIZE)

    return Image(cached("storage", ingredients(Path(__file__)), build))


def ingredients(recipe: Path) -> Iterable[str]:
    """All that an image for user-mode-linux is made of: its recipe, files, suite and kernel."""
    yield f"{debian.host_suite()} {uml_modules().name}"
    yield from file_ingredients(recipe, Path(__file__), Path(debian.__file__), ROOT_FILES)


def uml_modules() -> Path:
    """The folder of user-mode-linux's modules; its name is the kernel's release."""
    releases = sorted(UML_MODULES.glob("*"))
    if not releases or not UML_KERNEL.exists():
        raise ImageError("no user-mode-linux kernel: apt-get install user-mode-linux")
    return releases[-1]


def finish(root: Path, folder: Path, masked: Iterable[str], size: int) -> None:
    """A Debian root becomes an image: kernel, modules, address, keys; `root` is gone afterwards."""
    for name in ("ssh_host_ed25519_key", "client_key"):
        debian.key_pair(folder / name)
    shutil.copy2(UML_KERNEL, folder / "linux")
    shutil.copytree(ROOT_FILES, root, dirs_exist_ok=True)
    debian.mask(root, masked)
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    (wanted / "lab-network.service").symlink_to("../lab-network.service")
    debian.let_in(root, folder / "client_key.pub")
    for name in ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"):
        shutil.copy2(folder / name, root / "etc/ssh" / name)
    debian.machine_id(root, str(root))
    debian.copy_modules(uml_modules(), root, MODULES)
    debian.pack(root, folder / "root.ext4", size)


if __name__ == "__main__":
    print(image().folder)
