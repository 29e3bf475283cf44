"""What the openQRM server holds: what it held before must be all that it holds when everything is removed again."""

from __future__ import annotations

import re

from tests.lab.manager import Manager

INVENTORY = r"""
lvs --noheadings -o lv_name,lv_uuid,lv_size,lv_tags,origin vol | sed 's/^ */volume /'
mkdir -p /vol /etc/exports.d
find /etc /srv /vol -xdev ! -type f ! -path '/etc/lvm/archive' -printf 'path %p %M %u %l\n'
find /etc /srv /vol -xdev -type f ! -path '/etc/lvm/archive/*' ! -path /etc/lvm/backup/vol -exec sha256sum {} + |
    sed 's/^/file /'
find /run/qrm -mindepth 1 -maxdepth 1 -printf 'run %p\n'
exportfs -s | sed 's/^/export /'
findmnt --noheadings --list -o TARGET,SOURCE,OPTIONS -t ext3,ext4,xfs | grep -v '^/ ' | sed 's/^/mount /'
systemctl list-units --all --plain --no-legend 'vol-*' 'qrm*' 'run-*' | sed 's/^/unit /'
systemctl --failed --plain --no-legend | sed 's/^/failed /'
find /var/lib/qrm -mindepth 1 -maxdepth 2 ! -path '/var/lib/qrm/jobs/*' ! \( -type d -empty \) -printf 'state %p\n'
"""
"""Each line of the answer is one fact. LVM's own history is left out; folders for images and exports
may stay, and empty ones of the server's own."""

ADDRESSES = r"""
awk '/^host /{name = $2; lines = ""} name {lines = lines $0} /^}/ && name {
    if (lines ~ /deleted;/) delete live[name]; else live[name] = lines; name = ""}
    END {for (name in live) print "fixed address", live[name]}' /var/lib/dhcp/dhcpd.leases
"""
"""Host declarations that were made over OMAPI: dhcpd notes each change, and `deleted;` at the end (dhcpd.leases(5))."""


STATE = r"""
dpkg-query -W -f 'package ${Package} ${Version} ${db:Status-Status}\n'
find /etc /srv /usr/local -xdev ! -type f ! -path '/etc/lvm/*' -printf 'path %p %M %u %l\n'
find /etc /srv /usr/local -xdev -type f ! -path '/etc/lvm/*' ! -name 'shadow*' ! -path /etc/dhcp/qrm-key.conf \
    ! -path '/srv/packages/*' -exec sha256sum {} + | sed 's/^/file /'
find /etc/dhcp/qrm-key.conf -printf 'path %p %M %u\n'
systemctl list-unit-files --no-legend --no-pager | awk '$2 != "transient" {print "unit file", $1, $2}'
systemctl list-units --all --plain --no-legend --no-pager --type service,socket,mount,target,timer |
    awk '$1 !~ /ttyS0|^run-|^dev-|timedated|hostnamed/ {print "unit", $1, $3, $4}'
exportfs -s | sed 's/^/export /'
vgs --noheadings -o vg_name,vg_size,pv_name,lv_count | sed 's/^ */group /'
ss -H -lntu | awk '{port = $5; sub(/.*:/, "", port); if (port + 0 < 32768 && $5 !~ /^127/) print "listener", $1, $5}'
id qrm-node 2>&1 | sed 's/^/account /'
qrm component list --json | python3 -c '
import json, sys
for one in json.load(sys.stdin): print("component", one["name"], one["state"], one["enabled"])'
"""
"""What an installation makes of a machine. Keys, passwords, LVM's history and the ports that NFS's helpers happen to
have are others on each; what a look at the clock or a long command starts may still be there, or not."""


def state(manager: Manager) -> set[str]:
    """Packages, files with their digests, units, listeners, exports, groups and components, a fact each."""
    return set(manager.shell(STATE).stdout.splitlines())


def inventory(manager: Manager) -> set[str]:
    """Volumes, files with their digests, mounts, exports, units and live host declarations, a fact each."""
    return set(manager.shell(INVENTORY + ADDRESSES).stdout.splitlines())


INSTALLED = r"""
dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed /package /p'
systemctl list-unit-files --plain --no-legend | sed 's/^/unit file /'
"""
LEFT = r" /etc/(passwd|group|shadow|gshadow)-?$| /etc/ld\.so\.cache$|^state "
"""Users stay that packages made (Debian's policy, 9.2.2), and qrmd with its own state."""


def everything(manager: Manager) -> set[str]:
    """The same before anything is set up, with packages, and what they bring."""
    found = manager.shell(INVENTORY + INSTALLED).stdout.splitlines()
    return {line for line in found if not re.search(LEFT, line)}


def difference(before: set[str], after: set[str]) -> str:
    """What differs, in words; empty where nothing does."""
    lines = [f"left: {line}" for line in sorted(after - before)] + [f"gone: {line}" for line in sorted(before - after)]
    return "\n".join(lines)
