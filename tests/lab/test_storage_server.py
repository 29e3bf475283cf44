"""The lab's storage server is a real one: volumes, mount units, exports and snapshots, also after a power cut."""

import time
from collections.abc import Iterator

import pytest

from tests.lab.image import image
from tests.lab.namespace import NETWORK, Namespace
from tests.lab.storage_server import StorageServer

# each group has a worker, and with it a server, of its own
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("crashes")]

EXPORT_ID = "6f3f7f0e-9b1c-4b0e-8f3e-2f8f5a6d7c11"

MOUNT_UNIT = """\
[Unit]
Description=Filesystem image golden

[Mount]
What=/dev/vol/golden
Where=/srv/golden
Type=ext4
Options=nosuid,nodev,noexec,nofail

[Install]
WantedBy=multi-user.target
"""

GONE = """
rm /etc/exports.d/golden.exports
exportfs -ra
systemctl disable --quiet --now srv-golden.mount
rm /etc/systemd/system/srv-golden.mount
systemctl daemon-reload
rmdir /srv/golden
lvremove --quiet --yes vol/golden
"""


@pytest.fixture(scope="module")
def golden(storage_server: StorageServer) -> Iterator[StorageServer]:
    """The server with a volume `golden`, mounted at /srv/golden by a unit and exported; others find it without."""
    storage_server.ssh("lvcreate", "-y", "-L", "64m", "-n", "golden", "vol")
    storage_server.ssh("mkfs.ext4", "-q", "/dev/vol/golden")
    storage_server.write("/etc/systemd/system/srv-golden.mount", MOUNT_UNIT)
    storage_server.write(
        "/etc/exports.d/golden.exports",
        f"/srv/golden {NETWORK}(rw,no_root_squash,no_subtree_check,sync,fsid={EXPORT_ID},mountpoint)\n",
    )
    storage_server.ssh("systemctl", "daemon-reload")
    storage_server.ssh("systemctl", "enable", "--quiet", "--now", "srv-golden.mount")
    storage_server.ssh("exportfs", "-ra")
    yield storage_server
    storage_server.shell(GONE)


def test_words_arrive_as_they_are(storage_server: StorageServer) -> None:
    words = ["two words", "$HOME", "it's", 'a "quote"', "", "*"]
    assert storage_server.ssh("printf", "%s\\n", *words).stdout.split("\n")[:-1] == words
    assert storage_server.ssh("cat", input="from here").stdout == "from here"
    assert storage_server.ssh("sh", "-c", "exit 7", check=False).returncode == 7


def test_a_volume_is_mounted_exported_and_snapshotted(golden: StorageServer) -> None:
    golden.write("/srv/golden/etc/hostname", "golden\n")
    golden.ssh("lvcreate", "-y", "-s", "-L", "16m", "-n", "clone", "vol/golden")
    origin = golden.ssh("lvs", "--noheadings", "-o", "origin", "vol/clone").stdout.strip()
    assert origin == "golden"
    assert "/srv/golden" in golden.ssh("exportfs", "-s").stdout
    listed = golden.ssh("systemctl", "show", "-P", "ActiveState", "srv-golden.mount").stdout
    assert listed.strip() == "active"


def test_a_power_cut_loses_no_configuration(golden: StorageServer) -> None:
    golden.write("/srv/golden/written", "before the cut\n")
    golden.ssh("sync")
    before = golden.ssh("cat", "/proc/sys/kernel/random/boot_id").stdout
    started = time.monotonic()
    golden.power_cut()
    golden.boot()
    print(f"power cut to login: {time.monotonic() - started:.1f} s")
    assert golden.ssh("cat", "/proc/sys/kernel/random/boot_id").stdout != before
    assert golden.ssh("cat", "/srv/golden/written").stdout == "before the cut\n"
    assert golden.ssh("findmnt", "-n", "-o", "SOURCE", "/srv/golden").stdout.strip() == "/dev/mapper/vol-golden"
    assert f"fsid={EXPORT_ID}" in golden.ssh("exportfs", "-s").stdout


def test_a_second_server_runs_beside_it(storage_server: StorageServer, lab_namespace: Namespace) -> None:
    second = StorageServer(lab_namespace, image(), number=1, data_gb=1, volume_group="other")
    second.start()
    try:
        names = [server.ssh("cat", "/proc/sys/kernel/hostname").stdout.strip() for server in (storage_server, second)]
        assert names == ["store1", "store2"]
        groups = [
            server.ssh("vgs", "--noheadings", "-o", "vg_name").stdout.strip() for server in (storage_server, second)
        ]
        assert groups == ["vol", "other"]
    finally:
        second.stop()
    assert storage_server.ssh("true").returncode == 0


def test_an_unplugged_server_runs_on(storage_server: StorageServer, lab_namespace: Namespace) -> None:
    before = storage_server.ssh("cat", "/proc/sys/kernel/random/boot_id").stdout
    login = storage_server.ssh_argv("true", share=False)
    storage_server.pause()
    assert lab_namespace.run(login, capture_output=True).returncode == 255
    storage_server.resume()
    assert lab_namespace.run(login, capture_output=True).returncode == 0
    assert storage_server.ssh("cat", "/proc/sys/kernel/random/boot_id").stdout == before
