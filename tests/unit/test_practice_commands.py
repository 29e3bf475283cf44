"""Simulated commands say what the real ones said when they were captured (tests/fixtures)."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from qrm_tui.backends import lvm, mounts
from qrm_tui.practice.faults import inject
from qrm_tui.practice.lvm_changes import human
from qrm_tui.practice.machine import SimulatedMachine
from tests.unit.practice import DISK, MIB, good, make_image, make_machine, mkfs, mount, run

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
async def machine(tmp_path: Path) -> SimulatedMachine:
    """`golden` mounted with the snapshots customer1 (mounted) and customer2; `plain`; `vol/pool`."""
    machine = make_machine(tmp_path, pool=512 * MIB)
    await make_image(machine, "golden", size=100 * MIB)
    for name in ("customer1", "customer2"):
        await good(machine, f"lvcreate --yes --snapshot --size {32 * MIB}b vol/golden --name {name} --addtag qrm")
    await mount(machine, "customer1")
    await good(machine, f"lvcreate --yes --wipesignatures y --size {100 * MIB}b vol --name plain --addtag qrm")
    return machine


@pytest.mark.parametrize(("command", "fixture"), [
    (f"lvcreate --yes --wipesignatures y --size {100 * MIB}b vol --name plain", "lvcreate-exists"),
    (f"lvcreate --yes --snapshot --size {16 * MIB}b vol/nosuch --name s", "lvcreate-missing-origin"),
    (f"lvcreate --yes --wipesignatures y --size {100 * MIB}b nosuch --name x", "lvcreate-no-group"),
    (f"lvcreate --yes --snapshot --size {16 * MIB}b vol/customer2 --name ss", "lvcreate-snapshot-of-snapshot"),
    ("lvremove --yes -S 'lv_name=\"golden\"' vol", "lvremove-open"),
    ("lvremove --yes -S 'lv_name=\"nosuch\"' vol", "lvremove-select-no-match"),
    ("blkid -p -s UUID -o value /dev/vol/plain", "blkid-empty"),
    ("blkid -p -s UUID -o value /dev/vol/nosuch", "blkid-missing"),
    ("findmnt --noheadings --mountpoint /srv/none", "findmnt-none"),
    (" ".join(mkfs("ext4", "golden")), "mkfs-mounted"),
])
async def test_complaints(machine: SimulatedMachine, command: str, fixture: str) -> None:
    captured = json.loads((FIXTURES / f"{fixture}.json").read_text())
    done = await run(machine, command)
    assert (done.status, done.out, done.err) == (captured["exit"], captured["stdout"], captured["stderr"])


@pytest.mark.parametrize(("exports", "fixture"), [
    ("/srv/nosuch 10.77.0.9(rw,no_subtree_check)", "exportfs-missing-path"),
    ("/srv 10.77.0.9(rw,nosuchoption)", "exportfs-bad-option"),
    ("/srv 10.77.0.9(rw", "exportfs-bad-syntax"),
    ("/srv 10.77.0.9(rw,no_subtree_check,fsid=xyz)", "exportfs-bad-fsid"),
    ("/srv nosuchhost(rw,no_subtree_check)", "exportfs-unknown-host"),
])
async def test_complaints_about_exports(machine: SimulatedMachine, exports: str, fixture: str) -> None:
    captured = json.loads((FIXTURES / f"{fixture}.json").read_text())
    await machine.write_file("/etc/exports.d/bad.exports", exports + "\n", 0o644, ())
    await machine.write_file("/etc/exports.d/good.exports", "/vol/golden 10.77.0.5(rw,fsid=0)\n", 0o644, ())
    done = await run(machine, "exportfs -r")
    assert (done.status, done.err) == (captured["exit"], captured["stderr"])
    # whatever is wrong with one, the others are exported
    assert machine.host.offered()["/vol/golden"] == ("10.77.0.5",)


async def test_etab_reads_as_the_real_one(machine: SimulatedMachine) -> None:
    fsid = "11111111-1111-4111-8111-111111111111"
    await machine.write_file("/etc/exports.d/one.exports", f"/srv/one 127.0.0.1(rw,sync,no_root_squash,no_subtree_check"
                             f",mountpoint,fsid={fsid})\n", 0o644, ())
    await run(machine, "exportfs -r")
    assert (await good(machine, "cat /var/lib/nfs/etab")).strip() in (FIXTURES / "etab.txt").read_text().splitlines()
    # and yet nothing is mounted there, so nobody gets it
    assert "/srv/one" not in machine.host.offered()


async def test_no_room(machine: SimulatedMachine) -> None:
    inject(machine, "full-group", free=8 * MIB)
    done = await run(machine, f"lvcreate --yes --wipesignatures y --size {100 * MIB}b vol --name big")
    assert done.err == '  Volume group "vol" has insufficient free space (2 extents): 25 required.\n'
    done = await run(machine, f"lvextend --yes --size {200 * MIB}b vol/plain")
    assert done.err == "  Insufficient free space: 25 extents needed, but only 2 available\n"


async def test_an_origin_takes_its_snapshots_with_it(machine: SimulatedMachine) -> None:
    captured = json.loads((FIXTURES / "lvremove-origin-mounted-snapshot.json").read_text())
    await good(machine, "systemctl disable --no-reload --now -- vol-golden.mount")
    done = await run(machine, "lvremove --yes -S 'lv_name=\"golden\"' vol")
    words = captured["stderr"].replace("vol/org", "vol/golden").replace("vol/s1", "vol/customer1")
    assert (done.status, done.err) == (captured["exit"], words)
    await good(machine, "systemctl disable --no-reload --now -- vol-customer1.mount")
    inject(machine, "busy", volume="customer2")
    done = await run(machine, "lvremove --yes -S 'lv_name=\"customer2\"' vol")
    held = json.loads((FIXTURES / "lvremove-held.json").read_text())
    assert (done.status, done.err) == (held["exit"], held["stderr"].replace("vol/s1", "vol/customer2"))
    machine.host.group.volumes["customer2"].held = False
    out = await good(machine, "lvremove --yes -S 'lv_name=\"golden\"' vol")
    assert [line.split('"')[1] for line in out.splitlines()] == ["customer1", "customer2", "golden"]


async def test_volumes_are_shown_as_captured(machine: SimulatedMachine) -> None:
    inject(machine, "lost-snapshot", volume="customer2")
    found = lvm.parse_volumes((await machine.run(lvm.volumes_argv("vol"))).out)
    captured = lvm.parse_volumes((FIXTURES / "lvs-all-without-hidden.json").read_text().replace('"lv_path"', '"_"')
                                 .replace('"origin_uuid":', '"origin_size":"0", "_":'))
    for name in ("golden", "customer2", "plain"):
        assert found[name].attributes == captured[name].attributes, name
        assert (found[name].open, found[name].origin) == (captured[name].open, captured[name].origin)
    # mounted here, and not when it was captured
    assert found["customer1"].attributes == "swi-aos---"
    assert found["customer2"].lost and found["customer2"].data == 1.0


async def test_an_unknown_command_says_so(machine: SimulatedMachine) -> None:
    for command in ("vgremove vol", "lvcreate -L 5G -n x vol", "lvs --noheadings -o lv_name -S 'lv_role=\"x\"' vol",
                    "sh -c 'rm -rf /' qrm /", "systemctl restart nfs-server", "mount /dev/vol/plain /mnt"):
        done = await run(machine, command)
        assert done.status == 127 and "the practice farm does not know" in done.err, command


@pytest.mark.parametrize(("text", "complaint"), [
    ("nonsense", "vol-x.mount has a bad unit file setting"),
    ("", "is masked"),
    ("[Mount]\nWhere=/vol/x\n", "What= setting is missing"),
    ("[Mount]\nWhat=/dev/vol/x\nWhere=/vol/other\n", "doesn't match unit name"),
    ("[Mount]\nWhat=/dev/vol/x\nWhere=/vol/x\nFoo=bar\n", "Unknown key 'Foo'"),
])
async def test_units_are_verified(machine: SimulatedMachine, text: str, complaint: str) -> None:
    await machine.write_file("/etc/systemd/system/vol-x.mount", text, 0o644, ())
    done = await run(machine, "systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/vol-x.mount")
    assert done.status == 1 and complaint in done.err


async def test_our_own_unit_is_accepted(machine: SimulatedMachine) -> None:
    text = mounts.unit_text("plain", "/dev/vol/plain", "/vol/plain", "ext4")
    await machine.write_file(mounts.unit_path("/vol/plain"), text, 0o644, mounts.CHECKER)
    assert (await machine.read_file(mounts.unit_path("/vol/plain"))).content == text  # type: ignore[union-attr]


async def test_a_mount_that_fails_stays_enabled_and_explains_itself(machine: SimulatedMachine) -> None:
    text = mounts.unit_text("plain", "/dev/vol/plain", "/vol/plain", "ext4")
    await machine.write_file(mounts.unit_path("/vol/plain"), text, 0o644, ())
    step = mounts.mount("store", "/vol/plain")
    done = await machine.run(step.argv)
    assert done.status == 1 and done.err.endswith('Job failed. See "journalctl -xe" for details.\n')
    assert "Failed to mount vol-plain.mount - Filesystem-image plain." in (await machine.run(step.explain)).out
    journal = "journalctl --quiet --no-pager --output cat --lines 9 --unit vol-plain.mount"
    assert "bad superblock on /dev/mapper/vol-plain" in await good(machine, journal)
    link = machine.folder / "etc/systemd/system/multi-user.target.wants/vol-plain.mount"
    assert link.is_symlink()


async def test_an_xfs_clone_mounts_beside_its_twin_only_when_told_to(machine: SimulatedMachine) -> None:
    await make_image(machine, "archive", size=320 * MIB, kind="xfs")
    await good(machine, f"lvcreate --yes --snapshot --size {100 * MIB}b vol/archive --name copy")
    # the real one says ERROR and ends with 0
    assert "ERROR" in await good(machine, "xfs_admin -U 6f3f7f0e-9b1c-4b0e-8f3e-2f8f5a6d7c99 /dev/vol/copy")
    for options, status in (((), 1), (("nouuid",), 0)):
        text = mounts.unit_text("copy", "/dev/vol/copy", "/vol/copy", "xfs", options)
        await machine.write_file(mounts.unit_path("/vol/copy"), text, 0o644, ())
        await good(machine, "systemctl daemon-reload")
        assert (await machine.run(mounts.mount("store", "/vol/copy").argv)).status == status


async def test_a_snapshot_takes_no_more_room_than_it_can_use(machine: SimulatedMachine) -> None:
    out = await good(machine, f"lvextend --yes --size {512 * MIB}b vol/customer2")
    assert "Reached maximum COW size 104.00 MiB (26 extents)." in out
    assert machine.host.group.volumes["customer2"].size == 104 * MIB


@pytest.mark.parametrize(("size", "text"), [
    (36 * MIB, "36.00 MiB"), (int(1.3699 * (1 << 30)), "<1.37 GiB"), (DISK, "<8.00 GiB"), (512, "512.00 B"),
])
def test_sizes_as_lvm_writes_them(size: int, text: str) -> None:
    assert human(size) == text
