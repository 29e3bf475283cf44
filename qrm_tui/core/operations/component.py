"""Operations on the server's components, and on all of them at once: the installation."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation, Role

_NAME = Argument("name", "component", "which component", required=True, positional=True)
_DATA = Argument("data", "flag", "what stays otherwise, too: boot-images, databases, what packages leave behind")

OPERATIONS = (
    Operation(
        "install", "run", "job", "set up the server as an answers file says: packages, files, services, each verified",
        (Argument("answers", "document", "the answers file (TOML)", required=True),
         Argument("fix", "choice", "do first what this check of the server offers", many=True,
                  choices=("address", "firewall", "clock", "names")),
         Argument("disable", "component", "switch this component off, which was set up before; its files stay",
                  many=True)),
        "qrm install run --answers /root/answers.toml", role=Role.administrator,
    ),
    Operation(
        "install", "fix", "job", "do what a check of the server offers (qrm install check)",
        (Argument("name", "choice", "which check", required=True, positional=True,
                  choices=("address", "firewall", "group", "clock", "names")),
         Argument("interface", "text", "machines boot from this network interface (the default route's otherwise)"),
         Argument("disk", "path", "of group: which disks (the largest that is free otherwise)", many=True),
         Argument("group", "name", "of group: what it is called", default="vol")),
        "qrm install fix address", role=Role.administrator,
    ),
    Operation(
        "install", "uninstall", "job", "take all components away; qrmd stays, and how it goes is told",
        (_DATA._replace(help=f"{_DATA.help}, images on this server"),),
        "qrm install uninstall", role=Role.administrator, destructive=True,
    ),
    Operation(
        "component", "configure", "job", "change a component's settings; what does not depend on them stays",
        (_NAME, Argument("settings", "setting", "KEY=VALUE", required=True, positional=True, many=True)),
        "qrm component configure dhcpd non_pxe=yes", role=Role.administrator, subject="name", key="e",
    ),
    Operation(
        "component", "restart", "job", "restart a component's services, and see that they answer",
        (_NAME,),
        "qrm component restart dhcpd", role=Role.administrator, subject="name", key="r",
    ),
    Operation(
        "component", "enable", "job", "switch a component on, now and at every boot",
        (_NAME,),
        "qrm component enable dhcpd", role=Role.administrator, subject="name", key="b",
    ),
    Operation(
        "component", "disable", "job", "switch a component off, now and at every boot; its files stay",
        (_NAME,),
        "qrm component disable dhcpd", role=Role.administrator, destructive=True, subject="name", key="x",
    ),
    Operation(
        "component", "uninstall", "job", "take a component away: services, files, and the packages that qrm installed",
        (_NAME, _DATA),
        "qrm component uninstall dhcpd", role=Role.administrator, destructive=True, subject="name", key="d",
    ),
)
