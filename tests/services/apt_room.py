"""A machine of its own for apt and dpkg: the real programs, on a package database, sources, caches and disks that are a
mount namespace's, and a mirror that does as it is told. Nothing else of this machine can be written there."""
from __future__ import annotations

import hashlib
import http.server
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from qrm_tui.daemon.machines import RealMachines
from qrm_tui.runners.base import SHORT, Completed, OnLine, Runner
from qrm_tui.runners.local import LocalRunner

#: Folders that are the room's own.
OWN = ("/etc", "/opt", "/run", "/srv", "/tmp", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/qrm",
       "/var/cache/apt", "/var/log")
PROGRAM = Path(__file__).parents[2]
"""The checkout, with its environment, which may lie in one of these."""
MAKE = r"""
set -e
url=$1 program=$2; shift 2
mount --make-rprivate /
keep=/mnt
mount -t tmpfs -o size=64m,mode=755 own $keep
mkdir $keep/etc $keep/program
mount --bind "$program" $keep/program
for file in passwd group nsswitch.conf hosts ld.so.cache ld.so.conf ld.so.conf.d alternatives; do
    [ ! -e "/etc/$file" ] || cp -R -P "/etc/$file" $keep/etc/
done
for folder; do
    [ -d "$folder" ] || continue
    mkdir -p "$keep$folder"
    mount --bind "$keep$folder" "$folder"
done
if [ ! -d "$program" ]; then
    mkdir -p "$program"
    mount --bind $keep/program "$program"
fi
mount -o remount,bind,ro /
mkdir -p /etc/apt/apt.conf.d /etc/apt/preferences.d /etc/apt/trusted.gpg.d /etc/apt/sources.list.d /etc/dpkg \
    /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/dpkg/triggers /var/lib/dpkg/alternatives \
    /var/lib/apt/lists/partial /var/cache/apt/archives/partial /var/log/apt /run/bin
: >/var/lib/dpkg/status
printf 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n' >/etc/os-release
printf 'APT::Sandbox::User "root";\nAcquire::Retries "0";\nAcquire::http::Timeout "1";\n' >/etc/apt/apt.conf.d/50room
printf 'deb [trusted=yes] %s ./\n' "$url" >/etc/apt/sources.list
cat >/run/bin/systemctl <<'END'
#!/bin/sh
[ "$1" = show ] || exit 0
while [ "$1" != -- ]; do shift; done
shift
for unit; do printf 'Id=%s\nLoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n\n' "$unit"; done
END
printf '#!/bin/sh\necho "tcp LISTEN 0 64 0.0.0.0:2049 0.0.0.0:*"\n' >/run/bin/ss
printf '#!/bin/sh\necho "  LVM version:     2.03.16(2) (2022-05-18)"\n' >/run/bin/lvm
chmod +x /run/bin/*
echo made
exec cat
"""


class Mirror:
    """A package source over HTTP: flat, as sources.list(5) has it. `faults`: end of a path → what it does instead."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.faults = folder, dict[str, str]()
        #: what was asked for, and from which byte on
        self.asked: list[tuple[str, int]] = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is printed."""

            def do_GET(self) -> None:
                mirror.answer(self)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        fault = next((told for end, told in self.faults.items() if name.startswith(end)), "")
        place = self.folder / name
        start = int((request.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        self.asked.append((name, start))
        if fault.isdigit() or not place.is_file():
            request.send_error(int(fault or 404))
            return
        data = place.read_bytes()
        if fault == "lie":
            data = data[:-4] + b"lies"
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - start))
        request.send_header("Last-Modified", "Wed, 25 Nov 2026 00:00:00 GMT")
        request.end_headers()
        if fault == "cut":
            request.wfile.write(data[start:start + len(data) // 2])
            request.close_connection = True
        else:
            request.wfile.write(data[start:])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def build(folder: Path, work: Path, name: str, *, depends: str = "", size: int = 1000, postinst: str = "",
          preinst: str = "") -> None:
    """A package: one file in /opt/NAME, and scripts."""
    tree = work / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "opt" / name).mkdir(parents=True)
    (tree / "opt" / name / "data").write_bytes(os.urandom(size))
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
        f"{f'Depends: {depends}{chr(10)}' if depends else ''}Description: a test's\n")
    for script, text in (("postinst", postinst), ("preinst", preinst)):
        if text:
            (tree / "DEBIAN" / script).write_text(f"#!/bin/sh\n{text}\n")
            (tree / "DEBIAN" / script).chmod(0o755)
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", str(tree),
                    str(folder / f"{name}_1_all.deb")], check=True, capture_output=True)


def index(folder: Path) -> None:
    """The mirror's lists of what lies in its folder."""
    parts = []
    for place in sorted(folder.glob("*.deb")):
        data = place.read_bytes()
        fields = subprocess.run(["dpkg-deb", "--field", str(place)], check=True, capture_output=True, text=True).stdout
        parts.append(f"{fields}Filename: ./{place.name}\nSize: {len(data)}\n"
                     f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n")
    packages = "".join(parts).encode()
    (folder / "Packages").write_bytes(packages)
    (folder / "Release").write_text(
        "Suite: room\nCodename: room\nDate: Wed, 25 Nov 2026 00:00:00 UTC\nArchitectures: all amd64 arm64\nSHA256:\n"
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n")


class Room(LocalRunner):
    """The machine. It ends with this process, however that ends: its first process reads a pipe of ours."""

    def __init__(self, mirror: Mirror) -> None:
        super().__init__("qrmd")
        argv = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
        self._keeper = subprocess.Popen([*argv, "sh", "-c", MAKE, "room", mirror.url, str(PROGRAM), *OWN],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout
        assert self._keeper.stdout.readline() == "made\n", "the room could not be made: see above"
        #: what a command begins with that runs there
        self.enter = ["nsenter", "--target", str(self._keeper.pid), "--mount", "--root", "--wdns=/",
                       *([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]),
                       "env", f"PATH=/run/bin:{os.environ['PATH']}:/usr/sbin:/sbin"]

    def path(self, path: str) -> Path:
        """A path there, as it is seen from here."""
        return Path(f"/proc/{self._keeper.pid}/root{path}")

    def close(self) -> None:
        assert self._keeper.stdin
        self._keeper.stdin.close()
        self._keeper.wait()

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        return await super().run([*self.enter, *argv], input=input, seconds=seconds, on_line=on_line)

    def sh(self, script: str) -> str:
        """What a script prints there; it must end well."""
        return subprocess.run([*self.enter, "sh", "-ec", script], check=True, capture_output=True, text=True).stdout

    def start(self, script: str) -> subprocess.Popen[str]:
        """A script that has printed a line, and goes on."""
        process = subprocess.Popen([*self.enter, "sh", "-ec", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        assert process.stdout
        process.stdout.readline()
        return process

    def cut_power(self) -> None:
        """All that runs there is gone at once, and what lies in /run with it; disks stay."""
        ours = self._namespace(self._keeper.pid)
        for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
            if pid != self._keeper.pid and self._namespace(pid) == ours:
                os.kill(pid, signal.SIGKILL)
        self.sh("rm -rf /run/qrm")

    @staticmethod
    def _namespace(pid: int) -> str:
        try:
            return str(Path(f"/proc/{pid}/ns/mnt").readlink())
        except OSError:
            return ""

    def packages(self) -> dict[str, str]:
        """Package → its state."""
        said = self.sh("dpkg-query --show --showformat='${Package} ${db:Status-Status}\\n'")
        return dict(line.split() for line in said.splitlines())


class RoomMachines(RealMachines):
    """The room is the machine that qrmd serves from."""

    def __init__(self, state: Path, room: Room) -> None:
        super().__init__(state)
        self._room = room

    def here(self) -> Runner:
        return self._room
