"""A network of the tests' own: namespaces with a bridge and taps, gone with the test process whatever ends it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab.guard import end_all, in_network_namespace

GUARD = Path(__file__).with_name("guard.py")
ROUTER = Path(__file__).with_name("router.py")
BRIDGE = "br0"
BRIDGE_ADDRESS = "10.77.0.1"
NETWORK = "10.77.0.0/24"


class NamespaceError(RuntimeError):
    """The namespace can't be made; the message says why."""


class Namespace:
    """Net, mount, pid, uts and ipc namespaces with the bridge br0 (10.77.0.1/24), as root or in a user namespace.

    Nothing is registered outside (no `ip netns add`): the namespaces live as long as their processes, and guard.py
    ends these with this process. `scratch` is a folder for disks, logs and sockets that is removed then, too.
    """

    def __init__(self) -> None:
        self._guard: subprocess.Popen[str] | None = None
        self.keeper = 0
        """Process id (outside) of the namespace's first process."""
        self._identity = ""
        self.scratch = Path()

    def start(self) -> None:
        """Raises NamespaceError."""
        _remove_stale_scratch()
        self.scratch = Path(tempfile.mkdtemp(prefix="qrm-lab-"))
        with (self.scratch / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the guard inherits the descriptor and so holds the lock
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(GUARD), str(os.getpid()), str(self.scratch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        assert self._guard.stdout is not None
        answer = self._guard.stdout.readline()
        if not answer:
            self.close()
            raise NamespaceError("the lab's network namespace could not be made: see the messages above")
        self.keeper = int(answer)
        self._identity = str(Path(f"/proc/{self.keeper}/ns/net").readlink())

    def close(self) -> None:
        """Ends all processes of the namespace, removes the scratch folder; returns when that is done."""
        if self._guard is None:
            return
        self._guard.communicate()
        if self._guard.returncode and self._identity:
            # The guard was killed, and with it the keeper's process tree, but not what only entered the network.
            end_all(self._identity)
            shutil.rmtree(self.scratch, ignore_errors=True)
        self._guard = None
        self.keeper = 0

    def __enter__(self) -> Namespace:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def argv(self, argv: Sequence[str], *, inside: bool = False) -> list[str]:
        """What to execute so that ARGV runs in the network namespace; `inside`: in all of its namespaces."""
        if not self.keeper:
            raise NamespaceError("the namespace is not started")
        # --root, --wd: a mount namespace is entered at its topmost root, and the tests may run in a chroot
        kinds = ["--net", "--mount", "--root", "--wd", "--pid", "--uts", "--ipc"] if inside else ["--net"]
        if os.geteuid() != 0:
            kinds += ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self.keeper), *kinds, "--", *argv]

    def run(self, argv: Sequence[str], *, inside: bool = False, **options: Any) -> subprocess.CompletedProcess[Any]:
        """As subprocess.run. Files, sockets and process ids are the caller's, only the network is the lab's."""
        return subprocess.run(self.argv(argv, inside=inside), **options)

    def popen(self, argv: Sequence[str], *, inside: bool = False, **options: Any) -> subprocess.Popen[Any]:
        """As subprocess.Popen. The process id is the program's own (`inside`: that of an nsenter that waits for it)."""
        return subprocess.Popen(self.argv(argv, inside=inside), **options)

    def processes(self) -> list[int]:
        """Process ids of all that runs in the network namespace."""
        return in_network_namespace(self._identity)

    def add_router(self) -> subprocess.Popen[Any]:
        """Machines that netboot need not wait for an IPv6 router; it ends with the namespace."""
        return self.popen([sys.executable, "-I", str(ROUTER), BRIDGE], stdin=subprocess.DEVNULL)

    def add_tap(self, name: str) -> None:
        """A tap device on the bridge, up."""
        self._ip("tuntap", "add", name, "mode", "tap")
        self.plug(name)
        self._ip("link", "set", name, "up")

    def remove_tap(self, name: str) -> None:
        self._ip("link", "delete", name)

    def plug(self, name: str) -> None:
        """Puts a device's cable into the bridge."""
        self._ip("link", "set", name, "master", BRIDGE)

    def unplug(self, name: str) -> None:
        """Pulls a device's cable: it stays up, but nothing comes through."""
        self._ip("link", "set", name, "nomaster")

    def _ip(self, *words: str) -> None:
        done = self.run(["ip", *words], capture_output=True, text=True)
        if done.returncode:
            raise NamespaceError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _remove_stale_scratch() -> None:
    """Folders whose guard was killed, too: their lock is free."""
    for folder in Path(tempfile.gettempdir()).glob("qrm-lab-*"):
        try:
            with (folder / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
