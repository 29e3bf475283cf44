"""The crash walk: every job operation, and the server killed at every step, at four points of it.

Before the step begins; begun; the effect there without its record; half an effect. The next server takes the job up,
and it ends done or undone with nothing left over, and the journal holds. A step of the same kind as the one before it
(the second boot file, the second machine that is told) is walked with `-m lab`.
"""
from __future__ import annotations

import asyncio

import pytest

from qrm_tui.core.errors import StepFailed
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.core.plan import Record, Step
from qrm_tui.daemon.driving import Job
from qrm_tui.daemon.planners import JOB_CONTROLS
from tests.daemon.scenarios import SCENARIOS
from tests.daemon.world import ServerKilled, World

#: Half effects of scenarios that have fewer than two: an order is the server's own word, and a domain is switched at
#: once.
FEW = {"power": 0, "stop partition": 1, "pause partition": 1, "resume partition": 1, "start domain": 1,
       "stop domain": 1}


def _die() -> None:
    raise ServerKilled


def _kind(step: Step) -> tuple[str, ...]:
    """Steps of one kind are done, found done and taken back in the same way."""
    return type(step).__name__, step.machine, *getattr(step, "argv", ())[:2], getattr(step, "do", "")


def _die_at(world: World, number: int, *, repeated: bool) -> None:
    """The server dies at the number-th point that any step comes to; where steps of a kind follow each other, those
    of the first one alone, unless `repeated`."""
    points = iter(range(1 << 30))

    def on_point(point: str, job: Job, step: int) -> None:
        steps = job.plan.steps
        # nothing is written down when a record begins
        same = point == "begun" and isinstance(steps[step], Record)
        again = step > 0 and step != job.plan.no_return and _kind(steps[step]) == _kind(steps[step - 1])
        if not same and (repeated or not again) and next(points) == number:
            _die()

    world.qrmd.jobs.on_point = on_point


async def _until_killed(world: World, number: int) -> bool:
    """Whether the server died under the job."""
    job = world.qrmd.jobs
    try:
        await job.wait(number)
    except ServerKilled:
        return True
    return False


async def _outcome(world: World, number: int) -> str:
    await world.kill_and_start()
    async with asyncio.timeout(20):
        return (await world.qrmd.jobs.wait(number)).state


def test_every_job_operation_is_walked() -> None:
    jobs = {name for name, operation in OPERATIONS.items() if operation.sort == "job"} - JOB_CONTROLS
    assert {operation for operation, _, _ in SCENARIOS.values()} == jobs


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("where", ["points", "halves", pytest.param("all points", marks=pytest.mark.lab)])
async def test_killed_anywhere_it_ends_well(world: World, scenario: str, where: str) -> None:
    operation, setup, arguments = SCENARIOS[scenario]
    for number in range(200):
        name = f"web{number}"
        await setup(world, name)
        if where == "halves":
            world.half_at(number, _die)
        else:
            _die_at(world, number, repeated=where == "all points")
        job = await world.submit(operation, **arguments(name))
        killed = await _until_killed(world, job)
        if not killed:
            break
        state = await _outcome(world, job)
        assert state == "done", f"killed at {where} {number}: {world.qrmd.farm.get('job', str(job)).wanted.error}"
        assert await world.leftovers() == [], f"killed at {where} {number}"
    # even a copy, which is one step, has two half effects
    assert number >= 2 or (where == "halves" and scenario in FEW and number == FEW[scenario])
    assert not killed


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_cancelled_and_killed_anywhere_on_the_way_back(world: World, scenario: str) -> None:
    """The last step before the point of no return fails; the server dies at each half effect of taking back."""
    operation, setup, arguments = SCENARIOS[scenario]
    name = "probe"
    await setup(world, name)
    plan = await world.qrmd.plan(operation, arguments(name), Role.administrator)
    last = (plan.no_return if plan.no_return is not None else len(plan.steps)) - 1
    if last < 1:
        return  # nothing of it can be taken back: the plan says so
    for number in range(200):
        name = f"back{number}"
        await setup(world, name)
        before = {item.name for item in world.qrmd.farm.all("image")}
        died = asyncio.Event()

        def die(died: asyncio.Event = died) -> None:
            died.set()
            _die()

        def on_point(point: str, job: Job, step: int, number: int = number) -> None:
            if point == "begun" and step == last:
                world.half_at(number, die)
                job.record.cancelling = True
                job.cancelled.set()
                raise StepFailed("the disk is on fire")

        world.qrmd.jobs.on_point = on_point
        job = await world.submit(operation, **arguments(name))
        await _until_killed(world, job)
        state = await _outcome(world, job)
        assert state == "undone", world.qrmd.farm.get("job", str(job)).wanted.error
        assert await world.leftovers() == [], f"killed at half {number} of the way back"
        assert {item.name for item in world.qrmd.farm.all("image")} == before
        if not died.is_set():
            break
    assert not died.is_set()
