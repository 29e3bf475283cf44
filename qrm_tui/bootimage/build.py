"""A boot-image's folder: made beside its place and renamed into it, so that a half-made one is never offered."""
from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from qrm_tui.bootimage import hypervisors, initramfs
from qrm_tui.bootimage.errors import CannotBuild
from qrm_tui.bootimage.kernels import InstalledKernel, Kernel, fetch
from qrm_tui.core.partitionings import XEN

MANIFEST = "boot-image.json"
KERNEL, INITRD = "vmlinuz", "initrd.img"
#: By type, what a boot-image cannot be without; all that its manifest names is looked at.
NEEDED = {"linux": (KERNEL, INITRD), "xen": (XEN, KERNEL, INITRD)}
Say = Callable[[str], None]


def _place(images: Path, name: str) -> Path:
    if not name or name.startswith(".") or "/" in name or not name.isprintable():
        raise CannotBuild(f"{name!r} is no boot-image's name")
    return images / name


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(f".{place.name}.{ending}")


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the disk refuses, in words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CannotBuild(f"there is no room left in {folder}: remove boot-images that nobody uses, or give it "
                              "more") from None
        raise CannotBuild(f"{error.filename or folder}: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_of(place: Path) -> dict[str, Any] | None:
    """What a boot-image says of itself; None: it is not there, or says nothing that can be read."""
    try:
        found = json.loads((place / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None


def trouble_of(place: Path, identity: str = "", *, deep: bool = True) -> str:
    """What is wrong with a boot-image's files; empty: nothing. Not `deep`: by their sizes alone."""
    if not place.is_dir():
        return f"{place} is gone"
    manifest = manifest_of(place)
    if manifest is None:
        return f"{place / MANIFEST} is missing, or cannot be read"
    if identity and manifest.get("id") != identity:
        return f"{place} is another boot-image (its id is {manifest.get('id')!r})"
    kind, files = str(manifest.get("type", "linux")), manifest["files"]
    if kind not in NEEDED:
        return f"{place / MANIFEST} says that it is of type {kind!r}, which this program does not know"
    lacking = [name for name in NEEDED[kind] if name not in files]
    if lacking:
        return f"{place / MANIFEST} does not name {', '.join(lacking)}"
    for name, said in files.items():
        path = place / name
        if path.parent != place or not isinstance(said, dict):
            return f"{place / MANIFEST} is not as this program writes it: {name!r}"
        try:
            size = path.stat().st_size
            if size != said.get("size"):
                return f"{path} has {size} bytes instead of {said.get('size')}"
            if deep and _digest(path) != said.get("sha256"):
                return f"{path} was changed: its SHA-256 is another one"
        except OSError as error:
            return f"{path}: {error.strerror}"
    return ""


def create(images: Path, name: str, identity: str, *, package: str, version: str, modules: Sequence[str],
           say: Say, hypervisor: str = "", busybox: Path = initramfs.BUSYBOX) -> None:
    """Make a boot-image from a kernel package, or from the installed kernel of this version; CannotBuild if not.

    `hypervisor`: a package with Xen, which makes it one of type `xen`.
    """
    place = _place(images, name)
    new = _beside(place, "new")
    with _told(images):
        if place.exists():
            trouble = trouble_of(place, identity)
            if trouble:
                raise CannotBuild(f"{place} is there already, and not as it should be: {trouble}")
            return
        shutil.rmtree(new, ignore_errors=True)
        work = new / "work"
        work.mkdir(parents=True)
        try:
            shell = initramfs.static_busybox(busybox)
            if package:
                say(f"fetching {package}")
            kernel: Kernel = fetch(package, work) if package else InstalledKernel(version)
            under = None
            if hypervisor:
                say(f"fetching {hypervisor}")
                under = hypervisors.fetch(hypervisor, work)
            _fill(new, Parts(kernel, modules, shell, under),
                  {"id": identity, "name": name, "type": "xen" if under else "linux", "source": package or version,
                   **({"hypervisor": {"source": hypervisor, "version": under.version}} if under else {})}, say)
            shutil.rmtree(work)
            _sync_folder(new)
            new.rename(place)
            _sync_folder(images)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    say(f"boot-image {name} is ready")


class Parts(NamedTuple):
    """What a boot-image is made from."""

    kernel: Kernel
    modules: Sequence[str]
    busybox: bytes
    hypervisor: hypervisors.Hypervisor | None


def _fill(new: Path, parts: Parts, words: dict[str, Any], say: Say) -> None:
    kernel, names = parts.kernel, [KERNEL, INITRD]
    if parts.hypervisor:
        say(f"hypervisor Xen {parts.hypervisor.version}")
        names = [*parts.hypervisor.files, *names]
        for name, content in parts.hypervisor.files.items():
            _write(new / name, content)
    say(f"kernel {kernel.version}: reading what its modules say")
    choice = initramfs.Choice(kernel, parts.modules, words["type"])
    if parts.hypervisor:
        hypervisors.need_first_domain(kernel.version, choice.config)
    for note in choice.notes:
        say(f"note: {note}")
    say(f"packing {len(choice.chosen)} of {len(choice.all)} modules")
    with (new / INITRD).open("wb") as out:
        image = initramfs.write(out, kernel, choice, parts.busybox)
        out.flush()
        os.fsync(out.fileno())
    _write(new / KERNEL, image)
    files = {name: {"size": (new / name).stat().st_size, "sha256": _digest(new / name)} for name in names}
    for name, facts in files.items():
        say(f"{name}: {facts['size']} bytes")
    manifest = {**words, "version": kernel.version, "files": files, "modules": sorted(choice.chosen),
                "shares": choice.shares, "notes": choice.notes}
    _write(new / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def remove(images: Path, name: str, identity: str) -> None:
    """Remove a boot-image and what a killed run left of it; another one of that name stays, and that is an error."""
    place = _place(images, name)
    with _told(images):
        for left in (_beside(place, "new"), _beside(place, "old")):
            shutil.rmtree(left, ignore_errors=True)
        manifest = manifest_of(place)
        if manifest is not None and manifest.get("id") != identity:
            raise CannotBuild(f"{place} is another boot-image (its id is {manifest.get('id')!r}): it stays")
        if place.exists():
            old = _beside(place, "old")
            place.rename(old)
            _sync_folder(images)
            shutil.rmtree(old)


def look(images: Path, *, deep: bool) -> list[dict[str, Any]]:
    """Every boot-image: name, id, version, size, files, shares, trouble."""
    found = []
    for place in sorted(images.glob("[!.]*")) if images.is_dir() else []:
        manifest = manifest_of(place) or {"files": {}}
        size = sum(int(facts.get("size", 0)) for facts in manifest["files"].values() if isinstance(facts, dict))
        found.append({"name": place.name, "id": str(manifest.get("id", "")), "size": size,
                      "version": str(manifest.get("version", "")), "files": sorted(manifest["files"]),
                      "shares": manifest.get("shares") is True,
                      "trouble": trouble_of(place, deep=deep)})
    return found
