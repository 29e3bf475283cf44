"""The roots of the lab's virtualization hosts: a Debian with libvirt, no kernel, as a tar archive."""

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
    "systemd-sysv", "udev", "kmod", "iproute2", "openssh-server", "nftables", "dbus", "libvirt-daemon-system",
    "libvirt-clients",
)  # fmt: skip
XEN_PACKAGES = (f"xen-utils-{XEN}", "libvirt-daemon-driver-xen")
QEMU_PACKAGES = ("qemu-system-x86", "ipxe-qemu", "libvirt-daemon-driver-qemu")
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
    """The root of Xen's first domain, built first if there is none. Raises ImageError."""
    return _root("dom0", XEN_PACKAGES)


def qemu_host() -> Golden:
    """The root of a host whose partitions QEMU runs, built first if there is none. Raises ImageError."""
    return _root("qemu-host", QEMU_PACKAGES)


def _root(name: str, packages: tuple[str, ...]) -> Golden:
    def build(folder: Path) -> None:
        root = debian.bootstrap(folder, (*PACKAGES, *packages))
        shutil.copytree(FILES, root, dirs_exist_ok=True)
        (root / UDEV_TRIGGER).unlink()
        shutil.copytree(HOST_FILES, root, dirs_exist_ok=True)
        debian.mask(root, {*debian.MASKED_UNITS, *golden.MASKED_UNITS, *MASKED_UNITS} - USED_UNITS)
        archived(root, folder)

    parts = file_ingredients(Path(__file__), Path(golden.__file__), Path(debian.__file__), FILES, HOST_FILES)
    return Golden(cached(name, [debian.host_suite(), *packages, *parts], build))
