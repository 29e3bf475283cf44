"""The netboot lab: one real server, real machines, two customers; prints a line for each row that it proves.

Run as `python -m tests.lab.netboot`; exit code 0 when all rows hold. `--keep` waits at the end, or where it failed,
until enter is pressed, and tells how to look around. `--bare-boot` measures a start beside the machine's bare boot.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack

from tests.lab.acceleration import acceleration
from tests.lab.fixtures import NETBOOT_PROGRAMS, requirements
from tests.lab.golden import golden
from tests.lab.image import image
from tests.lab.machine import Hardware, Machine
from tests.lab.manager import Manager
from tests.lab.namespace import Namespace
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.netboot_rows import Scenario
from tests.lab.rows import Failed, Rows
from tests.lab.server_image import server_image
from tests.lab.watch import Watch

BIOS = Hardware("bios", cpus=1, memory_mb=512, vendor="Lab BIOS", serial="LAB-B-1")
UEFI = Hardware("uefi", cpus=2, memory_mb=1024, vendor="Lab UEFI", serial="LAB-U-2")


def main() -> int:
    if lacking := requirements(NETBOOT_PROGRAMS):
        print("the lab needs:", *lacking, sep="\n", file=sys.stderr)
        return 1
    server, root, stranger = server_image(), golden(), image()
    accel = acceleration(server.machine_kernel)
    rows, started = Rows(), time.monotonic()
    with Namespace() as namespace, ExitStack() as stack:
        manager = Manager(namespace, server, root)
        machines = [Machine(namespace, 0x20, BIOS, accel), Machine(namespace, 0x21, UEFI, accel)]
        try:
            with rows.row("lab", f"a fresh Debian as server, machines on {accel}") as row:
                manager.start()
                row.proof(f"systemd: {manager.settle()}")
            with rows.row("lab", "this checkout's package is installed there as README.md tells") as row:
                manager.install_program()
                row.proof(manager.qrm("--version").stdout.strip())
            line = stack.enter_context(manager.line())
            watch = stack.enter_context(Watch(line.socket))
            Scenario(rows, NetbootFarm(namespace, manager, line, watch, machines, root, stranger)).run(
                "--bare-boot" in sys.argv[1:]
            )
        except Failed:
            _tell(manager, machines)
        except BaseException:
            _tell(manager, machines)
            raise
        finally:
            if "--keep" in sys.argv[1:]:
                login = subprocess.list2cmdline(namespace.argv(manager.ssh_argv()))
                input(f"log in by: {login}\nenter ends the lab ")
    print(f"{time.monotonic() - started:.0f} s in all\n{rows.summary()}", flush=True)
    return 1 if rows.failed else 0


def _tell(manager: Manager, machines: list[Machine]) -> None:
    """What is needed to understand a failure."""
    for machine in machines:
        print(f"--- console of {machine.name}\n{machine.console_tail()}", file=sys.stderr)
    print(f"--- console of {manager.name}\n{manager.console_tail(15)}", file=sys.stderr)
    for script in (
        "tail -n 60 /var/log/qrm/qrm.log",
        "qrm resource list; qrm ve list; qrm image list; qrm boot-image list; qrm component list; qrm job list",
        "for job in $(qrm job list --filter 'not state=done' --plain | cut -f1); do qrm job show $job; "
        "qrm job log $job; done",
        "systemctl --failed --no-legend; journalctl --no-pager --quiet -n 60",
    ):
        try:
            done = manager.shell(script, check=False)
            print(f"--- {script}\n{done.stdout}{done.stderr}", file=sys.stderr)
        except Exception as error:  # the server may be what is broken
            print(f"--- {script}: {error}", file=sys.stderr)
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
