"""The root of the lab's virtualization hosts: a Debian with Xen's tools and libvirt, no kernel, as a tar archive."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab import debian, golden
from tests.lab.cache import LAB, cached, file_ingredients
from tests.lab.golden import FILES, Golden, archived

XEN = "4.17"
"""The hypervisor's version in Debian 12; tools of another one do not talk to it."""
HYPERVISOR_PACKAGE = f"xen-hypervisor-{XEN}-amd64"
PACKAGES = (
    "systemd-sysv", "udev", "kmod", "iproute2", "openssh-server", "nftables", "dbus",
    f"xen-utils-{XEN}", "libvirt-daemon-system", "libvirt-daemon-driver-xen", "libvirt-clients",
)  # fmt: skip
USED_UNITS = frozenset(("systemd-tmpfiles-setup.service",))
"""Masked in other golden roots; libvirt and Xen have folders in /run."""
UDEV_TRIGGER = "etc/systemd/system/systemd-udev-trigger.service.d/lab.conf"
"""Makes udev pass over network cards in other golden roots."""
MASKED_UNITS = (
    "apparmor.service", "libvirt-guests.service", "networking.service", "xendomains.service", "logrotate.timer",
)
"""Each takes its time on an emulated processor."""
HOST_FILES = LAB / "dom0"
"""Files laid over the root besides those of other golden roots."""


def dom0() -> Golden:
    """Built first if there is none. Raises ImageError."""

    def build(folder: Path) -> None:
        root = debian.bootstrap(folder, PACKAGES)
        shutil.copytree(FILES, root, dirs_exist_ok=True)
        (root / UDEV_TRIGGER).unlink()
        shutil.copytree(HOST_FILES, root, dirs_exist_ok=True)
        debian.mask(root, {*debian.MASKED_UNITS, *golden.MASKED_UNITS, *MASKED_UNITS} - USED_UNITS)
        archived(root, folder)

    parts = file_ingredients(Path(__file__), Path(golden.__file__), Path(debian.__file__), FILES, HOST_FILES)
    return Golden(cached("dom0", [debian.host_suite(), *parts], build))
