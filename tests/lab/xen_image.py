"""The boot-image of the lab's virtualization hosts: Debian's Xen and kernel, by the real builder."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from qrm_tui.bootimage.initramfs import BUSYBOX
from tests.lab.boot_machine import ROOT
from tests.lab.cache import cached, run
from tests.lab.host_roots import HYPERVISOR_PACKAGE

NAME = "xen"
KERNEL_PACKAGE = "linux-image-amd64"
"""The kernel for clouds is no first domain."""


def packages() -> Path:
    """A folder with the .deb files of kernel and hypervisor, fetched once for each version that apt knows."""
    shown = run(["apt-cache", "depends", KERNEL_PACKAGE])
    kernel = next(word for word in shown.split() if word.startswith("linux-image-") and word != KERNEL_PACKAGE)
    names = (kernel, HYPERVISOR_PACKAGE)

    def build(folder: Path) -> None:
        subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *names], cwd=folder, check=True,
                       capture_output=True)

    return cached("xen-packages", [run(["apt-cache", "show", "--no-all-versions", name]) for name in names], build)


def xen_image() -> Path:
    """The boot-image's folder; made anew when anything that it is made of changes."""
    debs = packages()
    kernel, hypervisor = (next(debs.glob(f"{name}*.deb")) for name in ("linux-image", "xen-hypervisor"))

    def build(folder: Path) -> None:
        run([sys.executable, "-m", "qrm_tui.bootimage", "--images", str(folder), "create", "--id", "lab", "--package",
             str(kernel), "--hypervisor", str(hypervisor), NAME], environment={"PYTHONPATH": str(ROOT)})

    sources = [*sorted((ROOT / "qrm_tui/bootimage").glob("*.py")), *sorted((ROOT / "templates/initramfs").iterdir()),
               ROOT / "data/boot.toml", ROOT / "data/sealing.toml", BUSYBOX]
    parts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sources]
    return cached("boot-image", [kernel.name, hypervisor.name, *parts], build) / NAME
