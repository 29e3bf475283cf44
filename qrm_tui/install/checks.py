"""Checks of a machine before a server is set up on it: what was found, and what a fix would do about it.

Pure: each looks at what the machine was asked. What a check is about and why stands in data/checks.toml.
"""
from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from qrm_tui.backends import disks
from qrm_tui.core.component_table import distributions
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.names import check_hostname, printable
from qrm_tui.core.places import data_folder
from qrm_tui.core.units import format_size
from qrm_tui.install.server import Server

#: ok; warning: works, and wants attention; error: it cannot be set up so; unknown: could not be looked at
State = Literal["ok", "warning", "error", "unknown"]
#: Bytes: what the server's programs and Debian need; what a rack of machines is comfortable with.
LEAST_MEMORY, GOOD_MEMORY = 900 << 20, 1800 << 20
#: Bytes that packages and the first boot-images take.
LEAST_ROOM, GOOD_ROOM = 2 << 30, 8 << 30
#: Bytes in which a first image has room.
GOOD_GROUP = 5 << 30
_HOSTS = "/etc/hosts"
#: Stands in a text for bytes that are none.
UNREADABLE = "\ufffd"
#: Characters of what a check says.
_LONGEST = 400
#: Services that set the clock.
CLOCKS = ("systemd-timesyncd.service", "chrony.service", "chronyd.service", "ntpsec.service", "ntp.service",
          "ntpd.service", "openntpd.service")
_FAMILIES: Mapping[str, str] = {
    "rocky": "Red Hat's family", "rhel": "Red Hat's family", "almalinux": "Red Hat's family",
    "centos": "Red Hat's family", "fedora": "Red Hat's family", "ol": "Red Hat's family",
    "opensuse-leap": "SUSE's family", "sles": "SUSE's family", "arch": "Arch", "alpine": "Alpine", "gentoo": "Gentoo"}


class Told(NamedTuple):
    """What one check found. `fix`: what would be done about it, in words; empty: nothing can be, or need be."""

    state: State
    found: str
    #: what it means here, or what to do by hand
    advice: str = ""
    fix: str = ""
    #: of a fix that has to be told which: what there is
    choices: tuple[str, ...] = ()


class Finding(NamedTuple):
    """A check with what it found."""

    name: str
    title: str
    looks: str
    means: str
    told: Told

    def row(self) -> dict[str, Any]:
        """As scripts and screens read it."""
        return {"name": self.name, "title": self.title, "state": self.told.state, "looked_at": self.looks,
                "found": self.told.found, "means": self.means, "advice": self.told.advice, "fix": self.told.fix,
                "choices": list(self.told.choices)}


@cache
def table() -> Mapping[str, Mapping[str, str]]:
    """What each check is about, in the order in which they are told."""
    found: dict[str, dict[str, str]] = tomllib.loads((data_folder() / "checks.toml").read_text())
    return found


def check_all(server: Server) -> list[Finding]:
    """All checks."""
    return [Finding(name, about["title"], about["looks"], about["means"], _tell(CHECKS[name], server))
            for name, about in table().items()]


def _tell(check: Callable[[Server], Told], server: Server) -> Told:
    """What it finds; a machine that answers nonsense is told as such, and nothing of it reaches a terminal raw."""
    try:
        told = check(server)
    except (ValueError, TypeError, AttributeError, LookupError, StepFailed) as error:
        return Told("unknown", f"what this machine answers cannot be read: {printable(str(error), 200)}",
                    "qrm install record shows what it says")
    return told._replace(found=printable(told.found, _LONGEST), advice=printable(told.advice, _LONGEST),
                         fix=printable(told.fix, _LONGEST))


def _words(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))


def _root(server: Server) -> Told:
    user = server.out("user").strip()
    if user == "0":
        return Told("ok", "root")
    if not user:
        return Told("unknown", "it does not say who runs here")
    return Told("error", f"the user with the number {printable(user)}", "run it as root: sudo qrm-tui")


def _distribution(server: Server) -> Told:
    key, called = server.distribution
    known = distributions()
    kernel = server.out("kernel").strip()
    if key in known:
        virtual = server.out("virtualization").strip()
        if virtual in ("lxc", "lxc-libvirt", "docker", "podman", "systemd-nspawn", "openvz"):
            return Told("warning", f"{called}, in a container ({virtual})",
                        "a container may have no NFS server, no volume groups and no wire of its own: use a machine")
        return Told("ok", f"{called}, kernel {kernel}" if kernel else called)
    family = next((family for name, family in _FAMILIES.items() if key == name or key.startswith(name + "-")), "")
    if family:
        return Told("error", f"{printable(called)}: {family}, which qrm knows and cannot set up",
                    f"use {_words(known)}; nothing was changed")
    return Told("error", printable(called), f"qrm sets up {_words(known)}, and no others yet; nothing was changed")


def _address(server: Server) -> Told:
    chosen = server.chosen
    wired = _words(one.name for one in server.interfaces) or "none"
    if chosen is None:
        said = f"there is no interface {server.interface}" if server.interface else "no interface has an IPv4 address"
        return Told("error", f"{said}; on a wire are: {wired}",
                    "give one an address where machines shall boot, for good")
    if not chosen.addresses:
        return Told("error", f"{chosen.name} has no IPv4 address; on a wire are: {wired}",
                    "give it one, for good, or choose another interface")
    address = chosen.addresses[0].text
    keeper = server.keeper
    by = f" by {keeper.kind}" if keeper.kind else ""
    if not server.lent:
        return Told("ok", f"{chosen.name} has {address}, for good{by}")
    if not keeper.kind:
        return Told("warning", f"{chosen.name} has {address} from a DHCP server, and nobody known asked for it",
                    "give it this address for good (ifupdown, systemd-networkd, netplan and NetworkManager are known)")
    where = f" ({keeper.where})" if keeper.kind == "ifupdown" else ""
    return Told("error", f"{chosen.name} has {address} from a DHCP server{by}{where}",
                fix=f"{keeper.kind} gives {chosen.name} the same address {address} for good")


def _dhcp(server: Server) -> Told:
    chosen = server.chosen
    if chosen is None or chosen.name not in server.offers:
        return Told("unknown", f"nobody could be asked on {chosen.name if chosen else 'any wire'}")
    others = [address for address in server.offers[chosen.name] if address not in server.own]
    elsewhere = {name: servers for name, servers in server.offers.items() if name != chosen.name and servers}
    more = f"; on others: {_words(f'{name}: {_words(found)}' for name, found in elsewhere.items())}" if elsewhere \
        else ""
    if not others:
        return Told("ok", f"nobody offers addresses on {chosen.name}{more}")
    return Told("warning", f"{_words(others)} offers addresses on {chosen.name}, where machines boot{more}",
                "switch it off there, or give machines a wire of their own; qrm's dhcpd answers only what boots from "
                "the network, unless non_pxe is set")


def _ports(server: Server) -> Told:
    taken = []
    for name, port in server.ports():
        for listener in server.heard:
            if (listener.protocol, str(listener.port)) != (port.protocol, port.port):
                continue
            owners = [process for process in listener.processes if process not in (port.process, "systemd")]
            if owners and port.process:
                taken.append(f"{port.port}/{port.protocol} ({name}) is {_words(owners)}'s")
    if not server.knows("listeners"):
        return Told("unknown", "it does not say who listens (ss of iproute2)")
    if taken:
        return Told("error", "; ".join(dict.fromkeys(taken)),
                    "stop what listens there, or give the component another port where it has that setting")
    wanted = dict.fromkeys(f"{port.port}/{port.protocol}" for _, port in server.ports())
    return Told("ok", f"{_words(wanted)} are free, or their component's own")


def _firewall(server: Server) -> Told:
    firewall = server.firewall
    if not firewall.kind:
        silent = [name for name in ("nftables", "ufw", "firewalld") if name == "nftables" and not server.knows(name)]
        return Told("unknown" if silent else "ok", "no rules can be read: there is no nft" if silent else
                    "nothing drops what machines send")
    called = {"nftables": "nftables, by the table "
              + _words(dict.fromkeys(f"{chain.family} {chain.table}" for chain in firewall.chains)) + ",",
              "firewalld": f"firewalld, in the zone {firewall.zone},", "ufw": "ufw"}[firewall.kind]
    if not firewall.closed:
        return Told("ok", f"{called} lets in all that machines need")
    interface = server.chosen.name if server.chosen else ""
    if not interface:
        return Told("warning", f"{called} drops {_words(firewall.closed)}", "choose the interface first")
    return Told("error", f"{called} drops {_words(firewall.closed)}",
                fix=f"rules for {_words(firewall.closed)} on {interface} are added to it; nothing else is changed")


def _confinement(server: Server) -> Told:
    selinux = server.out("selinux").strip()
    if selinux == "Enforcing":
        return Told("warning", "SELinux enforces its policy",
                    "qrm knows no policy for its folders yet: boot files under /srv/qrm may be refused to tftpd and "
                    "apache; the journal tells (ausearch -m avc)")
    if server.text("/sys/module/apparmor/parameters/enabled").strip() == "Y":
        return Told("ok", "AppArmor is on: dhcpd's files are where its profile expects them (/etc/dhcp)")
    return Told("ok", f"SELinux is {selinux.lower()}" if selinux else "neither is on")


def _group(server: Server) -> Told:
    groups, free = server.groups, server.free_disks
    shown = tuple(disk.path for disk in free)
    if groups and groups[0].free >= GOOD_GROUP:
        return Told("ok", f"{groups[0].name} has {format_size(groups[0].free)} free of {format_size(groups[0].size)}")
    disks_free = _words(f"{disk.path} ({format_size(disk.size)}{f', {printable(disk.model)}' if disk.model else ''})"
                        for disk in free)
    if groups:
        return Told("warning", f"{groups[0].name} has only {format_size(groups[0].free)} free"
                    + (f"; disks that nothing is on: {disks_free}" if free else ""),
                    "add a disk to it (vgextend), or keep images on another storage server")
    if free:
        return Told("warning", f"there is none; disks that nothing is on: {disks_free}",
                    "only if images shall lie on this server itself",
                    fix=f"a volume group `vol` is made of {free[0].path}, or of the disks that are named",
                    choices=shown)
    used = _words(f"{disk.path} ({disk.used_by})" for disk in server.all_disks) or "none at all"
    return Told("warning", f"there is none, and no disk is free: {used}",
                "add a disk, or keep images on another storage server: qrm storage add")


def _memory(server: Server) -> Told:
    memory = disks.parse_memory(server.text("/proc/meminfo"))
    if not memory:
        return Told("unknown", "it does not say how much")
    if memory < LEAST_MEMORY:
        return Told("error", format_size(memory), f"{format_size(LEAST_MEMORY)} is the least for the server itself")
    if memory < GOOD_MEMORY:
        return Told("warning", format_size(memory),
                    "enough for a small rack; with many machines booting at once more is better")
    return Told("ok", format_size(memory))


def _room(server: Server) -> Told:
    rooms = {room.target: room for path in ("/", "/var", "/srv") if (room := disks.room_of(server.rooms, path))}
    if not rooms:
        return Told("unknown", "it does not say what is mounted")
    said = _words(f"{format_size(room.free)} free under {room.target}" for room in rooms.values())
    least = min(room.free for room in rooms.values())
    if least < LEAST_ROOM:
        return Told("error", said, f"{format_size(LEAST_ROOM)} are needed at least")
    if least < GOOD_ROOM:
        return Told("warning", said, "boot-images and consoles' logs grow: some gigabytes more are better")
    return Told("ok", said)


def _clock(server: Server) -> Told:
    service = server.runs(*CLOCKS)
    synchronized = re.search(r"^NTPSynchronized=(yes|no)$", server.out("clock"), re.MULTILINE)
    if synchronized and synchronized[1] == "yes":
        return Told("ok", f"the clock is set{f' by {service}' if service else ''}")
    if service:
        return Told("warning", f"{service} runs, and has not set the clock yet",
                    "wait a minute; where it stays so, its servers do not answer (timedatectl timesync-status)")
    if server.out("virtualization").strip() in ("lxc", "docker", "systemd-nspawn", "uml", "wsl"):
        return Told("ok", "its host sets the clock")
    return Told("warning", "nothing sets the clock", fix="systemd-timesyncd is installed and started")


def _names(server: Server) -> Told:
    name = server.out("host").strip() or server.text("/etc/hostname").strip()
    if not name:
        return Told("unknown", "it does not say what it is called")
    if name in ("localhost", "localhost.localdomain", "(none)"):
        return Told("error", f"it is called {name}", "give it a name: hostnamectl set-hostname NAME")
    try:
        check_hostname(name)
    except ValueError as error:
        return Told("error", f"it is called {error}", "give it another one: hostnamectl set-hostname NAME")
    text = server.text(_HOSTS)
    if "\0" in text or UNREADABLE in text:
        return Told("warning", f"{_HOSTS} holds bytes that are no text (UTF-8): programs may read other names there",
                    f"look at it (cat -v {_HOSTS}), and correct it by hand: qrm writes into no such file")
    # as resolvers read it: other signs that Python takes for the end of a line are none
    lines = [line.split("#")[0].split() for line in text.split("\n")]
    places = [line[0] for line in lines if len(line) > 1 and name in line[1:]]
    right = server.wanted_address
    address = right.address.partition("/")[0] if right else ""
    if address and address in places[:1]:
        return Told("ok", f"{name} is {address} in /etc/hosts")
    fix = f"a line for {printable(name)} with {address} in /etc/hosts" if address else ""
    if not places:
        return Told("warning", f"{printable(name)} is not in /etc/hosts", fix=fix)
    if all(place.startswith(("127.", "::1")) for place in places):
        return Told("ok", f"{printable(name)} is {places[0]} in /etc/hosts: only this machine itself looks there")
    return Told("warning", f"{printable(name)} is {printable(_words(places))} in /etc/hosts, which it does not have",
                "correct that line by hand: it is not qrm's") if address not in places and places[0] not in server.own \
        else Told("ok", f"{printable(name)} is {places[0]} in /etc/hosts")


def _former(server: Server) -> Told:
    old = [f"{name} {version}" for name, version in server.packages.items() if name.startswith("openqrm")]
    if old:
        return Told("error", f"openQRM is installed: {_words(old)}",
                    "use another machine, or remove it: both would write dhcpd's and tftpd's files")
    if server.text("/etc/qrm/answers.toml") or "/etc/dhcp/qrm.conf" in server.facts.files or \
            "qrm-node.service" in server.unit_files:
        running = server.runs("qrmd.service")
        return Told("ok", "qrm is set up here already" + (", and runs" if running else ""),
                    "it is brought to what is answered now; what is so already stays as it is")
    return Told("ok", "none")


#: The checks of data/checks.toml.
CHECKS: Mapping[str, Callable[[Server], Told]] = {
    "root": _root, "distribution": _distribution, "address": _address, "dhcp": _dhcp, "ports": _ports,
    "firewall": _firewall, "confinement": _confinement, "group": _group, "memory": _memory, "room": _room,
    "clock": _clock, "names": _names, "former": _former,
}
