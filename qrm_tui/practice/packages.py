"""apt and dpkg on a simulated server (Debian 12: apt 2.6.1, dpkg 1.21.22), and what packages bring."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from qrm_tui.practice import services
from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

#: Versions of Debian 12.
_AVAILABLE: Mapping[str, str] = {
    "apache2": "2.4.71-1~deb12u1", "busybox-static": "1:1.35.0-4+deb12u1+b1", "curl": "7.88.1-10+deb12u14",
    "ipxe": "1.0.0+git-20190125.36a4c85-5.1",
    "cockpit": "287.1-0+deb12u3", "e2fsprogs": "1.47.0-2+b2", "libvirt0": "9.0.0-4+deb12u2", "lvm2": "2.03.16-2",
    "mariadb-server": "1:10.11.18-0+deb12u1", "monitoring-plugins-basic": "2.3.3-5+deb12u2",
    "nagios4": "4.4.6-4+deb12u1", "openssh-client": "1:9.2p1-2+deb12u10", "puppet-agent": "7.23.0-1",
    "puppetserver": "7.9.5-2+deb12u1", "rsync": "3.2.7-1+deb12u6",
    "ipmitool": "1.8.19-4+deb12u2", "isc-dhcp-server": "4.4.3-P1-2", "nfs-kernel-server": "1:2.6.2-4+deb12u1",
    "pxelinux": "3:6.04~git20190206.bf6db5b4+dfsg1-3", "syslinux-common": "3:6.04~git20190206.bf6db5b4+dfsg1-3",
    "systemd-timesyncd": "252.39-1~deb12u1", "tftpd-hpa": "5.2+20150808-1.4", "wakeonlan": "0.41-12.1",
}
#: Bytes of their files.
_SIZES: Mapping[str, int] = {
    "apache2": 232896, "busybox-static": 928188, "cockpit": 28140, "curl": 315764, "e2fsprogs": 571920,
    "ipxe": 1171912, "ipmitool": 2003168,
    "isc-dhcp-server": 1478908, "libvirt0": 1669252, "lvm2": 1228616, "mariadb-server": 3661896,
    "monitoring-plugins-basic": 285356, "nagios4": 16296, "nfs-kernel-server": 151664, "openssh-client": 993532,
    "puppet-agent": 1147000, "puppetserver": 399612, "pxelinux": 156016, "rsync": 424700, "syslinux-common": 1238336,
    "systemd-timesyncd": 64060, "tftpd-hpa": 41872, "wakeonlan": 10588,
}
_MODULES = "/usr/lib/syslinux/modules/bios"
#: Files that are of interest here.
_FILES: Mapping[str, tuple[str, ...]] = {
    "apache2": ("/etc/apache2/apache2.conf",),
    "ipxe": ("/usr/lib/ipxe/snponly.efi", "/usr/lib/ipxe/undionly.kpxe"),
    "isc-dhcp-server": ("/etc/dhcp/dhcpd.conf", "/etc/default/isc-dhcp-server"),
    "pxelinux": tuple(f"/usr/lib/PXELINUX/{name}.0" for name in ("pxelinux", "lpxelinux")),
    "syslinux-common": tuple(f"{_MODULES}/{name}.c32" for name in ("ldlinux", "libcom32", "libutil", "mboot")),
    "tftpd-hpa": ("/etc/default/tftpd-hpa",),
}
#: Seconds that fetching and unpacking one takes at life's own pace.
_SECONDS = 1.5


def content_of(path: str) -> str:
    """What stands in a package's file here."""
    return f"practice, no {path}\n"


def plant_server(host: Host, address: str, prefix: int = 24) -> None:
    """A fresh Debian 12 with one network interface, where nothing is set up yet."""
    host.root.write("/etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n'
                                       'VERSION_ID="12"\nVERSION="12 (bookworm)"\nID=debian\n')
    host.root.write("/etc/hostname", "manager\n")
    host.root.write("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tmanager\n")
    host.root.write("/proc/meminfo", "MemTotal:        8132332 kB\n")
    host.root.write("/etc/resolv.conf", f"search practice.example\nnameserver {address.rpartition('.')[0]}.254\n")
    host.software.interfaces["eth0"] = f"{address}/{prefix}"


def dpkg_query(host: Host, argv: Sequence[str]) -> Completed:
    """-W with the state first."""
    match argv:
        case ("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n", *names):
            def line(name: str) -> str:
                return f"installed {name} {host.software.packages[name]}\n"
        case ("dpkg-query", "-W", "-f", "${db:Status-Status}\\n", *names):
            def line(name: str) -> str:
                return "installed\n"
        case _:
            raise NotPractised("these arguments")
    known = [name for name in names if name in host.software.packages]
    unknown = [name for name in names if name not in host.software.packages]
    return Completed(1 if unknown else 0, "".join(line(name) for name in known),
                     "".join(f"dpkg-query: no packages found matching {name}\n" for name in unknown))


def apt_get(host: Host, argv: Sequence[str]) -> Completed:
    """What there is, and what would be fetched, or removed."""
    match argv:
        case ("apt-get", "--simulate", "remove", *names):
            return _would_go(host, _with_dependants(host, names))
        case ("apt-get", "--simulate", "--auto-remove", "remove", *names):
            going = _with_dependants(host, names)
            return _would_go(host, going | _idle(host, going))
        case ("apt-get", "--simulate", "autoremove"):
            return _would_go(host, _idle(host, set()))
        case ("apt-get", "--yes", "update"):
            return good("Hit:1 http://deb.debian.org/debian bookworm InRelease\nReading package lists...\n")
        case ("apt-get", "download", "-qq", "--print-uris", *names):
            pass
        case ("apt-get", "--yes", "--no-install-recommends", "--print-uris", "install", *names):
            names = [name for name in names if name not in host.software.packages]
        case _:
            raise NotPractised("these arguments")
    unknown = next((name for name in names if name not in _AVAILABLE), "")
    if unknown:
        return bad(100, f"E: Unable to locate package {unknown}\n", "Reading package lists...\n")
    return good("".join(
        f"'http://deb.debian.org/debian/pool/main/{name}_{_AVAILABLE[name]}_amd64.deb' "
        f"{name}_{_AVAILABLE[name]}_amd64.deb {_SIZES[name]} MD5Sum:0\n" for name in names))


def apt_cache(host: Host, argv: Sequence[str]) -> Completed:
    """Which packages the sources have."""
    match argv:
        case ("apt-cache", "policy", *names):
            return good("".join(
                f"{name}:\n  Installed: {host.software.packages.get(name, '(none)')}\n  Candidate: {_AVAILABLE[name]}\n"
                f"  Version table:\n     {_AVAILABLE[name]} 500\n"
                "        500 http://deb.debian.org/debian bookworm/main amd64 Packages\n"
                for name in names if name in _AVAILABLE))
    raise NotPractised("these arguments")


def apt_mark(host: Host, argv: Sequence[str]) -> Completed:
    """Packages that somebody asked for."""
    if tuple(argv[1:]) != ("showmanual",):
        raise NotPractised("these arguments")
    return good("".join(f"{name}\n" for name in sorted(set(host.software.packages) - host.software.along)))


def remove(host: Host, words: Sequence[str]) -> Completed | Effects:
    """As templates/apt/remove.sh does."""
    return _removing(host, sorted(_with_dependants(host, words[1:])))


def gone(host: Host, names: Sequence[str]) -> Completed:
    """Whether none of these is installed."""
    return bad(1, "") if set(names) & set(host.software.packages) else good()


def _with_dependants(host: Host, names: Sequence[str]) -> set[str]:
    software, found = host.software, set(names)
    while more := {name for name in software.packages if software.needs.get(name, set()) & found} - found:
        found |= more
    return found & set(software.packages)


def _idle(host: Host, without: set[str]) -> set[str]:
    """Packages that came along, and that nobody needs if these are gone."""
    software = host.software
    needed = {name for name in software.packages if name not in software.along} - without
    while more := {other for name in needed for other in software.needs.get(name, set())} - needed:
        needed |= more
    return software.along & set(software.packages) - needed - without


def _would_go(host: Host, names: set[str]) -> Completed:
    return good("".join(f"Remv {name} [{host.software.packages[name]}]\n" for name in sorted(names)))


def _removing(host: Host, names: Sequence[str]) -> Effects:
    for number, name in enumerate(names):
        half = number == len(names) // 2
        yield Point(f"apt-get: {name} is still there" if half else "", _SECONDS / 4,
                    f"pmstatus:{name}:{100 * number / len(names):.4f}:Removing {name} (amd64)")
        services.taken(host, name)
        del host.software.packages[name]
        yield Point(f"apt-get: {name} is gone" if half else "", _SECONDS / 4, f"Removing {name} ...")
    return good()


def install(host: Host, words: Sequence[str]) -> Completed | Effects:
    """As templates/apt/install.sh does."""
    names = words[1:]
    for name in names:
        if name not in _AVAILABLE:
            return bad(100, f"E: Unable to locate package {name}\n", "Reading package lists...\n")
    missing = [name for name in names if name not in host.software.packages]
    if not missing:
        return good("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")
    return _installing(host, missing)


def _installing(host: Host, names: Sequence[str]) -> Effects:
    fetched, whole = 0, sum(_SIZES[name] for name in names)
    yield Point("", 0, f"0 upgraded, {len(names)} newly installed, 0 to remove and 0 not upgraded.")
    yield Point("", _SECONDS / 4, f"Need to get {whole / 1e6:.1f} MB of archives.")
    for number, name in enumerate(names, 1):
        fetched += _SIZES[name]
        yield Point("", _SECONDS / 4, f"dlstatus:{number}:{100 * fetched / whole:.4f}:Retrieving file {number} of "
                                      f"{len(names)}")
    for number, name in enumerate(names):
        for path in _FILES.get(name, ()):
            host.root.write(path, content_of(path))
        share = 100 * number / len(names)
        yield Point(f"apt-get: half of {name}" if number == len(names) // 2 else "", _SECONDS / 4,
                    f"pmstatus:{name}:{share:.4f}:Installing {name} (amd64)")
        host.software.packages[name] = _AVAILABLE[name]
        services.brought(host, name)
        yield Point(f"apt-get: {name} is there" if number == len(names) // 2 else "", _SECONDS / 2,
                    f"Setting up {name} ({_AVAILABLE[name]}) ...")
    return good()
