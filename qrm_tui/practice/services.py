"""Services on a simulated server: systemd 252 as far as they go, what they need to start, where they listen."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good, only
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

#: Where a new file lies while it is checked: messages name its place.
_BESIDE = re.compile(r"/\.qrm-new-[^/]*/")
_UNITS = "/etc/systemd/system"
_WANTS = f"{_UNITS}/multi-user.target.wants"
_BROUGHT: Mapping[str, str] = {
    "isc-dhcp-server": "isc-dhcp-server.service", "tftpd-hpa": "tftpd-hpa.service", "apache2": "apache2.service",
    "nfs-kernel-server": "nfs-server.service", "systemd-timesyncd": "systemd-timesyncd.service",
    "lvm2": "lvm2-monitor.service", "mariadb-server": "mariadb.service", "nagios4": "nagios4.service",
    "puppetserver": "puppetserver.service", "cockpit": "cockpit.socket",
}
#: Where services listen that have no files of ours.
_LISTEN: Mapping[str, tuple[str, str, str]] = {
    "mariadb.service": ("tcp", "127.0.0.1:3306", "mariadbd"), "puppetserver.service": ("tcp", "*:8140", "java"),
    "cockpit.socket": ("tcp", "*:9090", "systemd"),
}
_APACHE = "/etc/apache2/conf-enabled"
_DHCPD = "/etc/dhcp/qrm.conf"
#: First words of dhcpd.conf(5) that our files and a careful admin's use.
_DHCPD_WORDS = frozenset((
    "authoritative", "not", "ddns-update-style", "default-lease-time", "max-lease-time", "ignore-client-uids", "option",
    "omapi-port", "include", "omapi-key", "class", "match", "if", "elsif", "else", "log", "subnet", "next-server",
    "filename", "pool", "allow", "deny", "range", "host", "hardware", "fixed-address", "key", "algorithm", "secret",
    "group", "shared-network", "ping-check", "one-lease-per-client", "server-name"))
_APACHE_WORDS = frozenset(("Listen", "Alias", "Options", "AllowOverride", "Require", "SetEnvIf", "GlobalLog",
                           "CustomLog", "ServerName"))


def brought(host: Host, package: str) -> None:
    """A package was installed: what it brings starts at once, if it can, and at every boot."""
    unit = _BROUGHT.get(package)
    if unit:
        _link(host, unit)
        start(host, unit)


def taken(host: Host, package: str) -> None:
    """A package was removed: what it brought runs no more."""
    unit = _BROUGHT.get(package)
    if unit:
        _wants(host, unit).unlink(missing_ok=True)
        host.software.active.discard(unit)
        host.software.failed.discard(unit)


# what the programs say of their files


def dhcpd_troubles(host: Host, path: str) -> str:
    """`dhcpd -t` in a line (ISC dhcpd 4.4.3-P1); empty: all is well."""
    place = host.root.here(path)
    shown = _BESIDE.sub("/", path)
    if not place.is_file():
        return f"Can't open {shown}: No such file or directory"
    depth, first = 0, True
    for number, line in enumerate(place.read_text(errors="replace").splitlines(), 1):
        for word in re.findall(r'"[^"]*"|[{};]|[^\s{};"#]+|#.*|"', line):
            if word.startswith("#"):
                break
            if word == '"':
                return f"{shown} line {number}: eof in string constant"
            if first and word not in _DHCPD_WORDS and word not in "{};":
                return f"{shown} line {number}: expecting a parameter or declaration"
            if first and word == "include":
                included = re.search(r'include "([^"]*)"', line)
                if included and not host.root.exists(included[1]):
                    return f"Can't open {included[1]}: No such file or directory"
            depth += {"{": 1, "}": -1}.get(word, 0)
            first = word in "{};"
            if depth < 0:
                return f"{shown} line {number}: expecting a declaration"
    return f"{shown} line {number}: unexpected end of file" if depth or not first else ""


def apache_troubles(host: Host, path: str) -> str:
    """`apache2ctl -t` in a line (Apache 2.4.71); empty: all is well."""
    place = host.root.here(path)
    shown = _BESIDE.sub("/", path)
    if not place.is_file():
        return f"Syntax error in -C/-c directive: Could not open configuration file {shown}: No such file or directory"
    for number, line in enumerate(place.read_text(errors="replace").splitlines(), 1):
        word = line.split()[0] if line.split() else "#"
        if not word.startswith(("#", "<")) and word not in _APACHE_WORDS:
            return (f"Syntax error on line {number} of {shown}: Invalid command '{word}', perhaps misspelled or "
                    "defined by a module not included in the server configuration")
    return ""


# systemd


def exists(host: Host, unit: str) -> bool:
    """Whether systemd knows such a unit: of ours, or of a package."""
    return host.root.exists(f"{_UNITS}/{unit}") or any(
        unit == of and package in host.software.packages for package, of in _BROUGHT.items())


def _troubles(host: Host, unit: str) -> str:
    """Why it cannot start; empty: it can."""
    if unit == "isc-dhcp-server.service":
        if not host.root.exists(f"{_UNITS}/{unit}"):
            return "Not configured to listen on any interfaces!"
        return dhcpd_troubles(host, _DHCPD)
    if unit == "apache2.service":
        folder = host.root.here(_APACHE)
        return next(filter(None, (apache_troubles(host, f"{_APACHE}/{place.name}")
                                  for place in sorted(folder.glob("*.conf")))), "")
    return ""


def start(host: Host, unit: str) -> bool:
    """It starts, or fails and says why in the journal."""
    trouble = _troubles(host, unit)
    if trouble or not exists(host, unit):
        host.software.failed.add(unit)
        host.software.active.discard(unit)
        host.journal.setdefault(unit, []).extend((trouble or "There is no such unit.",
                                                  f"{unit}: Failed with result 'exit-code'."))
        return False
    host.software.failed.discard(unit)
    host.software.active.add(unit)
    host.journal.setdefault(unit, []).append(f"Started {unit}.")
    return True


def _wants(host: Host, unit: str) -> Path:
    return host.root.here(f"{_WANTS}/{unit}", follow=False)


def _link(host: Host, unit: str) -> bool:
    link = _wants(host, unit)
    if link.is_symlink():
        return False
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"{_UNITS}/{unit}")
    return True


def systemctl(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """show, enable, disable, restart, stop, reset-failed."""
    match argv:
        case ("systemctl", "show", "--property", "Id,LoadState,ActiveState,UnitFileState", "--", *units):
            return good("\n".join(_shown(host, unit) for unit in units))
        case ("systemctl", "enable" | "disable" as verb, "--", unit):
            return _enable(host, verb, unit, now=False)
        case ("systemctl", "enable" | "disable" as verb, "--now", "--", unit):
            return _enable(host, verb, unit, now=True)
        case ("systemctl", "mask" | "unmask" as verb, "--runtime", "--", *units) if units:
            return only(f"systemctl {verb} {units[0]}: done", good())
        case ("systemctl", "restart", "--", *units):
            return restart(host, units)
        case ("systemctl", "stop", "--", unit):
            return stop(host, unit)
        case ("systemctl", "reset-failed", "--", unit):
            if not exists(host, unit):
                return bad(1, f"Failed to reset failed state of unit {unit}: Unit {unit} not loaded.\n")
            host.software.failed.discard(unit)
            return only(f"systemctl reset-failed {unit}: forgotten", good())
    raise NotPractised("these arguments")


def _shown(host: Host, unit: str) -> str:
    if not exists(host, unit):
        return f"Id={unit}\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
    software = host.software
    state = "active" if unit in software.active else "failed" if unit in software.failed else "inactive"
    enabled = "enabled" if _wants(host, unit).is_symlink() else "disabled"
    return f"Id={unit}\nLoadState=loaded\nActiveState={state}\nUnitFileState={enabled}\n"


def _enable(host: Host, verb: str, unit: str, *, now: bool) -> Completed | Effects:
    if not exists(host, unit):
        return bad(1, f"Failed to {verb} unit: Unit file {unit} does not exist.\n")
    return _enabling(host, verb, unit, now)


def _enabling(host: Host, verb: str, unit: str, now: bool) -> Effects:
    if verb == "enable":
        _link(host, unit)
    else:
        _wants(host, unit).unlink(missing_ok=True)
    yield Point(f"systemctl {verb} {unit}: {'linked' if verb == 'enable' else 'unlinked'}")
    if now and verb == "enable":
        start(host, unit)
        yield Point(f"systemctl {verb} {unit}: started")
    elif now:
        host.software.active.discard(unit)
        yield Point(f"systemctl {verb} {unit}: stopped")
    return good()


def stop(host: Host, unit: str) -> Completed | Effects:
    """It ends; one that failed stays so."""
    if not exists(host, unit):
        return bad(5, f"Failed to stop {unit}: Unit {unit} not loaded.\n")
    host.software.active.discard(unit)
    return only(f"systemctl stop {unit}: stopped", good())


def stop_and_forget(host: Host, words: Sequence[str]) -> Completed | Effects:
    """The script of plans: it ends, and did not fail."""
    unit = words[0]
    done = stop(host, unit)
    if exists(host, unit):
        host.software.failed.discard(unit)
    return done


def restart(host: Host, units: Sequence[str]) -> Completed | Effects:
    """Each begins anew. systemd is content when a simple service was started, whatever becomes of it."""
    for unit in units:
        if not exists(host, unit):
            return bad(5, f"Failed to restart {unit}: Unit {unit} not found.\n")
    return _restarting(host, units)


def _restarting(host: Host, units: Sequence[str]) -> Effects:
    for unit in units:
        host.software.active.discard(unit)
        yield Point(f"systemctl restart {unit}: stopped")
        start(host, unit)
        yield Point(f"systemctl restart {unit}: started")
    return good()


# where they listen


def sockets(host: Host) -> Iterator[tuple[str, str, str]]:
    """Protocol, address with port, and program of each listening socket."""
    active = host.software.active
    yield from host.software.others
    if "isc-dhcp-server.service" in active:
        yield from (("udp", "0.0.0.0:67", "dhcpd"), ("tcp", "0.0.0.0:7911", "dhcpd"))
    if "tftpd-hpa.service" in active:
        address = re.search(r"--address ([0-9.]+):69", _unit_text(host, "tftpd-hpa.service"))
        yield "udp", f"{address[1] if address else '0.0.0.0'}:69", "in.tftpd"
    if "apache2.service" in active:
        place = host.root.here(f"{_APACHE}/qrm-boot.conf")
        listens = re.findall(r"^Listen ([0-9]+)", place.read_text() if place.is_file() else "", re.MULTILINE)
        yield from (("tcp", f"*:{port}", "apache2") for port in ("80", *listens))
    yield from (_LISTEN[unit] for unit in _LISTEN if unit in active)
    if "nfs-server.service" in active:
        yield "tcp", "0.0.0.0:2049", ""
    if "qrm-node.service" in active:
        port = re.search(r"--listen [0-9.]+:([0-9]+)", _exec(host, "qrm-node.service"))
        yield "tcp", f"0.0.0.0:{port[1] if port else '8640'}", "qrmd-node"


def dhcpd_interface(host: Host) -> str:
    """Where dhcpd answers; empty while it does not run."""
    if "isc-dhcp-server.service" not in host.software.active:
        return ""
    return _exec(host, "isc-dhcp-server.service").split()[-1]


def _unit_text(host: Host, unit: str) -> str:
    place = host.root.here(f"{_UNITS}/{unit}")
    return place.read_text() if place.is_file() else ""


def _exec(host: Host, unit: str) -> str:
    found = re.search(r"^ExecStart=(.*)$", _unit_text(host, unit), re.MULTILINE)
    return found[1] if found else "-"
