"""Operations on storage servers."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation, Role

TYPES = ("lvm-nfs",)

OPERATIONS = (
    Operation(
        "storage", "add", "record", "register a storage server after a look at its volume group and services",
        (
            Argument("name", "name", "what it is called here", required=True, positional=True),
            Argument("type", "choice", "how it serves images", default="lvm-nfs", choices=TYPES),
            Argument("address", "address", "where it answers; this machine's own address needs no ssh", required=True),
            Argument("env", "setting", "SERVER_VOL=the volume group for images; THIN_POOL=a thin pool in it; "
                     "OVERCOMMIT=300% for the pool", many=True),
            Argument("user", "name", "the ssh account there (it must be root, or become it without a password)",
                     default="root"),
            Argument("port", "count", "its ssh port", default=22),
            Argument("host_key", "host-key", "insist on this ssh host key; without it, the key that is met is shown "
                     "in the plan and pinned"),
        ),
        "qrm storage add lvm-nfs --type lvm-nfs --address 192.168.88.179 --env SERVER_VOL=vol",
        role=Role.administrator, key="a",
    ),
    Operation(
        "storage", "remove", "record", "forget a storage server that has no images left",
        (Argument("name", "storage", "which", required=True, positional=True),),
        "qrm storage remove lvm-nfs", role=Role.administrator, destructive=True, subject="name", key="d",
    ),
)
