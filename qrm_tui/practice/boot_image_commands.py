"""The program that makes boot-images, simulated: the same folders, manifest and words, with kernels of a few bytes."""
from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from qrm_tui.backends.boot import IMAGES
from qrm_tui.bootimage import build, hypervisors
from qrm_tui.bootimage.errors import CannotBuild
from qrm_tui.core.partitionings import XEN, XEN_EFI
from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

#: Packages that there are → the version of the kernel in them; and the kernel that is installed.
_PACKAGES = {"linux-image-amd64": "6.1.0-42-amd64", "linux-image-cloud-amd64": "6.1.0-42-cloud-amd64",
             "linux-image-6.1.0-42-amd64": "6.1.0-42-amd64"}
_INSTALLED = "6.1.0-42-amd64"
#: Packages with a hypervisor → its version.
_HYPERVISORS = {"xen": "4.17", "xen-system-amd64": "4.17", "xen-hypervisor-4.17-amd64": "4.17"}
#: Seconds that the real one takes for its parts.
_FETCHES, _READS, _PACKS = 3.0, 4.0, 6.0


def bootimage(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """python -m qrm_tui.bootimage."""
    images = host.root.here(IMAGES)
    match tuple(argv[3:]) if tuple(argv[1:3]) == ("-m", "qrm_tui.bootimage") else ():
        case ("create", "--id", identity, ("--package" | "--kernel") as option, source, *more, "--", name):
            return _create(images, name, identity, option, source, more)
        case ("check", "--id", identity, "--", name):
            trouble = build.trouble_of(images / name, identity)
            return bad(1, f"boot-image: {_shown(images, trouble)}\n") if trouble else good()
        case ("remove", "--id", identity, "--", name):
            return _remove(images, name, identity)
        case ("look", *how):
            rows = build.look(images, deep=bool(how))
            return good("".join(_shown(images, json.dumps(row)) + "\n" for row in rows))
    raise NotPractised("these arguments")


def _shown(images: Path, text: str) -> str:
    return text.replace(str(images), IMAGES)


def _version(option: str, source: str) -> str:
    if option == "--kernel":
        if source != _INSTALLED:
            raise CannotBuild(f"no kernel {source} is installed here: there is no /boot/vmlinuz-{source}; there are "
                              f"{_INSTALLED}")
        return source
    if source.startswith("/"):
        raise CannotBuild(f"there is no file {source}")
    if source not in _PACKAGES:
        raise CannotBuild(f"package {source} cannot be fetched: Unable to locate package {source} (is its name right? "
                          "apt-get update brings the lists up to date)")
    return _PACKAGES[source]


def _under(option: str, source: str, hypervisor: str) -> str:
    """The version of the hypervisor; none: empty."""
    if not hypervisor:
        return ""
    if hypervisor.startswith("/"):
        raise CannotBuild(f"there is no file {hypervisor}")
    if hypervisor not in _HYPERVISORS:
        raise CannotBuild(f"package {hypervisor} cannot be fetched: Unable to locate package {hypervisor} (is its name "
                          "right? apt-get update brings the lists up to date)")
    version = _version(option, source)
    hypervisors.need_first_domain(version, b"" if "cloud" not in version else b"# CONFIG_XEN_DOM0 is not set\n")
    return _HYPERVISORS[hypervisor]


def _create(images: Path, name: str, identity: str, option: str, source: str, more: Sequence[str]) -> Effects:
    hypervisor, modules = (more[1], more[2:]) if more[:1] == ["--hypervisor"] else ("", more)
    new = images / f".{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    yield Point(f"{new.name}: made", _FETCHES, f"fetching {source}" if option == "--package" else "")
    try:
        version = _version(option, source)
        under = _under(option, source, hypervisor)
    except CannotBuild as error:
        shutil.rmtree(new)
        return bad(1, f"boot-image: {error}\n")
    yield Point("", _READS, f"kernel {version}: reading what its modules say")
    files = {}
    kind = "xen" if under else "linux"
    for file in (*((XEN, XEN_EFI) if under else ()), build.KERNEL, build.INITRD):
        content = f"{file} of {f'Xen {under}' if file.startswith('xen') else f'kernel {version}'}\n".encode()
        (new / file).write_bytes(content)
        files[file] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        yield Point(f"{new.name}/{file}: written", _PACKS)
    manifest = {"id": identity, "name": name, "type": kind, "source": source, "version": version, "files": files,
                **({"hypervisor": {"source": hypervisor, "version": under}} if under else {}),
                "modules": [word for word in modules if word != "--module"], "shares": True, "notes": []}
    (new / build.MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    new.rename(images / name)
    yield Point(f"{name}: in its place", 0, f"boot-image {name} is ready")
    return good()


def _remove(images: Path, name: str, identity: str) -> Effects:
    for left in (images / f".{name}.new", images / f".{name}.old"):
        if left.exists():
            shutil.rmtree(left)
            yield Point(f"{left.name}: gone")
    place = images / name
    manifest = build.manifest_of(place)
    if manifest is not None and manifest.get("id") != identity:
        return bad(1, f"boot-image: {IMAGES}/{name} is another boot-image (its id is {manifest.get('id')!r}): it "
                      "stays\n")
    if place.exists():
        old = images / f".{name}.old"
        place.rename(old)
        yield Point(f"{name}: out of its place")
        shutil.rmtree(old)
        yield Point(f"{old.name}: gone")
    return good()
