"""What goes wrong around a real qrmd and a real storage server; thin volumes. Each fault ends in a clear line."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer
from tests.services.command_line import until
from tests.services.farm import RealFarm
from tests.services.real_server import inventory, sweep

# each group has a worker, and with it a server, of its own
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("faults")]

#: What a hostile customer's links point to; all of it is the server's own.
SERVERS_OWN = """
cd /etc
sha256sum shadow machine-id ssh/ssh_host_* hosts
stat -c '%n %i %a %Y' shadow machine-id ssh/* hosts
"""
HOSTILE = """
cd /vol/seed
mkdir -p etc var/lib
ln -s /etc/shadow etc/hostname
ln -s ../../../../../../../../etc/machine-id etc/machine-id
ln -s /etc/ssh etc/ssh
ln -s /etc/hosts etc/hosts
ln -s /var/log var/log
sync
"""


@pytest.fixture(scope="module")
def before(storage_server: StorageServer) -> Iterator[set[str]]:
    """What the server holds before qrm comes."""
    there = inventory(storage_server)
    yield there
    if inventory(storage_server) != there:  # only after a failure
        sweep(storage_server)


@pytest.fixture(scope="module")
def farm(lab_namespace: Namespace, storage_server: StorageServer, before: set[str]) -> Iterator[RealFarm]:
    """A farm with the server's thin pool as storage server `thin`."""
    farm = RealFarm(lab_namespace, storage_server, "faults")
    farm.start()
    farm.qrm_json("storage", "add", "thin", "--address", storage_server.address, "--env", "SERVER_VOL=vol", "--env",
                  "THIN_POOL=pool")
    yield farm
    farm.stop()


@pytest.fixture(scope="module")
def seed(farm: RealFarm) -> RealFarm:
    """The farm with the images `seed` (xfs, full of links that lead out of it) and `room` (ext4)."""
    farm.together(("image", "add", "seed", "--size", "300M", "--fs", "xfs"), ("image", "add", "room", "--size", "32M"))
    farm.server.shell(HOSTILE)
    return farm


@pytest.fixture(scope="module")
def clone(seed: RealFarm) -> RealFarm:
    """The farm with `copy1`, a clone of `seed` that 10.77.0.50 may mount."""
    own = seed.server.shell(SERVERS_OWN).stdout
    seed.do("image", "clone", "seed", "copy1")
    assert seed.server.shell(SERVERS_OWN).stdout == own
    seed.do("image", "allow", "copy1", "10.77.0.50")
    return seed


def exports(server: StorageServer) -> str:
    return str(server.ssh("exportfs", "-s").stdout)


def mounted(server: StorageServer, name: str) -> bool:
    return bool(server.ssh("findmnt", "--mountpoint", f"/vol/{name}", check=False).returncode == 0)


def test_a_hostile_image_reaches_nothing_of_the_server(clone: RealFarm, storage_server: StorageServer) -> None:
    """That the server's own files stay as they were is held in the fixture, around the clone."""
    assert storage_server.ssh("cat", "/vol/copy1/etc/hostname").stdout == "copy1\n"
    kinds = storage_server.shell("stat -c %F /vol/copy1/etc/hostname /vol/copy1/etc/ssh /vol/seed/etc/hostname").stdout
    assert kinds.splitlines() == ["regular file", "symbolic link", "symbolic link"]
    assert storage_server.ssh("lvs", "--noheadings", "-o", "origin,pool_lv", "vol/copy1").stdout.split() == [
        "seed", "pool"]


def test_more_than_the_pool_may_promise_is_refused(clone: RealFarm) -> None:
    said = clone.refused("image", "add", "big", "--size", "4G")
    assert "thin pool pool" in said and "OVERCOMMIT" in said


def test_a_lost_line_makes_jobs_wait(clone: RealFarm, storage_server: StorageServer) -> None:
    def waits(number: str) -> bool:
        return "10.77.0.2" in clone.job(number)["waits_for"]

    goes_on = clone.begin("image", "clone", "seed", "copy2")
    goes_back = clone.begin("image", "add", "undone", "--size", "16M")
    for number in (goes_on, goes_back):
        until(f"job {number} has made its volume", lambda number=number: clone.job(number)["step"] >= 2)  # type: ignore[misc]
    storage_server.pause()
    try:
        said = clone.refused("image", "add", "later", "--size", "16M")
        assert "10.77.0.2" in said and "\n" not in said.strip()
        for number in (goes_on, goes_back):
            until(f"job {number} says for whom it waits", lambda number=number: waits(number))  # type: ignore[misc]
        assert clone.job(goes_on)["state"] == "running"
        assert "10.77.0.2" in clone.qrm("job", "why", goes_on).stdout
        (server,) = until("the storage server is shown as lost", lambda: clone.qrm_json(
            "storage", "list", "--filter", "state=error"))
        assert server["name"] == "thin" and {row["state"] for row in clone.images().values()} <= {"unknown", "creating"}
        assert clone.qrm("job", "cancel", goes_back).returncode == 0
        until("the cancelled job takes back", lambda: clone.job(goes_back)["state"] == "undoing")
        until("and says for whom it waits", lambda: waits(goes_back))
    finally:
        storage_server.resume()
    assert clone.ended(goes_on)["state"] == "done"
    assert clone.ended(goes_back)["state"] == "undone"
    assert not [line for line in inventory(storage_server) if "undone" in line]
    until("all is seen again", lambda: clone.images()["copy2"]["state"] == "ready")
    assert sorted(clone.images()) == ["copy1", "copy2", "room", "seed"]


def test_a_busy_mount_is_left_as_it_was(seed: RealFarm, storage_server: StorageServer) -> None:
    held = storage_server.shell("cd /vol/room; setsid sleep 900 >/dev/null 2>&1 </dev/null & echo $!").stdout.strip()
    there = inventory(storage_server)
    try:
        job, said = seed.fails("image", "remove", "room")
    finally:
        storage_server.ssh("kill", held)
    assert job["state"] == "undone" and "target is busy" in job["error"] and "target is busy" in said
    assert inventory(storage_server) == there
    assert seed.images()["room"]["state"] == "ready"


def test_a_volume_that_others_opened_is_left_as_it_was(seed: RealFarm, storage_server: StorageServer) -> None:
    storage_server.shell("mkdir -p /mnt/held; mount /dev/vol/room /mnt/held")
    there = inventory(storage_server)
    try:
        job, said = seed.fails("image", "remove", "room")
        assert "vol/room is open" in said
        assert job["state"] == "undone"
        assert inventory(storage_server) == there
    finally:
        storage_server.shell("umount /mnt/held; rmdir /mnt/held")
        if not mounted(storage_server, "room"):  # as the fault has it: the rest of the tests want the image
            seed.do("image", "remove", "room")
            seed.do("image", "add", "room", "--size", "32M")


def test_anothers_broken_export_stops_nobody(clone: RealFarm, storage_server: StorageServer) -> None:
    storage_server.write("/etc/exports.d/aa-broken.exports", "/srv 10.77.0.99(rw,no_such_option)\n")
    try:
        done = clone.qrm("image", "allow", "copy1", "10.77.0.51", "--json")
        assert done.returncode == 0, done.stderr
        assert "/vol/copy1  10.77.0.51(" in exports(storage_server)
        assert "no_such_option" in clone.job_log(str(clone.qrm_json("job", "list", "--sort", "-id")[0]["id"]))
        clone.do("image", "revoke", "copy1", "10.77.0.51")
        assert "10.77.0.51" not in exports(storage_server)
    finally:
        storage_server.shell("rm /etc/exports.d/aa-broken.exports; exportfs -r")


def test_what_a_client_had_open_does_not_hold_the_volume(clone: RealFarm, storage_server: StorageServer) -> None:
    clone.do("image", "allow", "room", storage_server.address)
    storage_server.shell("mkdir -p /mnt/room; timeout 30 mount -t nfs -o vers=4.2,soft,timeo=50,retrans=1 "
                         f"{storage_server.address}:/vol/room /mnt/room")
    held = storage_server.shell("setsid sleep 900 >/mnt/room/open 2>&1 </dev/null & echo $!").stdout.strip()
    clone.do("image", "revoke", "room", storage_server.address)
    try:
        clone.do("image", "remove", "room")
    finally:
        storage_server.shell(f"kill {held}; timeout 30 umount -f -l /mnt/room; rmdir /mnt/room")
        storage_server.shell("for client in /proc/fs/nfsd/clients/*/ctl; do echo expire >$client || :; done")


def crash(farm: RealFarm, *, spoil: str, settle: bool) -> None:
    """The server loses its power after `spoil`, and comes back."""
    farm.server.shell(f"sync; {spoil}; sync")
    farm.server.power_cut()
    farm.server.boot(settle=settle)


def test_a_restart_brings_back_all_but_what_is_broken(clone: RealFarm, storage_server: StorageServer) -> None:
    clone.do("image", "add", "broken", "--size", "16M")
    line = exports(storage_server)
    crash(clone, spoil="umount /vol/broken; dd if=/dev/zero of=/dev/vol/broken bs=1M count=4 status=none", settle=True)
    assert exports(storage_server) == line
    assert [mounted(storage_server, name) for name in ("seed", "copy1", "broken")] == [True, True, False]
    wanted = {"seed": "frozen", "copy1": "in use", "broken": "error"}
    until("all is seen as it is now", lambda: wanted.items() <= {
        name: row["state"] for name, row in clone.images().items()}.items())
    assert "is not mounted" in clone.qrm("image", "why", "broken").stdout
    clone.do("image", "remove", "broken")


def test_a_removed_image_leaves_no_failed_unit(clone: RealFarm, storage_server: StorageServer) -> None:
    """Of the image that the test before this one found broken and removed."""
    failed = storage_server.ssh("systemctl", "list-units", "--failed", "--plain", "--no-legend", "vol-*").stdout
    storage_server.ssh("systemctl", "reset-failed")
    assert failed == ""


def test_a_volume_that_is_gone_holds_up_no_export(clone: RealFarm, storage_server: StorageServer) -> None:
    clone.do("image", "add", "gone", "--size", "16M")
    crash(clone, spoil="umount /vol/gone; lvremove --quiet --yes vol/gone", settle=False)
    try:
        until("the NFS server serves", lambda: storage_server.ssh(
            "systemctl", "is-active", "nfs-server", check=False).stdout.strip() == "active", 30)
    finally:
        storage_server.ssh("systemctl", "stop", "vol-gone.mount", check=False)
        storage_server.settle()
        until("the lost image is seen", lambda: clone.images()["gone"]["state"] == "error")
        clone.do("image", "remove", "gone")


def test_nothing_is_left(clone: RealFarm, storage_server: StorageServer, before: set[str]) -> None:
    clone.do("image", "revoke", "copy1", "10.77.0.50")
    names = [name for name in clone.images() if name != "seed"]
    clone.together(*(("image", "remove", name) for name in names))
    clone.do("image", "remove", "seed")
    assert clone.images() == {}
    assert inventory(storage_server) == before
    assert clone.qrm("journal", "verify").returncode == 0
