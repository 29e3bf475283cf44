"""Operations on virtualization hosts that this product did not boot, and on what runs there."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation, Role

#: What a host can be that is added as it is.
TECHNOLOGIES = ("lxc", "esx", "kvm", "xen")

_DOMAIN = Argument("name", "domain", "which, as HOST.NAME", required=True, positional=True)

OPERATIONS = (
    Operation(
        "host", "add", "record", "add a virtualization host as it is: what runs there is listed, started and stopped",
        (
            Argument("name", "name", "what it is called here", required=True, positional=True),
            Argument("technology", "choice", "what it is", required=True, choices=TECHNOLOGIES),
            Argument("address", "address", "where it answers; this machine's own address needs no ssh", required=True),
            Argument("user", "text", "the account there: of ssh (it must reach libvirtd), or of ESX", default="root"),
            Argument("port", "count", "its ssh port", default=22),
            Argument("host_key", "host-key", "insist on this ssh host key; without it, the key that is met is shown "
                     "in the plan and pinned"),
            Argument("secret", "path", "the file on the server with the password: readable by root alone (esx)"),
            Argument("unverified", "flag", "take whatever certificate it shows (esx)"),
        ),
        "qrm host add esx1 --technology esx --address 192.168.88.60 --secret /etc/qrm/esx1", role=Role.administrator,
        key="plus",
    ),
    Operation(
        "host", "remove", "record", "forget a virtualization host that was added; what runs there goes on",
        (Argument("name", "host", "which", required=True, positional=True),),
        "qrm host remove esx1", role=Role.administrator, destructive=True, subject="name", key="d",
    ),
    Operation("domain", "start", "job", "switch a domain on that is none of ours, on a host that was added", (_DOMAIN,),
              "qrm domain start esx1.web", subject="name", key="b"),
    Operation(
        "domain", "stop", "job", "have a domain that is none of ours go down in order, on a host that was added",
        (_DOMAIN, Argument("force", "flag", "at once, as by a pulled plug, whatever it is doing")),
        "qrm domain stop esx1.web", destructive=True, subject="name", key="x",
    ),
)
