"""qrmd is killed and upgraded in the middle of real jobs: each ends once, done or undone, and nothing is left over."""
from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer
from tests.services.command_line import FINISHED, until
from tests.services.farm import RealFarm
from tests.services.real_server import inventory, sweep

# each group has a worker, and with it a server, of its own
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("crashes")]

#: Of `image add`: the step that makes the file system, and the one that mounts it.
MAKE_FILESYSTEM, MOUNT = 2, 5
#: Holds the first rsync as soon as it runs, and tells all process ids that it has then.
HOLD_RSYNC = """
until pids=$(pidof rsync); do sleep 0.02; done
kill -STOP $pids
echo held
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
    """A farm with the server's volume group as storage server `store`."""
    farm = RealFarm(lab_namespace, storage_server, "crashes")
    farm.start()
    farm.qrm_json("storage", "add", "store", "--address", storage_server.address, "--env", "SERVER_VOL=vol")
    yield farm
    farm.stop()


def starts(server: StorageServer, job: str, step: int) -> int:
    """How often a long command was started under its name: systemd numbers each start of a unit."""
    lines = server.ssh("journalctl", "--quiet", "--no-pager", "-o", "json", "-u", f"qrm-{job}-{step}").stdout
    return len({json.loads(line).get("INVOCATION_ID") for line in lines.splitlines()})


@contextmanager
def rsync_held(farm: RealFarm, namespace: Namespace) -> Iterator[subprocess.Popen[str]]:
    """The next rsync on the server is stopped as soon as it runs; it goes on at the end."""
    watcher = namespace.popen(farm.server.ssh_argv("sh", "-ec", HOLD_RSYNC), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True)
    try:
        yield watcher
    finally:
        watcher.kill()
        watcher.communicate()
        farm.server.shell("kill -CONT $(pidof rsync)", check=False)


def test_killed_at_every_step_it_goes_forward(farm: RealFarm, storage_server: StorageServer) -> None:
    number = farm.begin("image", "add", "source", "--size", "128M")
    kills, last = 0, -1
    while (row := farm.job(number))["state"] not in FINISHED:
        if row["step"] > last and row["state"] == "running":
            farm.kill()
            farm.start()
            kills, last = kills + 1, row["step"]
    assert row["state"] == "done" and kills >= 3, (kills, farm.job_log(number))
    assert starts(storage_server, number, MAKE_FILESYSTEM) == 1
    assert farm.job_log(number).count("the server was restarted") == kills
    assert farm.images()["source"]["state"] == "ready"
    assert storage_server.ssh("lvs", "--noheadings", "-o", "lv_name", "-S", 'lv_name=~"^source"', "vol").stdout.split(
        ) == ["source"]


def test_a_copy_outlives_a_kill_and_an_upgrade(
    farm: RealFarm, storage_server: StorageServer, lab_namespace: Namespace
) -> None:
    farm.do("image", "add", "target", "--size", "128M")
    storage_server.shell("""
        cd /vol/source; mkdir -p etc var; for i in $(seq 200); do echo $i >var/$i; done
        dd if=/dev/urandom of=content bs=1M count=60 status=none; ln -s /etc/shadow etc/hostname; sync
        echo old >/vol/target/old
    """)
    with rsync_held(farm, lab_namespace) as watcher:
        number = farm.begin("image", "copy", "source", "target")
        assert watcher.stdout is not None and watcher.stdout.readline() == "held\n"
        running = storage_server.ssh("pidof", "rsync").stdout.split()
        assert farm.job(number)["state"] == "running"
        farm.kill()
        farm.start()
        assert farm.job(number)["state"] == "running"
        farm.stop()
        farm.start()
        assert (farm.job(number)["state"], farm.job(number)["step"]) == ("running", 0)
        assert set(running) <= set(storage_server.ssh("pidof", "rsync").stdout.split())
    assert farm.ended(number)["state"] == "done", farm.job_log(number)
    assert starts(storage_server, number, 0) == 1
    assert farm.job_log(number).count("the server was restarted") == 2
    storage_server.ssh("diff", "-r", "--no-dereference", "/vol/source", "/vol/target")
    assert storage_server.ssh("ls", "-A", "/run/qrm").stdout == ""


def test_killed_while_it_takes_back_it_takes_all_back(farm: RealFarm, storage_server: StorageServer) -> None:
    there = inventory(storage_server)
    number = farm.begin("image", "add", "unwanted", "--size", "32M")
    until("it mounts", lambda: farm.job(number)["step"] >= MOUNT)
    assert farm.qrm("job", "cancel", number).returncode == 0
    row = until("it takes back", lambda: (row := farm.job(number))["state"] in ("undoing", *FINISHED) and row)
    assert row["state"] == "undoing"
    farm.kill()
    farm.start()
    assert farm.ended(number)["state"] == "undone", farm.job_log(number)
    assert "it was cancelled" in farm.job(number)["error"]
    assert "unwanted" not in farm.images()
    assert inventory(storage_server) == there


def test_killed_while_it_removes_it_removes(farm: RealFarm, storage_server: StorageServer, before: set[str]) -> None:
    numbers = [farm.begin("image", "remove", name) for name in farm.images()]
    for _ in range(2):
        until("they run", lambda: any(farm.job(number)["step"] > 2 for number in numbers))
        farm.kill()
        farm.start()
    assert {farm.ended(number)["state"] for number in numbers} == {"done"}
    assert farm.images() == {}
    assert inventory(storage_server) == before
    verified = farm.qrm("journal", "verify")
    assert verified.returncode == 0, verified.stderr
    ended = [row["job"] for row in farm.qrm_json("journal", "list") if row.get("job")]
    assert len(ended) == len(set(ended)) == len(farm.qrm_json("job", "list"))
