"""A machine with a screen: QEMU with a VGA card, whose console shows bytes in a font, and is photographed.

Two consoles: VGA text (80x25, by BIOS) and the frame buffer (160x50, by UEFI). Its init speaks on the serial line: it
is told to load a font, or to show a piece, and says when that is done; pieces and fonts lie in its initramfs.
"""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from qrm_tui.bootimage import packages
from qrm_tui.bootimage.cpio import Archive
from qrm_tui.styles.glyphs import SAFE
from tests.lab.acceleration import QEMU, acceleration
from tests.lab.boot_machine import built_image
from tests.lab.cache import ImageError, cached, run
from tests.lab.machine import UEFI_CODE, UEFI_VARIABLES

#: Seconds until the machine has answered; on its emulated processor it is up in some 10.
DEADLINE = 240.0
#: Seconds that a frame buffer takes to be painted after the console has taken the bytes.
PAINTED = 0.3
#: What Debian calls its fonts' package; the kernel's own font is there without it.
FONTS_PACKAGE = "console-setup-linux"
KERNEL_FONT = "kernel"
FONTS = (KERNEL_FONT, "Lat15-Terminus16", "Uni2-Terminus16")

#: From here on numbers in a font's table are marks: a glyph's characters end, a sequence begins.
_MARKS = 0xFFFE

INIT = """#!/bin/busybox sh
busybox=/bin/busybox
$busybox mkdir -p /proc /dev
$busybox mount -t proc proc /proc
$busybox mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
$busybox stty -echo -onlcr
echo 1 >/proc/sys/kernel/printk
printf 'console is up\\n'
while read -r word rest; do
    case $word in
    font) $busybox loadfont <"/fonts/$rest";;
    show) $busybox cat "/pieces/$rest" >/dev/tty1;;
    clear) printf '\\033c' >/dev/tty1;;
    off) $busybox poweroff -f;;
    esac
    printf 'done %s %s\\n' "$word" "$rest"
done
"""


@dataclass(frozen=True)
class Console:
    """How a machine shows text, and how many columns and rows that are."""

    name: str
    size: tuple[int, int]
    words: tuple[str, ...]
    uefi: bool = False


CONSOLES = (Console("vga", (80, 25), ("-machine", "pc")),
            Console("framebuffer", (160, 50), ("-machine", "q35"), uefi=True))


def fonts() -> Mapping[str, bytes]:
    """Name → PSF file, from Debian's package. Raises ImageError."""

    def build(folder: Path) -> None:
        run(["sh", "-c", 'cd "$1" && apt-get download -q -o APT::Sandbox::User=root "$2"', "sh", str(folder),
             FONTS_PACKAGE])
        wanted = {f"share/consolefonts/{name}.psf.gz": name for name in FONTS}
        package = next(folder.glob("*.deb"))
        for path, content in packages.read(package, wanted.__contains__):
            (folder / wanted[path]).write_bytes(gzip.decompress(content))
        package.unlink()

    folder = cached("console-fonts", [run(["apt-cache", "show", "--no-all-versions", FONTS_PACKAGE]), *FONTS], build)
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    if missing := set(FONTS) - {KERNEL_FONT} - set(found):
        raise ImageError(f"{FONTS_PACKAGE} has no {', '.join(sorted(missing))}")
    for name, content in found.items():
        if lacks := SAFE - characters(content):
            raise ImageError(f"{name} has no {' '.join(sorted(lacks))}: they are no safe glyphs")
    return found


def characters(font: bytes) -> frozenset[str]:
    """Those that a font of 256 or 512 glyphs has, from its table (PSF1: kbd, src/psf.h)."""
    magic, mode, height = font[:2], font[2], font[3]
    if magic != b"\x36\x04" or not mode & 2:
        raise ImageError("a font that is no PSF1 with a table of characters")
    table = font[4 + height * (512 if mode & 1 else 256):]
    return frozenset(chr(number) for (number,) in struct.iter_unpack("<H", table) if number < _MARKS)


class ConsoleMachine:
    """Switched on with all that it will show; off at the end of a `with`."""

    def __init__(self, folder: Path, console: Console, pieces: Mapping[str, bytes]) -> None:
        self._folder, self._console = folder, console
        image = built_image()
        initrd = folder / f"{console.name}.initrd"
        with initrd.open("wb") as out:
            # the kernel unpacks one after the other, and later files take the place of earlier ones
            out.write((image / "initrd.img").read_bytes())
            with gzip.GzipFile("", "wb", 1, out, mtime=0) as packed:
                archive = Archive(packed)  # type: ignore[arg-type]
                archive.file("init", INIT.encode(), 0o755)
                for kind, files in (("fonts", fonts()), ("pieces", pieces)):
                    for name, content in files.items():
                        archive.file(f"{kind}/{name}", content)
                archive.end()
        argv = [QEMU, "-accel", acceleration(image / "vmlinuz"), "-cpu", "max", "-m", "512", "-nodefaults",
                "-no-reboot", "-display", "none", "-vga", "std", "-nic", "none", *console.words,
                "-chardev", f"socket,id=line,path={folder / 'line'},server=on,wait=off", "-serial", "chardev:line",
                "-qmp", f"unix:{folder / 'qmp'},server=on,wait=off",
                "-kernel", str(image / "vmlinuz"), "-initrd", str(initrd), "-append", "console=tty0 quiet"]
        if console.uefi:
            shutil.copy(UEFI_VARIABLES, folder / "variables.fd")
            argv += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={UEFI_CODE}",
                     "-drive", f"if=pflash,format=raw,unit=1,file={folder / 'variables.fd'}"]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        self._heard = b""
        self._line = self._connect("line")

    def __enter__(self) -> ConsoleMachine:
        self._await("console is up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._line.close()
        self._process.kill()
        self._process.wait()

    def load(self, font: str) -> None:
        """Only the kernel's font cannot be come back to."""
        self._do("clear")
        if font != KERNEL_FONT:
            self._do("font", font)

    def show(self, piece: str) -> None:
        self._do("show", piece)

    def photograph(self, file: Path) -> None:
        """Raises ImageError where QEMU was built without PNG."""
        time.sleep(PAINTED)
        with self._monitor() as tell:
            answer = tell("screendump", {"filename": str(file), "format": "png"})
        if "error" in answer:
            raise ImageError(f"no picture of the screen: {answer['error']}")

    # inside

    def _do(self, word: str, rest: str = "") -> None:
        self._line.sendall(f"{word} {rest}\n".encode())
        self._await(f"done {word} {rest}\n")

    def _await(self, text: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while text.encode() not in self._heard:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise ImageError(f"the machine never said {text!r}:\n{self._heard[-2000:].decode(errors='replace')}")
            with_more = self._line.recv(4096) if self._readable() else b""
            self._heard += with_more
        self._heard = self._heard.partition(text.encode())[2]

    def _readable(self) -> bool:
        try:
            return bool(self._line.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False

    def _connect(self, name: str) -> socket.socket:
        deadline = time.monotonic() + DEADLINE
        while True:
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(1)
            try:
                line.connect(str(self._folder / name))
                return line
            except OSError as error:
                line.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise ImageError(f"QEMU does not start: {error}") from error
                time.sleep(0.05)

    @contextmanager
    def _monitor(self) -> Iterator[Any]:
        """QEMU's machine protocol (qemu-qmp-ref(7)): a command with its arguments is answered."""
        with self._connect("qmp") as line, line.makefile("rw") as stream:
            line.settimeout(30)

            def tell(command: str, arguments: Mapping[str, Any] | None = None) -> Any:
                stream.write(json.dumps({"execute": command, "arguments": arguments or {}}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                return answer

            stream.readline()
            tell("qmp_capabilities")
            yield tell
