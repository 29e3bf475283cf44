"""A real ipmitool against a real IPMI controller (OpenIPMI's simulator) in the lab's network: RMCP+, log-in and all."""
from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qrm_tui.backends import power
from qrm_tui.core.model import Item
from qrm_tui.core.plan import Run
from qrm_tui.core.resources import Power, ResourceSeen, ResourceWanted
from qrm_tui.runners import steps as running
from qrm_tui.runners.base import SHORT, Completed, OnLine, Runner
from qrm_tui.runners.command import CommandRunner
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace

# the simulator leaves the question for cipher suites unanswered, which costs nine seconds a command
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("power")]

#: ipmi_lan(5), ipmi_sim_cmd(5): one controller, one account, and a program that plays the chassis.
LAN = """
name "bmc"
set_working_mc 0x20
  startlan 1
    addr {address} 623
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{folder}/chassis"
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
"""
MODEL = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n"
#: `get power` prints the state, `set power N` changes it; a reset is written down.
CHASSIS = """#!/bin/sh
case "$1 $2" in
"get power") echo "power:$(cat {folder}/power)";;
"set power") echo "$3" >{folder}/power;;
"set reset") echo reset >>{folder}/resets;;
esac
"""


class InNamespace(CommandRunner):
    """Commands of this machine, in the lab's network."""

    def __init__(self, namespace: Namespace) -> None:
        self.name, self._namespace = "qrmd", namespace

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        done = await asyncio.to_thread(self._namespace.run, argv, input=input, capture_output=True, text=True,
                                       timeout=seconds or None)
        return Completed(done.returncode, done.stdout, done.stderr)


class Controller:
    """A management controller with one machine behind it."""

    def __init__(self, namespace: Namespace) -> None:
        self.folder = namespace.scratch / "bmc"
        self.folder.mkdir()
        self.secret = self.folder / "secret"
        self.secret.write_text("secret\n")
        self.secret.chmod(0o600)
        self.is_on(True)
        for name, text in (("lan", LAN), ("model", MODEL), ("chassis", CHASSIS)):
            (self.folder / name).write_text(text.format(address=BRIDGE_ADDRESS, folder=shlex.quote(str(self.folder))))
        (self.folder / "chassis").chmod(0o755)
        argv = ["ipmi_sim", "-c", str(self.folder / "lan"), "-f", str(self.folder / "model"), "-s",
                str(self.folder / "state"), "-n"]
        with (self.folder / "log").open("wb") as log:
            self._process = namespace.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)

    def is_on(self, on: bool) -> None:
        (self.folder / "power").write_text(f"{int(on)}\n")

    @property
    def power(self) -> str:
        return (self.folder / "power").read_text().strip()

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def controller(lab_namespace: Namespace) -> Iterator[Controller]:
    made = Controller(lab_namespace)
    runner = InNamespace(lab_namespace)
    deadline = time.monotonic() + 30
    while asyncio.run(runner.run(power.status_argv(_power(made)))).status:
        assert time.monotonic() < deadline, (made.folder / "log").read_text()
    yield made
    made.end()


def _power(controller: Controller, secret: Path | None = None) -> Power:
    return Power(method="ipmi", address=BRIDGE_ADDRESS, user="admin", secret=str(secret or controller.secret))


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
    runner, machine = InNamespace(lab_namespace), _machine(_power(controller))
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
    done = await runner.run(power.status_argv(_power(controller, wrong)))
    assert done.status != 0 and "Unable to establish" in done.complaint() and power.parse_status(done.out) is None
    assert controller.power == "1"


async def test_a_machine_that_hangs_is_reset(controller: Controller, lab_namespace: Namespace) -> None:
    """Last of all: the simulator takes no more sessions after it."""
    (step,) = power.reset(_machine(_power(controller)), 0)
    await _perform(InNamespace(lab_namespace), step)
    assert (controller.folder / "resets").read_text() == "reset\n"
