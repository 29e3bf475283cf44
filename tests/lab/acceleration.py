"""Whether QEMU's machines run on KVM here: where that boots Debian's kernel, and on its emulator elsewhere."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from tests.lab.cache import cached, run

QEMU = "qemu-system-x86_64"
KVM, EMULATED = "kvm", "tcg,thread=multi"
PATIENCE = 15.0
"""Seconds; a kernel without a root file system has panicked and QEMU has ended after 2, even emulated. Some hosts offer
a /dev/kvm that runs firmware and hangs in Debian's kernel."""


def acceleration(kernel: Path) -> str:
    """What `-accel` takes; tried once a machine with `kernel`, and remembered."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return EMULATED

    def build(folder: Path) -> None:
        (folder / "accel").write_text(KVM if _boots(kernel) else EMULATED)

    processor = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")][:1]
    host = [*platform.uname()[2:], *processor, run([QEMU, "--version"])]
    return (cached("acceleration", host, build) / "accel").read_text()


def _boots(kernel: Path) -> bool:
    argv = [QEMU, "-accel", KVM, "-cpu", "host", "-m", "256", "-nographic", "-nic", "none", "-no-reboot"]
    argv += ["-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    return b"Linux version" in done.stdout
