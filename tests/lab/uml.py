"""A machine in user-mode-linux on the lab's bridge: Debian with systemd and ssh, its disks, its power and its cable."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.cache import run
from tests.lab.guard import children
from tests.lab.image import Image
from tests.lab.namespace import Namespace

DEADLINE = 180.0
"""Seconds until a boot or a shutdown counts as failed; far more than any needs (a boot takes some 5 s)."""
POLL = 0.05
"""Seconds between two looks at something awaited."""
DATA_DEVICE = "/dev/ubdb"


def copy_sparse(source: Path, target: Path) -> None:
    """What is empty stays so, and takes no room."""
    run(["cp", "--sparse=always", str(source), str(target)])


class LabError(RuntimeError):
    """A lab machine did not do what it should; the message ends with the tail of its console."""


class UmlMachine:
    """One machine; its root is a copy-on-write overlay of the image, its data disk is empty at first.

    `extra_disks` are files that it reads as /dev/ubdc and so on. `serial`: the descriptor of a terminal that is its
    ttyS0. All machines of an image share its host key.
    """

    user = "root"

    def __init__(
        self,
        namespace: Namespace,
        image: Image,
        *,
        name: str,
        address: str,
        data_gb: int,
        memory_mb: int,
        extra_disks: Sequence[Path] = (),
        serial: int | None = None,
    ) -> None:
        self._namespace = namespace
        self._image = image
        self._memory_mb = memory_mb
        self._data_gb = data_gb
        self._extra_disks = tuple(extra_disks)
        self._serial = () if serial is None else (serial,)
        self._number = int(address.rpartition(".")[2])
        self._tap = f"tap{self._number}"
        self._machine: subprocess.Popen[bytes] | None = None
        self._login: subprocess.Popen[bytes] | None = None
        self.name = name
        self.address = address
        self.folder = namespace.scratch / self.name
        self.console_log = self.folder / "console.log"
        self.known_hosts = self.folder / "known_hosts"
        """A known_hosts file that pins this machine's key."""
        self.data_disk = self.folder / "data.img"
        self._overlay = self.folder / "root.cow"
        self._socket = self.folder / "ssh"

    @property
    def client_key(self) -> Path:
        """The private key that logs in as root."""
        return self._image.client_key

    @property
    def host_key(self) -> str:
        """The machine's public key: algorithm and key."""
        return self._image.host_public_key

    def start(self, disks: Path | None = None) -> None:
        """Makes the disks, or takes those that were kept in a folder, and the tap, and boots. Raises LabError."""
        self.folder.mkdir()
        self.known_hosts.write_text(f"{self.address} {self.host_key}\n")
        with self.data_disk.open("wb") as disk:
            disk.truncate(self._data_gb << 30)
        if disks is not None:
            for kept in (self._overlay, self.data_disk):
                copy_sparse(disks / kept.name, kept)
        self._namespace.add_tap(self._tap)
        self.boot()

    def stop(self) -> None:
        """Ends the machine and forgets its disks."""
        self.power_cut()
        self._namespace.remove_tap(self._tap)
        for file in (self._overlay, self.data_disk):
            file.unlink(missing_ok=True)

    def keep_disks(self, folder: Path) -> None:
        """Copies them there, for a machine of the same image; this one is off."""
        for disk in (self._overlay, self.data_disk):
            copy_sparse(disk, folder / disk.name)

    def boot(self, *, settle: bool = True) -> None:
        """Switches the machine on, with the disks as they are, and waits for a login.

        `settle`: also until systemd's start-up is through; a unit that waits for a missing device holds that up for
        90 s. Raises LabError.
        """
        if self._machine is not None and self._machine.poll() is None:
            raise LabError(f"{self.name} is on already")
        with self.console_log.open("ab") as console:
            self._machine = self._namespace.popen(
                ["unshare", "--pid", "--kill-child", "--fork", "sh", "-c", '"$@" & wait $!', "sh", *self._uml_argv()],
                inside=True,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                pass_fds=self._serial,
                env={**os.environ, "TMPDIR": "/dev/shm"},  # its memory is a file there, unlinked at once
            )
        self._await_login()
        if settle:
            self.settle()

    def settle(self) -> str:
        """Waits until systemd's start-up is through; `running`, or `degraded` if a unit failed."""
        return str(self.ssh("systemctl", "is-system-running", "--wait", check=False).stdout).strip()

    def power_cut(self) -> None:
        """Ends the machine at once, as by a pulled plug: what it has not written to its disks is lost."""
        self._hang_up()
        if self._machine is None:
            return
        if (first := self._first_process()) is not None:
            os.kill(first, signal.SIGKILL)  # the kernel kills the rest of its pid namespace before this one is gone
        self._machine.wait()
        self._machine = None

    def shut_down(self) -> None:
        """Powers off in order. Raises LabError."""
        self.ssh("systemctl", "poweroff", "--no-block")
        machine = self._machine
        self._await("power-off", lambda: machine is None or machine.poll() is not None)
        self._hang_up()
        self._machine = None

    def reboot(self, *, settle: bool = True) -> None:
        """Restarts in order. Raises LabError."""
        self.shut_down()
        self.boot(settle=settle)

    def pause(self) -> None:
        """Pulls the network cable: the machine runs on, unreachable."""
        self._namespace.unplug(self._tap)

    def resume(self) -> None:
        """Puts the network cable back, and logs in again: the shared connection may have given up meanwhile."""
        self._namespace.plug(self._tap)
        if self._machine is not None:
            self._await_login()

    def ssh(
        self, *argv: str, input: str | None = None, check: bool = True, timeout: float | None = DEADLINE
    ) -> subprocess.CompletedProcess[str]:
        """Runs ARGV on the machine, each word quoted. Raises subprocess.CalledProcessError, TimeoutExpired."""
        done = self._namespace.run(
            self.ssh_argv(*argv),
            input=input or "",
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            error = subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
            error.add_note(f"{self.name}: {shlex.join(argv)}\n{done.stdout}{done.stderr}")
            raise error
        return done

    def shell(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a shell script on the machine."""
        return self.ssh("sh", "-ec", script, check=check)

    def write(self, path: str, content: str) -> None:
        """Writes a file on the machine, making its folders."""
        self.ssh("sh", "-ec", 'mkdir -p "$(dirname "$1")"; cat > "$1"', "sh", path, input=content)

    def ssh_argv(self, *argv: str, share: bool = True) -> list[str]:
        """The ssh command line; run it by the namespace. `share`: over the connection that is open already."""
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            "ConnectTimeout=2",
            f"UserKnownHostsFile={self.known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            f"ControlPath={self._socket if share else 'none'}",
        ]
        words = [word for option in options for word in ("-o", option)]
        target = f"{self.user}@{self.address}"
        command = [shlex.join(argv)] if argv else []
        return ["ssh", "-F", "none", "-T", "-i", str(self.client_key), *words, target, *command]

    def console_tail(self, lines: int = 40) -> str:
        try:
            text = self.console_log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _uml_argv(self) -> list[str]:
        machine_id = hashlib.sha256(self.name.encode()).hexdigest()[:32]
        return [
            str(self._image.kernel),
            f"mem={self._memory_mb}M",
            f"umid={self.name}",
            f"uml_dir={self.folder / 'uml'}/",
            f"ubd0={self._overlay},{self._image.root}",
            f"ubd1={self.data_disk}",
            *(f"ubd{number}r={disk}" for number, disk in enumerate(self._extra_disks, start=2)),
            f"vec0:transport=tap,ifname={self._tap},depth=128,gro=1,mac=52:54:00:77:00:{self._number:02x}",
            "root=/dev/ubda",
            "rw",
            # A tick that comes by itself: a one-shot timer whose signal gets lost on a busy machine is never set again,
            # and everything that sleeps there sleeps for good.
            "nohz=off",
            "highres=off",
            "net.ifnames=0",
            "pty.legacy_count=0",
            "con=null",
            "con0=null,fd:1",
            *(f"ssl0=fd:{terminal}" for terminal in self._serial),
            f"systemd.hostname={self.name}",
            f"systemd.machine_id={machine_id}",
            f"systemd.setenv=LAB_ADDRESS={self.address}/24",
        ]

    def _await_login(self) -> None:
        """Opens the connection that all commands share, again and again until the machine lets it in."""

        def logged_in() -> bool:
            if self._machine is not None and self._machine.poll() is not None:
                raise LabError(f"{self.name} ended while it booted\n{self.console_tail()}")
            if self._login is None or self._login.poll() is not None:
                self._socket.unlink(missing_ok=True)
                argv = self.ssh_argv()
                argv[1:1] = ["-N", "-M", "-o", "ServerAliveInterval=5"]
                self._login = self._namespace.popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            return self._socket.exists()

        self._await("login", logged_in)
        self.ssh("true")

    def _hang_up(self) -> None:
        if self._login is not None:
            self._login.kill()
            self._login.wait()
            self._login = None
        self._socket.unlink(missing_ok=True)

    def _first_process(self) -> int | None:
        """The first process of the machine's own pid namespace: nsenter → unshare → this one."""
        machine = self._machine
        assert machine is not None
        found: list[int] = []

        def forked() -> bool:
            found.extend(pid for child in children(machine.pid) for pid in children(child))
            return bool(found) or machine.poll() is not None

        self._await("machine's processes", forked)
        return found[0] if found else None

    def _await(self, what: str, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not reached():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: no {what} in {DEADLINE:.0f} s\n{self.console_tail()}")
            time.sleep(POLL)
