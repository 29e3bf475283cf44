"""What qrmd knows moves to another folder: whole, once, and from whatever a power cut has left."""
from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.core import data_place
from qrm_tui.core.data_place import NOTE, Place
from qrm_tui.core.errors import Refused
from qrm_tui.core.model import Item
from qrm_tui.daemon import moving
from qrm_tui.daemon.main import settle
from qrm_tui.db.store import Entry, Store, Write
from tests.unit.allocation import image

SAID = b"Linux version 6.1.0\r\n" * 1000


class Killed(BaseException):
    """As by a power cut: nothing is cleaned up."""


class Server:
    """Folders of a qrmd: the usual one, and others beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.usual = folder, folder / "usual"
        self.note, self.told = self.usual / NOTE, list[str]()

    def place(self, name: str) -> Place:
        return Place(data=str(self.folder / name))

    async def fill(self) -> None:
        """A farm with an image, a key, a job's log, what consoles said, and a socket."""
        self.usual.mkdir(mode=0o700)
        for name, content in (("ssh/id_ed25519", b"a key"), ("jobs/1.log", b"done\n"), ("consoles/web/1.log", SAID)):
            path = self.usual / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (self.usual / "ssh/id_ed25519").chmod(0o600)
        os.mkfifo(self.usual / "hosts")
        store = Store(moving.url_of(Place(data=str(self.usual))), lambda: 1000.0)
        await store.open()
        item = Item(kind="image", name="web", wanted=image("web"), state="ready", since=5.0, created=5.0, revision=3)
        entry = Entry(who="admin", terminal="", operation="image.add", object="image/web", outcome="done")
        await store.write(Write(put=[item], entry=entry))
        store.close()

    def settle(self, name: str) -> tuple[Place, str]:
        return moving.settle(self.place(name), self.note, self.told.append)

    async def holds(self, name: str) -> None:
        """All of it lies there, and nothing anywhere else."""
        home = self.folder / name
        assert (home / "consoles/web/1.log").read_bytes() == SAID
        assert stat.S_IMODE((home / "ssh/id_ed25519").stat().st_mode) == 0o600
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        store = Store(moving.url_of(Place(data=str(home))), lambda: 1000.0)
        await store.open()
        assert [item.name for item in await store.objects()] == ["web"]
        store.close()
        assert {path.name for path in home.iterdir()} - {NOTE, "hosts"} == {"ssh", "jobs", "consoles", "qrm.db"}
        for other in set(self.folder.iterdir()) - {home}:
            assert {path.name for path in other.iterdir()} <= {NOTE}, other


@pytest.fixture
async def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    await made.fill()
    return made


async def test_it_moves_and_moves_back(server: Server) -> None:
    for name in ("disk", "other", "usual"):
        assert server.settle(name) == (server.place(name), "")
        await server.holds(name)
        assert moving.where(server.note).data == server.place(name).data
    assert any("moving consoles/web/1.log" in line for line in server.told)


def test_where_it_is_wanted_nothing_moves(server: Server) -> None:
    assert server.settle("usual") == (server.place("usual"), "")
    assert server.told == []
    assert not server.note.exists()


async def test_killed_at_any_step_it_goes_on_with_the_next_start(server: Server, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    saved = tmp_path.parent / f"{tmp_path.name}-saved"
    (server.usual / "hosts").unlink()
    shutil.copytree(tmp_path, saved)
    left = 0

    def dies(function: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return function(*args, **more)

        return call

    for owner, name in ((os, "mkdir"), (os, "open"), (os, "fsync"), (os, "rename"), (os, "unlink"), (os, "rmdir"),
                        (os, "chmod"), (shutil, "copy2"), (shutil, "rmtree"), (moving, "_copy_file")):
        monkeypatch.setattr(owner, name, dies(getattr(owner, name)))
    ends = 0
    while True:
        left = ends
        try:
            server.settle("disk")
        except Killed:
            left = 1 << 30
            assert server.settle("disk") == (server.place("disk"), "")
            await server.holds("disk")
        else:
            break
        ends += 1
        shutil.rmtree(tmp_path)
        shutil.copytree(saved, tmp_path)
    assert ends > 20, "there are that many steps at least"


async def test_a_folder_that_is_not_empty_is_left_alone_and_qrmd_goes_on_where_it_is(server: Server) -> None:
    theirs = server.folder / "disk" / "photos.tar"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    place, why = server.settle("disk")
    assert place == server.place("usual")
    assert "disk is not empty: photos.tar lies in it; name another folder" in why
    assert "systemctl restart qrmd tries again" in why
    theirs.unlink()
    assert server.settle("disk") == (server.place("disk"), "")
    await server.holds("disk")


async def test_a_disk_that_is_full_leaves_nothing_half_done(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(moving, "_copy_file", full)
        place, why = server.settle("disk")
    assert (place, "No space left on device" in why) == (server.place("usual"), True)
    assert list((server.folder / "disk").iterdir()) == []
    await server.holds("usual")


def test_what_is_tried_says_why_not_and_changes_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.folder / "theirs").write_text("theirs")
    before = sorted(server.folder.rglob("*"))
    moving.try_place(server.place("disk"), server.note)
    for name, reason in (("usual/more", "lie one in the other"), ("theirs/x", "theirs is no folder")):
        with pytest.raises(Refused, match=reason):
            moving.try_place(server.place(name), server.note)
    with pytest.raises(Refused, match="a tmpfs is gone with the next boot"):
        moving.try_place(Place(data="/dev/shm/qrm"), server.note)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(Refused, match=r"has 1B free: 64\.\d+M are needed"):
        moving.try_place(server.place("disk"), server.note)
    assert sorted(server.folder.rglob("*")) == before


async def test_the_installers_own_server_goes_on_where_it_is_and_the_service_moves(
        server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_place, "_NEVER", {})  # where tests lie is gone with the next boot
    file = server.folder.with_name(f"{server.folder.name}.toml")
    assert settle(file, server.usual, False) == (server.place("usual"), ""), "no file: as it is"
    file.write_text(f'data = "{server.folder / "disk"}"\n')
    monkeypatch.setattr(data_place, "_LONGEST", 500)
    assert settle(file, server.usual, True) == (server.place("usual"), "")
    assert settle(file, server.usual, False) == (server.place("disk"), "")
    await server.holds("disk")
    assert settle(file, server.usual, True) == (server.place("disk"), ""), "it reads where it went"


@pytest.mark.parametrize(("text", "reason"), [
    ("data = /disk\n", "Invalid value"), ('data = "/srv"\n', "data: /srv is everybody's"),
    ('database = "oracle"\n', "'oracle' is no kind of database"),
])
def test_a_file_that_is_wrong_is_told_and_qrmd_goes_on_where_it_is(server: Server, text: str, reason: str) -> None:
    file = server.folder.with_name(f"{server.folder.name}.toml")
    file.write_text(text)
    place, why = settle(file, server.usual, False)
    assert place == server.place("usual")
    assert why.startswith(f"{file}: ") and reason in why


def test_qrmd_says_once_why_it_cannot_be_there(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "photos.tar").write_text("theirs")
    argv = [sys.executable, "-m", "qrm_tui.daemon.main", "--state", str(tmp_path / "usual"), "--try-place",
            str(tmp_path / "disk"), "sqlite", ""]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == f"qrmd: {tmp_path / 'disk'} is not empty: photos.tar lies in it; name another folder\n"
    assert not (tmp_path / "usual").exists()
