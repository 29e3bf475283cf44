"""Operations on filesystem-images."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation

FILESYSTEMS = ("ext4", "ext3", "xfs")

_NAME = Argument("name", "image", "which image", required=True, positional=True)
_MACHINES = Argument("address", "ip", "the machine's address", required=True, positional=True, many=True)

OPERATIONS = (
    Operation(
        "image", "add", "job", "make an empty image: volume, file system, mount, export",
        (
            Argument("name", "image-name", "what it is called", required=True, positional=True),
            Argument("storage", "storage", "on which storage server (may be left out where there is one)"),
            Argument("size", "size", "how large its file system is"),
            Argument("fs", "choice", "its file system", default="ext4", choices=FILESYSTEMS),
            Argument("register_only", "path", "register what lies at this path of the storage server, and change "
                     "nothing there"),
            Argument("env", "setting", "CREATE_PHYSICAL=yes CREATE_FROM=IMAGE: a clone, as in openQRM", many=True),
        ),
        "qrm image add webserver --storage lvm-nfs --size 5000M", key="a",
    ),
    Operation(
        "image", "clone", "job", "clone an image in seconds, whatever its size, and seal the clone",
        (
            Argument("source", "image", "the golden image", required=True, positional=True),
            Argument("name", "image-name", "what the clone is called", required=True, positional=True),
            Argument("hostname", "hostname", "the host name written into the clone (its own name by default)"),
            Argument("reserve", "share", "room for its changes, as a share of the source (classic snapshots only)",
                     default=0.2),
        ),
        "qrm image clone webserver customer1 --hostname customer1", subject="source", key="c",
    ),
    Operation(
        "image", "copy", "job", "copy all files of an image into another, which is emptied first",
        (
            Argument("source", "image", "from which image", required=True, positional=True),
            Argument("name", "image", "into which image", required=True, positional=True),
        ),
        "qrm image copy xen_host webserver", destructive=True, subject="source",
    ),
    Operation(
        "image", "resize", "job", "grow an image's file system, or a clone's room for changes",
        (_NAME, Argument("size", "size", "its new size (of a clone: of its room for changes)", required=True)),
        "qrm image resize webserver --size 8G", subject="name", key="z",
    ),
    Operation(
        "image", "allow", "job", "let machines mount an image",
        (_NAME, _MACHINES,
         Argument("read_only", "flag", "they only read it; nobody reads what another may write into")),
        "qrm image allow customer1 192.168.88.197", subject="name", key="m",
    ),
    Operation(
        "image", "revoke", "job", "cut machines off from an image",
        (_NAME, _MACHINES),
        "qrm image revoke customer1 192.168.88.197", destructive=True, subject="name", key="r",
    ),
    Operation(
        "image", "remove", "job", "remove an image: export, mount, volume and all that is in it",
        (_NAME,),
        "qrm image remove customer1", destructive=True, subject="name", key="d",
    ),
)
