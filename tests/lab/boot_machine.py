"""Machines in QEMU that are started with a kernel and an initrd, and what boot-images are tried with."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.image import _apt_sources, _host_suite, _run, cache_folder
from tests.lab.namespace import Namespace

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 240.0
"""Seconds until something awaited counts as failed; far more than any needs."""
KERNEL_PACKAGE = "linux-image-cloud-amd64"


def accelerator() -> str:
    """KVM where processors have it (a /dev/kvm without them starts no Debian kernel), else QEMU's own translator."""
    flags = {"vmx", "svm"} & set(Path("/proc/cpuinfo").read_text().split())
    return "kvm" if flags and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg,thread=multi"


class BootMachine:
    """A machine with one virtio network card; its serial console goes to a file."""

    def __init__(self, folder: Path, *, mac: str, network: str, namespace: Namespace | None = None) -> None:
        self.folder, self.mac = folder, mac
        self._network, self._namespace = network, namespace
        self._process: subprocess.Popen[bytes] | None = None
        self.console_log = folder / f"console-{mac.replace(':', '-')}.log"

    def start(self, image: Path, words: str, *more: str) -> None:
        """Switches it on with a boot-image's kernel and initrd."""
        bootif = f"BOOTIF=01-{self.mac.replace(':', '-')}"
        self._start("-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd.img"), "-append",
                    f"{words} {bootif} console=ttyS0,115200", *more)

    def start_from_network(self, *more: str) -> None:
        """Switches it on, set to boot from its network card (QEMU's firmware for that is iPXE)."""
        self._start("-boot", "n", *more)

    def _start(self, *more: str) -> None:
        argv = ["qemu-system-x86_64", "-accel", accelerator(), "-cpu", "max", "-m", "512", "-smp", "2"]
        argv += ["-display", "none", "-monitor", "none", "-serial", f"file:{self.console_log}", *more]
        argv += ["-netdev", self._network, "-device", f"virtio-net-pci,netdev=n0,mac={self.mac}"]
        start = self._namespace.popen if self._namespace else subprocess.Popen
        self._process = start(argv, stdin=subprocess.DEVNULL)

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def power_cut(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def console(self) -> str:
        return self.console_log.read_text(errors="replace") if self.console_log.exists() else ""

    def wait_for(self, what: str, reached: Callable[[], bool]) -> None:
        """Until something is so; the failure shows the end of the console."""
        deadline = time.monotonic() + DEADLINE
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} in {DEADLINE:.0f} s:\n{self.console()[-3000:]}")
            time.sleep(0.1)


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


@contextmanager
def _cached(key: str, what: str) -> Iterator[tuple[Path, bool]]:
    """A folder outside the checkout, and whether it must be made first; one who comes second waits."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{what}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder, not folder.is_dir()


def kernel_package() -> Path:
    """The .deb file of a small kernel, fetched once for each version that apt knows."""
    shown = _run(["apt-cache", "depends", KERNEL_PACKAGE])
    package = next(word for word in shown.split() if word.startswith("linux-image-6") or word.count("-") > 3)
    version = _run(["apt-cache", "show", "--no-all-versions", package])
    with _cached(f"{package}\n{version}", "kernel") as (folder, missing):
        if missing:
            building = folder.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package], cwd=building,
                           check=True, capture_output=True)
            building.rename(folder)
        return next(folder.glob("*.deb"))


def built_image() -> Path:
    """A boot-image made by the real builder from that kernel, made anew when anything that it is made of changes."""
    package = kernel_package()
    parts = [package.name, str(package.stat().st_size)]
    for source in (ROOT / "qrm_tui/bootimage", ROOT / "templates/initramfs", ROOT / "data/boot.toml"):
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file() and "__pycache__" not in file.parts:
                parts.append(hashlib.sha256(file.read_bytes()).hexdigest())
    with _cached("\n".join(parts), "boot") as (folder, missing):
        if missing:
            argv = [sys.executable, "-m", "qrm_tui.bootimage", "--images", f"{folder}.images", "create", "--id", "lab",
                    "--package", str(package), "idle"]
            subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
            Path(f"{folder}.images", "idle").rename(folder)
            Path(f"{folder}.images").rmdir()
        return folder


def small_root() -> Path:
    """A small Debian with systemd as a tar file."""
    packages, suite = "systemd-sysv,dbus", _host_suite()
    with _cached(f"{suite} {packages} 2", "root") as (folder, missing):
        if missing:
            building = folder.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}",
                    *(f"--dpkgopt=path-exclude={path}" for path in ("/usr/share/doc/*", "/usr/share/man/*",
                                                                    "/usr/share/locale/*")),
                    suite, str(building / "root.tar"), "-"]
            fence = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--kill-child",
                     "--fork"]
            _run([*fence, *argv], stdin=_apt_sources(suite))
            building.rename(folder)
        return folder / "root.tar"
