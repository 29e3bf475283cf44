"""Machines of the rack in user-mode-linux: they boot by our initramfs, without firmware, and at nearly full speed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from qrm_tui.bootimage import initramfs
from qrm_tui.bootimage.kernels import InstalledKernel
from tests.lab.cache import cached
from tests.lab.image import UML_KERNEL, uml_modules
from tests.lab.namespace import Namespace
from tests.lab.on_console import OnConsole

ROOT = Path(__file__).parent.parent.parent
MEMORY_MB = 512


def initrd() -> Path:
    """The initramfs that the real builder makes for user-mode-linux's kernel, made anew when any part of it changes."""
    modules = uml_modules()

    def build(folder: Path) -> None:
        installed = folder / "installed"
        (installed / "boot").mkdir(parents=True)
        (installed / "lib/modules").mkdir(parents=True)
        (installed / f"boot/vmlinuz-{modules.name}").symlink_to(UML_KERNEL)
        (installed / f"lib/modules/{modules.name}").symlink_to(modules)
        kernel = InstalledKernel(modules.name, installed)
        choice = initramfs.Choice(kernel, (), "linux")
        assert choice.shares
        with (folder / "initrd.img").open("wb") as out:
            initramfs.write(out, kernel, choice, initramfs.static_busybox())

    sources = [*sorted((ROOT / "qrm_tui/bootimage").glob("*.py")), *sorted((ROOT / "templates/initramfs").iterdir()),
               ROOT / "data/boot.toml", ROOT / "data/sealing.toml", initramfs.BUSYBOX]
    parts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sources]
    return cached("uml-initrd", [modules.name, *parts], build) / "initrd.img"


class UmlNode(OnConsole):
    """A machine with one network card, on a tap of its own; its console goes to a file."""

    def __init__(self, namespace: Namespace, folder: Path, *, name: str, mac: str) -> None:
        self.name, self.mac = name, mac
        self._namespace, self._folder = namespace, folder
        self._tap = f"{name}-tap"
        self.console_log = folder / f"{name}.log"

    def start(self, words: str) -> None:
        """Switches it on; `words`: what boot files give its kernel."""
        self._namespace.add_tap(self._tap)
        uml = [str(UML_KERNEL), f"mem={MEMORY_MB}M", f"umid={self.name}", f"uml_dir={self._folder}/uml-{self.name}/",
               f"initrd={initrd()}", f"vec0:transport=tap,ifname={self._tap},depth=128,gro=1,mac={self.mac}",
               # a timer whose signal gets lost on a busy machine is set again by the next tick alone
               "nohz=off", "highres=off", "net.ifnames=0", "pty.legacy_count=0", "con=null", "con0=null,fd:1",
               *words.split(), f"BOOTIF=01-{self.mac.replace(':', '-')}"]
        with self.console_log.open("wb") as console:
            self._process = self._namespace.popen(
                ["unshare", "--pid", "--kill-child", "--fork", "sh", "-c", '"$@" & wait $!', "sh", *uml],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={**os.environ, "TMPDIR": "/dev/shm"})  # its memory is a file there, unlinked at once

    def power_cut(self) -> None:
        """Its plug is pulled, and its cable."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._namespace.remove_tap(self._tap)
