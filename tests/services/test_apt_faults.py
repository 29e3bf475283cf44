"""What goes wrong with apt and dpkg themselves while components are set up: the job's line says what it is and what to
do, nothing stays half done, and asking again goes on where it stopped."""
from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from qrm_tui.core.errors import Refused
from qrm_tui.core.model import JobRecord
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.records import Author
from qrm_tui.daemon.server import Qrmd
from qrm_tui.install.steps import REMOVE_SCRIPT
from tests.services.apt_room import Mirror, Room, RoomMachines, build, index

BIN = Path(sys.executable).parent
ADMIN = Author("admin", "/dev/pts/1")
ANSWERS = "[nfs]\n[lvm-mgmt]\n"
NAMES = ("nfs-kernel-server", "lvm2", "rsync", "e2fsprogs")
READY = dict.fromkeys((*NAMES, "room-lib"), "installed")
CUT = "if [ -e /run/cut ]; then rm /run/cut; kill -KILL $PPID; fi"
HANG = "if [ -p /run/gate ]; then echo >/run/gate; read -r _ </run/go; fi"

pytestmark = pytest.mark.xdist_group("apt")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """Packages by the names of real ones, and some of their own."""
    folder, work = tmp_path_factory.mktemp("mirror"), tmp_path_factory.mktemp("work")
    build(folder, work, "nfs-kernel-server", depends="room-lib",
          postinst="echo 'cannot open /srv/exports: no such file' >&2\n[ ! -e /run/broken ] || exit 3")
    build(folder, work, "lvm2", size=3 << 20)
    build(folder, work, "rsync", size=400_000)
    build(folder, work, "e2fsprogs")
    build(folder, work, "room-lib", preinst=f"{CUT}\n{HANG}")
    build(folder, work, "room-other", postinst="mkfifo /run/wait\necho >/run/there\nread -r _ </run/wait")
    index(folder)
    made = Mirror(folder)
    yield made
    made.close()


class Server:
    """qrmd on a room."""

    def __init__(self, state: Path, room: Room) -> None:
        self.state, self.room = state, room
        self.qrmd = self._make()

    def _make(self) -> Qrmd:
        return Qrmd(self.state, RoomMachines(self.state, self.room), look_every=3600.0, first_pause=0.1)

    async def start_again(self) -> None:
        self.qrmd = self._make()
        await self.qrmd.start()

    async def begin(self, answers: str = ANSWERS) -> int:
        plan = await self.qrmd.plan("install.run", {"answers": answers}, Role.administrator)
        return int((await self.qrmd.run(plan.id, ADMIN, Role.administrator))["job"]["id"])

    async def install(self, answers: str = ANSWERS) -> str:
        """How the job ends: its state, or its line."""
        ended = await self.qrmd.jobs.wait(await self.begin(answers))
        return ended.error or ended.state

    def job(self, number: int) -> JobRecord:
        record: JobRecord = self.qrmd.farm.get("job", str(number)).wanted
        return record

    async def until(self, so: Callable[[], bool]) -> None:
        changed = asyncio.Event()
        self.qrmd.farm.listen(lambda kind, name, item: changed.set())
        async with asyncio.timeout(60):
            while not so():
                changed.clear()
                await changed.wait()


@pytest_asyncio.fixture
async def server(tmp_path: Path, mirror: Mirror) -> AsyncIterator[Server]:
    mirror.faults.clear()
    mirror.asked.clear()
    room = Room(mirror)
    made = Server(tmp_path, room)
    await made.qrmd.start()
    yield made
    await made.qrmd.stop()
    room.close()


async def test_who_has_apts_lock_is_named_and_waited_for(server: Server) -> None:
    room, qrmd = server.room, server.qrmd
    room.sh("mkfifo /run/there; apt-get --yes update")
    other = room.start("apt-get --yes install room-other >/run/log & read -r _ </run/there; echo; wait")
    number = await server.begin()
    await server.until(lambda: bool(server.job(number).waits_for))
    said = server.job(number).waits_for
    assert said.startswith("waits and tries again: apt on qrmd: apt-get (process "), said
    assert said.endswith(") is at it: it holds /var/lib/dpkg/lock-frontend")
    qrmd.jobs.patience = 0.0
    ended = await qrmd.jobs.wait(number)
    assert ended.state == "undone"
    assert ended.error.endswith("that has not ended for 0 min: look at it there, and ask again")
    qrmd.jobs.patience = 60.0
    again = await server.begin()
    await server.until(lambda: bool(server.job(again).waits_for))
    room.sh("echo >/run/wait")
    assert (await qrmd.jobs.wait(again)).state == "done"
    other.communicate()
    assert room.packages() == {**READY, "room-other": "installed"}


async def test_what_no_source_has_is_told_when_planning_where_that_is_known(server: Server) -> None:
    said = await server.install("[sshlogin]\n")
    assert said.startswith("apt on qrmd: it is not known where openssh-client can be had: the package sources of this "
                           "machine have no openssh-client: look at /etc/apt/sources.list"), said
    with pytest.raises(Refused) as refused:
        await server.install("[sshlogin]\n")
    assert refused.value.reasons[0] == ("sshlogin: the package sources of this server have no openssh-client, which "
                                        "Debian GNU/Linux 12 (bookworm) comes with")
    assert "run apt-get update, and plan anew; nothing was changed" in refused.value.reasons[1]


async def test_a_mirror_that_nobody_answers_at_is_named(server: Server) -> None:
    server.room.sh("sed -i 's,http://[^ ]*,http://127.0.0.1:9,' /etc/apt/sources.list")
    said = await server.install()
    assert said.startswith(f"apt on qrmd: it is not known where {', '.join(NAMES)} can be had: "
                           "http://127.0.0.1:9/./InRelease cannot be fetched: Could not connect to 127.0.0.1:9"), said


async def test_a_mirror_that_leaves_half_way_is_named_and_the_rest_is_fetched_later(
        server: Server, mirror: Mirror) -> None:
    url = f"{mirror.url}/./rsync_1_all.deb cannot be fetched: "
    for fault, cause in (("403", "403  Forbidden"), ("lie", "Hash Sum mismatch"),
                         ("cut", "Error reading from server. Remote end closed connection")):
        mirror.faults["rsync"] = fault
        said = await server.install()
        assert said.startswith(f"apt on qrmd: {url}{cause}"), said
        assert said.endswith(": what came is kept, and when this is asked for again, the rest is fetched")
        assert server.room.packages() == {}
    mirror.faults.clear()
    mirror.asked.clear()
    assert await server.install() == "done"
    fetched = [asked for asked in mirror.asked if asked[0].endswith(".deb")]
    assert [name for name, _ in fetched] == ["rsync_1_all.deb"], "the others were there"
    assert fetched[0][1] > 0, "and half of this one"
    assert server.room.packages() == READY


async def test_no_room_for_packages_or_for_what_is_in_them(server: Server) -> None:
    room = server.room
    room.sh("mount -t tmpfs -o size=1m full /var/cache/apt/archives; mkdir /var/cache/apt/archives/partial")
    said = await server.install()
    assert said.startswith("apt on qrmd: /var/cache/apt/archives has not enough room for the packages (3"), said
    assert room.packages() == {}
    room.sh("umount /var/cache/apt/archives; mount -t tmpfs -o size=1m full /opt")
    said = await server.install()
    assert said.startswith("apt on qrmd: the disk is full: cannot copy extracted data for './opt/lvm2/data' to "
                           "'/opt/lvm2/data.dpkg-new': failed to write (No space left on device): make room"), said
    assert "lvm2" not in room.packages()
    room.sh("umount /opt; cp -a /var/lib/dpkg /srv; mount -t tmpfs -o size=128k full /var/lib/dpkg; "
            "cp -a /srv/dpkg/. /var/lib/dpkg; dd if=/dev/zero of=/var/lib/dpkg/full bs=4k 2>/dev/null || :")
    said = await server.install()
    assert said.startswith("apt on qrmd: the disk is full: unable to fill /var/lib/dpkg/updates/tmp.i with padding: "
                           "No space left on device"), said
    room.sh("umount /var/lib/dpkg")
    assert await server.install() == "done"
    assert room.packages() == READY


async def test_a_package_that_cannot_be_set_up_is_told_in_its_scripts_words(server: Server) -> None:
    server.room.sh("touch /run/broken")
    assert await server.install() == (
        "apt on qrmd: nfs-kernel-server cannot be set up: its post-installation script ended with status 3: "
        "cannot open /srv/exports: no such file")
    server.room.sh("rm /run/broken")
    assert await server.install() == "done"
    assert server.room.packages() == READY


async def test_what_a_killed_dpkg_left_is_finished_when_it_is_asked_for_again(server: Server) -> None:
    server.room.sh("touch /run/cut")
    assert await server.install() == ("apt on qrmd: dpkg was ended in the middle of its work: what it began is "
                                      "finished when this is asked for again")
    assert server.room.packages()["room-lib"] == "half-installed"
    assert await server.install() == "done"
    assert server.room.packages() == READY


async def test_what_a_killed_dpkg_left_can_be_removed_as_well(server: Server) -> None:
    server.room.sh("touch /run/cut")
    await server.install("[nfs]\n")
    assert server.room.packages()["room-lib"] == "half-installed"
    done = await server.room.run(("sh", "-c", REMOVE_SCRIPT, "qrm", "purge", "room-lib"))
    assert done.status == 0, done
    assert "room-lib" not in server.room.packages()


async def test_after_a_power_cut_in_the_middle_of_dpkg_the_job_goes_on_by_itself(server: Server) -> None:
    room = server.room
    room.sh("mkfifo /run/gate /run/go")
    number = await server.begin()
    await asyncio.to_thread(room.sh, "read -r _ </run/gate")
    await server.qrmd.stop()
    room.cut_power()
    room.sh("rm /run/gate")
    assert room.packages()["room-lib"] == "half-installed"
    await server.start_again()
    assert (await server.qrmd.jobs.wait(number)).state == "done"
    assert room.packages() == READY


async def test_no_room_for_files_of_ours_takes_everything_back(server: Server) -> None:
    room = server.room
    room.sh("mkdir /etc/nfs.conf.d; mount -t tmpfs -o size=4k full /etc/nfs.conf.d; "
            "dd if=/dev/zero of=/etc/nfs.conf.d/full bs=4k 2>/dev/null || :")
    said = await server.install()
    assert said.startswith("/etc/nfs.conf.d/qrm.conf on qrmd cannot be written: "), said
    assert said.endswith("No space left on device")
    assert room.sh("ls -A /etc/nfs.conf.d; ls /etc/qrm/answers.toml 2>/dev/null || :").split() == ["full"]
    room.sh("umount /etc/nfs.conf.d")
    assert await server.install() == "done"


def test_no_room_for_the_journal_holds_the_job_up_until_there_is_some(mirror: Mirror) -> None:
    """With qrmd and qrm as programs: where the database is mounted, only they see."""
    mirror.faults.clear()
    room = Room(mirror)
    room.sh("mount -t tmpfs -o size=3m full /srv; mkfifo /run/gate /run/go")
    room.path("/run/answers.toml").write_text(ANSWERS)
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(room.path("/run/notify")))
    ready.settimeout(60)
    qrmd = subprocess.Popen([*room.enter, str(BIN / "qrmd"), "--state", "/srv/state", "--socket", "/run/qrmd.sock"],
                            env={**os.environ, "NOTIFY_SOCKET": "/run/notify"}, stderr=subprocess.DEVNULL)
    assert ready.recv(100) == b"READY=1"
    qrm = subprocess.Popen([*room.enter, str(BIN / "qrm"), "--connect", "/run/qrmd.sock", "install", "run", "--answers",
                            "/run/answers.toml", "--yes"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    room.sh("read -r _ </run/gate; dd if=/dev/zero of=/srv/full bs=1k 2>/dev/null || :; echo >/run/go")
    assert qrm.stderr
    said = next(line for line in qrm.stderr if "waits and" in line)
    assert "] waits and tries again: the database cannot be used: " in said
    assert "if its disk is full, make room there" in said
    room.sh("rm /srv/full")
    qrm.communicate()
    assert qrm.returncode == 0
    assert room.packages() == READY
    qrmd.terminate()
    assert qrmd.wait(30) == 0
    ready.close()
    room.close()
