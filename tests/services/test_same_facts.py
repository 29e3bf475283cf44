"""The simulated machine against a real one: the same plans on both, and after every step the same facts of both."""
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qrm_tui.backends import filesystems, lvm, lvm_nfs, mounts, nfs
from qrm_tui.core.facts import Volume
from qrm_tui.core.plan import WriteFile
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.volumes import SimulatedGroup, SimulatedVolume
from tests.services.same_facts import PREFIX, RealMachine, Twin, Twins, fill_snapshot

MIB = 1 << 20
GOLDEN, CLONE, OTHER = f"{PREFIX}golden", f"{PREFIX}clone", f"{PREFIX}other"
#: The real server's disk and pool (tests/lab/fixtures.py).
DISK, POOL = (8 << 30) - 4 * MIB, 1 << 30


@pytest.fixture(params=["simulated", pytest.param("real", marks=[pytest.mark.lab, pytest.mark.xdist_group("crashes")])])
async def twins(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Twins]:
    """A simulated machine; beside it the real one."""
    simulated = SimulatedMachine("store", "10.77.0.2", tmp_path, SimulatedGroup("vol", DISK))
    simulated.host.add(SimulatedVolume("pool", simulated.host.new_id(), "pool", POOL))
    found = [Twin(simulated)]
    if request.param == "real":
        real = RealMachine("store", request.getfixturevalue("storage_server"))
        found.append(Twin(real))
    yield Twins(found)
    if request.param == "real":
        _clean(real)


def _clean(real: RealMachine) -> None:
    real.server.shell(f"""
        rm -f /etc/exports.d/{PREFIX}*; exportfs -r || :
        for path in /vol/{PREFIX}*; do ! mountpoint -q "$path" || umount "$path"; done
        rm -f /etc/systemd/system/vol-same* /etc/systemd/system/*.wants/vol-same*; systemctl daemon-reload
        lvremove --quiet --yes -S 'lv_name=~"^{PREFIX}"' vol || :
        rm -rf /vol/{PREFIX}*
    """)


async def _start(twins: Twins, pool: str = "") -> None:
    for twin in twins.twins:
        await twin.start(pool)


def _named(name: str, **more: object) -> Volume:
    return Volume(name=name, group="vol", id="no-id", size=64 * MIB, **more)  # type: ignore[arg-type]


async def _golden_and_clone(twins: Twins) -> None:
    """Where these are only the beginning, one look at the end is enough."""
    await _start(twins)
    await twins.operate(lvm_nfs.plan_add, "image.add", look=False, name=GOLDEN, size=64 * MIB)
    await twins.operate(lvm_nfs.plan_clone, "image.clone", look=False, source=GOLDEN, name=CLONE)


async def test_classic_volumes(twins: Twins) -> None:
    await _start(twins)
    await twins.operate(lvm_nfs.plan_add, "image.add", name=GOLDEN, size=64 * MIB)
    await twins.operate(lvm_nfs.plan_resize, "image.resize", name=GOLDEN, size=96 * MIB)
    await twins.operate(lvm_nfs.plan_clone, "image.clone", source=GOLDEN, name=CLONE, reserve="50%")
    assert twins.facts.volumes[CLONE].origin == GOLDEN
    await twins.operate(lvm_nfs.plan_allow, "image.allow", name=CLONE, address=["10.77.0.8", "10.77.0.9"])
    assert twins.facts.exports[f"/vol/{CLONE}"] == ("10.77.0.8", "10.77.0.9")
    await twins.operate(lvm_nfs.plan_revoke, "image.revoke", name=CLONE, address=["10.77.0.8", "10.77.0.9"])
    await twins.operate(lvm_nfs.plan_resize, "image.resize", name=CLONE, size=72 * MIB)
    await twins.operate(lvm_nfs.plan_remove, "image.remove", name=CLONE)
    await twins.operate(lvm_nfs.plan_remove, "image.remove", name=GOLDEN)
    assert not [name for name in twins.facts.volumes if name.startswith(PREFIX)]


async def test_thin_volumes(twins: Twins) -> None:
    await _start(twins, "pool")
    await twins.operate(lvm_nfs.plan_add, "image.add", name=GOLDEN, size=128 * MIB)
    await twins.operate(lvm_nfs.plan_clone, "image.clone", source=GOLDEN, name=CLONE)
    assert (twins.facts.volumes[CLONE].origin, twins.facts.volumes[CLONE].pool) == (GOLDEN, "pool")
    await twins.operate(lvm_nfs.plan_clone, "image.clone", look=False, source=CLONE, name=OTHER)
    await twins.operate(lvm_nfs.plan_resize, "image.resize", name=OTHER, size=192 * MIB)
    said = await twins.fail(lambda facts: lvm.create_volume("store", "vol", "pool", GOLDEN, 64 * MIB, "another"))
    assert "already exists" in said
    said = await twins.fail(lambda facts: lvm.create_volume("store", "vol", "nopool", f"{PREFIX}x", 64 * MIB, "i"))
    assert "not found" in said
    missing = _named(f"{PREFIX}x", pool="pool")
    said = await twins.fail(lambda facts: lvm.snapshot_volume("store", missing, f"{PREFIX}y", 0, "i"))
    assert "not found" in said
    # an origin that goes leaves its clones as they are
    for name in (OTHER, CLONE):
        await twins.operate(lvm_nfs.plan_remove, "image.remove", look=False, name=name)
    await twins.operate(lvm_nfs.plan_remove, "image.remove", name=GOLDEN)


@pytest.mark.parametrize(("kind", "size"), [("ext3", 64 * MIB), ("xfs", 320 * MIB)])
async def test_other_file_systems(twins: Twins, kind: str, size: int) -> None:
    await _start(twins)
    await twins.operate(lvm_nfs.plan_add, "image.add", name=GOLDEN, size=size, fs=kind)
    await twins.operate(lvm_nfs.plan_resize, "image.resize", name=GOLDEN, size=size + 64 * MIB)
    await twins.operate(lvm_nfs.plan_clone, "image.clone", source=GOLDEN, name=CLONE, reserve="30%")


async def test_a_copy(twins: Twins) -> None:
    await _start(twins)
    for name in (GOLDEN, OTHER):
        await twins.operate(lvm_nfs.plan_add, "image.add", look=False, name=name, size=64 * MIB)
    await twins.everywhere(lambda runner: runner.write_file(f"/vol/{GOLDEN}/etc/hostname", "golden\n", 0o640, ()))
    await twins.everywhere(lambda runner: runner.write_file(f"/vol/{OTHER}/old", "goes\n", 0o644, ()))
    await twins.operate(lvm_nfs.plan_copy, "image.copy", source=GOLDEN, name=OTHER)
    for twin in twins.twins:
        copied = await twin.runner.read_file(f"/vol/{OTHER}/etc/hostname")
        assert copied is not None and (copied.content, copied.mode) == ("golden\n", 0o640)
        assert await twin.runner.read_file(f"/vol/{OTHER}/old") is None


async def test_what_is_refused_of_a_volume_in_use(twins: Twins) -> None:
    await _golden_and_clone(twins)
    image = twins.twins[0].farm.get("image", GOLDEN).wanted.id
    other = "11111111-2222-4333-8444-555555555555"
    for words, step in (
        ("already exists", lambda facts: lvm.create_volume("store", "vol", "", GOLDEN, 64 * MIB, "another")),
        ("insufficient free space", lambda facts: lvm.create_volume("store", "vol", "", OTHER, 1 << 40, "i")),
        ("not found", lambda facts: lvm.snapshot_volume("store", _named(f"{PREFIX}x"), OTHER, 32 * MIB, "i")),
        ("not supported", lambda facts: lvm.snapshot_volume("store", facts.volumes[CLONE], OTHER, 32 * MIB, "i")),
        ("only while inactive", lambda facts: lvm.extend_volume("store", facts.volumes[GOLDEN], 128 * MIB)),
        ("not found", lambda facts: lvm.extend_volume("store", _named(f"{PREFIX}x"), 128 * MIB)),
        ("has snapshots", lambda facts: lvm.remove_volume("store", "vol", facts.volumes[GOLDEN], image)),
        ("is mounted", lambda facts: filesystems.make("store", "ext4", f"/dev/vol/{GOLDEN}", other)),
        ("does not exist", lambda facts: filesystems.make("store", "ext3", f"/dev/vol/{PREFIX}x", other)),
    ):
        assert words in await twins.fail(step)
    for argv in (
        ("lvremove", "--yes", "-S", f'lv_name="{GOLDEN}"', "vol"),
        ("lvremove", "--yes", "-S", f'lv_name="{CLONE}"', "vol"),
        ("lvremove", "--yes", "-S", f'lv_name="{PREFIX}x"', "vol"),
        ("lvs", "--noheadings", "-o", "lv_name", "-S", f'origin="{GOLDEN}"', "vol"),
        ("lvs", "--noheadings", "-o", "lv_name", "-S", f'lv_name="{CLONE}" && lv_device_open="open"', "vol"),
        ("rmdir", "--", f"/vol/{GOLDEN}"),
        ("rmdir", "--", f"/vol/{PREFIX}x"),
        ("findmnt", "--noheadings", "--mountpoint", f"/vol/{PREFIX}x"),
        mounts.unmount("store", f"/vol/{PREFIX}x").argv,
        mounts.mount("store", f"/vol/{PREFIX}x").argv,
    ):
        await twins.say(*argv)
    await twins.compare()


async def test_a_mount_that_fails_explains_itself(twins: Twins) -> None:
    await _start(twins)
    path, other = f"/vol/{OTHER}", "11111111-2222-4333-8444-555555555555"
    unit = WriteFile(machine="store", summary="", path=mounts.unit_path(path), checker=mounts.CHECKER,
                     content=mounts.unit_text(OTHER, f"/dev{path}", path, "ext4"))
    for twin in twins.twins:
        assert await twin.perform(lvm.create_volume("store", "vol", "", OTHER, 8 * MIB, "other")) == ""
        assert await twin.perform(unit) == ""
        twin.names.append(OTHER)
    await twins.say("tune2fs", "-U", other, f"/dev{path}")
    await twins.say("resize2fs", f"/dev{path}")
    await twins.say("blkid", "-p", "-s", "UUID", "-o", "value", f"/dev{path}")
    for twin in twins.twins:
        assert "Job failed" in await twin.perform(mounts.mount("store", path))
    # mount(8) and systemd write side by side: nobody promises the order of their lines
    told = await twins.say("journalctl", "--quiet", "--no-pager", "--output", "cat", "--lines", "5", "--unit",
                           mounts.unit_name(path), in_order=False)
    assert "superblock" in told.out
    await twins.compare()
    await twins.say(*mounts.unmount("store", path).argv)
    await twins.compare()


async def test_files_are_checked_and_left_alone(twins: Twins) -> None:
    await _start(twins)
    path = mounts.unit_path(f"/vol/{PREFIX}x")
    for text in ("nonsense\n", "", "[Mount]\nWhere=/x\n", "[Mount]\nWhat=/dev/x\nWhere=/vol/y\n",
                 "[Mount]\nWhat=/dev/x\nUnheard=of\n"):
        step = WriteFile(machine="store", summary="", path=path, content=text, checker=mounts.CHECKER)
        assert "does not take" in await twins.fail(lambda facts, step=step: step)
    await twins.everywhere(lambda runner: runner.write_file(f"/etc/exports.d/{PREFIX}x.exports", "# mine\n", 0o600, ()))
    step = WriteFile(machine="store", summary="", path=f"/etc/exports.d/{PREFIX}x.exports", content="# ours\n")
    assert "was changed by somebody" in await twins.fail(lambda facts: step)


async def test_one_bad_export_does_not_hold_the_others_back(twins: Twins) -> None:
    await _start(twins)
    for name, path in (("a", "/srv/none"), ("b", "/srv")):
        text = nfs.export_text(name, path, f"{name * 8}-2222-4333-8444-555555555555", ["10.77.0.9"])
        await twins.everywhere(lambda runner, name=name, text=text: runner.write_file(
            f"/etc/exports.d/{PREFIX}{name}.exports", text, 0o644, ()))
    assert (await twins.say("exportfs", "-r")).status == 1
    assert {path: clients for twin in twins.twins for path, clients in nfs.parse_exports(
        (await twin.runner.run(nfs.LIST_ARGV)).out).items()} == {"/srv/none": ("10.77.0.9",), "/srv": ("10.77.0.9",)}


async def test_a_restart_and_then_a_snapshot_that_runs_full(twins: Twins) -> None:
    await _golden_and_clone(twins)
    await twins.operate(lvm_nfs.plan_allow, "image.allow", look=False, name=CLONE, address=["10.77.0.9"])
    for twin in twins.twins:
        if isinstance(twin.runner, SimulatedMachine):
            twin.runner.reboot()
        elif isinstance(twin.runner, RealMachine):
            twin.runner.server.reboot()
    await twins.compare()
    assert twins.facts.mounts.keys() >= {f"/vol/{GOLDEN}", f"/vol/{CLONE}"}
    assert twins.facts.exports[f"/vol/{CLONE}"] == ("10.77.0.9",)
    await twins.operate(lvm_nfs.plan_revoke, "image.revoke", look=False, name=CLONE, address=["10.77.0.9"])
    await twins.everywhere(lambda runner: fill_snapshot(runner, CLONE))
    await twins.compare()
    assert twins.facts.volumes[CLONE].lost and f"/vol/{CLONE}" not in twins.facts.mounts
    await twins.say("blkid", "-p", "-s", "UUID", "-o", "value", f"/dev/vol/{CLONE}")
    await twins.operate(lvm_nfs.plan_remove, "image.remove", name=CLONE)


async def test_steps_are_taken_back(twins: Twins) -> None:
    """Undo of all steps of a clone, the last one first, leaves what was there before."""
    await _start(twins)
    await twins.operate(lvm_nfs.plan_add, "image.add", look=False, name=GOLDEN, size=64 * MIB)
    drafts = [twin.draw(lvm_nfs.plan_clone, "image.clone", {"source": GOLDEN, "name": CLONE}) for twin in twins.twins]
    for twin in twins.twins:
        twin.names.append(CLONE)
    before = [await twin.look() for twin in twins.twins]
    for twin, draft in zip(twins.twins, drafts, strict=True):
        for step in draft.steps:
            assert await twin.perform(step) == ""
    await twins.compare()
    for steps in reversed(list(zip(*(draft.steps for draft in drafts), strict=True))):
        for twin, step in zip(twins.twins, steps, strict=True):
            await twin.take_back(step)
        await twins.compare()
    for twin, draft in zip(twins.twins, drafts, strict=True):
        # an undo that is said twice harms nothing
        await twin.take_back(draft.steps[1])
    assert [await twin.look() for twin in twins.twins] == before
