"""What is private to a machine of a shared root: the program that runs in it before its init, run here by busybox."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qrm_tui.bootimage.private_parts import table_text

PROGRAM = Path(__file__).parent.parent.parent / "templates/initramfs/private"
KEY = "ssh-ed25519:AAAAC3NzaC1lZDI1NTE5"


class Root:
    """A root of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder / "root", folder / "run"
        self.run.mkdir()
        for path in ("etc/ssh", "var/lib/dbus", "var/log", "root"):
            (self.folder / path).mkdir(parents=True)
        busybox = folder / "busybox"
        # who tests is perhaps nobody who may give files away
        busybox.write_text('#!/bin/sh\n[ "$1" = chown ] || exec /bin/busybox "$@"\n')
        busybox.chmod(0o755)
        self.busybox = busybox

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)
        (self.folder / path).chmod(mode)

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def make_private(self, name: str = "r7", key: str = "") -> None:
        table = table_text().replace("{hostname}", name).replace("{id}", "525400770020")
        (self.run / "private.table").write_text(table)
        done = subprocess.run(["/bin/busybox", "sh", PROGRAM, name, key], check=False, capture_output=True, text=True,
                              env={"QRM_PRIVATE_RUN": str(self.run), "QRM_PRIVATE_ROOT": str(self.folder),
                                   "QRM_PRIVATE_BUSYBOX": str(self.busybox)})
        assert (done.returncode, done.stderr) == (0, "")
        assert [file.name for file in self.run.iterdir()] == ["private.table"]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_what_two_machines_must_not_have_alike(root: Root) -> None:
    root.write("etc/hostname", "golden\n")
    root.write("etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1 golden.lab golden\n127.0.1.10\tx\n")
    root.write("etc/machine-id", "4711\n", 0o444)
    root.write("var/lib/dbus/machine-id", "4711\n")
    root.write("etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=golden\n")
    root.write("etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.golden\n")
    root.write("var/log/dpkg.log", "x")
    root.write("var/log/apt/history.log", "x")
    root.write("var/lib/puppet/ssl/private_keys/golden.pem", "x")
    root.make_private()
    assert root.read("etc/hostname") == "r7\n"
    assert root.read("etc/hosts") == "127.0.0.1\tlocalhost\n127.0.1.1\tr7\n127.0.1.10\tx\n"
    assert root.read("etc/machine-id") == "" and (root.folder / "etc/machine-id").stat().st_mode & 0o777 == 0o444
    assert not (root.folder / "var/lib/dbus/machine-id").exists()
    assert root.read("etc/sysconfig/network") == "NETWORKING=yes\nHOSTNAME=r7\n"
    assert root.read("etc/iscsi/initiatorname.iscsi") == "InitiatorName=iqn.1993-08.org.debian:01:525400770020\n"
    assert (root.folder / "etc/iscsi/initiatorname.iscsi").stat().st_mode & 0o777 == 0o600
    assert not (root.folder / "var/log/dpkg.log").exists() and root.read("var/log/apt/history.log") == "x"
    assert list((root.folder / "var/lib/puppet/ssl").iterdir()) == []


def test_ssh_host_keys_are_those_of_the_root(root: Root) -> None:
    """New ones at each boot would be nobody's that is known."""
    root.write("etc/ssh/ssh_host_ed25519_key", "secret", 0o600)
    root.make_private()
    assert root.read("etc/ssh/ssh_host_ed25519_key") == "secret"


def test_no_boot_is_taken_for_a_first_one(root: Root) -> None:
    root.make_private()
    assert root.read("etc/machine-id") == "" and not (root.folder / "etc/iscsi").exists()


def test_a_link_is_replaced_and_not_followed(root: Root) -> None:
    root.write("etc/shadow", "root:x")
    (root.folder / "etc/hostname").symlink_to("shadow")
    root.make_private()
    assert root.read("etc/hostname") == "r7\n" and root.read("etc/shadow") == "root:x"


def test_its_own_files_come_last_and_nobody_finds_those_of_others(root: Root) -> None:
    root.write("etc/app.conf", "of all\n")
    root.folder.joinpath("etc").chmod(0o755)
    root.write(".qrm/nodes/r7/etc/app.conf", "of r7\n", 0o640)
    root.write(".qrm/nodes/r7/etc/machine-id", "0123\n")
    root.write(".qrm/nodes/r7/srv/new/with blank", "r7\n")
    root.write(".qrm/nodes/r8/etc/app.conf", "of r8\n")
    (root.folder / ".qrm/nodes/r7/etc").chmod(0o700)
    root.make_private()
    assert root.read("etc/app.conf") == "of r7\n" and root.read("srv/new/with blank") == "r7\n"
    assert (root.folder / "etc/app.conf").stat().st_mode & 0o777 == 0o640
    assert root.read("etc/machine-id") == "0123\n", "one who wants it to last keeps it"
    assert (root.folder / "etc").stat().st_mode & 0o777 == 0o755, "folders of the root stay as they are"
    assert not (root.folder / ".qrm").exists()


def test_a_machine_without_files_of_its_own_sees_none_of_others(root: Root) -> None:
    root.write(".qrm/nodes/r8/etc/secret", "of r8\n")
    root.make_private()
    assert not (root.folder / ".qrm").exists() and not (root.folder / "etc/secret").exists()


def test_who_may_log_in(root: Root) -> None:
    root.write("root/.ssh/authorized_keys", "somebody\n")
    root.make_private(key=KEY)
    assert root.read("root/.ssh/authorized_keys2") == KEY.replace(":", " ") + "\n"
    assert (root.folder / "root/.ssh/authorized_keys2").stat().st_mode & 0o777 == 0o600
    assert root.read("root/.ssh/authorized_keys") == "somebody\n"
    (root.folder / "root/.ssh/authorized_keys2").unlink()
    root.make_private()
    assert not (root.folder / "root/.ssh/authorized_keys2").exists()
