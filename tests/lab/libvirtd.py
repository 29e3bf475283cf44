"""A real libvirtd with QEMU in the lab's network, with folders of its own in the place of the machine's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.lab.namespace import Namespace

PROGRAMS = {"libvirtd": "libvirt-daemon", "virtlogd": "libvirt-daemon", "qemu-system-x86_64": "qemu-system-x86"}
"""Program → its Debian package; libvirt-daemon-driver-qemu comes with the first."""
PATIENCE = 60.0
"""Seconds until it must answer: the first time it asks QEMU what it can."""
FOLDERS = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "run": "/run/libvirt", "log": "/var/log/libvirt",
           "cache": "/var/cache/libvirt"}
"""Ours → the one that it lies over; libvirtd has no options for most of them."""
SETTINGS = {
    # nobody asks for passwords, as root, and without a hypervisor's usual cages, which want systemd or privileges
    "libvirtd.conf": 'auth_unix_rw = "none"\nauth_unix_ro = "none"\nlog_outputs = "2:stderr"\n',
    "qemu.conf": 'security_driver = "none"\nuser = "root"\ngroup = "root"\ncgroup_controllers = []\nnamespaces = []\n'
                 "remember_owner = 0\n",
    "virtlogd.conf": 'log_outputs = "2:stderr"\n',
}
ACCOUNTS = {"passwd": "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n",
            "group": "libvirt-qemu:x:64055:\n"}
"""libvirtd looks for these, whatever its settings say; Debian makes them with libvirt-daemon-system, which brings far
more. Added to the machine's own."""
QEMU = "/usr/bin/qemu-system-x86_64"
KVM = "/dev/kvm"
INSIDE = """
folder=$1; shift
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/group" /etc/group
while [ "$1" != + ]; do mount --bind /dev/null "$1"; shift; done; shift
while [ "$1" != -- ]; do mkdir -p "$2"; mount --bind "$folder/$1" "$2"; shift 2; done; shift
# libvirt's driver for containers wants one kind of control groups, and some machines have both
! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
exec setpriv --pdeathsig KILL "$@"
"""


class Libvirtd:
    """libvirtd and virtlogd; domains live on while it is down, as everywhere, and end with the namespace."""

    def __init__(self, namespace: Namespace, name: str = "libvirt", *, kvm: bool = True) -> None:
        """Without `kvm` it is on a machine that has none."""
        self._namespace = namespace
        self._hidden = [] if kvm or not Path(KVM).exists() else [KVM]
        self.folder = namespace.scratch / name
        for part in FOLDERS:
            (self.folder / part).mkdir(parents=True)
        for file, text in SETTINGS.items():
            (self.folder / "etc" / file).write_text(text)
        for file, text in ACCOUNTS.items():
            there = Path("/etc", file).read_text()
            (self.folder / file).write_text(there if "libvirt-qemu:" in there else there + text)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._run("virtlogd")

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "run/libvirt-sock"

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def containers(self) -> str:
        """The URI of its driver for containers (libvirt-daemon-driver-lxc)."""
        return f"lxc+unix:///system?socket={self.socket}"

    def start(self) -> None:
        """Until it answers."""
        self._run("libvirtd")
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._daemons["libvirtd"].poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def _answers(self) -> bool:
        done = subprocess.run(["virsh", "-c", self.uri, "version"], capture_output=True, timeout=PATIENCE)
        return done.returncode == 0

    def _run(self, program: str) -> None:
        folders = [word for part in FOLDERS.items() for word in part]
        argv = ["unshare", "--mount", "sh", "-ec", INSIDE, "sh", str(self.folder), *self._hidden, "+", *folders, "--",
                program, "--pid-file", str(self.folder / f"{program}.pid")]
        with (self.folder / f"{program}.log").open("ab") as log:
            self._daemons[program] = self._namespace.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                           start_new_session=True)

    def virsh(self, *words: str, uri: str = "") -> str:
        """What somebody does there by hand."""
        return subprocess.run(["virsh", "-c", uri or self.uri, *words], capture_output=True, text=True, check=True,
                              timeout=PATIENCE).stdout

    def process_of(self, domain: str) -> int:
        """The id of a domain's QEMU."""
        found = [pid for pid in self._namespace.processes() if _words(pid)[:3:2] == [QEMU, f"guest={domain}"]]
        assert len(found) == 1, found
        return found[0]

    def kill(self) -> None:
        """As by kill -9; its domains go on."""
        self._signal(signal.SIGKILL)
        self._daemons["libvirtd"].wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # the program itself: nsenter, unshare, sh and setpriv each became the next
        os.kill(self._daemons["libvirtd"].pid, number)

    def log(self) -> str:
        return "".join(file.read_text(errors="replace")[-3000:] for file in self.folder.glob("*.log"))

    def end(self) -> None:
        """With every domain."""
        for daemon in self._daemons.values():
            daemon.kill()
            daemon.wait()
        for pid in self._namespace.processes():
            if _words(pid)[:1] == [QEMU]:
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder)


def _words(pid: int) -> list[str]:
    """A process's command line, its options' first words alone."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return []
    return [word.partition(",")[0] for word in line.split("\0")]
