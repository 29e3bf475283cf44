"""The lab's root image: Debian with systemd, LVM, NFS and ssh, built once and cached outside the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT_FILES = HERE / "root"
"""Files laid over the image's root as they are."""

PACKAGES = (
    "systemd-sysv", "udev", "kmod", "iproute2", "util-linux",
    "lvm2", "thin-provisioning-tools", "nfs-kernel-server", "nfs-common",
    "openssh-server", "python3-minimal", "e2fsprogs", "xfsprogs", "rsync",
)  # fmt: skip

UNNEEDED_FILES = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")

MODULES = (
    "dm-mod", "dm-snapshot", "dm-thin-pool", "dm-mirror", "nfsd", "nfs", "nfsv3", "nfsv4", "xfs", "ext4", "loop",
    "iscsi_target_mod", "target_core_iblock",
)  # fmt: skip
"""Kernel modules to copy, each with those that it depends on; user-mode-linux may also have some built in."""

MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "man-db.timer", "systemd-tmpfiles-clean.timer", "getty.target", "getty-static.service",
    "systemd-logind.service", "systemd-user-sessions.service", "systemd-pstore.service", "systemd-repart.service",
    "systemd-firstboot.service", "systemd-machine-id-commit.service", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "systemd-binfmt.service", "systemd-hwdb-update.service",
    "systemd-journal-flush.service", "systemd-random-seed.service", "systemd-sysusers.service",
    "systemd-journald-audit.socket", "systemd-initctl.socket", "systemd-networkd.service",
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path", "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service", "systemd-modules-load.service", "proc-sys-fs-binfmt_misc.automount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount", "dev-hugepages.mount",
    "dev-mqueue.mount", "nfs-blkmap.service", "nfs-idmapd.service", "rpc-statd-notify.service", "rpc-statd.service",
    "systemd-sysctl.service", "systemd-remount-fs.service", "kmod-static-nodes.service",
    "systemd-tmpfiles-setup-dev.service", "systemd-update-done.service", "modprobe@configfs.service",
    "cryptsetup.target", "integritysetup.target", "veritysetup.target",
)  # fmt: skip
"""Units that no test needs: each program started costs some 30 ms in user-mode-linux."""

IMAGE_SIZE = 2 << 30
"""Bytes; sparse, so only what is used takes room."""

UML_KERNEL = Path("/usr/bin/linux.uml")
UML_MODULES = Path("/usr/lib/uml/modules")


class ImageError(RuntimeError):
    """The image can't be built; the message says what is missing or what failed."""


@dataclass(frozen=True)
class Image:
    """One cache entry; its files are read and never written after the build."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "linux"

    @property
    def root(self) -> Path:
        return self.folder / "root.ext4"

    @property
    def client_key(self) -> Path:
        return self.folder / "client_key"

    @property
    def host_public_key(self) -> str:
        """Algorithm and key as in a known_hosts line, without the address."""
        return (self.folder / "ssh_host_ed25519_key.pub").read_text().rsplit(" ", 1)[0].strip()


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qrm-tui" / "lab"


def image() -> Image:
    """The image of this recipe, built first if there is none; a second builder waits for the first.

    Raises ImageError.
    """
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    suite = _host_suite()
    folder = cache / _key(suite)
    with _locked(cache / f"{folder.name}.lock"):
        if not folder.is_dir():
            started = time.monotonic()
            print(f"lab: building the storage server's image in {folder} (about a minute, once)", file=sys.stderr)
            building = folder.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)  # of a build that was killed: we hold its lock
            building.mkdir(mode=0o755)
            try:
                _build(building, suite)
                building.rename(folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
            print(f"lab: built in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return Image(folder)


def _key(suite: str) -> str:
    """A name for all that the image is made of: recipe (this file), files, suite and kernel."""
    recipe = hashlib.sha256(f"{suite} {_kernel_release()}\n".encode())
    for file in [Path(__file__), *sorted(ROOT_FILES.rglob("*"))]:
        if file.is_file():
            content = file.read_bytes()
            recipe.update(f"{file.relative_to(HERE)} {file.stat().st_mode & 0o111} {len(content)}\n".encode() + content)
    return recipe.hexdigest()[:16]


def _kernel_release() -> str:
    releases = sorted(folder.name for folder in UML_MODULES.glob("*"))
    if not releases or not UML_KERNEL.exists():
        raise ImageError("no user-mode-linux kernel: apt-get install user-mode-linux")
    return releases[-1]


def _build(folder: Path, suite: str) -> None:
    if os.geteuid() != 0:
        raise ImageError(
            "building the lab's image needs root: run `python -m tests.lab.image` as root once, then chown it"
        )
    root = folder / "root"
    for name in ("ssh_host_ed25519_key", "client_key"):
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "qrm-lab", "-f", str(folder / name)])
    shutil.copy2(UML_KERNEL, folder / "linux")
    sources = _apt_sources(suite)
    argv = ["mmdebstrap", "--quiet", "--variant=essential", "--format=directory", f"--include={','.join(PACKAGES)}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNNEEDED_FILES]
    argv += [suite, str(root), "-"]
    # mmdebstrap mounts inside the new root. In a namespace of its own these end with it, however it ends: removing
    # a stale build folder must never reach the machine's own /dev.
    temporary = folder / "tmp"
    temporary.mkdir()
    fence = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--kill-child", "--fork"]
    _run([*fence, "env", f"TMPDIR={temporary}", *argv], stdin=sources)
    _configure(root, folder)
    _copy_modules(root)
    image_file = folder / "root.ext4"
    with image_file.open("wb") as file:
        file.truncate(IMAGE_SIZE)
    _run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E", "root_owner=0:0", "-d", str(root), str(image_file)])
    shutil.rmtree(root)
    shutil.rmtree(temporary)


def _configure(root: Path, folder: Path) -> None:
    shutil.copytree(ROOT_FILES, root, dirs_exist_ok=True)
    units = root / "etc/systemd/system"
    for unit in MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    wanted = units / "multi-user.target.wants"
    (wanted / "lab-network.service").symlink_to("../lab-network.service")
    for stale in (root / "etc/ssh").glob("ssh_host_*"):
        stale.unlink()
    for name in ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"):
        shutil.copy2(folder / name, root / "etc/ssh" / name)
    authorized = root / "root/.ssh/authorized_keys"
    authorized.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(folder / "client_key.pub", authorized)
    (root / "etc/machine-id").write_text(hashlib.sha256(str(root).encode()).hexdigest()[:32] + "\n")
    for path in (root / "etc/ssh", authorized.parent):
        for file in (path, *path.rglob("*")):
            os.chown(file, 0, 0, follow_symlinks=False)


def _copy_modules(root: Path) -> None:
    """The modules of MODULES with their dependencies; the index files are copied whole and name others, too."""
    source = UML_MODULES / _kernel_release()
    target = root / "usr/lib/modules" / source.name
    dependencies: dict[str, list[str]] = {}
    for line in (source / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        dependencies[path] = needed.split()
    paths = {Path(path).stem.replace("_", "-"): path for path in dependencies}
    chosen = {paths[name.replace("_", "-")] for name in MODULES if name.replace("_", "-") in paths}
    for path in chosen.union(*(dependencies[path] for path in chosen)):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, target / path)
    for index in source.glob("modules.*"):
        shutil.copy2(index, target / index.name)


def _host_suite() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise ImageError("/etc/os-release names no VERSION_CODENAME: the lab runs on Debian")


def _apt_sources(suite: str) -> str:
    """The machine's own Debian sources as sources.list lines."""
    fields = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    lines = _run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages", "Origin: Debian"]).splitlines()
    suites = (suite, f"{suite}-updates", f"{suite}-security")
    chosen = sorted({line for line in lines if line.split()[2] in suites})
    if not chosen:
        raise ImageError(f"apt knows no Debian packages of {suite}: run apt-get update")
    return "\n".join(chosen) + "\n"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(argv: list[str], stdin: str = "") -> str:
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise ImageError(f"{argv[0]} is missing; the lab's packages are in {HERE / 'packages.txt'}") from error
    if done.returncode:
        raise ImageError(f"{' '.join(argv)} failed ({done.returncode}):\n{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    print(image().folder)
