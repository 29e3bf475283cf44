"""Partitions' disks on real LVM2: what is made, that nothing of others is in it, and what goes."""

from __future__ import annotations

import subprocess

import pytest

from qrm_tui.backends import lvm, partition_disk
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.partitions import HostSeen, HostWanted, PartitionWanted
from qrm_tui.core.plan import Check, Run, Wait
from tests.lab.storage_server import StorageServer

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("crashes")]

GROUP, SIZE = "vol", 32 << 20
WANTED = PartitionWanted(id="6695eb01-f6a4-8304-79aa-97f2502e193a", host="r1", technology="xen-pv", memory=1 << 28,
                         mac="00:16:3e:00:00:01", target="qrm00000001", disk=SIZE, disk_group=GROUP)
DEVICE = partition_disk.device(WANTED, "r1-1")


def ask(server: StorageServer, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return server.ssh(*argv, check=False)


def holds(server: StorageServer, check: Check) -> bool:
    done = ask(server, check.argv)
    assert done.returncode == 0, done.stderr
    return bool(done.stdout.strip()) == (check.expect == "some")


def groups(server: StorageServer) -> HostSeen:
    found, tags = (ask(server, argv).stdout for argv in partition_disk.QUESTIONS)
    return HostSeen(groups=partition_disk.host_groups(found, tags))


def test_a_disk_is_tagged_empty_and_goes_when_nothing_has_it_open(storage_server: StorageServer) -> None:
    server = storage_server
    before = groups(server)
    (group,) = (group for group in before.groups if group.name == GROUP)
    assert group.free >= 2 * SIZE and group.extent == 4 << 20
    # another customer's, gone since
    server.ssh("lvcreate", "-y", "-L", f"{group.free}b", "-n", "theirs", GROUP)
    server.shell(f"yes geheim | dd of=/dev/{GROUP}/theirs bs=1M iflag=fullblock count=64 status=none; "
                 f"lvremove -qy {GROUP}/theirs")
    make, zero = partition_disk.make_steps("r1-1", WANTED)
    assert isinstance(make, Run) and isinstance(zero, Run) and make.done and make.undo and make.undo.done
    assert not holds(server, make.done)
    assert ask(server, make.argv).returncode == 0 and holds(server, make.done)
    # lvcreate clears the first 4 KiB alone
    said = server.shell(f"dd if={DEVICE} bs=1M skip=1 count=1 status=none | head -c 100").stdout
    assert "geheim" in said, "these are the extents that were theirs"
    assert ask(server, zero.argv).returncode == 0
    server.ssh("cmp", "-n", str(SIZE), DEVICE, "/dev/zero")
    assert server.ssh("lvs", "--noheadings", "-o", "lv_tags", DEVICE).stdout.strip() == (
        f"qrm,qrm.partition.{WANTED.id}")
    assert ask(server, make.undo.argv).returncode == 0 and holds(server, make.undo.done)

    assert ask(server, make.argv).returncode == 0
    farm = Farm()
    farm.put(Item(kind="host", name="r1", wanted=HostWanted(partitioning="xen", ve="hosts", address="10.77.0.2"),
                  seen=before))
    wait, remove = partition_disk.remove_steps(farm, "r1-1", WANTED)
    assert isinstance(wait, Wait) and isinstance(remove, Run) and remove.done
    server.shell(f"sleep 600 <{DEVICE} >/dev/null 2>&1 & echo $! >/run/holds")
    assert not holds(server, wait.check)
    assert ask(server, remove.argv).returncode != 0 and not holds(server, remove.done)
    server.shell("kill $(cat /run/holds)")
    assert holds(server, wait.check)
    assert all(holds(server, guard) for guard in remove.guards)
    assert ask(server, remove.argv).returncode == 0 and holds(server, remove.done)
    assert ask(server, remove.argv).returncode == 0, "again, it is the same"
    assert groups(server) == before


def test_a_group_with_filesystem_images_is_none_for_disks(storage_server: StorageServer) -> None:
    server = storage_server
    server.ssh("lvcreate", "-y", "-L", "4M", "-n", "image", "--addtag", lvm.TAG, "--addtag", lvm.image_tag("4711"),
               GROUP)
    try:
        (group,) = (group for group in groups(server).groups if group.name == GROUP)
        assert group.unfit == "filesystem-images of this farm are in it"
    finally:
        server.ssh("lvremove", "-qy", f"{GROUP}/image")
