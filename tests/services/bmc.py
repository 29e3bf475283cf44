"""A real IPMI controller (OpenIPMI's simulator) in the lab's network, with a machine behind it that a script plays."""
from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from qrm_tui.backends import power
from qrm_tui.core.resources import Power
from qrm_tui.runners.base import SHORT, Completed, OnLine, Runner
from qrm_tui.runners.command import CommandRunner
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace

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
{sol}  chassis_control "{folder}/chassis"
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

    def __init__(self, namespace: Namespace, sol: str = "") -> None:
        """`sol`: where its serial line is, as ipmi_lan(5) has it."""
        self.folder = namespace.scratch / "bmc"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.secret = self.folder / "secret"
        self.secret.write_text("secret\n")
        self.secret.chmod(0o600)
        self.is_on(True)
        for name, text in (("lan", LAN), ("model", MODEL), ("chassis", CHASSIS)):
            (self.folder / name).write_text(text.format(address=BRIDGE_ADDRESS, folder=shlex.quote(str(self.folder)),
                                                        sol=f'  sol "{sol}" 115200\n' if sol else ""))
        (self.folder / "chassis").chmod(0o755)
        argv = ["ipmi_sim", "-c", str(self.folder / "lan"), "-f", str(self.folder / "model"), "-s",
                str(self.folder / "state"), "-n"]
        with (self.folder / "log").open("wb") as log:
            self._process = namespace.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)

    async def ready(self, runner: Runner) -> None:
        """As soon as it answers."""
        deadline = time.monotonic() + 30
        while (await runner.run(power.status_argv(self.power_of()))).status:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()

    def power_of(self, secret: Path | None = None) -> Power:
        """How qrmd reaches it."""
        return Power(method="ipmi", address=BRIDGE_ADDRESS, user="admin", secret=str(secret or self.secret))

    def is_on(self, on: bool) -> None:
        (self.folder / "power").write_text(f"{int(on)}\n")

    @property
    def power(self) -> str:
        return (self.folder / "power").read_text().strip()

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
