"""A simulated machine: files, named commands, time, power, faults, and effects that are half done."""
from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.backends import filesystems, mounts, nfs, probing, sealing
from qrm_tui.core.errors import BadInput, StepFailed, Unreachable
from qrm_tui.practice import faults
from qrm_tui.practice.host import Seed
from qrm_tui.practice.machine import SimulatedMachine
from tests.unit.practice import MIB, UNIT, VERIFY, Clock, good, make_image, make_machine, mkfs, mount, run

RSYNC = ("rsync", "-aAXHS", "--numeric-ids", "--one-file-system", "--delete", "--info=progress2",
         "--no-inc-recursive", "--", "/vol/one/", "/vol/two/")


class Killed(BaseException):
    """The server ends."""


def end_at(point: str) -> Callable[[str], None]:
    """Ends the caller where something was just done."""
    def half(what: str) -> None:
        if point in what:
            raise Killed(what)
    return half


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    return make_machine(tmp_path, pool=512 * MIB)


def nothing(stream: str, text: str) -> None:
    """Lines that a test does not look at."""


# files

async def test_files_are_written_with_their_mode_and_read_back(machine: SimulatedMachine) -> None:
    await machine.write_file("/etc/exports.d/a.exports", "text\n", 0o600, ())
    file = await machine.read_file("/etc/exports.d/a.exports")
    assert file is not None and (file.content, file.mode) == ("text\n", 0o600)
    assert not (machine.folder / "etc/exports.d/.qrm-new-a.exports").exists()
    await machine.remove_file("/etc/exports.d/a.exports")
    await machine.remove_file("/etc/exports.d/a.exports")
    assert await machine.read_file("/etc/exports.d/a.exports") is None


async def test_a_file_that_its_checker_refuses_is_not_put_in_place(machine: SimulatedMachine) -> None:
    with pytest.raises(StepFailed, match=r"does not take the new /etc/systemd/system/vol-x\.mount"):
        await machine.write_file("/etc/systemd/system/vol-x.mount", "nonsense", 0o644, VERIFY)
    assert await machine.read_file("/etc/systemd/system/vol-x.mount") is None
    assert not (machine.folder / "etc/systemd/system/.qrm-new-vol-x.mount").exists()


async def test_links_never_lead_out_of_the_folder(machine: SimulatedMachine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (machine.folder / "etc/link").symlink_to(outside)
    (machine.folder / "etc/up").symlink_to("../../../../../..")
    assert await machine.read_file("/etc/link") is None
    await machine.write_file(f"/etc/up{outside}", "not mine", 0o644, ())
    assert outside.read_text() == "mine"


# commands with a name of their own

async def test_a_named_command_outlives_who_started_it(machine: SimulatedMachine) -> None:
    await good(machine, f"lvcreate --yes --wipesignatures y --size {64 * MIB}b vol --name one")
    machine.half = end_at("what was there is wiped")
    with pytest.raises(Killed):
        await machine.run_named("qrm-1-2", mkfs("ext4", "one"), nothing)
    assert machine.named["qrm-1-2"].state == "running"
    assert (await run(machine, "blkid -p -s UUID -o value /dev/vol/one")).status == 2
    machine.half = None
    done = await machine.run_named("qrm-1-2", mkfs("ext4", "one"), nothing)
    assert done.status == 0 and machine.named["qrm-1-2"].state == "ended"
    assert machine.host.group.volumes["one"].filesystem is not None
    # it is found ended, and not run twice
    begun = len(machine.history)
    assert (await machine.run_named("qrm-1-2", mkfs("ext4", "one"), nothing)).status == 0
    assert len(machine.history) == begun
    await machine.end_named("qrm-1-2")
    assert not machine.named


async def test_a_named_command_goes_on_while_nobody_looks(tmp_path: Path) -> None:
    clock = Clock()
    machine = make_machine(tmp_path, clock=clock, pace=1.0)
    await good(machine, f"lvcreate --yes --wipesignatures y --size {64 * MIB}b vol --name one")
    server = asyncio.create_task(machine.run_named("qrm-1-2", mkfs("ext4", "one"), nothing))
    await asyncio.sleep(0.01)
    assert machine.named["qrm-1-2"].state == "running"
    server.cancel()
    clock.now += 60
    assert (await run(machine, "blkid -p -s UUID -o value /dev/vol/one")).status == 0
    assert machine.named["qrm-1-2"].state == "ended"


async def test_a_named_command_that_is_stopped_leaves_half(machine: SimulatedMachine) -> None:
    await good(machine, f"lvcreate --yes --wipesignatures y --size {64 * MIB}b vol --name one")
    machine.half = end_at("what was there is wiped")
    with pytest.raises(Killed):
        await machine.run_named("u", mkfs("ext4", "one"), nothing)
    machine.half = None
    await machine.end_named("u")
    assert machine.host.group.volumes["one"].filesystem is None


async def test_a_restart_ends_named_commands(tmp_path: Path) -> None:
    machine = make_machine(tmp_path, pace=1.0)
    await good(machine, f"lvcreate --yes --wipesignatures y --size {64 * MIB}b vol --name one")
    server = asyncio.create_task(machine.run_named("u", mkfs("ext4", "one"), nothing))
    await asyncio.sleep(0.01)
    machine.reboot()
    with pytest.raises(StepFailed, match="was ended from outside, or the machine was restarted"):
        await server


# images

async def test_a_copy_replaces_all_files_and_tells_its_progress(machine: SimulatedMachine) -> None:
    machine.host.seeds = {"one": Seed("debian", 40 * MIB)}
    await make_image(machine, "one")
    await make_image(machine, "two")
    (machine.folder / "vol/two/old").write_text("goes")
    lines: list[str] = []
    done = await machine.run_named("u", RSYNC, lambda stream, text: lines.append(text))
    assert done.status == 0
    one, two = machine.folder / "vol/one", machine.folder / "vol/two"
    assert {path.relative_to(one) for path in one.rglob("*")} == {path.relative_to(two) for path in two.rglob("*")}
    assert (two / "etc/machine-id").stat().st_mode == (one / "etc/machine-id").stat().st_mode
    assert (two / "bin").is_symlink()
    shares = [int(line.split("%")[0].split()[-1]) for line in lines]
    assert shares == sorted(shares) and shares[-1] == 99
    machine.host.group.volumes["two"].filesystem.size = 30 * MIB  # type: ignore[union-attr]
    done = await machine.run_named("v", RSYNC, nothing)
    assert done.status == 11 and "No space left on device" in done.out


async def test_a_copy_that_is_ended_has_half_of_the_files(machine: SimulatedMachine) -> None:
    machine.host.seeds = {"one": Seed("debian", 40 * MIB)}
    await make_image(machine, "one")
    await make_image(machine, "two")
    machine.half = end_at("half of the files")
    with pytest.raises(Killed):
        await machine.run_named("u", RSYNC, nothing)
    count = [sum(1 for _ in (machine.folder / "vol" / name).rglob("*")) for name in ("one", "two")]
    assert 0 < count[1] < count[0]


async def test_a_clone_shows_its_origin_and_is_its_own(machine: SimulatedMachine) -> None:
    machine.host.seeds = {"golden": Seed("debian", 40 * MIB)}
    await make_image(machine, "golden")
    await good(machine, f"lvcreate --yes --snapshot --size {16 * MIB}b vol/golden --name customer --addtag qrm")
    await good(machine, "tune2fs -U 6f3f7f0e-9b1c-4b0e-8f3e-2f8f5a6d7c12 /dev/vol/customer")
    await mount(machine, "customer")
    step = sealing.seal("store", "/vol/customer", "shop", "11111111-2222-3333-4444-555555555555")
    changed = await machine.edit_tree(step.root, step.edits)
    assert "/etc/hostname" in changed and "/etc/machine-id" in changed
    assert (machine.folder / "vol/customer/etc/hostname").read_text() == "shop\n"
    assert (machine.folder / "vol/golden/etc/hostname").read_text() == "golden\n"
    assert not list((machine.folder / "vol/customer/etc/ssh").glob("ssh_host_*"))
    assert await machine.edit_tree(step.root, step.edits) == []
    assert await filesystem_id(machine, "golden") != await filesystem_id(machine, "customer")
    assert machine.host.group.volumes["customer"].written > 0


async def filesystem_id(machine: SimulatedMachine, name: str) -> str:
    return (await machine.run(filesystems.has_id(f"/dev/vol/{name}", "").argv)).out.strip()


async def test_a_missing_tree_is_told_as_the_machine_would(machine: SimulatedMachine) -> None:
    with pytest.raises(StepFailed, match="/vol/none on store cannot be edited: /vol/none: No such file or directory"):
        await machine.edit_tree("/vol/none", [])


# time, power

async def test_a_snapshot_runs_full_and_is_lost(tmp_path: Path) -> None:
    clock = Clock()
    machine = make_machine(tmp_path, clock=clock, seeds={"customer": Seed(fill=0.5, rate=MIB)})
    await make_image(machine, "golden")
    await good(machine, f"lvcreate --yes --snapshot --size {32 * MIB}b vol/golden --name customer")
    await mount(machine, "customer")
    clock.now += 8
    await run(machine, "exportfs -r")
    customer = machine.host.group.volumes["customer"]
    assert 0.7 < customer.written / customer.size < 0.8
    clock.now += 3600
    assert "swi-I-s---" in await good(machine, "lvs --noheadings -o lv_attr -S 'lv_name=\"customer\"' vol")
    # dmeventd unmounts what is lost
    assert (await run(machine, "findmnt --noheadings --mountpoint /vol/customer")).status == 1
    assert (await run(machine, "blkid -p -s UUID -o value /dev/vol/customer")).status == 2


async def test_a_thin_pool_counts_what_its_volumes_use(machine: SimulatedMachine) -> None:
    machine.host.seeds = {"t1": Seed("debian", 100 * MIB)}
    await good(machine, f"lvcreate --yes --thin --virtualsize {256 * MIB}b vol/pool --name t1")
    await machine.run(mkfs("ext4", "t1"))
    used = machine.host.group.pool_used("pool")
    assert used >= 100 * MIB
    await good(machine, "lvcreate --yes --snapshot --setactivationskip n vol/t1 --name t2")
    assert machine.host.group.pool_used("pool") == used
    await good(machine, "tune2fs -U 6f3f7f0e-9b1c-4b0e-8f3e-2f8f5a6d7c12 /dev/vol/t2")
    assert machine.host.group.pool_used("pool") > used
    faults.inject(machine, "full-pool")
    assert (await run(machine, f"lvcreate --yes --thin --virtualsize {64 * MIB}b vol/pool --name t3")).status == 5
    await good(machine, "lvremove --yes -S 'lv_name=\"t1\"' vol")
    assert machine.host.group.volumes["t2"].origin == ""


async def test_a_restart_mounts_what_is_enabled_and_exports_again(machine: SimulatedMachine) -> None:
    await make_image(machine, "one")
    await make_image(machine, "two")
    (machine.folder / "vol/one/kept").write_text("here")
    text = nfs.export_text("one", "/vol/one", "6f3f7f0e-9b1c-4b0e-8f3e-2f8f5a6d7c11", ["10.0.0.7"])
    await machine.write_file(nfs.export_path("one"), text, 0o644, ())
    link = machine.folder / "etc/systemd/system/multi-user.target.wants/vol-two.mount"
    link.unlink()
    machine.power_off()
    assert list((machine.folder / "vol/one").iterdir()) == []
    with pytest.raises(Unreachable):
        await run(machine, "exportfs -r")
    machine.power_on()
    assert (machine.folder / "vol/one/kept").read_text() == "here"
    assert mounts.parse_mounts((await machine.run(mounts.LIST_ARGV)).out).keys() >= {"/", "/vol/one"}
    assert "/vol/two" not in machine.host.mounts
    assert machine.host.offered() == {"/vol/one": ("10.0.0.7",)}


async def test_the_state_of_paths(machine: SimulatedMachine) -> None:
    paths = ["/srv/none", "/srv", "/etc", "/srv/dangling"]
    (machine.folder / "srv2").mkdir()
    assert probing.parse_paths((await machine.run(probing.paths_argv(paths))).out, paths) == {
        "/srv/none": "absent", "/srv": "empty", "/etc": "used", "/srv/dangling": "absent"}
    (machine.folder / "srv/dangling").symlink_to("/nowhere")
    assert (await machine.run(probing.paths_argv(["/srv/dangling"]))).out == "used\n"


async def test_all_versions_are_known(machine: SimulatedMachine) -> None:
    versions = {what: probing.parse_version((await machine.run(argv)).out) for what, argv in probing.VERSIONS.items()}
    assert all(versions.values()) and not probing.missing(versions)


async def test_a_unit_that_failed_is_forgotten(machine: SimulatedMachine) -> None:
    unit = "vol-one.mount"
    assert (await run(machine, f"systemctl reset-failed -- {unit}")).status == 1
    await good(machine, f"lvcreate --yes --wipesignatures y --size {8 * MIB}b vol --name one")
    await machine.write_file(f"/etc/systemd/system/{unit}", UNIT.format(name="one", kind="ext4"), 0o644, VERIFY)
    assert (await run(machine, f"systemctl enable --now -- {unit}")).status == 1
    assert machine.host.failed == {unit}
    await good(machine, f"systemctl reset-failed -- {unit}")
    assert not machine.host.failed


async def test_nfs_sessions_are_dropped(machine: SimulatedMachine) -> None:
    machine.host.sessions = {"10.0.0.7", "10.0.0.8"}
    done = await machine.run(nfs.drop_sessions("store", ["10.0.0.7"]).argv)
    assert done.status == 0 and machine.host.sessions == {"10.0.0.8"}


# faults

async def test_faults(machine: SimulatedMachine) -> None:
    faults.inject(machine, "unreachable")
    calls: list[Callable[[], Any]] = [
        lambda: run(machine, "exportfs -r"), lambda: machine.run_named("u", ("true",), nothing),
        lambda: machine.end_named("u"), lambda: machine.read_file("/etc/x"), lambda: machine.remove_file("/etc/x"),
        lambda: machine.write_file("/etc/x", "", 0o644, ()), lambda: machine.edit_tree("/", [])]
    for call in calls:
        with pytest.raises(Unreachable, match=r"10\.77\.0\.2 does not answer"):
            await call()
    faults.clear(machine)
    faults.inject(machine, "fail", command="lvs", message="Device or resource busy")
    assert (await run(machine, "lvs --noheadings -o lv_name -S 'lv_name=\"x\"' vol")).err == \
        "lvs: Device or resource busy\n"
    assert (await run(machine, "lvs --noheadings -o lv_name -S 'lv_name=\"x\"' vol")).status == 0
    faults.inject(machine, "full-disk")
    with pytest.raises(StepFailed, match="No space left on device"):
        await machine.write_file("/etc/exports.d/x.exports", "x", 0o644, ())
    faults.clear(machine, "full-disk")
    faults.inject(machine, "lost-answer", command="mkdir")
    with pytest.raises(Unreachable):
        await run(machine, "mkdir -p -- /vol/x")
    assert (machine.folder / "vol/x").is_dir()


async def test_a_slow_machine_is_given_up(machine: SimulatedMachine) -> None:
    faults.inject(machine, "slow", seconds=0.05)
    with pytest.raises(StepFailed, match="did not end within 0 s"):
        await machine.run(("mkdir", "-p", "--", "/vol/x"), seconds=0.01)


def test_faults_that_there_are_not(machine: SimulatedMachine) -> None:
    with pytest.raises(BadInput, match="there is no fault 'fire'; there are unreachable"):
        faults.inject(machine, "fire")
    with pytest.raises(BadInput, match="takes seconds"):
        faults.inject(machine, "slow", colour="red")
    with pytest.raises(BadInput, match="there is no 'x' on store"):
        faults.inject(machine, "busy", volume="x")


# effects that are half done

@pytest.mark.parametrize(("command", "point", "left"), [
    ("lvcreate --yes --wipesignatures y --size 67108864b vol --name new --addtag qrm", "volume made",
     lambda host: host.group.volumes["new"].filesystem is not None),
    ("lvcreate --yes --snapshot --size 16777216b vol/one --name new --addtag qrm", "not yet a snapshot",
     lambda host: host.group.volumes["new"].kind == "plain"),
    ("systemctl disable --no-reload --now -- vol-one.mount", "unlinked", lambda host: "/vol/one" in host.mounts),
    ("exportfs -r", "the kernel was told", lambda host: "/vol/one" not in host.root.read("/var/lib/nfs/etab")),
])
async def test_half_effects(machine: SimulatedMachine, command: str, point: str, left: Callable[[Any], bool]) -> None:
    await make_image(machine, "one")
    await good(machine, "lvcreate --yes --wipesignatures y --size 67108864b vol --name gone")
    await machine.run(mkfs("ext4", "gone"))
    await good(machine, "lvremove --yes -S 'lv_name=\"gone\"' vol")
    await machine.write_file("/etc/exports.d/one.exports", "/vol/one 10.0.0.7(rw)\n", 0o644, ())
    machine.half = end_at(point)
    with pytest.raises(Killed):
        await run(machine, command)
    assert left(machine.host)


async def test_half_an_enable_and_half_a_file(machine: SimulatedMachine) -> None:
    await make_image(machine, "one")
    await good(machine, "systemctl disable --no-reload --now -- vol-one.mount")
    machine.half = end_at("linked")
    with pytest.raises(Killed):
        await run(machine, "systemctl enable --now -- vol-one.mount")
    assert "/vol/one" not in machine.host.mounts
    machine.half = end_at("written beside")
    with pytest.raises(Killed):
        await machine.write_file("/etc/exports.d/a.exports", "new", 0o644, ())
    assert await machine.read_file("/etc/exports.d/a.exports") is None
    assert (machine.folder / "etc/exports.d/.qrm-new-a.exports/a.exports").read_text() == "new"
    machine.half = None
    await machine.write_file("/etc/exports.d/a.exports", "newer", 0o644, ())
    assert not (machine.folder / "etc/exports.d/.qrm-new-a.exports").exists()


async def test_half_of_the_edits(machine: SimulatedMachine) -> None:
    machine.host.seeds = {"one": Seed("debian")}
    await make_image(machine, "one")
    step = sealing.seal("store", "/vol/one", "shop", "11111111-2222-3333-4444-555555555555")
    machine.half = end_at("half of the edits")
    with pytest.raises(Killed):
        await machine.edit_tree(step.root, step.edits)
    machine.half = None
    rest = await machine.edit_tree(step.root, step.edits)
    assert rest and "/etc/hostname" not in rest


async def test_every_point_of_a_command_is_told(machine: SimulatedMachine) -> None:
    points: list[str] = []
    machine.half = points.append
    await make_image(machine, "one")
    assert [point.split(":")[1].strip() for point in points] == [
        "volume made", "signatures wiped", "what was there is wiped", "made", "written beside", "in its place",
        "linked", "mounted"]
    points.clear()
    await run(machine, "lvs --noheadings -o lv_name -S 'lv_name=\"one\"' vol")
    assert not points


def test_its_host_key_can_be_read(machine: SimulatedMachine) -> None:
    from qrm_tui.runners.ssh import fingerprint
    assert fingerprint(machine.host_key).startswith("SHA256:")


async def test_what_was_run_is_remembered(machine: SimulatedMachine) -> None:
    await run(machine, "exportfs -r")
    assert list(machine.history) == [("exportfs", "-r")]
    assert json.dumps(list(machine.history))
