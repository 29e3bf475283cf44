"""A guest that is up in seconds even where the processor is emulated: Debian's kernel, busybox, and an init that
obeys a few words on its console."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

from qrm_tui.bootimage.cpio import Archive
from tests.lab.boot_machine import built_image
from tests.lab.cache import cached

UP = "tiny guest is up"
INIT = f"""#!/bin/busybox sh
busybox=/bin/busybox
$busybox mkdir -p /proc /sys
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox modprobe -a virtio_pci virtio_balloon
stty() {{ $busybox stty "$@"; }}
stty -echo
echo "{UP}"
while read -r word rest; do
    case $word in
    say) echo "said $rest";;
    flood) $busybox seq 1 "$rest"; echo "flood is over";;
    reboot) $busybox reboot -f;;
    off) $busybox poweroff -f;;
    crash) echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger;;
    esac
done
"""


@dataclass(frozen=True)
class TinyGuest:
    kernel: Path
    initrd: Path


def tiny_guest() -> TinyGuest:
    """Built first if there is none. Raises ImageError."""
    image = built_image()

    def build(folder: Path) -> None:
        shutil.copy(image / "vmlinuz", folder)
        with (folder / "initrd").open("wb") as out:
            # the kernel unpacks one after the other, and later files take the place of earlier ones
            out.write((image / "initrd.img").read_bytes())
            with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
                archive = Archive(packed)  # type: ignore[arg-type]
                archive.file("init", INIT.encode(), 0o755)
                archive.end()

    folder = cached("tiny-guest", [str(image), INIT], build)
    return TinyGuest(folder / "vmlinuz", folder / "initrd")
