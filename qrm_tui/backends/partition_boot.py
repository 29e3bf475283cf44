"""What a partition boots: the kernel that its host starts it with, and its definition with it.

Where the host reads kernel and initrd from files (Xen), they are fetched from the server once for each boot-image; a
boot-image's folder goes by its id, so that another one of the same name is another folder. Where it has firmware of its
own (KVM), it netboots as any machine.
"""
from __future__ import annotations

from qrm_tui.backends import boot, partition_disk
from qrm_tui.backends.domains import render_domain
from qrm_tui.backends.planning import machine_of
from qrm_tui.core.errors import Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.netboot import boot_settings
from qrm_tui.core.partitionings import BRIDGE, NETBOOTING
from qrm_tui.core.partitions import DomainWish, HostSeen, PartitionWanted
from qrm_tui.core.places import templates_folder
from qrm_tui.core.plan import Check, Domain, Run, Step
from qrm_tui.core.resources import IDLE

#: On a virtualization host: boot-images by their ids.
FOLDER = "/var/lib/qrm/boot"
#: Arguments: the boot-image's URL, and its folder on the host.
FETCH_SCRIPT = (templates_folder() / "libvirt/fetch.sh").read_text()
#: A Xen partition's console.
_CONSOLE = "console=hvc0"


def memory_most(wanted: PartitionWanted) -> int:
    """What its memory can be raised to while it runs: one with firmware would have all of it until its balloon is
    filled, and its host may not have that."""
    return wanted.memory if wanted.technology in NETBOOTING else 2 * wanted.memory


def _boot_image(farm: Farm, root: boot.Root | None) -> Item:
    name = root.boot_image if root else IDLE
    item = farm.get("boot-image", name)
    if item.state not in ("ready", "in use"):
        raise Refused(f"boot-image {name} is {item.state}: no partition can boot it now")
    if item.wanted.type != "linux":
        raise Refused(f"boot-image {name} is of type {item.wanted.type}: a partition boots a kernel alone")
    return item


def fetch_steps(farm: Farm, host: str, technology: str, root: boot.Root | None) -> list[Step]:
    """The boot-image comes to the host, where that reads it from files."""
    if technology in NETBOOTING:
        return []
    item = _boot_image(farm, root)
    folder = f"{FOLDER}/{item.wanted.id}"
    url = f"{boot_settings(farm).http}/images/{item.name}"
    return [Run(machine=machine_of(host), summary=f"{host} has the files of boot-image {item.name}",
                argv=("sh", "-ec", FETCH_SCRIPT, "sh", url, folder),
                done=Check(argv=("test", "-e", f"{folder}/initrd.img"),
                           otherwise=f"boot-image {item.name} did not come to {host}"))]


def definition(farm: Farm, name: str, wanted: PartitionWanted, root: boot.Root | None) -> str:
    """A partition's definition with what it boots: nothing but its agent, or a VE's root."""
    host = farm.find("host", wanted.host)
    seen: HostSeen = (host.seen if host else None) or HostSeen()
    kernel: dict[str, str] = {}
    if wanted.technology not in NETBOOTING:
        folder = f"{FOLDER}/{_boot_image(farm, root).wanted.id}"
        words = boot.kernel_words(boot_settings(farm), _CONSOLE, root)
        kernel = {"kernel": f"{folder}/vmlinuz", "initrd": f"{folder}/initrd.img", "cmdline": words}
    return render_domain(DomainWish(
        name=name, uuid=wanted.id, resource=wanted.id, technology=wanted.technology, cpus=wanted.cpus,
        cpus_most=max(wanted.cpus, seen.cpus), memory=wanted.memory, memory_most=memory_most(wanted), mhz=wanted.mhz,
        host_mhz=seen.mhz, bridge=BRIDGE, mac=wanted.mac, target=wanted.target,
        disk=partition_disk.device(wanted, name), **kernel))


def define(farm: Farm, name: str, wanted: PartitionWanted, root: boot.Root | None, *, former: str = "",
           summary: str = "") -> Domain:
    """Its host knows it so; taken back, as it was before, or not at all."""
    return Domain(summary=summary or f"define {name} on {wanted.host}", host=wanted.host, domain=wanted.id, do="define",
                  xml=definition(farm, name, wanted, root), undo="define" if former else "undefine", former_xml=former)

