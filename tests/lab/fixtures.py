"""Pytest fixtures of the lab, and what a machine needs for them.

A conftest imports them from here. With pytest-xdist each worker that asks for the lab gets one of its own: put the
tests that do into one `xdist_group`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.lab.image import UML_KERNEL, image
from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer, ThinPool

PROGRAMS = {
    "busybox": "busybox-static",
    "ip": "iproute2",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "shellcheck": "shellcheck",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    str(UML_KERNEL): "user-mode-linux",
}
"""Program → its Debian package; packages.txt lists these packages, and those that only the netboot lab needs."""

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps some of PROGRAMS, and an ordinary user's PATH does not look."""


NETBOOT_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "/usr/lib/ipxe/qemu/pxe-virtio.rom": "ipxe-qemu",
    "/usr/share/OVMF/OVMF_CODE_4M.fd": "ovmf",
    "/usr/share/seabios/bios-256k.bin": "seabios",
}
"""What machines of the rack need besides."""


def requirements(more: Mapping[str, str] | None = None) -> list[str]:
    """What this machine lacks for the lab, a line each; empty where all is there. `more`: as PROGRAMS."""
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
    lacking = [
        f"{program}: apt-get install {package}"
        for program, package in {**PROGRAMS, **(more or {})}.items()
        if shutil.which(program, path=path) is None and not Path(program).is_file()
    ]
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        lacking.append("/dev/net/tun: modprobe tun, and permission to open it")
    if not Path("/proc/self/ns/net").exists():
        lacking.append("network namespaces: a kernel with CONFIG_NET_NS")
    return lacking


@pytest.fixture(scope="session")
def lab_namespace() -> Iterator[Namespace]:
    """The lab's network; a test starts qrmd and clients in it by `lab_namespace.popen(argv)`."""
    if lacking := requirements():
        pytest.fail("the lab needs:\n" + "\n".join(lacking), pytrace=False)
    with Namespace() as namespace:
        yield namespace


@pytest.fixture(scope="session")
def storage_server(lab_namespace: Namespace) -> Iterator[StorageServer]:
    """A storage server at 10.77.0.2 with the volume group `vol` and the thin pool `vol/pool`; shared by all tests."""
    server = StorageServer(lab_namespace, image(), thin_pool=ThinPool())
    server.start()
    yield server
    server.stop()


if __name__ == "__main__":
    missing = requirements(NETBOOT_PROGRAMS)
    print("\n".join(missing))
    raise SystemExit(1 if missing else 0)
