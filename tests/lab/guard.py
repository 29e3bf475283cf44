"""Makes a lab namespace, keeps it while its owner lives, and ends all that runs in it afterwards.

A process of its own, started by namespace.py as `python -I guard.py OWNER_PID SCRATCH`: standard input is a pipe that
closes with the owner, standard output tells the process id of the namespace's first process. The owner's death by
kill -9 is seen by the pipe and by a pidfd; should the guard itself be killed, the kernel ends the namespace's process
tree with it (parent death signals).
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""prctl(2)"""

KEEPER = """
set -e
ip link set lo up
ip link add br0 type bridge
ip address add 10.77.0.1/24 dev br0
ip link set br0 up
mount -t tmpfs -o mode=1777 lab /dev/shm
echo ready
exec cat >/dev/null
"""
"""The namespace's first process, a shell script: it ends when the owner's pipe closes."""


def children(pid: int) -> list[int]:
    found = []
    for other in _processes():
        try:
            stat = Path(f"/proc/{other}/stat").read_text()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == pid:
            found.append(other)
    return found


def in_network_namespace(namespace: str) -> list[int]:
    found = []
    for pid in _processes():
        try:
            if str(Path(f"/proc/{pid}/ns/net").readlink()) == namespace:
                found.append(pid)
        except OSError:
            continue
    return found


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _start_keeper() -> int:
    argv = ["unshare", "--net", "--pid", "--mount-proc", "--uts", "--ipc", "--kill-child"]
    if os.geteuid() != 0:
        argv += ["--user", "--map-root-user"]
    argv += ["--fork", "sh", "-c", KEEPER]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise SystemExit("the lab's namespace could not be made")
    return children(process.pid)[0]


def end_all(namespace: str) -> None:
    """Kills every process of the namespace, also those that were only entered into its network."""
    while remaining := in_network_namespace(namespace):
        for pid in remaining:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                if pid in in_network_namespace(namespace):  # still the same process, now that it is held
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    select.select([descriptor], [], [], 1)
            except ProcessLookupError:
                pass
            finally:
                os.close(descriptor)


def main() -> None:
    owner, scratch = os.pidfd_open(int(sys.argv[1])), Path(sys.argv[2])
    keeper = _start_keeper()
    held = os.open(f"/proc/{keeper}/ns/net", os.O_RDONLY)  # the namespace's number is not used again meanwhile
    namespace = str(Path(f"/proc/{keeper}/ns/net").readlink())
    if namespace == str(Path("/proc/self/ns/net").readlink()):
        raise SystemExit("not a namespace of its own")
    print(keeper, flush=True)
    try:
        select.select([sys.stdin, owner], [], [])
        end_all(namespace)
    finally:
        os.close(held)
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
