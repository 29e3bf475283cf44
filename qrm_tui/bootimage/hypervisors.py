"""Where a boot-image's hypervisor comes from: a Debian package with Xen in it."""
from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from qrm_tui.bootimage import packages
from qrm_tui.bootimage.errors import CannotBuild
from qrm_tui.core.partitionings import XEN, XEN_EFI

#: The word for the one that the distribution has, and the package that depends on it.
USUAL, USUAL_PACKAGE = "xen", "xen-system-amd64"
#: xen-hypervisor-4.17-amd64 has /boot/xen-4.17-amd64.gz and, since Debian 11, /boot/xen-4.17-amd64.efi.
_FILE = re.compile(r"boot/xen-(?P<version>[0-9][0-9A-Za-z.+~]*)(?:-[a-z0-9]+)?(?P<ending>\.gz|\.efi)")
_NAMES = {".gz": XEN, ".efi": XEN_EFI}
#: What a kernel is configured with that can be the first domain (Linux, arch/x86/xen/Kconfig).
_FIRST_DOMAIN = re.compile(rb"^CONFIG_XEN_DOM0=y$", re.MULTILINE)


class Hypervisor(NamedTuple):
    """Xen, as it lies in a boot-image."""

    version: str
    #: name in the boot-image → content
    files: dict[str, bytes]


def open_package(file: Path) -> Hypervisor:
    """The hypervisor in a .deb file; CannotBuild if there is none, or it is cut short."""
    found: dict[str, bytes] = {}
    version = ""
    for path, content in packages.read(file, lambda name: _FILE.fullmatch(name) is not None):
        match = _FILE.fullmatch(path)
        assert match
        found[_NAMES[match["ending"]]] = content
        version = match["version"]
    if XEN not in found:
        raise packages.NothingInIt(f"{file.name} is no hypervisor's package: there is no /boot/xen-....gz in it")
    return Hypervisor(version, {name: found[name] for name in (XEN, XEN_EFI) if name in found})


def fetch(package: str, folder: Path) -> Hypervisor:
    """A package's hypervisor, by the package's name, as a file, or by the word `xen`."""
    return packages.fetch(USUAL_PACKAGE if package == USUAL else package, folder, open_package,
                          r"\bxen-hypervisor-[0-9][a-z0-9+.]*-amd64\b")


def need_first_domain(version: str, config: bytes) -> None:
    """CannotBuild for a kernel that says of itself that it cannot run on Xen as the first domain."""
    if config and not _FIRST_DOMAIN.search(config):
        raise CannotBuild(f"kernel {version} cannot run on Xen as the first domain (CONFIG_XEN_DOM0): take another, as "
                          "of linux-image-amd64")
