"""Machines in QEMU that are started with a kernel and an initrd, and what boot-images are tried with."""

from __future__ import annotations

import hashlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qrm_tui.bootimage.initramfs import BUSYBOX
from tests.lab.acceleration import QEMU, acceleration
from tests.lab.cache import cached, run
from tests.lab.namespace import Namespace
from tests.lab.on_console import DEADLINE, OnConsole

ROOT = Path(__file__).parent.parent.parent
KERNEL_PACKAGE = "linux-image-cloud-amd64"


class BootMachine(OnConsole):
    """A machine with one virtio network card; its serial console goes to a file."""

    def __init__(self, folder: Path, *, mac: str, network: str, namespace: Namespace | None = None) -> None:
        self.folder, self.mac = folder, mac
        self._network, self._namespace = network, namespace
        self.console_log = folder / f"console-{mac.replace(':', '-')}.log"

    def start(self, image: Path, words: str, *more: str) -> None:
        """Switches it on with a boot-image's kernel and initrd."""
        bootif = f"BOOTIF=01-{self.mac.replace(':', '-')}"
        self._start(image, "-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd.img"), "-append",
                    f"{words} {bootif} console=ttyS0,115200", *more)

    def start_from_network(self, image: Path, *more: str) -> None:
        """Switches it on, set to boot from its network card (QEMU's firmware for that is iPXE)."""
        self._start(image, "-boot", "n", *more)

    def _start(self, image: Path, *more: str) -> None:
        argv = [QEMU, "-accel", acceleration(image / "vmlinuz"), "-cpu", "max", "-m", "512", "-smp", "2"]
        argv += ["-display", "none", "-monitor", "none", "-serial", f"file:{self.console_log}", *more]
        argv += ["-netdev", self._network, "-device", f"virtio-net-pci,netdev=n0,mac={self.mac}"]
        start = self._namespace.popen if self._namespace else subprocess.Popen
        self._process = start(argv, stdin=subprocess.DEVNULL)

    def power_cut(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


class NodeServer:
    """The stand-in for qrmd-node and apache (node_server.py), as a process."""

    def __init__(self, folder: Path, address: str, namespace: Namespace | None = None) -> None:
        argv = [sys.executable, str(Path(__file__).with_name("node_server.py")), address, "0", str(folder)]
        start = namespace.popen if namespace else subprocess.Popen
        self._process = start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self._process.stdout
        self.port = int(json.loads(self._process.stdout.readline())["port"])
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.seen: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._events.put(json.loads(line))

    def say(self, words: str) -> None:
        """What machines are told from now on."""
        assert self._process.stdin
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()

    def wait_for(self, machine: Any, what: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next exchange like this."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            try:
                event = self._events.get(timeout=0.5)
            except queue.Empty:
                if not machine.is_on:
                    break
                continue
            self.seen.append(event)
            if wanted(event):
                return event
        state = "on" if machine.is_on else "off"
        raise AssertionError(f"no {what}; it is {state}; last {self.seen[-2:]}\n{machine.console()[-3000:]}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def kernel_package() -> Path:
    """The .deb file of a small kernel, fetched once for each version that apt knows."""
    shown = run(["apt-cache", "depends", KERNEL_PACKAGE])
    package = next(word for word in shown.split() if word.startswith("linux-image-") and word != KERNEL_PACKAGE)

    def build(folder: Path) -> None:
        subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package], cwd=folder, check=True,
                       capture_output=True)

    folder = cached("kernel", [run(["apt-cache", "show", "--no-all-versions", package])], build)
    return next(folder.glob("*.deb"))


def built_image() -> Path:
    """A boot-image made by the real builder from that kernel, made anew when anything that it is made of changes."""
    package = kernel_package()

    def build(folder: Path) -> None:
        run([sys.executable, "-m", "qrm_tui.bootimage", "--images", str(folder), "create", "--id", "lab", "--package",
             str(package), "idle"], environment={"PYTHONPATH": str(ROOT)})

    sources = [*sorted((ROOT / "qrm_tui/bootimage").glob("*.py")), *sorted((ROOT / "templates/initramfs").iterdir()),
               ROOT / "data/boot.toml", ROOT / "data/sealing.toml", BUSYBOX]
    parts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sources]
    return cached("boot-image", [str(package), *parts], build) / "idle"
