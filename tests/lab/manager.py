"""The openQRM server as a whole machine: storage server and manager in one, installed from this checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.cache import LAB, run
from tests.lab.golden import Golden
from tests.lab.namespace import Namespace
from tests.lab.server_image import VENV, ServerImage
from tests.lab.uml import DATA_DEVICE, UmlMachine
from tests.services.command_line import CommandLine, until

ADDRESS = "10.77.0.2"
INTERFACE = "vec0"
GROUP = "vol"
GOLDEN_DEVICE, SECOND_DEVICE = "/dev/ubdc", "/dev/ubdd"
SOCKET = "/run/qrm/qrmd.sock"
PROGRAMS = f"/{VENV}/bin"
INSTALL = f"""
{PROGRAMS}/pip install --quiet --disable-pip-version-check --no-index --no-deps "$1"
ln -sf {PROGRAMS}/qrm* /usr/local/bin/
"""
BEGIN = f"""
{PROGRAMS}/qrmd --print-unit > /etc/systemd/system/qrmd.service
systemctl daemon-reload
systemctl enable --quiet --now qrmd
"""
"""As README.md tells it, with the package that this checkout builds."""


def package(folder: Path) -> Path:
    """This checkout's package, built into `folder`; the same content makes the same file."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir",
         str(folder), str(LAB.parent.parent)])  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


class Manager(UmlMachine):
    """A fresh Debian at first; its data disk becomes an empty volume group, further disks hold golden roots."""

    def __init__(self, namespace: Namespace, image: ServerImage, *roots: Golden, serial: int | None = None) -> None:
        super().__init__(
            namespace,
            image,
            name="qrmd",
            address=ADDRESS,
            data_gb=8,
            memory_mb=1536,
            extra_disks=[root.archive for root in roots],
            serial=serial,
        )

    def make_group(self) -> None:
        """The volume group, of its data disk."""
        self.ssh("vgcreate", "--quiet", "--yes", GROUP, DATA_DEVICE)

    def install_program(self) -> None:
        """Builds this checkout's package and installs it."""
        wheel = package(self.folder / "wheels")
        target = f"/root/{wheel.name}"
        self.send(wheel, target)
        self.ssh("sh", "-ec", INSTALL, "sh", target)

    def begin(self) -> None:
        """qrmd runs, now and at each boot."""
        self.shell(BEGIN)

    def send(self, file: Path, target: str) -> None:
        """Copies a file onto the machine."""
        with file.open("rb") as content:
            argv = self.ssh_argv("sh", "-ec", 'cat > "$1"', "sh", target)
            self._namespace.run(argv, stdin=content, check=True)

    def qrm(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command line on the machine itself."""
        return self.ssh(f"{PROGRAMS}/qrm", *words, check=check)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """qrmd does nothing at all meanwhile; who asks it waits."""
        self.ssh("systemctl", "kill", "--signal=STOP", "qrmd.service")
        try:
            yield
        finally:
            self.ssh("systemctl", "kill", "--signal=CONT", "qrmd.service")

    @contextmanager
    def line(self) -> Iterator[CommandLine]:
        """Its socket here, carried by ssh: the command line starts faster outside of user-mode-linux."""
        socket = self.folder / "qrmd.sock"
        argv = self.ssh_argv()
        argv[1:1] = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{socket}:{SOCKET}"]
        carrier = self._namespace.popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            until("the server's socket is carried here", socket.exists, 60)
            yield CommandLine(socket, patience=900)
        finally:
            carrier.kill()
            carrier.wait()
            socket.unlink(missing_ok=True)
