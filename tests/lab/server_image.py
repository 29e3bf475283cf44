"""Images of the openQRM server before its installation: a fresh Debian with nothing of qrm configured.

Their apt knows one source, a folder in the image, with packages that really are still to be installed and the kernels
that machines boot. In the one, what is large is installed already and switched off, so that an installation takes
seconds; in the other (`fresh`) nothing is that Debian itself, ssh and README.md do not bring.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import sysconfig
import tomllib
from pathlib import Path

from tests.lab import debian
from tests.lab.cache import LAB, cached, run
from tests.lab.host_roots import HYPERVISOR_PACKAGE
from tests.lab.image import PACKAGES as STORAGE_PACKAGES
from tests.lab.image import Image, finish, ingredients

FRESH = (
    "systemd-sysv", "udev", "kmod", "iproute2", "util-linux", "login", "passwd", "openssh-server", "openssh-client",
    "e2fsprogs", "dbus", "python3", "python3-venv", "python3-libvirt",
)  # fmt: skip
"""What a Debian has when nothing is set up on it, and what README.md has one install before the program."""

PACKAGES = (
    *STORAGE_PACKAGES, *FRESH, "isc-dhcp-server", "apache2", "pxelinux", "syslinux-common", "ipxe",
    "busybox-static", "cpio", "gzip", "xz-utils", "zstd", "curl", "ipmitool", "wakeonlan",
    "iputils-ping", "tftp-hpa",
)  # fmt: skip

LEFT_TO_INSTALL = ("tftpd-hpa", "linux-image-cloud-amd64", "linux-image-amd64", HYPERVISOR_PACKAGE)
"""In the image's package source with all that they need, and not installed."""

ASKED_FOR = ("mariadb-server",)
"""Besides, in that of the fresh one: what nobody has who does not ask for it."""

SWITCHED_OFF = ("isc-dhcp-server", "apache2", "nfs-server")
"""Services that a fresh machine would not have: the installation has to switch them on."""

NEEDED_UNITS = ("rpc-statd.service", "rpc-statd-notify.service", "nfs-idmapd.service")
"""Of those that the other machines do without."""

MASKED_GENERATORS = (
    "cryptsetup", "debug", "getty", "gpt-auto", "hibernate-resume", "integritysetup", "rc-local", "run",
    "system-update", "veritysetup",
)  # fmt: skip
"""systemd runs its generators at each reload, of which an installation has many; these have nothing to say here."""

INIT_SCRIPTS = "usr/lib/systemd/systemd-sysv-install"
"""What `systemctl enable` keeps the links of init scripts by, for an init that is not here: a second or two of Perl in
user-mode-linux, each time."""

SOURCE = "srv/packages"
"""The folder in the image that its apt takes packages from."""

DOWNLOAD = (
    'mkdir -p "$1/{folder}/partial"; APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --quiet --yes --no-install-recommends'
    ' --download-only -o Dir::Cache::Archives="$1/{folder}" install {packages}'
)

VENV = "opt/qrm"
"""Python environment with the project's dependencies, and without the project."""

COMPILED = "libvirt-python"
"""The one dependency that is published as source alone: pip would compile it, with a compiler and headers that this
machine has no other use for. It gets what Debian built of the same source."""

IMAGE_SIZE = 4 << 30
"""Bytes; sparse, so only what is used takes room."""


class ServerImage(Image):
    """Besides: a kernel as machines boot it."""

    @property
    def machine_kernel(self) -> Path:
        return self.folder / "vmlinuz"


def server_image(*, fresh: bool = False) -> ServerImage:
    """Built first if there is none. Raises ImageError."""
    packages = FRESH if fresh else PACKAGES
    left = [*LEFT_TO_INSTALL, *(package for package in (*PACKAGES, *ASKED_FOR) if fresh and package not in packages)]

    def build(folder: Path) -> None:
        download = DOWNLOAD.format(folder=SOURCE, packages=" ".join(left))
        root = debian.bootstrap(folder, packages, variant="apt", hooks=[download])
        _index_packages(root / SOURCE)
        _local_source_only(root)
        _machine_kernel(root / SOURCE, folder)
        _python_environment(root, folder)
        if not fresh:
            run(debian.fenced(["chroot", str(root), "systemctl", "--quiet", "disable", *SWITCHED_OFF]))
        _mask_generators(root)
        _leave_init_scripts(root)
        finish(root, folder, [unit for unit in debian.MASKED_UNITS if unit not in NEEDED_UNITS], IMAGE_SIZE)

    return ServerImage(cached("fresh" if fresh else "server", [*ingredients(Path(__file__)), *dependencies()], build))


def dependencies() -> list[str]:
    """The project's dependencies, as its pyproject.toml names them."""
    project = tomllib.loads((LAB.parent.parent / "pyproject.toml").read_text())["project"]
    found: list[str] = project["dependencies"]
    return found


def _index_packages(folder: Path) -> None:
    """Packages, as apt reads it in a flat archive (deb(5), sources.list(5)), in the place of dpkg-scanpackages."""
    entries = []
    for package in sorted(folder.glob("*.deb")):
        content = package.read_bytes()
        fields = run(["dpkg-deb", "--field", str(package)]).strip()
        digest = hashlib.sha256(content).hexdigest()
        entries.append(f"{fields}\nFilename: ./{package.name}\nSize: {len(content)}\nSHA256: {digest}\n")
    (folder / "Packages").write_text("\n".join(entries))


def _local_source_only(root: Path) -> None:
    for sources in (root / "etc/apt").rglob("*.list"):
        sources.unlink()
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes lang=none] file:/{SOURCE} ./\n")
    run(debian.fenced(["chroot", str(root), "apt-get", "--quiet", "update"]))


def _mask_generators(root: Path) -> None:
    folder = root / "etc/systemd/system-generators"
    folder.mkdir()
    for name in MASKED_GENERATORS:
        (folder / f"systemd-{name}-generator").symlink_to("/dev/null")


def _leave_init_scripts(root: Path) -> None:
    (root / INIT_SCRIPTS).unlink()
    (root / INIT_SCRIPTS).symlink_to("/bin/true")


def _machine_kernel(source: Path, folder: Path) -> None:
    (package,) = source.glob("linux-image-[0-9]*-cloud-*.deb")
    unpacked = folder / "kernel"
    run(["dpkg-deb", "--extract", str(package), str(unpacked)])
    (kernel,) = (unpacked / "boot").glob("vmlinuz-*")
    shutil.copy(kernel, folder / "vmlinuz")
    shutil.rmtree(unpacked)


def _python_environment(root: Path, folder: Path) -> None:
    """Debian's own Python gets the dependencies from wheels that the Python of these tests fetches."""
    wheels = root / "wheels"
    python = run(["chroot", str(root), "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", str(wheels)]
    if python != sysconfig.get_python_version():
        fetch += ["--python-version", python]
        fetch += [word for tag in ("manylinux2014", "manylinux_2_28") for word in ("--platform", f"{tag}_x86_64")]
    wanted = [name for name in dependencies() if not name.startswith(COMPILED)]
    run([*fetch, *wanted])
    script = f"""
    python3 -m venv /{VENV}
    cp -a /usr/lib/python3/dist-packages/libvirt* /{VENV}/lib/python3*/site-packages/
    /{VENV}/bin/pip install --quiet --disable-pip-version-check --no-index --find-links /wheels "$@"
    /{VENV}/bin/python -c 'import libvirt'
    """
    clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
    run(debian.fenced(["chroot", str(root), *clean, "sh", "-ec", script, "sh", *wanted]))
    shutil.rmtree(wheels)
