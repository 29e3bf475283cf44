"""All commands that a simulated machine knows, by their first word."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qrm_tui.backends.boot_images import PROGRAM
from qrm_tui.install.setting_up import programs
from qrm_tui.practice import (
    boot_image_commands,
    exports,
    filesystem_commands,
    fix_commands,
    lvm_changes,
    lvm_reports,
    packages,
    plain_commands,
    power_commands,
    server_commands,
    units,
    xen_commands,
)
from qrm_tui.practice.effects import Effects, NotPractised, bad
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

Command = Callable[[Host, Sequence[str]], "Completed | Effects"]


def _systemctl(host: Host, argv: Sequence[str]) -> Completed | Effects:
    return plain_commands.version(host, argv) if "--version" in argv else units.systemctl(host, argv)


def _rsync(host: Host, argv: Sequence[str]) -> Completed | Effects:
    return plain_commands.version(host, argv) if "--version" in argv else plain_commands.rsync(host, argv)


def _shell(host: Host, argv: Sequence[str]) -> Completed | Effects:
    script = server_commands.SCRIPTS.get(argv[2]) if len(argv) > 3 and argv[1] in ("-c", "-ec") else None
    return script(host, argv[4:]) if script else plain_commands.shell(host, argv)


def _vgs(host: Host, argv: Sequence[str]) -> Completed:
    return fix_commands.vgs(host, argv[3]) if argv[1:3] == ("--noheadings", "--") else lvm_reports.vgs(host, argv)


def _dpkg_query(host: Host, argv: Sequence[str]) -> Completed | Effects:
    return packages.dpkg_query(host, argv) if "db:Status-Status" in argv[3] else plain_commands.version(host, argv)


COMMANDS: Mapping[str, Command] = {
    f"{programs()}/qrmd": server_commands.try_place,
    "mariadb": server_commands.make_database,
    "lvs": lvm_reports.lvs,
    "vgs": _vgs,
    "pvs": fix_commands.make_group,
    "pvcreate": fix_commands.make_group,
    "pvremove": fix_commands.make_group,
    "vgcreate": fix_commands.make_group,
    "vgremove": fix_commands.make_group,
    "lvcreate": lvm_changes.lvcreate,
    "lvremove": lvm_changes.lvremove,
    "lvextend": lvm_changes.lvextend,
    "blkdiscard": lvm_changes.blkdiscard,
    "mkfs.ext4": filesystem_commands.mkfs,
    "mkfs.ext3": filesystem_commands.mkfs,
    "mkfs.xfs": filesystem_commands.mkfs,
    "tune2fs": filesystem_commands.tune2fs,
    "xfs_admin": filesystem_commands.xfs_admin,
    "resize2fs": filesystem_commands.resize2fs,
    "xfs_growfs": filesystem_commands.xfs_growfs,
    "blkid": filesystem_commands.blkid,
    "systemctl": _systemctl,
    "systemd-analyze": units.verify,
    "journalctl": units.journalctl,
    "exportfs": exports.exportfs,
    PROGRAM[0]: boot_image_commands.bootimage,
    "cat": plain_commands.cat,
    "findmnt": plain_commands.findmnt,
    "mkdir": plain_commands.mkdir,
    "rmdir": plain_commands.rmdir,
    "test": plain_commands.test,
    "sh": _shell,
    "rsync": _rsync,
    "uname": plain_commands.version,
    "lvm": plain_commands.version,
    "dpkg-query": _dpkg_query,
    "apt-get": packages.apt_get,
    "apt-mark": packages.apt_mark,
    "apt-cache": packages.apt_cache,
    "install": server_commands.install,
    "cmp": server_commands.cmp,
    "rm": server_commands.remove,
    "grep": server_commands.grep,
    "sha256sum": server_commands.sha256sum,
    "ip": server_commands.ip,
    "ss": server_commands.ss,
    "curl": server_commands.curl,
    "ipmitool": power_commands.ipmitool,
    "wakeonlan": power_commands.wakeonlan,
    "python3": plain_commands.version,
    "mariadb-admin": server_commands.answers,
    "ssh": server_commands.answers,
    "nagios4": server_commands.answers,
    "find": fix_commands.find,
    **dict.fromkeys(("id", "timedatectl", "lsblk"), fix_commands.fixed),
    "nft": fix_commands.nft,
    "xl": xen_commands.xl,
    **dict.fromkeys(("ufw", "firewall-cmd", "netplan", "networkctl", "nmcli"), fix_commands.told),
}


def start(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """Begin a command; one that the simulation does not know ends with 127 and says so."""
    words = tuple(argv)
    command = COMMANDS.get(words[0])
    if command is None:
        return bad(127, f"{words[0]}: the practice farm does not know this command: {' '.join(words)}\n")
    try:
        return command(host, words)
    except NotPractised as error:
        return bad(127, f"{words[0]}: the practice farm does not know {error}: {' '.join(words)}\n")
