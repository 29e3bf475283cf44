"""The program that makes boot-images: what it makes, what it refuses, and that a half-made one is never offered."""
from __future__ import annotations

import errno
import gzip
import json
import lzma
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.bootimage import build
from qrm_tui.bootimage.errors import CannotBuild
from qrm_tui.bootimage.initramfs import static_busybox
from qrm_tui.bootimage.modules import closure, dependencies_text, read_module
from tests.unit.kernel_package import MODULES, VERSION, XEN_MODULES, module, package

PLACES = f"lib/modules/{VERSION}/"


@pytest.fixture
def busybox(tmp_path: Path) -> Path:
    """A program without a loader of libraries, as far as its head tells."""
    path = tmp_path / "busybox"
    path.write_bytes(b"\x7fELF\2\1\1" + bytes(57))
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


def create(images: Path, busybox: Path, file: Path, *modules: str, name: str = "debian12") -> list[str]:
    """What it says."""
    said: list[str] = []
    build.create(images, name, "id-1", package=str(file), version="", modules=modules, say=said.append, busybox=busybox)
    return said


def entries(archive: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """A newc archive as path → mode, content, device."""
    found, at = {}, 0
    while True:
        assert archive[at: at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i: at + 14 + 8 * i], 16) for i in range(13)]
        name = archive[at + 110: at + 110 + fields[11] - 1].decode()
        start = (at + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = fields[1], archive[start: start + fields[6]], (fields[9], fields[10])
        at = (start + fields[6] + 3) & ~3


def test_a_boot_image_from_a_package(tmp_path: Path, images: Path, busybox: Path) -> None:
    said = create(images, busybox, package(tmp_path, "linux-image-test", builtin="kernel/fs/autofs/autofs4.ko\n"))
    place = images / "debian12"
    assert (place / "vmlinuz").read_bytes() == b"the kernel\n"
    inside = entries(gzip.decompress((place / "initrd.img").read_bytes()))
    assert stat.S_ISCHR(inside["dev/console"][0]) and inside["dev/console"][2] == (5, 1)
    assert inside["init"][0] == stat.S_IFREG | 0o755 and inside["init"][1].startswith(b"#!/bin/busybox sh\n")
    assert inside["bin/busybox"][1] == busybox.read_bytes()
    modules = {path for path in inside if path.endswith(".ko")}
    assert modules == {PLACES + path for path in MODULES if "sound" not in path}, "what none needs is left out"
    folders = [path for path, (mode, _, _) in inside.items() if stat.S_ISDIR(mode)]
    for path in inside:
        above = path.rpartition("/")[0]
        assert not above or above in folders[: list(inside).index(path) + 1], "a folder comes before what is in it"
    assert ("kernel/fs/nfs/nfsv4.ko: kernel/fs/nfs/nfs.ko kernel/net/sunrpc/sunrpc.ko\n"
            in inside[f"{PLACES}modules.dep"][1].decode())
    assert "alias pci:v8086d1001* e1000\n" in inside[f"{PLACES}modules.alias"][1].decode()
    manifest = json.loads((place / "boot-image.json").read_text())
    assert (manifest["id"], manifest["version"]) == ("id-1", VERSION)
    assert build.trouble_of(place, "id-1") == ""
    assert any("has no module" in line and "ena" in line and "autofs4" not in line for line in said)
    assert sorted(path.name for path in images.iterdir()) == ["debian12"]


OVERLAY = "kernel/fs/overlayfs/overlay.ko"


@pytest.mark.parametrize(("kernel", "shares"), [
    ({"modules": {**MODULES, OVERLAY: module()}}, True), ({"builtin": f"{OVERLAY}\n"}, True), ({}, False),
])
def test_it_says_whether_machines_that_boot_it_can_share_a_root(tmp_path: Path, images: Path, busybox: Path,
                                                                kernel: dict[str, Any], shares: bool) -> None:
    create(images, busybox, package(tmp_path, "linux-image-test", **kernel))
    assert build.look(images, deep=False)[0]["shares"] is shares
    inside = entries(gzip.decompress((images / "debian12/initrd.img").read_bytes()))
    assert inside["qrm/private.table"][1].startswith(b"write|folder|/etc/hostname|{hostname}\\n|\n")
    # one of before there was such a thing
    respell(images / "debian12", lambda manifest: manifest.pop("shares"))
    assert build.look(images, deep=False)[0]["shares"] is False


CONFIG = f"boot/config-{VERSION}"
XEN = {"boot/xen-4.17-amd64.gz": b"xen\n", "boot/xen-4.17-amd64.efi": b"xen, efi\n", "boot/xen-4.17-amd64.config": b"x"}


def hypervisor(folder: Path, **more: object) -> Path:
    return package(folder, "xen-hypervisor-4.17-amd64", **{"modules": None, "files": XEN, **more})  # type: ignore[arg-type]


def first_domain(folder: Path, config: bytes = b"# x\nCONFIG_XEN_DOM0=y\n", modules: object = XEN_MODULES) -> Path:
    return package(folder, "linux-image-test", modules={**MODULES, **modules}, files={CONFIG: config})  # type: ignore[dict-item]


def create_xen(images: Path, busybox: Path, kernel: Path, under: Path | str) -> list[str]:
    said: list[str] = []
    build.create(images, "xen", "id-1", package=str(kernel), version="", modules=(), say=said.append,
                 hypervisor=str(under), busybox=busybox)
    return said


def test_one_with_a_hypervisor(tmp_path: Path, images: Path, busybox: Path) -> None:
    said = create_xen(images, busybox, first_domain(tmp_path), hypervisor(tmp_path))
    place = images / "xen"
    assert sorted(path.name for path in place.iterdir()) == ["boot-image.json", "initrd.img", "vmlinuz", "xen.efi",
                                                             "xen.gz"]
    assert (place / "xen.gz").read_bytes() == b"xen\n" and (place / "xen.efi").read_bytes() == b"xen, efi\n"
    manifest = json.loads((place / "boot-image.json").read_text())
    assert manifest["type"] == "xen" and list(manifest["files"]) == ["xen.gz", "xen.efi", "vmlinuz", "initrd.img"]
    assert manifest["hypervisor"]["version"] == "4.17" and "hypervisor Xen 4.17" in said
    inside = entries(gzip.decompress((place / "initrd.img").read_bytes()))
    assert inside["qrm/load/xen"][1] == b"xen_evtchn xenfs xen_privcmd xen_gntdev xen_netback\n"
    assert f"{PLACES}kernel/drivers/xen/xenfs.ko" in inside
    (row,) = build.look(images, deep=True)
    assert row["files"] == ["initrd.img", "vmlinuz", "xen.efi", "xen.gz"] and row["trouble"] == ""
    assert row["size"] == sum((place / name).stat().st_size for name in row["files"])


def test_a_plain_one_has_nothing_of_the_hypervisors(tmp_path: Path, images: Path, busybox: Path) -> None:
    create(images, busybox, first_domain(tmp_path))
    inside = entries(gzip.decompress((images / "debian12/initrd.img").read_bytes()))
    assert "qrm/load/xen" not in inside and not [path for path in inside if "xenfs" in path]
    assert json.loads((images / "debian12/boot-image.json").read_text())["type"] == "linux"


def test_a_hypervisor_without_efi_is_one_too(tmp_path: Path, images: Path, busybox: Path) -> None:
    create_xen(images, busybox, first_domain(tmp_path), hypervisor(tmp_path, files={"boot/xen-4.8-amd64.gz": b"old"}))
    assert build.look(images, deep=True)[0]["files"] == ["initrd.img", "vmlinuz", "xen.gz"]


def test_a_hypervisor_that_cannot_be_taken_is_one_line_and_leaves_nothing(
        tmp_path: Path, images: Path, busybox: Path) -> None:
    good = hypervisor(tmp_path)
    cut = tmp_path / "cut.deb"
    cut.write_bytes(good.read_bytes()[:200])
    kernel = first_domain(tmp_path)
    for under, words in (
        (cut, "is no Debian package, or cut short"), (kernel, "is no hypervisor's package"),
        (tmp_path / "nosuch.deb", "there is no file"), ("-x", "neither a package's name nor"),
    ):
        with pytest.raises(CannotBuild, match=r"(?s)^[^\n]*$") as caught:
            create_xen(images, busybox, kernel, under)
        assert words in str(caught.value)
    with pytest.raises(CannotBuild, match="cannot run on Xen as the first domain"):
        create_xen(images, busybox, first_domain(tmp_path, b"# CONFIG_XEN_DOM0 is not set\n"), good)
    with pytest.raises(CannotBuild, match="no module xen_evtchn, xenfs, xen_privcmd, xen_gntdev, xen_netback, and"):
        create_xen(images, busybox, first_domain(tmp_path, modules={}), good)
    assert list(images.iterdir()) == []


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda place: (place / "xen.gz").write_bytes(b"XEN\n"), "xen.gz was changed: its SHA-256 is another one"),
    (lambda place: (place / "xen.efi").unlink(), "xen.efi: No such file"),
    (lambda place: respell(place, lambda manifest: manifest["files"].pop("xen.gz")), "does not name xen.gz"),
    (lambda place: respell(place, lambda manifest: manifest["files"].update({"../../x": {"size": 1}})), "'../../x'"),
    (lambda place: respell(place, lambda manifest: manifest["files"].update({"x": 1})), "is not as this program"),
    (lambda place: respell(place, lambda manifest: manifest.update(type="bsd")), "of type 'bsd'"),
    (lambda place: respell(place, lambda manifest: manifest.update(type=[])), "which this program does not know"),
])
def test_all_that_the_manifest_names_is_looked_at(tmp_path: Path, images: Path, busybox: Path, spoil: object,
                                                  words: str) -> None:
    create_xen(images, busybox, first_domain(tmp_path), hypervisor(tmp_path))
    spoil(images / "xen")  # type: ignore[operator]
    assert words in build.trouble_of(images / "xen", "id-1")
    build.remove(images, "xen", "id-1")


def respell(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A manifest becomes another."""
    manifest = json.loads((place / "boot-image.json").read_text())
    change(manifest)
    (place / "boot-image.json").write_text(json.dumps(manifest))


def test_one_of_before_there_were_types_is_good(tmp_path: Path, images: Path, busybox: Path) -> None:
    create(images, busybox, package(tmp_path, "linux-image-test"))
    respell(images / "debian12", lambda manifest: manifest.pop("type"))
    assert build.trouble_of(images / "debian12", "id-1") == ""


def test_the_same_makes_the_same(tmp_path: Path, images: Path, busybox: Path) -> None:
    file = package(tmp_path, "linux-image-test")
    create(images, busybox, file)
    create(images, busybox, file, name="other")
    assert (images / "debian12/initrd.img").read_bytes() == (images / "other/initrd.img").read_bytes()


def test_compressed_modules_are_read_too(tmp_path: Path, images: Path, busybox: Path) -> None:
    packed = {f"{path}.xz": lzma.compress(content) for path, content in MODULES.items()}
    create(images, busybox, package(tmp_path, "linux-image-test", modules=packed))
    inside = entries(gzip.decompress((images / "debian12/initrd.img").read_bytes()))
    assert inside[f"{PLACES}kernel/fs/nfs/nfs.ko"][1] == MODULES["kernel/fs/nfs/nfs.ko"]


def without(path: str) -> dict[str, bytes]:
    return {other: content for other, content in MODULES.items() if other != path}


def test_what_cannot_be_made_is_one_line_and_leaves_nothing(tmp_path: Path, images: Path, busybox: Path) -> None:
    cut = tmp_path / "cut.deb"
    whole = package(tmp_path, "linux-image-test").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    text = tmp_path / "text.deb"
    text.write_text("no package\n")
    for file, words in (
        (package(tmp_path, "bash", modules=None), "bash_1_all.deb is no kernel package"),
        (package(tmp_path, "linux-image-no-nfs", modules=without("kernel/fs/nfs/nfs.ko")), "has no module nfs, and"),
        (package(tmp_path, "linux-image-bad", modules={**MODULES, "kernel/fs/nfs/nfs.ko": b"short"}), "cut short"),
        (cut, "is no Debian package, or cut short"), (text, "is no Debian package, or cut short"),
        (tmp_path / "nosuch.deb", "there is no file"), (Path("../x"), "neither a package's name nor"),
        (Path("linux-image;reboot"), "neither a package's name nor"),
    ):
        with pytest.raises(CannotBuild, match=r"(?s)^[^\n]*$") as caught:
            create(images, busybox, file)
        assert words in str(caught.value)
        assert list(images.iterdir()) == []


def test_a_module_that_was_asked_for_must_be_there(tmp_path: Path, images: Path, busybox: Path) -> None:
    file = package(tmp_path, "linux-image-test")
    with pytest.raises(CannotBuild, match="no module wishful"):
        create(images, busybox, file, "wishful")
    create(images, busybox, file, "beep")
    assert "beep" in json.loads((images / "debian12/boot-image.json").read_text())["modules"]


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "", "../../etc/x"])
def test_a_name_leads_nowhere_else(images: Path, busybox: Path, name: str) -> None:
    with pytest.raises(CannotBuild, match="is no boot-image's name"):
        create(images, busybox, Path("/x.deb"), name=name)
    with pytest.raises(CannotBuild, match="is no boot-image's name"):
        build.remove(images, name, "id-1")


def test_without_a_static_busybox_it_says_what_to_install(tmp_path: Path, images: Path) -> None:
    with pytest.raises(CannotBuild, match="apt-get install busybox-static"):
        create(images, tmp_path / "nosuch", package(tmp_path, "linux-image-test"))
    with pytest.raises(CannotBuild, match="needs shared libraries: apt-get install busybox-static"):
        static_busybox(Path("/bin/sh"))


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, images: Path, busybox: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotBuild, match="there is no room left in"):
        create(images, busybox, package(tmp_path, "linux-image-test"))
    assert list(images.iterdir()) == []


def test_what_a_killed_run_left_is_gone_with_the_next(tmp_path: Path, images: Path, busybox: Path) -> None:
    left = images / ".debian12.new" / "work"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    assert build.look(images, deep=True) == [], "it is not offered"
    create(images, busybox, package(tmp_path, "linux-image-test"))
    assert sorted(path.name for path in images.iterdir()) == ["debian12"]


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda place: (place / "vmlinuz").write_bytes(b"the k"), "vmlinuz has 5 bytes instead of 11"),
    (lambda place: (place / "vmlinuz").write_bytes(b"THE KERNEL\n"), "its SHA-256 is another one"),
    (lambda place: (place / "initrd.img").unlink(), "initrd.img: No such file"),
    (lambda place: (place / "boot-image.json").write_text("{"), "is missing, or cannot be read"),
    (lambda place: (place / "boot-image.json").write_text('{"files": []}'), "is missing, or cannot be read"),
    (lambda place: place.rename(place.with_name("x")), "is gone"),
])
def test_what_is_not_as_it_was_made_is_told(tmp_path: Path, images: Path, busybox: Path, spoil: object,
                                            words: str) -> None:
    create(images, busybox, package(tmp_path, "linux-image-test"))
    spoil(images / "debian12")  # type: ignore[operator]
    assert words in build.trouble_of(images / "debian12", "id-1")


def test_only_the_one_that_is_meant_is_removed(tmp_path: Path, images: Path, busybox: Path) -> None:
    create(images, busybox, package(tmp_path, "linux-image-test"))
    with pytest.raises(CannotBuild, match="is another boot-image"):
        build.remove(images, "debian12", "id-2")
    assert build.trouble_of(images / "debian12") == ""
    build.remove(images, "debian12", "id-1")
    build.remove(images, "debian12", "id-1")
    assert list(images.iterdir()) == []


def test_the_program_says_one_line_and_exits_1(images: Path) -> None:
    argv = [sys.executable, "-m", "qrm_tui.bootimage", "--images", str(images), "create", "--id", "1", "--kernel",
            "no-such-kernel", "--", "x"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "no-such-kernel" in done.stderr


def test_needs_go_round_without_end() -> None:
    modules = {m.name: m for m in (read_module("a.ko", module(depends="b")), read_module("b.ko", module(depends="a")))}
    assert set(closure(["a"], modules)) == {"a", "b"}
    assert dependencies_text(modules)
