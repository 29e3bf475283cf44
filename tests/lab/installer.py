"""The installer's lab: a fresh Debian becomes a server by keys that are pressed on its serial console, is used, and
compared with one that was set up from the answers file; prints a line for each row that it proves.

Run as `python -m tests.lab.installer`; exit code 0 when all rows hold.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from tests.lab import install_rows
from tests.lab.acceleration import acceleration
from tests.lab.image import image
from tests.lab.install_rows import Console
from tests.lab.machine import Hardware, Machine
from tests.lab.manager import Manager
from tests.lab.namespace import Namespace
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.rows import Failed, Rows
from tests.lab.serial_line import SerialLine
from tests.lab.server_image import ServerImage, server_image
from tests.lab.server_inventory import state
from tests.lab.watch import Watch
from tests.lab.whole_server import asked, lacks, tell, wait_for_enter

RACK = Hardware("bios", cpus=1, memory_mb=512, vendor="Lab BIOS", serial="LAB-B-1")


def main() -> int:
    words = asked("A fresh machine that is set up on its serial console, by keys; a line for each row that holds.")
    if lacks():
        return 1
    server, rows, started = server_image(fresh=True), Rows(), time.monotonic()
    try:
        typed, answers = _typed(rows, server, keep=words.keep)
        answered = _answered(rows, server, answers, keep=words.keep)
        install_rows.compared(rows, typed, answered)
    except Failed:
        pass
    print(f"{time.monotonic() - started:.0f} s in all\n{rows.summary()}", flush=True)
    return 1 if rows.failed else 0


def _typed(rows: Rows, server: ServerImage, *, keep: bool) -> tuple[set[str], str]:
    """The machine at whose console somebody sits: its state when it was set up, and its answers file."""
    with Namespace() as namespace, SerialLine() as line, ExitStack() as stack:
        namespace.add_router()
        manager = Manager(namespace, server, serial=line.terminal)
        machine = Machine(namespace, 0x20, RACK, acceleration(server.machine_kernel))
        try:
            _begin(rows, manager)
            console = Console(rows, namespace, manager, line)
            console.install()
            socket = stack.enter_context(manager.line())
            install_rows.served(rows, manager, socket, console.took)
            found, answers = state(manager), manager.ssh("cat", install_rows.ANSWERS).stdout
            console.log_in()
            watch = stack.enter_context(Watch(socket.socket, ("resource", "job")))
            farm = NetbootFarm(namespace, manager, socket, watch, [machine], (), image())
            install_rows.again(rows, manager)
            install_rows.netboot(rows, farm)
            install_rows.moved(rows, manager, socket)
            install_rows.removed(rows, manager, socket)
            return found, answers
        except BaseException:
            print(f"--- the serial console\n{line.screen()}", file=sys.stderr)
            tell(manager, [machine])
            raise
        finally:
            if keep:
                wait_for_enter(namespace, manager)


def _answered(rows: Rows, server: ServerImage, answers: str, *, keep: bool) -> set[str]:
    """The state of a machine that was set up from an answers file."""
    with Namespace() as namespace:
        namespace.add_router()
        manager = Manager(namespace, server)
        try:
            _begin(rows, manager)
            return install_rows.by_answers(rows, manager, answers)
        except BaseException:
            tell(manager, [])
            raise
        finally:
            if keep:
                wait_for_enter(namespace, manager)


def _begin(rows: Rows, manager: Manager) -> None:
    with rows.row("lab", "a fresh Debian with an empty disk, this checkout's package, and nothing set up") as row:
        manager.start()
        row.proof(f"systemd: {manager.settle()}")
        manager.install_program()
        row.proof(manager.qrm("--version").stdout.strip())


if __name__ == "__main__":
    raise SystemExit(main())
