"""Operations on boot-images."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation, Role

OPERATIONS = (
    Operation(
        "boot-image", "create", "job", "make a boot-image: a kernel, and an initrd with what machines need to boot",
        (
            Argument("name", "name", "what it is called; `idle` is what machines without work boot", required=True,
                     positional=True),
            Argument("package", "text", "from this kernel package (linux-image-...), by name or as a file on the "
                     "server"),
            Argument("kernel", "text", "from a kernel that is installed on the server, by its version",
                     excludes=("package",)),
            Argument("hypervisor", "text", "for virtualization hosts, with Xen under it: `xen` for the distribution's "
                     "own, a package (xen-hypervisor-...), or a file on the server"),
            Argument("modules", "text", "modules that the initrd holds besides the usual ones", many=True),
        ),
        "qrm boot-image create debian12 --package linux-image-amd64", role=Role.administrator, key="a",
    ),
    Operation(
        "boot-image", "remove", "job", "remove a boot-image that no VE uses",
        (Argument("name", "boot-image", "which", required=True, positional=True),),
        "qrm boot-image remove debian12", role=Role.administrator, destructive=True, subject="name", key="d",
    ),
)
