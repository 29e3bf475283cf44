"""What the real storage server holds, told by itself; what others have on it; and how a failed test's rests go."""
from __future__ import annotations

from tests.lab.storage_server import StorageServer

#: Each line of the answer is one fact; all that qrm could leave behind is among them.
_INVENTORY = r"""
lvs --noheadings -o lv_name,lv_uuid,lv_size,lv_tags,origin vol | sed 's/^ */volume /'
find /vol -mindepth 1 -maxdepth 1 -printf 'folder %p\n' 2>/dev/null || :
find /run/qrm -mindepth 1 -maxdepth 1 -printf 'run %p\n' 2>/dev/null || :
find /etc/systemd/system \( -name 'vol-*' -o -name '.qrm*' -o -name 'qrm-*' \) -printf 'unit file %p\n'
find /etc/exports.d -mindepth 1 -printf 'export file %p\n' 2>/dev/null || :
find /etc/exports.d -type f -exec sha256sum {} + 2>/dev/null | sed 's/^/export file /'
exportfs -s | sed 's/^/export /'
findmnt --noheadings --list -o TARGET,SOURCE,OPTIONS -t ext3,ext4,xfs | grep -v '^/ ' | sed 's/^/mount /'
systemctl list-units --all --plain --no-legend 'vol-*' 'qrm-*' 'run-u*' | sed 's/^/unit /'
"""

FOREIGN_EXPORT = "/srv/foreign 10.77.0.99(ro,no_subtree_check,fsid=77)\n"
_MAKE_FOREIGN = """
lvcreate --quiet --yes -L 16m -n foreign vol
mkfs.ext4 -q /dev/vol/foreign
mkdir -p /srv/foreign
mount /dev/vol/foreign /srv/foreign
echo "not yours" >/srv/foreign/file
mount -o remount,ro /srv/foreign
exportfs -r
"""
_REMOVE_FOREIGN = """
rm -f /etc/exports.d/zz-foreign.exports
exportfs -r
umount /srv/foreign
rmdir /srv/foreign
lvremove --quiet --yes vol/foreign
"""
_SWEEP = """
kill -CONT $(pidof rsync) 2>/dev/null || :
rm -f /etc/exports.d/aa-broken.exports $(grep -ls 'made by qrm' /etc/exports.d/*) || :
exportfs -r || :
for unit in $(find /etc/systemd/system -maxdepth 1 -name 'vol-*.mount'); do
    systemctl disable --quiet --now -- "$(basename "$unit")" || :
    rm -f "$unit"
done
systemctl daemon-reload
for volume in $(lvs --noheadings -o lv_name -S 'lv_tags="qrm"' vol); do
    umount --all-targets /dev/vol/$volume || :
    lvremove --quiet --yes vol/$volume || :
done
rm -rf /run/qrm/*
rmdir /vol/* || :
systemctl reset-failed
"""


def inventory(server: StorageServer) -> set[str]:
    """All that the server holds besides its own system: volumes, folders, mounts, exports, files, units."""
    return set(server.shell(_INVENTORY).stdout.splitlines())


def make_foreign(server: StorageServer) -> None:
    """A volume, a mount and an export that are somebody else's; read-only, so that no byte changes by itself."""
    server.write("/etc/exports.d/zz-foreign.exports", FOREIGN_EXPORT)
    server.shell(_MAKE_FOREIGN)


def remove_foreign(server: StorageServer) -> None:
    server.shell(_REMOVE_FOREIGN)


def digests(server: StorageServer) -> str:
    """Of the foreign volume, its file and its export file."""
    return server.shell("sha256sum /dev/vol/foreign /srv/foreign/file /etc/exports.d/zz-foreign.exports").stdout


def sweep(server: StorageServer) -> None:
    """All of qrm goes, by hand: so that a failed test spoils none after it."""
    server.shell(_SWEEP, check=False)
