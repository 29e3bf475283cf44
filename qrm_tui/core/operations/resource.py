"""Operations on resources: the machines of the rack, and partitions once they have booted."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation, Role

POWER_METHODS = ("agent", "ipmi", "wake")
CONSOLES = ("none", "ipmi-sol", "command")

_NAME = Argument("name", "resource", "which resource", required=True, positional=True)

OPERATIONS = (
    Operation(
        "resource", "maintenance", "record", "into maintenance, or out of it: only then VEs start on it",
        (
            Argument("name", "resource", "which resources", required=True, positional=True, many=True),
            Argument("on", "flag", "into maintenance"),
            Argument("off", "flag", "out of maintenance (neither: the other way than it is)", excludes=("on",),
                     otherwise="the other way"),
        ),
        "qrm resource maintenance r1 r2 --off", subject="name", key="m",
    ),
    Operation(
        "resource", "power", "job", "switch a resource on or off, or reset it",
        (_NAME, Argument("action", "choice", "what to do", required=True, positional=True, default="reset",
                         choices=("on", "off", "reset"))),
        "qrm resource power r1 reset", subject="name", key="r",
    ),
    Operation(
        "resource", "edit", "record", "how a resource is switched, its console, the address that it always gets",
        (
            _NAME,
            Argument("power", "choice", "how it is switched besides by its agent", choices=POWER_METHODS),
            Argument("power_address", "address", "of its management controller (ipmi)"),
            Argument("power_user", "name", "the account there (ipmi)"),
            Argument("power_secret", "path", "the file on the server with the password: readable by root alone (ipmi)"),
            Argument("address", "ip", "the address that it gets from its next boot on"),
            Argument("console", "choice", "where its console is: serial-over-LAN of its management controller, or a "
                     "command", choices=CONSOLES),
            Argument("console_command", "text", "a program on the server that carries the console, with its arguments; "
                     "no shell reads it"),
        ),
        "qrm resource edit r1 --power ipmi --power-address 10.1.0.7 --power-user admin --power-secret /etc/qrm/bmc",
        subject="name", key="e",
        # it runs as root
        argument_roles=(("console_command", Role.administrator),),
    ),
    Operation(
        "resource", "remove", "job", "forget a resource: its boot files, its address, its token",
        (_NAME,),
        "qrm resource remove r1", destructive=True, subject="name", key="d",
    ),
)
