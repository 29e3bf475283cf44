"""What the planners of virtual environments share: rows, exports to one machine alone, boot files."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from qrm_tui.backends import boot, lvm_nfs, nfs, shared_roots
from qrm_tui.backends import lvm_nfs_checks as checks
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core.environments import VeWanted, node_name
from qrm_tui.core.errors import Refused, Stale
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageWanted, Item
from qrm_tui.core.netboot import boot_settings
from qrm_tui.core.partitionings import PARTITIONINGS, XEN_EFI
from qrm_tui.core.plan import HERE, Change, Record, Step


def record(item: Item, wanted: VeWanted | None, summary: str, *more: Change) -> Record:
    return Record(summary=summary, changes=(change(item, wanted), *more))


def change(item: Item, wanted: VeWanted | None) -> Change:
    return Change(kind="ve", name=item.name, wanted=msgspec.to_builtins(wanted) if wanted else None,
                  former=msgspec.to_builtins(item.wanted))


def clone_name(ve: str, number: int) -> str:
    return f"{ve}-{number}"


def probes(storage: str, macs: Sequence[str], images: Mapping[str, str], more: Sequence[str] = ()) -> list[Probe]:
    """Boot files of machines, the files and places of images (name → path), and more files there."""
    files = [*(file for name, path in images.items() for file in checks.image_files(path, name)), *more]
    return [Probe(HERE, files=tuple(path for mac in macs for path in boot.machine_paths(mac))),
            Probe(storage, files=tuple(files), paths=tuple(images.values()))]


def boot_of(item: Item) -> str:
    return item.seen.boot if item.seen else ""


def need_no_job(call: Call, item: Item) -> None:
    jobs = call.reading.farm.open_jobs(f"ve/{item.name}")
    if jobs:
        raise Refused(f"VE {item.name} is {item.state}: job {jobs[0]} is at it; wait for it, or cancel it "
                      f"(qrm job cancel {jobs[0]})")


def need_fitting(partitioning: str, boot_image: Item) -> None:
    """Refused where a VE's partitions have another hypervisor, or a hypervisor has no partitions to be for."""
    kind = boot_image.wanted.type
    needed = PARTITIONINGS.get(partitioning, "linux")
    if kind == needed:
        return
    if partitioning:
        under, how = ("without a", "") if needed == "linux" else ("with a", f" --hypervisor {needed}")
        raise Refused(f"partitioning {partitioning} needs a boot-image of type {needed}, and {boot_image.name} is of "
                      f"type {kind}: name one {under} hypervisor (qrm boot-image create NAME --package "
                      f"linux-image-amd64{how}), or choose another partitioning")
    fitting = [word for word, wanted in PARTITIONINGS.items() if wanted == kind]
    raise Refused(f"boot-image {boot_image.name} is of type {kind}, which a VE without partitions does not boot: say "
                  f"--partitioning {' or '.join(fitting)}, or name a boot-image of type {needed}")


def need_firmware(boot_image: Item, resource: Item) -> None:
    """Refused for a machine whose firmware cannot start this boot-image."""
    seen = resource.seen
    if (boot_image.wanted.type == "xen" and seen is not None and seen.inventory.firmware == "uefi"
            and boot_image.seen is not None and XEN_EFI not in boot_image.seen.files):
        raise Refused(f"resource {resource.name} boots by UEFI, and boot-image {boot_image.name} has no "
                      f"{XEN_EFI}: its hypervisor's package has none. Make one of another package, or take "
                      "a machine that boots by BIOS")


def exports(call: Call, machine: str, before: Mapping[str, ImageWanted], after: Mapping[str, ImageWanted],
             clones: Mapping[str, Draft]) -> list[Step]:
    """Each image is exported to its machine alone, to all that share it, or to nobody; and our records say so."""
    steps: list[Step] = []
    for name, wanted in after.items():
        if name in clones:
            former: str | None = nfs.export_text(name, wanted.path, wanted.export_id, ())
        else:
            file = call.reading.file(machine, nfs.export_path(name))
            former = file.content if file else None
        gone = sorted(set(before[name].allowed) - set(wanted.allowed))
        steps += [lvm_nfs.export(machine, name, wanted, former),
                  nfs.reload(machine, wanted.path, wanted.allowed, read_only=wanted.read_only),
                  *([nfs.drop_sessions(machine, gone)] if gone else [])]
    who = "; ".join(f"{name}: {', '.join(wanted.allowed) or 'nobody'}{', reading only' if wanted.read_only else ''}"
                    for name, wanted in after.items())
    steps.append(Record(summary=f"note who may mount {who}", changes=tuple(
        Change(kind="image", name=name, wanted=msgspec.to_builtins(wanted), former=msgspec.to_builtins(before[name]))
        for name, wanted in after.items())))
    return steps


def root_of(farm: Farm, ve: Item, resource: str, image: str, root: ImageWanted) -> boot.Root:
    """What a machine of a virtual environment boots."""
    wanted: VeWanted = ve.wanted
    shared, host = wanted.same_for_all, bool(wanted.partitioning)
    return boot.Root(
        wanted.id, ve.name, wanted.boot_image,
        _reached_at(farm.get("storage", root.storage), boot_settings(farm).server), root.path,
        node_name(resource) if shared else root.hostname or image.replace("_", "-"),
        farm.get("boot-image", wanted.boot_image).wanted.type, host, shared_roots.SIZE if shared else "",
        farm.public_key if shared and host else "")


def _reached_at(storage: Item, server: str) -> str:
    """The storage server's address as machines reach it: one on this server itself is not at 127.0.0.1 for them."""
    address = str(storage.wanted.address)
    return server if address.startswith("127.") or address in ("localhost", "::1") else address


def boot_files(call: Call, resource: Item, root: boot.Root | None) -> list[Step]:
    """The machine's boot files: they say what it boots next."""
    mac = resource.wanted.mac
    if any(path not in call.reading.facts(HERE).files for path in boot.machine_paths(mac)):
        raise Stale(f"resource {resource.name} was taken or freed meanwhile; look at the plan anew")
    settings = boot.settings_for(boot_settings(call.reading.farm), resource.wanted)
    return boot.boot_steps(settings, resource.name, mac, partial(call.reading.file, HERE), root)
