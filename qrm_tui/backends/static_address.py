"""Who gives the server's network interface its address, and how it gets the same one for good.

ifupdown (interfaces(5)), systemd-networkd (systemd.network(5)), netplan (netplan(5)), NetworkManager (nmcli(1)).
"""
from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from ipaddress import IPv4Interface
from typing import NamedTuple

from qrm_tui.backends.rendering import render
from qrm_tui.core.facts import Answered, File
from qrm_tui.core.places import templates_folder
from qrm_tui.core.plan import HERE, Check, Run, Step, WriteFile

INTERFACES = "/etc/network/interfaces"
#: Around what is ours in hosts(5).
BEGIN, END = "# begin qrm", "# end qrm"
#: Keeps an address that dhclient would let go, without a moment without it; arguments: interface, address.
KEEP_SCRIPT = (templates_folder() / "network/keep-address.sh").read_text()


class Wanted(NamedTuple):
    """What an interface shall have for good."""

    interface: str
    #: ADDRESS/PREFIX
    address: str
    #: empty: the way to everywhere is another
    router: str = ""
    dns: tuple[str, ...] = ()
    domain: str = ""

    @property
    def words(self) -> dict[str, object]:
        return self._asdict()


class Keeper(NamedTuple):
    """Who gives an interface its address: `kind` is ifupdown, networkd, netplan, NetworkManager or empty (nobody)."""

    kind: str
    #: the file that says so, or NetworkManager's connection
    where: str = ""


def keeper(interface: str, files: Mapping[str, File | None], active: Mapping[str, str],
           connections: Answered | None) -> Keeper:
    """Who gives an interface its address. `active`: units by name → ActiveState."""
    if connections is not None and connections.status == 0:
        for line in connections.out.splitlines():
            fields = re.split(r"(?<!\\):", line)   # nmcli --terse escapes colons
            if len(fields) == 4 and fields[3] == interface:
                return Keeper("NetworkManager", fields[1])
    if _stanza(interface, files):
        return Keeper("ifupdown", _stanza(interface, files))
    if any(path.startswith("/etc/netplan/") and file and re.search(rf"^\s+{re.escape(interface)}:", file.content,
                                                                   re.MULTILINE) for path, file in files.items()):
        return Keeper("netplan")
    if active.get("systemd-networkd.service") == "active":
        return Keeper("networkd", _network_file(interface, files))
    if any(path.startswith("/etc/netplan/") and file for path, file in files.items()):
        return Keeper("netplan")
    return Keeper("")


def _stanza(interface: str, files: Mapping[str, File | None]) -> str:
    """The file of interfaces(5) that has the interface's stanza; empty: none has."""
    return next((path for path, file in files.items()
                 if path.startswith(INTERFACES) and file and _head(interface).search(file.content)), "")


def _head(interface: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*iface[ \t]+{re.escape(interface)}[ \t]+inet[ \t]+(\w+)", re.MULTILINE)


def _network_file(interface: str, files: Mapping[str, File | None]) -> str:
    """The first file of systemd.network(5) in /etc that is for an interface, by its name."""
    for path in sorted(files):
        file = files[path]
        if path.endswith(".network") and file:
            match = re.search(r"^\[Match\][^\[]*?^Name=(.+)$", file.content, re.MULTILINE | re.DOTALL)
            if match and any(fnmatch.fnmatchcase(interface, pattern) for pattern in match[1].splitlines()[0].split()):
                return path
    return ""


def is_dynamic(interface: str, keeper: Keeper, files: Mapping[str, File | None], dynamic: bool) -> bool:
    """Whether its address is lent: the kernel knows until when, or its stanza says so."""
    if keeper.kind == "ifupdown" and (file := files.get(keeper.where)):
        match = _head(interface).search(file.content)
        return dynamic or (match is not None and match[1] == "dhcp")
    return dynamic


def plan(wanted: Wanted, keeper: Keeper, files: Mapping[str, File | None]) -> list[Step]:
    """Steps after which the interface has the address that it has now, for good; empty: nobody known keeps it."""
    match keeper.kind:
        case "ifupdown":
            return _ifupdown(wanted, keeper.where, files)
        case "netplan":
            text = render("network/netplan.yaml.j2", **wanted.words)
            return [_write("/etc/netplan/99-zz-qrm.yaml", text, files, 0o600),
                    _run(f"netplan gives {wanted.interface} that address", "netplan", "apply", long=True)]
        case "networkd":
            path = f"/etc/systemd/network/{keeper.where.rpartition('/')[2]}.d/qrm.conf" if keeper.where else \
                f"/etc/systemd/network/10-qrm-{wanted.interface}.network"
            return [_write(path, render("network/networkd.j2", whole=not keeper.where, **wanted.words), files),
                    _run(f"systemd-networkd gives {wanted.interface} that address", "networkctl", "reload")]
        case "NetworkManager":
            return _network_manager(wanted, keeper.where)
    return []


def files_of(wanted: Wanted, keeper: Keeper) -> list[str]:
    """Files that `plan` writes."""
    return [step.path for step in plan(wanted, keeper, {keeper.where: File(content="")}) if isinstance(step, WriteFile)]


def _write(path: str, text: str, files: Mapping[str, File | None], mode: int = 0o644) -> WriteFile:
    there = files.get(path)
    return WriteFile(machine=HERE, summary=f"write {path}", path=path, content=text,
                     former=there.content if there else None, mode=there.mode if there else mode)


def _run(summary: str, *argv: str, long: bool = False) -> Run:
    return Run(machine=HERE, summary=summary, argv=argv, long=long)


def _ifupdown(wanted: Wanted, path: str, files: Mapping[str, File | None]) -> list[Step]:
    file = files.get(path)
    assert file is not None
    return [
        _write(path, static_stanza(file.content, wanted), files),
        Run(machine=HERE, summary=f"keep {wanted.address} on {wanted.interface}, and let dhclient go",
            argv=("sh", "-c", KEEP_SCRIPT, "qrm", wanted.interface, wanted.address)),
    ]


def static_stanza(text: str, wanted: Wanted) -> str:
    """interfaces(5) with the interface's `inet dhcp` made `inet static`; other lines stay as they are."""
    lines = []
    for line in text.split("\n"):
        if _head(wanted.interface).match(line):
            lines.append(f"iface {wanted.interface} inet static")
            lines.append(f"    address {wanted.address}")
            lines += [f"    gateway {wanted.router}"] if wanted.router else []
            lines += [f"    dns-nameservers {' '.join(wanted.dns)}"] if wanted.dns else []
            lines += [f"    dns-search {wanted.domain}"] if wanted.domain else []
        else:
            lines.append(line)
    return "\n".join(lines)


def _network_manager(wanted: Wanted, connection: str) -> list[Step]:
    settings = {"ipv4.method": "manual", "ipv4.addresses": wanted.address, "ipv4.gateway": wanted.router,
                "ipv4.dns": " ".join(wanted.dns), "ipv4.dns-search": wanted.domain}
    words = [word for pair in settings.items() for word in pair]
    return [
        Run(machine=HERE, summary=f"tell NetworkManager that {wanted.interface} has {wanted.address}",
            argv=("nmcli", "connection", "modify", "uuid", connection, *words),
            done=Check(argv=("nmcli", "--get-values", "ipv4.method", "connection", "show", "uuid", connection),
                       expect="equals", text="manual")),
        # the address stays: it is the same one
        _run(f"NetworkManager gives {wanted.interface} that address", "nmcli", "device", "reapply", wanted.interface),
    ]


def with_host(text: str, address: str, names: list[str]) -> str:
    """hosts(5) with a line for the server's own names in our block; what else is there stays."""
    # a mark without its other one is somebody's, and so is what lies between it and ours
    kept = re.sub(rf"^{BEGIN}\n(?:(?!{BEGIN}$|{END}$).*\n)*{END}(?:\n|\Z)", "", text, flags=re.MULTILINE)
    if kept and not kept.endswith("\n"):
        kept += "\n"
    return f"{kept}{BEGIN}\n{IPv4Interface(address).ip}\t{' '.join(names)}\n{END}\n"
