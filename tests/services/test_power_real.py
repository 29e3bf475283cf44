"""A real ipmitool against a real IPMI controller (OpenIPMI's simulator) in the lab's network: RMCP+, log-in and all."""
from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from qrm_tui.backends import power
from qrm_tui.core.model import Item
from qrm_tui.core.plan import Run
from qrm_tui.core.resources import Power, ResourceSeen, ResourceWanted
from qrm_tui.runners import steps as running
from qrm_tui.runners.base import Runner
from tests.lab.namespace import Namespace
from tests.services.bmc import Controller, InNamespace

# the simulator leaves the question for cipher suites unanswered, which costs nine seconds a command
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("power")]

@pytest.fixture(scope="module")
def controller(lab_namespace: Namespace) -> Iterator[Controller]:
    made = Controller(lab_namespace)
    asyncio.run(made.ready(InNamespace(lab_namespace)))
    yield made
    made.end()


def _machine(how: Power) -> Item:
    """One whose agent is silent."""
    return Item(kind="resource", name="r1", seen=ResourceSeen(boot="b"), wanted=ResourceWanted(
        id="1", mac="52:54:00:00:00:01", power=how))


async def _perform(runner: Runner, step: object) -> None:
    assert isinstance(step, Run)
    stage = running.Stage(runner, "unit", lambda other, argv: other.run(argv), lambda *words: None, lambda share: None)
    await running.perform(step, stage)


async def test_a_machine_is_switched_off_and_seen_off_and_on_again(
    controller: Controller, lab_namespace: Namespace
) -> None:
    runner, machine = InNamespace(lab_namespace), _machine(controller.power_of())
    off, seen = power.off(machine, 0)
    await _perform(runner, off)
    assert controller.power == "0"
    assert await running.is_done(seen, runner)
    assert power.parse_status((await runner.run(power.status_argv(machine.wanted.power))).out) is False
    (on,) = power.on(machine, 0)
    assert not await running.is_done(on, runner)
    await _perform(runner, on)
    assert controller.power == "1"


async def test_a_wrong_password_changes_nothing_and_says_so(controller: Controller, lab_namespace: Namespace) -> None:
    runner = InNamespace(lab_namespace)
    wrong = controller.folder / "wrong"
    wrong.write_text("guess\n")
    done = await runner.run(power.status_argv(controller.power_of(wrong)))
    assert done.status != 0 and "Unable to establish" in done.complaint() and power.parse_status(done.out) is None
    assert controller.power == "1"


async def test_a_machine_that_hangs_is_reset(controller: Controller, lab_namespace: Namespace) -> None:
    """Last of all: the simulator takes no more sessions after it."""
    (step,) = power.reset(_machine(controller.power_of()), 0)
    await _perform(InNamespace(lab_namespace), step)
    assert (controller.folder / "resets").read_text() == "reset\n"
