"""Edits inside a foreign tree: nothing its owner lays out leads outside."""
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from qrm_tui.backends import sealing
from qrm_tui.runners import tree


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "shadow").write_text("root:secret\n")
    (folder / "keys").mkdir()
    (folder / "keys" / "ssh_host_rsa_key").write_text("the server's own")
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    (root / "etc" / "ssh").mkdir(parents=True)
    (root / "etc" / "hostname").write_text("golden\n")
    (root / "etc" / "machine-id").write_text("4711\n")
    (root / "etc" / "ssh" / "ssh_host_rsa_key").write_text("shared")
    (root / "etc" / "ssh" / "sshd_config").write_text("Port 22\n")
    return root


def _seal(root: Path, hostname: str = "customer1") -> list[str]:
    return tree.edit(str(root), list(sealing.seal("s1", str(root), hostname, "id-1").edits))


def test_sealing_a_debian_like_image(image: Path) -> None:
    (image / "etc" / "hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\tgolden\n10.0.0.1 db\n")
    changed = _seal(image)
    assert (image / "etc" / "hostname").read_text() == "customer1\n"
    assert (image / "etc" / "machine-id").read_text() == ""
    assert sorted(os.listdir(image / "etc" / "ssh")) == ["sshd_config"]
    assert (image / "etc" / "hosts").read_text() == "127.0.0.1\tlocalhost\n127.0.1.1\tcustomer1\n10.0.0.1 db\n"
    assert "/etc/hostname" in changed
    assert _seal(image) == []  # said again, it changes nothing


def test_sealing_a_rhel_like_image(image: Path) -> None:
    network = image / "etc" / "sysconfig" / "network"
    network.parent.mkdir()
    network.write_text("NETWORKING=yes\nHOSTNAME=localhost.localdomain\n")
    network.chmod(0o640)
    _seal(image)
    assert network.read_text() == "NETWORKING=yes\nHOSTNAME=customer1\n"
    assert stat.S_IMODE(network.stat().st_mode) == 0o640


@pytest.mark.parametrize("target", ["absolute", "relative"])
def test_a_hostname_that_links_to_the_servers_shadow(image: Path, outside: Path, target: str) -> None:
    hostname = image / "etc" / "hostname"
    hostname.unlink()
    hostname.symlink_to(outside / "shadow" if target == "absolute" else "../../outside/shadow")
    _seal(image)
    assert (outside / "shadow").read_text() == "root:secret\n"
    assert not hostname.is_symlink() and hostname.read_text() == "customer1\n"


def test_a_folder_that_links_out(image: Path, outside: Path) -> None:
    ssh = image / "etc" / "ssh"
    for entry in ssh.iterdir():
        entry.unlink()
    ssh.rmdir()
    ssh.symlink_to(outside / "keys")
    _seal(image)
    assert (outside / "keys" / "ssh_host_rsa_key").read_text() == "the server's own"


def test_etc_itself_links_out(image: Path, outside: Path) -> None:
    etc = image / "etc"
    etc.rename(image / "gone")
    etc.symlink_to("../../outside")
    _seal(image)
    assert sorted(os.listdir(outside)) == ["keys", "shadow"]


def test_files_that_are_none(image: Path) -> None:
    (image / "etc" / "hostname").unlink()
    os.mkfifo(image / "etc" / "hostname")  # opening it would wait for ever
    (image / "etc" / "machine-id").unlink()
    (image / "etc" / "machine-id").symlink_to("/dev/zero")
    _seal(image)
    assert (image / "etc" / "hostname").read_text() == "customer1\n"
    assert (image / "etc" / "machine-id").read_text() == ""


def test_an_empty_image_needs_no_sealing(tmp_path: Path) -> None:
    root = tmp_path / "empty"
    (root / "lost+found").mkdir(parents=True)
    assert _seal(root) == []
    assert os.listdir(root) == ["lost+found"]


def test_clearing_a_folder_does_not_follow_links_in_it(image: Path, outside: Path) -> None:
    ssl = image / "var" / "lib" / "puppet" / "ssl"
    (ssl / "certs").mkdir(parents=True)
    (ssl / "certs" / "customer.pem").write_text("x")
    (ssl / "way-out").symlink_to(outside / "keys")
    _seal(image)
    assert os.listdir(ssl) == []
    assert os.listdir(outside / "keys") == ["ssh_host_rsa_key"]


def test_a_folder_is_made_once_and_only_inside(image: Path, outside: Path) -> None:
    (image / "out").symlink_to(outside)
    wish = [{"do": "folder", "path": path, "mode": 0o700} for path in ("/made", "/out/made")]
    assert tree.edit(str(image), wish) == ["/made"]
    assert (image / "made").stat().st_mode & 0o777 == 0o700
    assert tree.edit(str(image), wish) == [] and not (outside / "made").exists()
