"""What the initramfs of a boot-image holds: busybox, programs of ours, and kernel modules (data/boot.toml)."""
from __future__ import annotations

import gzip
import struct
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from qrm_tui.bootimage import private_parts
from qrm_tui.bootimage.cpio import Archive
from qrm_tui.bootimage.errors import CannotBuild
from qrm_tui.bootimage.kernels import Kernel
from qrm_tui.bootimage.modules import (
    Module,
    aliases_text,
    closure,
    dependencies_text,
    is_module,
    plain_name,
    read_module,
    softdep_text,
    unpacked,
)
from qrm_tui.core.places import data_folder, templates_folder

BUSYBOX = Path("/bin/busybox")
#: elf(5): e_phoff, e_phentsize, e_phnum; and the program header of one who needs a loader of libraries.
_PROGRAMS, _INTERPRETER = struct.Struct("<32x8x14xHH"), 3
#: Files of templates/initramfs: where they lie in the archive, and their mode.
_PROGRAM_FILES = {
    "initramfs/init": ("init", 0o755), "initramfs/agent": ("qrm/agent", 0o755),
    "initramfs/bridge": ("qrm/bridge", 0o644), "initramfs/nfs": ("qrm/nfs", 0o644),
    "initramfs/shared": ("qrm/shared", 0o644), "initramfs/private": ("qrm/private", 0o644),
    "initramfs/udhcpc": ("qrm/udhcpc", 0o755), "initramfs/qrm-agent.service": ("qrm/qrm-agent.service", 0o644),
}
#: What lays a machine's own files over a root that it shares.
_LAYERS = "overlay"
_FIRMWARE = (Path("/lib/firmware"), Path("/usr/lib/firmware"))


def module_sets(kind: str) -> list[dict[str, Any]]:
    """The table of what goes into boot-images of a type: name, modules, folders, required, load."""
    with (data_folder() / "boot.toml").open("rb") as file:
        sets: list[dict[str, Any]] = tomllib.load(file)["set"]
    return [entry for entry in sets if kind in entry.get("types", (kind,))]


def static_busybox(path: Path = BUSYBOX) -> bytes:
    """busybox; CannotBuild if it is missing, or needs libraries that an initramfs does not have."""
    remedy = "apt-get install busybox-static"
    try:
        content = path.read_bytes()
    except OSError:
        raise CannotBuild(f"there is no {path}: {remedy}") from None
    if content[:4] != b"\x7fELF":
        raise CannotBuild(f"{path} is no program: {remedy}")
    start, (size, count) = int.from_bytes(content[32:40], "little"), struct.unpack_from("<HH", content, 54)
    kinds = {int.from_bytes(content[at: at + 4], "little") for at in range(start, start + size * count, size or 1)}
    if _INTERPRETER in kinds:
        raise CannotBuild(f"{path} needs shared libraries: {remedy} (it replaces busybox)")
    return content


class Choice:
    """The modules that go in, and what is to be said of those that do not."""

    def __init__(self, kernel: Kernel, asked: Sequence[str], kind: str) -> None:
        self.all: dict[str, Module] = {}
        #: what the kernel was configured with; empty where that is not told
        self.config = b""
        #: by the moment at which init loads them, the modules of a set
        self.load: dict[str, list[str]] = {}
        builtin: set[str] = set()
        for path, content in kernel.files():
            inner = path.removeprefix(kernel.folder)
            if is_module(path):
                module = read_module(inner, unpacked(path, content))
                self.all[module.name] = module
            elif inner == "modules.builtin":
                builtin = {plain_name(Path(line).stem) for line in content.decode(errors="replace").splitlines()}
            elif path == kernel.config:
                self.config = content
        names: set[str] = set()
        absent: list[str] = []
        lacking: list[str] = []
        for entry in module_sets(kind):
            required = {plain_name(name) for name in entry.get("required", ())}
            for folder in entry.get("folders", ()):
                here = {module.name for module in self.all.values() if module.path.startswith(f"kernel/{folder}/")}
                names |= here
            for name in map(plain_name, entry.get("modules", ())):
                if name in self.all:
                    names.add(name)
                    if "load" in entry:
                        self.load.setdefault(entry["load"], []).append(name)
                elif name not in builtin:
                    (lacking if name in required else absent).append(name)
        for name in map(plain_name, asked):
            if name in self.all:
                names.add(name)
            elif name not in builtin:
                lacking.append(name)
        if lacking:
            raise CannotBuild(f"kernel {kernel.version} has no module {', '.join(lacking)}, and cannot do without")
        self.chosen = dict(sorted(closure(names, self.all).items()))
        #: whether a root can be shared by machines that boot it
        self.shares = bool({_LAYERS} & ({*self.chosen} | builtin))
        self.notes = [f"kernel {kernel.version} has no module {', '.join(absent)}"] if absent else []

    def firmware(self) -> Iterator[tuple[str, bytes]]:
        """Files that the modules want and that are installed here."""
        for name in sorted({name for module in self.chosen.values() for name in module.firmware}):
            for folder in _FIRMWARE:
                place = folder / name
                if ".." not in name and place.is_file():
                    yield f"lib/firmware/{name}", place.read_bytes()
                    break


def write(out: BinaryIO, kernel: Kernel, choice: Choice, busybox: bytes) -> bytes:
    """Write the initramfs; returns the kernel, which comes by on the way."""
    image = b""
    with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
        archive = Archive(packed)  # type: ignore[arg-type]
        # before init has mounted anything, the kernel gives it this one to speak through
        archive.character_device("dev/console", 5, 1)
        archive.character_device("dev/null", 1, 3, 0o666)
        archive.file("bin/busybox", busybox, 0o755)
        for template, (path, mode) in _PROGRAM_FILES.items():
            archive.file(path, (templates_folder() / template).read_bytes(), mode)
        archive.file("qrm/private.table", private_parts.table_text().encode())
        wanted = {module.path: module for module in choice.chosen.values()}
        for path, content in kernel.files():
            inner = path.removeprefix(kernel.folder).partition(".ko")[0] + ".ko"
            if path == kernel.image:
                image = content
            elif inner in wanted and is_module(path):
                archive.file(kernel.folder + inner, unpacked(path, content))
        for name, text in (("dep", dependencies_text(choice.chosen)), ("alias", aliases_text(choice.chosen)),
                           ("softdep", softdep_text(choice.chosen)), ("symbols", "")):
            archive.file(f"{kernel.folder}modules.{name}", text.encode())
        for moment, modules in sorted(choice.load.items()):
            archive.file(f"qrm/load/{moment}", " ".join(modules).encode() + b"\n")
        for path, content in choice.firmware():
            archive.file(path, content)
        archive.end()
    return image
