"""Small commands on a simulated server, and the fixed scripts that its plans run."""
from __future__ import annotations

import filecmp
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Interface
from urllib.parse import urlsplit

from qrm_tui.backends.boot import ROOT
from qrm_tui.backends.components import APACHE_CHECK_SCRIPT
from qrm_tui.backends.dhcpd import CHECK_SCRIPT, KEY, KEY_PATTERN, KEY_SCRIPT, OMAPI_SCRIPT
from qrm_tui.backends.own_packages import GONE_SCRIPT
from qrm_tui.backends.partition_boot import FETCH_SCRIPT
from qrm_tui.backends.partition_filter import FILTER_SCRIPT
from qrm_tui.backends.static_address import KEEP_SCRIPT
from qrm_tui.core.data_place import USUAL
from qrm_tui.core.database import HERE, parse, preparing
from qrm_tui.install.steps import (
    INSTALL_SCRIPT,
    REMOVE_SCRIPT,
    RMDIR_SCRIPT,
    START_AGAIN_SCRIPT,
    STOP_SCRIPT,
    WHY_SCRIPT,
)
from qrm_tui.practice import fix_commands, packages, services, units
from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good, only
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

Script = Callable[[Host, Sequence[str]], "Completed | Effects"]
KEY_FILE = ('# Made by qrm on this machine.\nkey qrm {\n    algorithm hmac-sha256;\n'
            '    secret "UHJhY3RpY2UsIG5vIHNlY3JldC4gUHJhY3RpY2UuLi4=";\n};\n')


def install(host: Host, argv: Sequence[str]) -> Completed | Effects:
    match argv:
        case ("install", "-D", "--mode", "0644", "--", source, target):
            here, there = host.root.here(source), host.root.here(target)
            if not here.is_file():
                return bad(1, f"install: cannot stat '{source}': No such file or directory\n")
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here, there)
            there.chmod(0o644)
            return only(f"install {target}: there", good())
    raise NotPractised("these arguments")


def cmp(host: Host, argv: Sequence[str]) -> Completed:
    match argv:
        case ("cmp", "--silent", "--", one, other):
            places = [host.root.here(path) for path in (one, other)]
            if not all(place.is_file() for place in places):
                return Completed(2, "", "")
            return Completed(0 if filecmp.cmp(*places, shallow=False) else 1, "", "")
    raise NotPractised("these arguments")


def remove(host: Host, argv: Sequence[str]) -> Completed | Effects:
    match argv:
        case ("rm", "-f", "--", *paths):
            for path in paths:
                host.root.here(path, follow=False).unlink(missing_ok=True)
            return only(f"rm {' '.join(paths)}: gone", good())
        case ("rm", "-rf", "--", *paths):
            for path in paths:
                shutil.rmtree(host.root.here(path, follow=False), ignore_errors=True)
            return only(f"rm {' '.join(paths)}: gone", good())
    raise NotPractised("these arguments")


def _remove_folders(host: Host, paths: Sequence[str]) -> Completed | Effects:
    """Those that nothing is in."""
    for path in paths:
        place = host.root.here(path, follow=False)
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    return only(f"rmdir {' '.join(paths)}: done", good())


def grep(host: Host, argv: Sequence[str]) -> Completed:
    match argv:
        case ("grep", "--quiet", "--extended-regexp", pattern, path):
            place = host.root.here(path)
            if not place.is_file():
                return bad(2, f"grep: {path}: No such file or directory\n")
            return Completed(0 if re.search(pattern, place.read_text(), re.MULTILINE) else 1, "", "")
    raise NotPractised("these arguments")


def sha256sum(host: Host, argv: Sequence[str]) -> Completed:
    match argv:
        case ("sha256sum", "--", *paths):
            out, err = "", ""
            for path in paths:
                place = host.root.here(path)
                if place.is_file():
                    out += f"{hashlib.sha256(place.read_bytes()).hexdigest()}  {path}\n"
                else:
                    err += f"sha256sum: {path}: No such file or directory\n"
            return Completed(1 if err else 0, out, err)
    raise NotPractised("these arguments")


def ip(host: Host, argv: Sequence[str]) -> Completed:
    """iproute2 6.1.0."""
    match argv:
        case ("ip", "-json", "address", "show"):
            rows = [{"ifindex": 1, "ifname": "lo", "addr_info": [
                {"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host", "label": "lo"}]}]
            for number, (name, text) in enumerate(host.software.interfaces.items(), 2):
                address = IPv4Interface(text)
                rows.append({"ifindex": number, "ifname": name, "flags": ["BROADCAST", "UP"], "link_type": "ether",
                             "address": f"52:54:00:00:00:{number:02x}", "addr_info": [{
                    "family": "inet", "local": str(address.ip), "prefixlen": address.network.prefixlen,
                    "scope": "global", "label": name}]})
            return good(json.dumps(rows))
        case ("ip", "-json", "route", "show"):
            return good(json.dumps([
                row for name, text in host.software.interfaces.items() for network in [IPv4Interface(text).network]
                for row in ({"dst": "default", "gateway": str(network.broadcast_address - 1), "dev": name, "flags": []},
                            {"dst": str(network), "dev": name, "protocol": "kernel", "scope": "link", "flags": []})]))
    raise NotPractised("these arguments")


def ss(host: Host, argv: Sequence[str]) -> Completed:
    """iproute2 6.1.0."""
    def lines(protocol: str, port: str = "") -> str:
        found = ""
        for kind, place, program in services.sockets(host):
            if protocol in ("", kind) and (not port or place.endswith(f":{port}")):
                users = f'users:(("{program}",pid=1,fd=3))' if program else ""
                netid = f"{kind:<6}" if not protocol else ""
                found += f"{netid}{'LISTEN' if kind == 'tcp' else 'UNCONN':<7}0      0      {place} 0.0.0.0:* {users}\n"
        return found

    match argv:
        case ("ss", "-H", "-lntup"):
            return good(lines(""))
        case ("ss", "-H", "-lunp", condition):
            return good(lines("udp", condition.rpartition(":")[2]))
        case ("ss", "-H", "-ltn", condition):
            return good(lines("tcp", condition.rpartition(":")[2]))
        case ("ss", "-H", "-0np"):
            interface = services.dhcpd_interface(host)
            users = 'users:(("dhcpd",pid=1,fd=4))'
            return good(f"p_raw 0      0                  *:{interface}              *     {users}\n"
                        if interface else "")
    raise NotPractised("these arguments")


def curl(host: Host, argv: Sequence[str]) -> Completed:
    """What TFTP and HTTP hand out (curl 7.88.1)."""
    match argv:
        case ("curl", "--silent", "--show-error", *_, "--max-time", "5", address) | \
                ("curl", "--silent", "--show-error", "--max-time", "5", *_, address):
            return _fetch(host, address)
    raise NotPractised("these arguments")


def answers(host: Host, argv: Sequence[str]) -> Completed:
    """Programs that are asked whether their service is well."""
    match argv:
        case ("mariadb-admin", "ping"):
            return good("mysqld is alive\n") if "mariadb.service" in host.software.active else bad(1, "mysqladmin: "
                                                                                                     "connect failed\n")
        case ("ssh", "-V"):
            return Completed(0, "", "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.20\n")
        case ("nagios4", "-v", "/etc/nagios4/nagios.cfg"):
            return good() if "nagios4" in host.software.packages else bad(127, "nagios4: not found\n")
    raise NotPractised("these arguments")


def try_place(host: Host, argv: Sequence[str]) -> Completed:
    """qrmd says whether it can keep what it knows there: a folder that is empty, a database that is here."""
    match argv:
        case (_, "--try-place", folder, name, _):
            there, server = host.root.here(folder), parse(name)
            if folder != USUAL and there.is_dir() and (found := sorted(path.name for path in there.iterdir())):
                return bad(1, f"qrmd: {folder} is not empty: {found[0]} lies in it; name another folder\n")
            if server is None or f"{server.host}/{server.name}" in host.software.databases:
                return good()
            return bad(1, f"qrmd: the database cannot be opened: Can't connect to server on '{server.host}'\n")
    raise NotPractised("these arguments")


def make_database(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """MariaDB's client 10.11."""
    if argv != preparing():
        raise NotPractised("these arguments")
    if "mariadb.service" not in host.software.active:
        return bad(1, f"ERROR 2002 (HY000): Can't connect to local server through socket '{HERE.socket}' (2)\n")
    host.software.databases.add(f"{HERE.host}/{HERE.name}")
    return only(f"database {HERE.name}: there", good())


def _fetch(host: Host, address: str) -> Completed:
    url = urlsplit(address)
    port = url.port or {"tftp": 69, "http": 80}[url.scheme]
    protocol = "udp" if url.scheme == "tftp" else "tcp"
    listens = any(kind == protocol and place.rpartition(":")[2] == str(port)
                  for kind, place, _ in services.sockets(host))
    if not listens:
        if url.scheme == "tftp":
            return bad(28, "curl: (28) Connection time-out\n")
        return bad(7, f"curl: (7) Failed to connect to {url.hostname} port {port} after 0 ms: Couldn't connect to "
                      "server\n")
    if url.path.startswith("/v1/"):
        return good()
    if url.scheme == "https":
        return good("running" if url.path.startswith("/status/") else "")
    place = host.root.here("/srv/qrm/boot" + url.path.removeprefix("/qrm/boot"))
    if not place.is_file():
        return bad(22, "curl: (22) The requested URL returned error: 404\n") if url.scheme == "http" else \
            bad(68, "curl: (68) TFTP: File Not Found\n")
    return good(place.read_text(errors="replace"))


# scripts


def _make_key(host: Host, arguments: Sequence[str]) -> Completed | Effects:
    place = host.root.here(arguments[0])
    if place.is_file() and re.search(KEY_PATTERN, place.read_text(), re.MULTILINE):
        return good()
    host.root.write(arguments[0], KEY_FILE, 0o640)
    return only(f"{arguments[0]}: made", good())


def _check(troubles: Callable[[Host, str], str]) -> Script:
    def check(host: Host, arguments: Sequence[str]) -> Completed:
        said = troubles(host, arguments[0])
        return bad(1, f"{said}\n") if said else good()

    return check


def _omapi(host: Host, arguments: Sequence[str]) -> Completed | Effects:
    verb, name, mac, address = arguments
    if not host.root.exists(KEY):
        return bad(1, f"{KEY} holds no key: qrm component restart dhcpd\n")
    if not services.dhcpd_interface(host):
        return bad(1, "dhcpd takes no fixed addresses at port 7911: does it run, and with this key?\n")
    hosts = host.software.hosts
    for known in [known for known, (card, _) in hosts.items() if known == name or (verb == "add" and card == mac)]:
        del hosts[known]
    if verb == "add":
        hosts[name] = (mac, address)
    return only(f"omshell {verb} {name}: told", good())


def _fetch_boot_image(host: Host, arguments: Sequence[str]) -> Completed | Effects:
    """A boot-image comes to a virtualization host."""
    url, folder = arguments
    rack, source = host.rack, f"{ROOT}/{url.partition('/qrm/boot/')[2]}"
    for name in ("vmlinuz", "initrd.img"):
        if rack is None or not rack.server.root.exists(f"{source}/{name}"):
            return bad(1, f"wget: server returned error: HTTP/1.1 404 Not Found ({url}/{name})\n")
        host.root.write(f"{folder}/{name}", f"practice: {source}/{name}\n")
    return only(f"fetched {url}", good())


def _filter(host: Host, arguments: Sequence[str]) -> Completed | Effects:
    """What holds a partition to its addresses: in the kernel, and in a file."""
    match arguments:
        case ("load", path, device, _, rules):
            if f"table bridge {device} {{" not in rules:
                return bad(1, f"{path}.new:1:1-1: Error: syntax error\n")
            return _load_filter(host, path, device, rules)
        case ("loaded", path, device, _, rules):
            good_file = host.root.exists(path) and host.root.read(path) == rules
            return good() if good_file and host.filters.get(device) == rules else bad(1, "")
        case ("digest", "", "", _):
            return good("".join(f"{device} {rules}" for device, rules in sorted(host.filters.items())) or "none")
        case ("drop", path, device):
            return _drop_filter(host, path, device)
    raise NotPractised("these arguments")


def _load_filter(host: Host, path: str, device: str, rules: str) -> Effects:
    host.root.write(f"{path}.new", rules)
    yield Point(f"{path}: written beside")
    host.filters[device] = rules
    yield Point(f"nft {device}: loaded")
    host.root.here(f"{path}.new").rename(host.root.here(path))
    yield Point(f"{path}: in its place")
    return good()


def _drop_filter(host: Host, path: str, device: str) -> Effects:
    host.filters.pop(device, None)
    yield Point(f"nft {device}: gone")
    for name in (path, f"{path}.new"):
        host.root.here(name, follow=False).unlink(missing_ok=True)
    yield Point(f"{path}: gone")
    return good()


def _why(host: Host, words: Sequence[str]) -> Completed:
    """As templates/systemd/why.sh does, of the unit itself."""
    return units.journalctl(host, ("journalctl", "--quiet", "--no-pager", "--output", "cat", "--lines", "6", "--unit",
                                   words[0]))


SCRIPTS: Mapping[str, Script] = {
    FETCH_SCRIPT: _fetch_boot_image, FILTER_SCRIPT: _filter,
    KEY_SCRIPT: _make_key, OMAPI_SCRIPT: _omapi, START_AGAIN_SCRIPT: services.restart,
    STOP_SCRIPT: services.stop_and_forget,
    GONE_SCRIPT: packages.gone, RMDIR_SCRIPT: _remove_folders,
    KEEP_SCRIPT: fix_commands.keep_address, INSTALL_SCRIPT: packages.install,
    REMOVE_SCRIPT: packages.remove, WHY_SCRIPT: _why,
    CHECK_SCRIPT: _check(services.dhcpd_troubles), APACHE_CHECK_SCRIPT: _check(services.apache_troubles),
}
