"""A Debian with the netboot services in it, built once and cached; what is written while it is used lies elsewhere.

Programs of it run in the lab's network, one by one: nothing of it is booted, so systemctl is played (`Services`).
"""
from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from qrm_tui.core.errors import StepFailed
from qrm_tui.runners.base import SHORT, Completed, OnLine
from qrm_tui.runners.command import CommandRunner
from tests.lab.cache import cached
from tests.lab.debian import bootstrap, host_suite
from tests.lab.namespace import Namespace

PACKAGES = ("isc-dhcp-server", "tftpd-hpa", "apache2", "pxelinux", "syslinux-common", "ipxe", "busybox-static",
            "curl", "iproute2", "systemd", "nfs-kernel-server")
#: Folders of the root that are a copy of ours in each use; nothing else is written to.
WRITTEN = ("etc", "srv", "run", "var/lib/dhcp", "var/log", "tmp")
#: Mounts are this process's own (unshare) and end with it.
ENTER = r"""
set -e
root=$1 scratch=$2; shift 2
for folder in WRITTEN; do mount --bind "$scratch/$folder" "$root/$folder"; done
mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
for device in null zero full random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /run/log "$root/dev/log"
exec chroot "$root" "$@"
""".replace("WRITTEN", " ".join(WRITTEN))


def services_root() -> Path:
    """The root, built first if there is none (half a minute); ImageError."""
    return cached("services", [host_suite(), *PACKAGES], _build) / "root"


def _build(folder: Path) -> None:
    bootstrap(folder, PACKAGES)


class Services(CommandRunner):
    """The server: a runner over the root, in a lab's namespace. Services are started as their units say."""

    def __init__(self, namespace: Namespace) -> None:
        self.name = "qrmd"
        self.namespace = namespace
        self.root = services_root()
        self.scratch = Path(tempfile.mkdtemp(prefix="services-", dir=namespace.scratch))
        self.scratch.chmod(0o755)
        for folder in WRITTEN:
            (self.scratch / folder).parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self.root / folder, self.scratch / folder, symlinks=True)
        (self.scratch / "run/lock").mkdir(exist_ok=True)
        (self.scratch / "var/log/apache2").mkdir(exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._enabled: set[str] = set()
        #: how often each was started
        self.starts: list[str] = []
        #: what all programs told syslog
        self.log: list[str] = []
        self._listen()

    def _listen(self) -> None:
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._syslog.bind(str(self.scratch / "run/log"))
        (self.scratch / "run/log").chmod(0o666)

        def read() -> None:
            with contextlib.suppress(OSError):
                while data := self._syslog.recv(65536):
                    self.log.append(data.decode(errors="replace").rstrip("\n\0"))

        threading.Thread(target=read, daemon=True).start()

    def close(self) -> None:
        """All that it started ends."""
        for unit in list(self._running):
            self._stop(unit)
        self._syslog.shutdown(socket.SHUT_RDWR)
        self._syslog.close()

    def enter(self, argv: Sequence[str]) -> list[str]:
        """What to execute so that ARGV runs in the root and the lab's network."""
        return self.namespace.argv(["unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.root), str(self.scratch),
                                    *argv])

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        if argv[0] == "systemctl":
            return self._systemctl(list(argv))
        process = await asyncio.create_subprocess_exec(
            *self.enter(argv), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
        try:
            out, err = await asyncio.wait_for(process.communicate(input.encode()), seconds or None)
        except TimeoutError:
            process.kill()
            raise StepFailed(f"{argv[0]} did not end within {seconds} s") from None
        return Completed(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))

    async def ask(self, questions: Sequence[Sequence[str]]) -> list[Completed]:
        """One by one: systemctl among them is played."""
        return [await self.run(argv) for argv in questions]

    # systemd

    def _systemctl(self, argv: list[str]) -> Completed:
        units = argv[argv.index("--") + 1:] if "--" in argv else []
        match argv[1]:
            case "daemon-reload":
                pass
            case "show":
                return Completed(0, "\n".join(
                    f"Id={unit}\nLoadState=loaded\nActiveState={'active' if self.active(unit) else 'inactive'}\n"
                    f"UnitFileState={'enabled' if unit in self._enabled else 'disabled'}\n" for unit in units), "")
            case "enable":
                self._enabled.update(units)
            case "disable":
                self._enabled.difference_update(units)
            case "restart":
                for unit in units:
                    self._stop(unit)
                    self._start(unit)
            case "stop":
                for unit in units:
                    self._stop(unit)
            case _:
                raise AssertionError(argv)
        return Completed(0, "", "")

    def active(self, unit: str) -> bool:
        """Whether its program runs."""
        return unit in self._running and self._running[unit].poll() is None

    def _start(self, unit: str) -> None:
        place = self.scratch / "etc/systemd/system" / unit
        if unit == "apache2.service":
            argv = ["apache2ctl", "-D", "FOREGROUND"]
        else:
            text = place.read_text()
            for before in re.findall(r"^ExecStartPre=(.*)$", text, re.MULTILINE):
                subprocess.run(self.enter(shlex.split(before)), check=True)
            argv = shlex.split(re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0])
        self._running[unit] = subprocess.Popen(self.enter(argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL)
        self.starts.append(unit)

    def _stop(self, unit: str) -> None:
        process = self._running.pop(unit, None)
        if process is not None:
            process.terminate()
            process.wait(20)
