"""Debian systems for the lab's machines: a folder made from the machine's own package sources, packed as a disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.lab.cache import ImageError, run

UNNEEDED_FILES = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")

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
"""Units that no test needs: each program started costs some 30 ms in user-mode-linux, and more in QEMU."""


def host_suite() -> str:
    """The release that the lab itself runs on: its machines run the same."""
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise ImageError("/etc/os-release names no VERSION_CODENAME: the lab runs on Debian")


def need_root() -> None:
    if os.geteuid() != 0:
        raise ImageError(
            "building the lab's images needs root: run `make lab-images` as root once, then chown the cache"
        )


def bootstrap(
    folder: Path, packages: Iterable[str], *, variant: str = "essential", hooks: Sequence[str] = ()
) -> Path:
    """A new Debian root in `folder`/root; each of `hooks` is a shell command that gets it as $1. Raises ImageError."""
    need_root()
    root = folder / "root"
    suite = host_suite()
    argv = ["mmdebstrap", "--quiet", f"--variant={variant}", "--format=directory", f"--include={','.join(packages)}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNNEEDED_FILES]
    argv += [f"--customize-hook={hook}" for hook in hooks]
    argv += [suite, str(root), "-"]
    temporary = folder / "tmp"
    temporary.mkdir()
    run(fenced(argv), apt_sources(suite), {"TMPDIR": str(temporary)})
    shutil.rmtree(temporary)
    return root


def fenced(argv: Sequence[str]) -> list[str]:
    """ARGV in mount and process namespaces of its own, where its mounts end with it, however it ends.

    Removing a stale build folder must never reach the machine's own /dev.
    """
    return ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--kill-child", "--fork",
            *argv]  # fmt: skip


def apt_sources(suite: str) -> str:
    """The machine's own Debian sources as sources.list lines."""
    fields = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    lines = run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages", "Origin: Debian"]).splitlines()
    suites = (suite, f"{suite}-updates", f"{suite}-security")
    chosen = sorted({line for line in lines if line.split()[2] in suites})
    if not chosen:
        raise ImageError(f"apt knows no Debian packages of {suite}: run apt-get update")
    return "\n".join(chosen) + "\n"


def key_pair(path: Path) -> None:
    """A new ssh key at `path` and `path`.pub."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "qrm-lab", "-f", str(path)])


def mask(root: Path, units: Iterable[str]) -> None:
    folder = root / "etc/systemd/system"
    for unit in units:
        (folder / unit).unlink(missing_ok=True)
        (folder / unit).symlink_to("/dev/null")


def let_in(root: Path, public_key: Path) -> None:
    """The owner of the key logs in as root over ssh; the system has no host keys of its own yet."""
    for stale in (root / "etc/ssh").glob("ssh_host_*"):
        stale.unlink()
    authorized = root / "root/.ssh/authorized_keys"
    authorized.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(public_key, authorized)
    for path in (root / "etc/ssh", authorized.parent):
        for file in (path, *path.rglob("*")):
            os.chown(file, 0, 0, follow_symlinks=False)


def machine_id(root: Path, name: str) -> None:
    (root / "etc/machine-id").write_text(hashlib.sha256(name.encode()).hexdigest()[:32] + "\n")


def copy_modules(source: Path, root: Path, names: Iterable[str]) -> None:
    """Kernel modules with their dependencies; the index files are copied whole and name others, too."""
    target = root / "usr/lib/modules" / source.name
    dependencies: dict[str, list[str]] = {}
    for line in (source / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        dependencies[path] = needed.split()
    paths = {Path(path).stem.replace("_", "-"): path for path in dependencies}
    chosen = {paths[name.replace("_", "-")] for name in names if name.replace("_", "-") in paths}
    for path in chosen.union(*(dependencies[path] for path in chosen)):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, target / path)
    for index in source.glob("modules.*"):
        shutil.copy2(index, target / index.name)


def pack(root: Path, disk: Path, size: int) -> None:
    """`root` becomes an ext4 disk of `size` bytes, sparse, and is gone."""
    with disk.open("wb") as file:
        file.truncate(size)
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E", "root_owner=0:0", "-d", str(root), str(disk)])
    shutil.rmtree(root)
