"""Debian packages of kernels for tests: real .deb files, with modules that only say what they are."""
from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

VERSION = "6.1.0-1-test"


def module(**info: str | Sequence[str]) -> bytes:
    """An ELF file (elf(5)) whose only section of use is .modinfo."""
    lines = [f"{key}={value}" for key, values in info.items()
             for value in ([values] if isinstance(values, str) else values)]
    content = "".join(f"{line}\0" for line in lines).encode()
    names = b"\0.modinfo\0.shstrtab\0"
    at, sections = 64 + len(content), 64 + len(content) + len(names)
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, sections, 0, 64, 0, 0, 64, 3, 2)

    def section(name: int, start: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, start, size, 0, 0, 1, 0)

    return header + content + names + bytes(64) + section(1, 64, len(content)) + section(10, at, len(names))


#: What every kernel here has: two modules that nothing goes without, one that they need, a network card.
MODULES: Mapping[str, bytes] = {
    "kernel/fs/nfs/nfs.ko": module(depends="sunrpc", name="nfs"),
    "kernel/fs/nfs/nfsv4.ko": module(depends="nfs,sunrpc"),
    "kernel/net/sunrpc/sunrpc.ko": module(depends=""),
    "kernel/drivers/net/virtio_net.ko": module(depends="net_failover", alias="virtio:d00000001v*"),
    "kernel/drivers/net/net_failover.ko": module(),
    "kernel/drivers/net/ethernet/intel/e1000/e1000.ko": module(alias=["pci:v8086d1000*", "pci:v8086d1001*"]),
    "kernel/sound/beep.ko": module(),
}


#: What a first domain cannot be without.
XEN_MODULES: Mapping[str, bytes] = {f"kernel/drivers/xen/{name}.ko": module() for name in (
    "xen-evtchn", "xenfs", "xen-privcmd", "xen-gntdev", "xen-netback")}


def package(folder: Path, name: str, *, modules: Mapping[str, bytes] | None = MODULES, depends: str = "",
            builtin: str = "", files: Mapping[str, bytes] | None = None) -> Path:
    """A .deb file; without modules there is no kernel in it. `files`: what else is in it."""
    root = folder / name
    (root / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: test\n"
    (root / "DEBIAN/control").write_text(control + (f"Depends: {depends}\n" if depends else ""))
    if modules is not None:
        (root / "boot").mkdir()
        (root / f"boot/vmlinuz-{VERSION}").write_bytes(b"the kernel\n")
        own = root / "lib/modules" / VERSION
        for path, content in modules.items():
            (own / path).parent.mkdir(parents=True, exist_ok=True)
            (own / path).write_bytes(content)
        (own / "modules.builtin").write_text(builtin)
    for path, content in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    file = folder / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, file], check=True, capture_output=True)
    shutil.rmtree(root)
    return file
