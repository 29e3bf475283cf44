"""Kernel modules: what each says of itself (its ELF section .modinfo, as modinfo(8) shows it), and which need which."""
from __future__ import annotations

import gzip
import lzma
import subprocess
from collections.abc import Iterable, Mapping
from struct import Struct, error
from typing import NamedTuple

from qrm_tui.bootimage.errors import CannotBuild

#: elf(5), 64 bits, little-endian: e_shoff, e_shentsize, e_shnum, e_shstrndx; of a section its name, offset and size.
_HEADER, _SECTION = Struct("<40xQ10xHHH"), Struct("<I20xQQ")


class Module(NamedTuple):
    """A module: where it lies below the kernel's folder, and what it says of itself."""

    name: str
    path: str
    #: modules that it cannot do without, and others to load with it (soft dependencies)
    depends: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
    #: hardware that it drives, as patterns of modalias
    aliases: tuple[str, ...] = ()
    #: files below /lib/firmware
    firmware: tuple[str, ...] = ()


def plain_name(name: str) -> str:
    """A module's name; `-` and `_` are the same in it."""
    return name.replace("-", "_")


def is_module(path: str) -> bool:
    return path.endswith((".ko", ".ko.gz", ".ko.xz", ".ko.zst"))


def unpacked(path: str, content: bytes) -> bytes:
    """The module itself where it lies compressed."""
    if path.endswith(".gz"):
        return gzip.decompress(content)
    if path.endswith(".xz"):
        return lzma.decompress(content)
    if path.endswith(".zst"):
        try:
            return subprocess.run(["zstd", "-dcq"], input=content, capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            raise CannotBuild("its modules are compressed with zstd: apt-get install zstd") from None
    return content


def _section(content: bytes, wanted: bytes) -> bytes:
    offset, size, count, names_at = _HEADER.unpack_from(content)
    _, start, length = _SECTION.unpack_from(content, offset + size * names_at)
    names = content[start: start + length]
    for at in range(count):
        name, start, length = _SECTION.unpack_from(content, offset + size * at)
        if names[name: names.find(b"\0", name)] == wanted:
            return content[start: start + length]
    return b""


def read_module(path: str, content: bytes) -> Module:
    """A module from its file; one that is cut short says nothing of itself."""
    fields: dict[str, list[str]] = {}
    try:
        info = _section(content, b".modinfo")
    except error:
        raise CannotBuild(f"{path} is no module, or cut short") from None
    for line in info.split(b"\0"):
        key, sign, value = line.decode(errors="replace").partition("=")
        if sign:
            fields.setdefault(key, []).append(value)
    depends = tuple(plain_name(name) for text in fields.get("depends", ()) for name in text.split(",") if name)
    wishes = tuple(plain_name(word) for text in fields.get("softdep", ()) for word in text.split()
                   if not word.endswith(":"))
    name = plain_name(path.rpartition("/")[2].partition(".ko")[0])
    return Module(name, path.partition(".ko")[0] + ".ko", depends, wishes, tuple(fields.get("alias", ())),
                  tuple(fields.get("firmware", ())))


def closure(names: Iterable[str], modules: Mapping[str, Module]) -> dict[str, Module]:
    """The modules with all that they depend on; a wish that cannot be met is none."""
    found: dict[str, Module] = {}
    waiting = [plain_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found or name not in modules:
            continue
        module = found[name] = modules[name]
        waiting += [*module.depends, *module.wishes]
    return found


def _needed(module: Module, modules: Mapping[str, Module]) -> list[str]:
    """All that it depends on, the last one to be loaded first (as in modules.dep, depmod(8))."""
    order: list[str] = []
    visited: set[str] = set()

    def visit(name: str) -> None:
        if name in visited or name not in modules:
            return
        visited.add(name)
        for other in modules[name].depends:
            visit(other)
        order.append(name)

    visit(module.name)
    return order[-2::-1]


def dependencies_text(modules: Mapping[str, Module]) -> str:
    """modules.dep."""
    return "".join(f"{module.path}: {' '.join(modules[name].path for name in _needed(module, modules))}".rstrip() + "\n"
                   for module in modules.values())


def aliases_text(modules: Mapping[str, Module]) -> str:
    """modules.alias."""
    return "".join(f"alias {alias} {module.name}\n" for module in modules.values() for alias in module.aliases)


def softdep_text(modules: Mapping[str, Module]) -> str:
    """modules.softdep: what is to be loaded before."""
    return "".join(f"softdep {module.name} pre: {' '.join(module.wishes)}\n" for module in modules.values()
                   if module.wishes)
