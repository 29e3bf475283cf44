"""What goes wrong around jobs: admins, machines, disks. Nothing half-done, nothing lost, and a clear line."""
from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import sqlalchemy

from qrm_tui.core.errors import BadInput, Broken, NotFound, NotPermitted, Refused, Stale, Unreachable
from qrm_tui.core.model import FINISHED
from qrm_tui.core.operations.declarations import Role
from qrm_tui.practice.volumes import SimulatedVolume
from tests.daemon.world import ADMIN, GIB, World

Wanted = Callable[[], bool]


async def _until(world: World, wanted: Wanted) -> None:
    """As soon as a change of the farm makes it so."""
    changed = asyncio.Event()
    world.qrmd.farm.listen(lambda *change: changed.set())
    async with asyncio.timeout(20):
        while not wanted():
            changed.clear()
            await changed.wait()


def _job(world: World, number: int):  # type: ignore[no-untyped-def]
    return world.qrmd.farm.get("job", str(number)).wanted


async def test_a_viewer_sees_and_changes_nothing(world: World) -> None:
    with pytest.raises(NotPermitted, match=r"image\.add needs the role operator; you are viewer"):
        await world.qrmd.plan("image.add", {"name": "web", "size": "1G"}, Role.viewer)
    with pytest.raises(NotPermitted, match="administrator"):
        await world.qrmd.plan("storage.remove", {"name": "s1"}, Role.operator)
    plan = await world.qrmd.plan("image.add", {"name": "web", "storage": "s1", "size": "1G"}, Role.operator)
    with pytest.raises(NotPermitted):  # the plan of another does not help either
        await world.qrmd.run(plan.id, ADMIN, Role.viewer)
    assert await world.leftovers() == []


async def test_a_plan_that_another_admin_made_stale(world: World) -> None:
    await world.do("image.add", name="web", storage="s1", size="1G")
    mine = await world.qrmd.plan("image.resize", {"name": "web", "size": "3G"}, Role.administrator)
    assert await world.do("image.resize", name="web", size="2G") == "done"
    with pytest.raises(Stale, match="web was changed meanwhile"):
        await world.qrmd.run(mine.id, ADMIN, Role.administrator)
    assert world.classic.host.group.volumes["web"].size == 2 * GIB


async def test_a_plan_made_stale_by_hand_on_the_machine(world: World) -> None:
    plan = await world.qrmd.plan("image.add", {"name": "web", "storage": "s1", "size": "1G"}, Role.administrator)
    done = await world.classic.run(("mkdir", "-p", "--", "/vol/web"))
    assert done.status == 0
    (world.classic.folder / "vol/web/precious").write_text("x")
    with pytest.raises(Stale, match="/vol/web"):
        await world.qrmd.run(plan.id, ADMIN, Role.administrator)
    assert (world.classic.folder / "vol/web/precious").exists()


async def test_a_plan_runs_once(world: World) -> None:
    plan = await world.qrmd.plan("image.add", {"name": "web", "storage": "s1", "size": "1G"}, Role.administrator)
    await world.qrmd.run(plan.id, ADMIN, Role.administrator)
    with pytest.raises(Refused, match="run already"):
        await world.qrmd.run(plan.id, ADMIN, Role.administrator)


async def test_two_clones_with_one_name_at_once(world: World) -> None:
    await world.do("image.add", name="golden", storage="s1", size="1G")
    plans = [await world.qrmd.plan("image.clone", {"source": "golden", "name": "c1"}, Role.administrator)
             for _ in range(2)]
    outcomes = await asyncio.gather(*(world.qrmd.run(plan.id, ADMIN, Role.administrator) for plan in plans),
                                    return_exceptions=True)
    states = []
    for outcome in outcomes:
        states.append("refused" if isinstance(outcome, Stale) else
                      (await world.qrmd.jobs.wait(outcome["job"]["id"])).state)  # type: ignore[index]
    assert sorted(states) in (["done", "refused"], ["done", "undone"])
    assert world.qrmd.farm.clones("golden") == ["c1"]
    assert await world.leftovers() == []


async def test_a_plan_of_a_clone_holds_though_another_clone_was_made_meanwhile(world: World) -> None:
    await world.do("image.add", name="golden", storage="s1", size="1G")
    first, second = [await world.qrmd.plan("image.clone", {"source": "golden", "name": name}, Role.administrator)
                     for name in ("c1", "c2")]
    for plan in (first, second):
        outcome = await world.qrmd.run(plan.id, ADMIN, Role.administrator)
        assert (await world.qrmd.jobs.wait(outcome["job"]["id"])).state == "done"


async def test_many_clones_of_one_image_at_once(world: World) -> None:
    await world.do("image.add", name="golden", storage="s1", size="1G")
    jobs = await asyncio.gather(*(world.submit("image.clone", source="golden", name=f"c{at}") for at in range(8)))
    assert {(await world.qrmd.jobs.wait(job)).state for job in jobs} == {"done"}
    assert len(world.qrmd.farm.clones("golden")) == 8
    assert await world.leftovers() == []


async def test_the_group_is_full_in_the_middle(world: World) -> None:
    plan = await world.qrmd.plan("image.add", {"name": "web", "storage": "s1", "size": "90G"}, Role.administrator)
    other = await world.submit("image.add", name="big", storage="s1", size="50G")
    with pytest.raises(Stale, match="free space"):
        await world.qrmd.jobs.wait(other)
        await world.qrmd.run(plan.id, ADMIN, Role.administrator)
    with pytest.raises(Refused, match=r"needs 90G.*free"):
        await world.do("image.add", name="web", storage="s1", size="90G")


async def test_a_command_that_fails_is_taken_back_whole(world: World) -> None:
    world.classic.faults.fail.append(("mkfs.ext4", "Input/output error"))
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "undone" and "mkfs.ext4 on s1" in record.error and "Input/output error" in record.error
    assert world.qrmd.farm.find("image", "web") is None
    assert await world.leftovers() == []


async def test_a_disk_too_full_for_a_file(world: World) -> None:
    world.classic.faults.disk_full = True
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "undone" and "No space left on device" in record.error
    world.classic.faults.disk_full = False
    assert await world.leftovers() == []


async def test_a_failure_past_the_point_of_no_return_stays_and_can_be_tried_again(world: World) -> None:
    await world.do("image.add", name="web", storage="s1", size="1G")
    world.classic.faults.fail.append(("lvremove", "Device or resource busy"))
    job = await world.submit("image.remove", name="web")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "failed" and "past the point of no return" in record.error
    assert await world.do("image.remove", name="web") == "done"
    assert await world.leftovers() == []


async def test_an_open_volume_is_not_removed(world: World) -> None:
    await world.do("image.add", name="web", storage="s1", size="1G")
    world.classic.host.group.volumes["web"].held = True
    job = await world.submit("image.remove", name="web")
    record = await world.qrmd.jobs.wait(job)
    # unmounting finds it first, and everything before it is taken back
    assert record.state == "undone" and "target is busy" in record.error
    assert await world.leftovers() == []


async def test_a_volume_of_somebody_else_in_the_way(world: World) -> None:
    with pytest.raises(Refused, match="not ours and is never touched"):
        await world.do("image.add", name="foreign", storage="s1", size="1G")
    assert await world.leftovers() == []


async def test_a_snapshot_made_by_hand_meanwhile_stops_a_removal_before_anything_is_lost(world: World) -> None:
    """The guards of the first step without return do not hold: nothing of it was done, and all before goes back."""
    await world.do("image.add", name="web", storage="s1", size="1G")

    def on_point(point: str, job: object, step: int) -> None:
        if (point, step) == ("begun", 5):
            volume = SimulatedVolume("by-hand", "uuid-by-hand", "snapshot", GIB, origin="web")
            world.classic.host.group.volumes["by-hand"] = volume

    world.qrmd.jobs.on_point = on_point
    job = await world.submit("image.remove", name="web")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "undone" and "has snapshots, which would go with it" in record.error
    del world.classic.host.group.volumes["by-hand"]
    assert await world.leftovers() == []


async def test_anothers_broken_export_is_noted_and_stops_nobody(world: World) -> None:
    world.classic.host.root.write("/etc/exports.d/broken.exports", "/srv 10.0.0.1(no_such_option)\n", 0o644)
    await world.do("image.add", name="web", storage="s1", size="1G")
    job = await world.submit("image.allow", name="web", address=["10.9.9.9"])
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert any("exportfs complains" in line.text for line in world.qrmd.jobs.log(job).lines(0))
    assert world.qrmd.farm.get("image", "web").seen.exported == ("10.9.9.9",)


async def test_what_a_failed_undo_leaves_can_be_removed(world: World) -> None:
    world.classic.faults.fail += [("mkfs.ext4", "Input/output error"), ("lvremove", "Input/output error")]
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "failed" and "could not be taken back" in record.error
    left = world.qrmd.farm.get("image", "web")
    assert left.state == "error"
    with pytest.raises(Refused, match="remove it"):
        await world.do("image.clone", source="web", name="c1")
    assert await world.do("image.remove", name="web") == "done"
    assert await world.leftovers() == []


async def test_unreachable_before_refuses(world: World) -> None:
    world.classic.faults.unreachable = True
    with pytest.raises(Unreachable, match=r"10\.0\.0\.1 does not answer"):
        await world.do("image.add", name="web", storage="s1", size="1G")
    with pytest.raises(Unreachable):
        await world.qrmd.watchers.look("s1")
    assert world.qrmd.farm.get("storage", "s1").state == "error"
    world.classic.faults.unreachable = False
    await world.qrmd.watchers.look("s1")
    assert world.qrmd.farm.get("storage", "s1").state == "ok"


async def test_unreachable_during_waits_and_says_for_whom(world: World) -> None:
    def on_point(point: str, job: object, step: int) -> None:
        if (point, step) == ("begun", 3):
            world.classic.faults.unreachable = True

    world.qrmd.jobs.on_point = on_point
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    await _until(world, lambda: "10.0.0.1 does not answer" in _job(world, job).waits_for)
    assert _job(world, job).state == "running"
    world.classic.faults.unreachable = False
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert await world.leftovers() == []


@pytest.mark.parametrize("command", ["lvcreate", "mkfs.ext4", "mkdir", "write", "systemctl", "exportfs"])
async def test_a_line_lost_right_after_the_effect(world: World, command: str) -> None:
    world.classic.faults.lose.append(command)
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert await world.leftovers() == []


async def test_cancelled_while_unreachable_it_goes_back_when_the_line_is_there_again(world: World) -> None:
    def on_point(point: str, job: object, step: int) -> None:
        if (point, step) == ("begun", 4):
            world.classic.faults.unreachable = True

    world.qrmd.jobs.on_point = on_point
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    await _until(world, lambda: bool(_job(world, job).waits_for))
    plan = await world.qrmd.plan("job.cancel", {"name": str(job)}, Role.operator)
    await world.qrmd.run(plan.id, ADMIN, Role.operator)
    await _until(world, lambda: _job(world, job).state == "undoing")
    world.classic.faults.unreachable = False
    assert (await world.qrmd.jobs.wait(job)).state == "undone"
    assert world.qrmd.farm.find("image", "web") is None
    assert await world.leftovers() == []
    with pytest.raises(Refused, match="nothing to cancel"):
        plan = await world.qrmd.plan("job.cancel", {"name": str(job)}, Role.operator)
        await world.qrmd.run(plan.id, ADMIN, Role.operator)


async def test_past_the_point_of_no_return_nothing_is_cancelled(world: World) -> None:
    await world.do("image.add", name="web", storage="s1", size="1G")
    plan = await world.qrmd.plan("image.remove", {"name": "web"}, Role.administrator)
    assert plan.no_return is not None

    def on_point(point: str, job: object, step: int) -> None:
        if (point, step) == ("begun", plan.no_return):
            world.classic.faults.unreachable = True

    world.qrmd.jobs.on_point = on_point
    job = int((await world.qrmd.run(plan.id, ADMIN, Role.administrator))["job"]["id"])
    await _until(world, lambda: bool(_job(world, job).waits_for))
    cancel = await world.qrmd.plan("job.cancel", {"name": str(job)}, Role.operator)
    with pytest.raises(Refused, match="point of no return"):
        await world.qrmd.run(cancel.id, ADMIN, Role.operator)
    world.classic.faults.unreachable = False
    assert (await world.qrmd.jobs.wait(job)).state == "done"


async def test_a_rebooted_server_brings_mounts_and_exports_back(world: World) -> None:
    await world.do("image.add", name="web", storage="s1", size="1G")
    await world.do("image.allow", name="web", address=["10.9.9.9"])
    world.classic.reboot()
    assert await world.leftovers() == []
    assert world.qrmd.farm.get("image", "web").seen.exported == ("10.9.9.9",)


async def test_a_job_waits_for_the_one_that_has_its_image(world: World) -> None:
    await world.do("image.add", name="golden", storage="s1", size="1G")
    holding = asyncio.Event()

    def on_point(point: str, job: object, step: int) -> None:
        if (point, step) == ("begun", 1) and not holding.is_set():
            holding.set()
            world.classic.faults.unreachable = True

    world.qrmd.jobs.on_point = on_point
    plans = [await world.qrmd.plan("image.allow", {"name": "golden", "address": [address]}, Role.administrator)
             for address in ("10.9.9.1", "10.9.9.2")]
    first = int((await world.qrmd.run(plans[0].id, ADMIN, Role.administrator))["job"]["id"])
    async with asyncio.timeout(20):
        await holding.wait()
    second = int((await world.qrmd.run(plans[1].id, ADMIN, Role.administrator))["job"]["id"])
    await _until(world, lambda: _job(world, second).waits_for == f"waits for job {first}, which has image/golden")
    world.classic.faults.unreachable = False
    assert (await world.qrmd.jobs.wait(first)).state == "done"
    outcome = await world.qrmd.jobs.wait(second)
    assert outcome.state == "undone" and "was changed meanwhile" in outcome.error


async def test_undo_is_a_new_plan_of_the_inverse(world: World) -> None:
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    await world.qrmd.jobs.wait(job)
    plan = await world.qrmd.plan("job.undo", {"name": str(job)}, Role.administrator)
    assert plan.operation == "image.remove" and plan.confirm == "web"
    undo = int((await world.qrmd.run(plan.id, ADMIN, Role.administrator))["job"]["id"])
    assert (await world.qrmd.jobs.wait(undo)).state == "done"
    with pytest.raises(Refused, match="no inverse"):
        await world.qrmd.plan("job.undo", {"name": str(undo)}, Role.administrator)
    with pytest.raises(NotFound):
        await world.qrmd.plan("job.undo", {"name": "99"}, Role.administrator)


async def test_the_databases_disk_is_full(world: World) -> None:
    """A job waits with what it did; nothing new begins; with room again, it goes on to its end."""
    store = world.qrmd.store

    real, full = store._write, [False]

    def write(session, what):  # type: ignore[no-untyped-def]
        if full[0]:
            raise sqlalchemy.exc.OperationalError("insert", {}, Exception("database or disk is full"))
        return real(session, what)

    store._write = write  # type: ignore[method-assign]

    def fill(point: str, job: object, step: int) -> None:
        if (point, step) == ("effect", 2):
            full[0] = True

    world.qrmd.jobs.on_point = fill
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    await _until(world, lambda: "disk is full" in _job(world, job).waits_for)
    with pytest.raises(Broken, match="make room there"):
        await world.do("storage.remove", name="s2")
    assert world.qrmd.farm.find("storage", "s2") is not None
    full[0] = False
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert await world.leftovers() == []


async def test_a_server_that_is_replaced_while_jobs_run(world: World) -> None:
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    await world.kill_and_start()
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert await world.leftovers() == []


@pytest.mark.parametrize(("operation", "arguments", "error"), [
    ("image.add", {"name": "../x", "size": "1G"}, BadInput),
    ("image.add", {"name": "a" * 300, "size": "1G"}, BadInput),
    ("image.add", {"name": "web", "storage": "s1", "size": "0"}, BadInput),
    ("image.add", {"name": "web", "storage": "s1", "size": "-1G"}, BadInput),
    ("image.add", {"name": "web", "storage": "s1", "size": "5Q"}, BadInput),
    ("image.add", {"name": "web", "storage": "s1", "size": "500T"}, Refused),
    ("image.add", {"name": "web", "size": "1G"}, BadInput),  # on which of the two servers?
    ("image.add", {"name": "web", "storage": "s9", "size": "1G"}, NotFound),
    ("image.clone", {"source": "nothing", "name": "c"}, NotFound),
    ("image.remove", {"name": "nothing"}, NotFound),
    ("image.explode", {}, BadInput),
    ("storage.add", {"name": "s3", "address": "10.0.0.1", "env": {"SERVER_VOL": "vol"}}, Refused),
    ("storage.add", {"name": "s3", "address": "10.0.0.77", "env": {"SERVER_VOL": "vol"}}, Unreachable),
    ("storage.add", {"name": "s3", "address": "10.0.0.2", "env": {"SERVER_VOL": "nogroup"}}, Refused),
    ("storage.add", {"name": "s3", "address": "10.0.0.2", "env": {"SERVER_VOL": "usr"}}, BadInput),
    ("storage.add", {"name": "s3", "address": "10.0.0.2", "env": {}}, BadInput),
    ("storage.remove", {"name": "s9"}, NotFound),
    ("job.cancel", {"name": "77"}, NotFound),
])
async def test_wrong_calls_change_nothing(world: World, operation: str, arguments: dict[str, object],
                                          error: type[Exception]) -> None:
    revision = world.qrmd.farm.revision
    with pytest.raises(error) as caught:
        await world.qrmd.plan(operation, arguments, Role.administrator)
    assert all(reason.isprintable() and len(reason) < 400 for reason in caught.value.reasons)  # type: ignore[attr-defined]
    assert world.qrmd.farm.revision == revision
    assert {item.state for item in world.qrmd.farm.all("job")} <= FINISHED
