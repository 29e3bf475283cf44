"""What the labs of a whole server share: it is made, installed, gone through, told of where that fails, and ended."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from tests.lab.fixtures import NETBOOT_PROGRAMS, requirements
from tests.lab.golden import Golden
from tests.lab.image import image
from tests.lab.installed import Installed
from tests.lab.machine import Hardware, Machine
from tests.lab.manager import Manager
from tests.lab.namespace import Namespace
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.rows import Failed, Rows
from tests.lab.server_image import ServerImage
from tests.lab.watch import Watch


def asked(about: str, /, **flags: str) -> argparse.Namespace:
    """What the command line says of a lab; `flags` with what each is for, `keep` in any case."""
    words = argparse.ArgumentParser(description=about)
    keep = {"keep": "wait at the end, or where it failed, until enter is pressed, and tell how to look around"}
    for name, what in (flags | keep).items():
        words.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=what)
    return words.parse_args()


def lacks() -> bool:
    """Whether programs are missing that the lab needs; they are told."""
    lacking = requirements(NETBOOT_PROGRAMS)
    if lacking:
        print("the lab needs:", *lacking, sep="\n", file=sys.stderr)
    return bool(lacking)


def go(server: ServerImage, roots: Sequence[Golden], rack: dict[int, Hardware], accel: str, kinds: tuple[str, ...],
       through: Callable[[Rows, NetbootFarm], None], *, keep: bool, there: Installed | None = None) -> int:
    """A fresh server, or one that is installed already (`there`), with these roots on disks of its own, and machines by
    their numbers; the exit code.

    `keep` waits at the end, or where it failed, until enter is pressed."""
    stranger, rows, started = image(), Rows(), time.monotonic()
    with Namespace() as namespace, ExitStack() as stack:
        namespace.add_router()
        manager = Manager(namespace, server, *roots)
        machines = [Machine(namespace, number, hardware, accel) for number, hardware in rack.items()]
        try:
            if there is None:
                with rows.row("lab", f"a fresh Debian as server, machines on {accel}") as row:
                    manager.start()
                    manager.make_group()
                    row.proof(f"systemd: {manager.settle()}")
                with rows.row("lab", "this checkout's package is installed there as README.md tells") as row:
                    manager.install_program()
                    manager.begin()
                    row.proof(manager.qrm("--version").stdout.strip())
            else:
                with rows.row("lab", f"a server from its disks as they were installed, machines on {accel}") as row:
                    manager.start(there.folder)
                    row.proof(f"systemd: {manager.settle()}")
                    row.proof(manager.qrm("--version").stdout.strip())
            line = stack.enter_context(manager.line())
            watch = stack.enter_context(Watch(line.socket, kinds))
            through(rows, NetbootFarm(namespace, manager, line, watch, machines, roots, stranger))
        except Failed:
            tell(manager, machines)
        except BaseException:
            tell(manager, machines)
            raise
        finally:
            if keep:
                wait_for_enter(namespace, manager)
    print(f"{time.monotonic() - started:.0f} s in all\n{rows.summary()}", flush=True)
    return 1 if rows.failed else 0


def wait_for_enter(namespace: Namespace, manager: Manager) -> None:
    """So long the lab can be looked at."""
    login = subprocess.list2cmdline(namespace.argv(manager.ssh_argv()))
    input(f"log in by: {login}\nenter ends the lab ")


def tell(manager: Manager, machines: list[Machine]) -> None:
    """What is needed to understand a failure."""
    for machine in machines:
        print(f"--- console of {machine.name}\n{machine.console_tail()}", file=sys.stderr)
    print(f"--- console of {manager.name}\n{manager.console_tail(15)}", file=sys.stderr)
    for script in (
        "tail -n 60 /var/log/qrm/qrm.log",
        "for kind in resource ve image boot-image component host partition job; do qrm $kind list; done",
        "for job in $(qrm job list --filter 'not state=done' --plain | cut -f1); do qrm job show $job; "
        "qrm job log $job; done",
        "for name in $(qrm partition list --plain | cut -f1); do echo $name; qrm console log $name | tail -n 30; done",
        "systemctl --failed --no-legend; journalctl --no-pager --quiet -n 60",
    ):
        try:
            done = manager.shell(script, check=False)
            print(f"--- {script}\n{done.stdout}{done.stderr}", file=sys.stderr)
        except Exception as error:  # the server may be what is broken
            print(f"--- {script}: {error}", file=sys.stderr)
    sys.stderr.flush()
