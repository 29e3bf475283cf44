"""Operations on virtual environments."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation
from qrm_tui.core.partitionings import PARTITIONINGS

KINDS = ("physical", "partition")
#: The word that takes partitioning away.
NO_PARTITIONS = "none"
YES, NO = "yes", "no"

_NAME = Argument("name", "ve", "which VE", required=True, positional=True)
_PARTITIONING = Argument("partitioning", "choice", "its machines are sliced into partitions by this hypervisor",
                         choices=tuple(PARTITIONINGS), otherwise=NO_PARTITIONS)
_PROFILE = (
    Argument("kind", "choice", "only machines of this kind", choices=KINDS, otherwise="any"),
    Argument("technology", "name", "of partitions: only of this technology: xen, kvm, or qemu (emulated, without KVM)"),
    Argument("cpus", "count", "at least so many CPUs"),
    Argument("mhz", "count", "at least so many MHz each"),
    Argument("memory", "size", "at least so much memory"),
    Argument("nics", "count", "at least so many network cards"),
)

OPERATIONS = (
    Operation(
        "ve", "create", "record", "define a virtual environment: what boots, from which image, on which machines",
        (
            Argument("name", "image-name", "what it is called", required=True, positional=True),
            Argument("boot_image", "boot-image", "the kernel that it boots", required=True),
            Argument("image", "image", "its root file system; of several machines each gets a clone of it, "
                     "or all read it", required=True),
            _PARTITIONING,
            Argument("multi_server", "count", "on how many machines", default=1),
            Argument("same_for_all", "flag", "they share the image, which is only read: what each writes lies in its "
                     "memory, gone at its next boot"),
            *_PROFILE,
        ),
        "qrm ve create customer1 --boot-image debian12 --image customer1 --memory 256M", key="a",
    ),
    Operation(
        "ve", "edit", "record", "change what a VE is, from its next start on",
        (
            _NAME,
            Argument("boot_image", "boot-image", "the kernel that it boots"),
            Argument("image", "image", "its root file system"),
            _PARTITIONING._replace(choices=(*PARTITIONINGS, NO_PARTITIONS), otherwise=""),
            Argument("multi_server", "count", "on how many machines"),
            Argument("same_for_all", "choice", "they share the image, which is only read: what each writes lies in "
                     "its memory, gone at its next boot", choices=(YES, NO)),
            *_PROFILE,
            Argument("any", "flag", "first forget what machines it wanted so far"),
        ),
        "qrm ve edit customer1 --memory 512M", subject="name", key="e",
    ),
    Operation(
        "ve", "start", "job", "start a VE on resources that fit",
        (_NAME, Argument("resource", "resource", "on these alone (by default on those that fit best)", many=True)),
        "qrm ve start customer1", subject="name", key="b",
    ),
    Operation(
        "ve", "stop", "job", "stop a VE: its machines go back to idle",
        (_NAME, Argument("force", "flag", "cut its machines off from their images at once, whatever they are doing")),
        "qrm ve stop customer1", destructive=True, subject="name", key="x",
    ),
    Operation(
        "ve", "add-resource", "job", "one more machine for a VE that runs, with a clone of its own, or on its "
        "shared root",
        (_NAME, Argument("resource", "resource", "this one (by default the one that fits best)")),
        "qrm ve add-resource shop", subject="name", key="plus",
    ),
    Operation(
        "ve", "remove-resource", "job", "take a machine out of a VE that runs on several",
        (_NAME, Argument("resource", "resource", "which", required=True, positional=True),
         Argument("force", "flag", "cut it off from its image at once, whatever it is doing")),
        "qrm ve remove-resource shop r4", destructive=True, subject="name", key="minus",
    ),
    Operation(
        "ve", "remove", "record", "forget a VE; its images stay",
        (_NAME,),
        "qrm ve remove customer1", destructive=True, subject="name", key="d",
    ),
)
