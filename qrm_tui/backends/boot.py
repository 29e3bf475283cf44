"""Boot files: what each machine loads, as static files by the address of its network card (MAC).

For BIOS machines a file of pxelinux (syslinux.wiki: PXELINUX, "Configuration filename": 01-, then the MAC in lower case
with hyphens), for UEFI ones a script of iPXE (ipxe.org/scripting), both in the boot root that TFTP and HTTP serve.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from qrm_tui.backends import hypervisor
from qrm_tui.backends.rendering import render
from qrm_tui.core.facts import File
from qrm_tui.core.netboot import BootSettings
from qrm_tui.core.partitionings import BRIDGE, BootImageType
from qrm_tui.core.plan import HERE, RemoveFile, Step, WriteFile
from qrm_tui.core.resources import IDLE, ResourceWanted

#: The folder that TFTP and HTTP serve, and where in it boot-images lie.
ROOT = "/srv/qrm/boot"
IMAGES = f"{ROOT}/images"

#: The line of a partition that boots from the network, whatever lines the rack's machines have.
_PARTITION_LINE = "console=ttyS0,115200"

#: A file as it is now (of a planner: `partial(call.reading.file, HERE)`); None: not there.
Former = Callable[[str], File | None]


class Root(NamedTuple):
    """What a machine boots that runs a virtual environment."""

    #: the environment's id and, for people, its name
    ve: str
    name: str
    boot_image: str
    #: the storage server's address and the path that it exports
    storage: str
    path: str
    hostname: str
    #: of the boot-image
    type: BootImageType = "linux"
    #: the machine has partitions: its address is the bridge's
    bridged: bool = False
    #: of a root that others share: how much of its memory the machine's own files may take, as tmpfs(5) has it
    shared: str = ""
    #: and the ssh key that may log in there, where one must: nothing is written into such a root
    let_in: str = ""


def _hyphens(mac: str) -> str:
    return mac.lower().replace(":", "-")


def pxelinux_path(mac: str) -> str:
    """The file that pxelinux looks for first; 01 is the hardware type Ethernet (RFC 1700)."""
    return f"{ROOT}/pxelinux.cfg/01-{_hyphens(mac)}"


def ipxe_path(mac: str) -> str:
    """The script that boot.ipxe chains."""
    return f"{ROOT}/ipxe/{_hyphens(mac)}.ipxe"


def nonce_path(mac: str) -> str:
    """The word that the machine's next boot shows, a line of hex. No plan touches it: it is another one each boot."""
    return f"{ROOT}/nonce/{_hyphens(mac)}"


def machine_paths(mac: str) -> tuple[str, str]:
    """A machine's boot files: what a probe reads (`Probe(HERE, files=machine_paths(mac))`)."""
    return pxelinux_path(mac), ipxe_path(mac)


@lru_cache(maxsize=64)  # thousands of machines without work have the same
def _texts(settings: BootSettings, what: str, image: str, words: str) -> tuple[str, str]:
    return (render("boot/pxelinux.cfg.j2", what=what, image=image, words=words),
            render("boot/machine.ipxe.j2", what=what, image=image, words=words, http=settings.http))


def _xen_texts(settings: BootSettings, what: str, image: str, words: str) -> tuple[str, str]:
    given = {"what": what, "image": image, "words": words, "http": settings.http, "server": settings.server,
             "hypervisor": hypervisor.hypervisor_words(settings.options, settings.hypervisor)}
    return render("boot/xen.pxelinux.cfg.j2", **given), render("boot/xen.ipxe.j2", **given)


def own_words(root: Root) -> str:
    """What a machine's initramfs is told of its root."""
    words = [f"qrm.ve={root.ve} qrm.root=nfs:{root.storage}:{root.path} qrm.hostname={root.hostname}"]
    if root.bridged:
        words.append(f"qrm.bridge={BRIDGE}")
    if root.shared:
        words.append(f"qrm.shared={root.shared}")
    if root.let_in:
        # its comment is for people alone
        words.append(f"qrm.let_in={':'.join(root.let_in.split()[:2])}")
    return " ".join(words)


def kernel_words(settings: BootSettings, options: str, root: Root | None) -> str:
    """The command line of a kernel that no boot loader loads, with other options than those of boot files."""
    return " ".join(filter(None, (settings.words_with(options), own_words(root) if root else "")))


def _ve_texts(settings: BootSettings, name: str, mac: str, root: Root) -> tuple[str, str]:
    what, own = f"{name} runs virtual environment {root.name}", own_words(root)
    if root.type == "linux":
        return _texts(settings, what, root.boot_image, f"{settings.words} {own}")
    # loaders append words of theirs to the last file that they load, which is not the kernel
    words = settings.words_with(hypervisor.first_domain_words(settings.options))
    return _xen_texts(settings, what, root.boot_image, f"{words} {own} BOOTIF=01-{_hyphens(mac)}")


def settings_for(settings: BootSettings, wanted: ResourceWanted) -> BootSettings:
    """The settings as this machine gets them."""
    if wanted.kind != "partition":
        return settings
    kept = (word for word in settings.options.split() if not word.startswith("console="))
    return settings._replace(options=" ".join([*kept, _PARTITION_LINE]))


def machine_files(settings: BootSettings, name: str, mac: str, root: Root | None = None) -> dict[str, str]:
    """Path → content of a machine's boot files; without `root` it boots idle, as all others without work do."""
    if root is None:
        texts = _texts(settings, "no virtual environment", IDLE, settings.words)
    else:
        texts = _ve_texts(settings, name, mac, root)
    return dict(zip(machine_paths(mac), texts, strict=True))


def default_files(settings: BootSettings) -> dict[str, str]:
    """Path → content of the files that do not depend on the machine: who is not known boots idle."""
    bios, uefi = _texts(settings, "machines that nobody knows yet", IDLE, settings.words)
    return {f"{ROOT}/pxelinux.cfg/default": bios, f"{ROOT}/ipxe/default.ipxe": uefi,
            f"{ROOT}/ipxe/boot.ipxe": render("boot/boot.ipxe.j2", http=settings.http)}


def boot_steps(settings: BootSettings, name: str, mac: str, former: Former, root: Root | None = None) -> list[Step]:
    """Steps after which the machine's next boot is this one; none for a file that says so already."""
    what = f"{name} boots virtual environment {root.name}" if root else f"{name} boots idle"
    kinds = ("BIOS", "UEFI")
    steps: list[Step] = []
    for kind, (path, content) in zip(kinds, machine_files(settings, name, mac, root).items(), strict=True):
        there = former(path)
        if there is None or there.content != content:
            steps.append(WriteFile(machine=HERE, summary=f"{what} from now on ({kind})", path=path, content=content,
                                   former=there.content if there else None))
    return steps


def removal_steps(name: str, mac: str, former: Former) -> list[Step]:
    """Steps after which the machine has no boot files: it boots as one that nobody knows."""
    return [RemoveFile(machine=HERE, summary=f"remove the boot file of {name}", path=path, former=there.content,
                       mode=there.mode)
            for path in machine_paths(mac) if (there := former(path)) is not None]
