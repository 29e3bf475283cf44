"""mkfs, new identities, growing and blkid: words and exit codes of e2fsprogs 1.47.0 and xfsprogs 6.1.0 as captured."""
from __future__ import annotations

from collections.abc import Sequence

from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good, only
from qrm_tui.practice.host import Host
from qrm_tui.practice.volumes import Filesystem, SimulatedVolume
from qrm_tui.runners.base import Completed

_E2FSPROGS = "1.47.0 (5-Feb-2023)"
#: What tune2fs writes: two chunks of a snapshot. xfs_admin clears the whole log, which is 64 MiB.
_TUNE, _XFS_LOG = 8192, 64 << 20
_XFS_SMALLEST = 300 << 20
#: Seconds that mkfs takes in a farm that runs at life's own pace.
_MKFS = 2.0


def mkfs(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """A new file system with the UUID given."""
    match argv:
        case ("mkfs.ext4", "-q", "-F", "-O", "metadata_csum_seed", "-U", name, device):
            return _mke2fs(host, "ext4", name, device)
        case ("mkfs.ext3", "-q", "-F", "-U", name, device):
            return _mke2fs(host, "ext3", name, device)
        case ("mkfs.xfs", "-q", "-f", "-m", option, device) if option.startswith("uuid="):
            return _mkfs_xfs(host, option.removeprefix("uuid="), device)
    raise NotPractised("these arguments")


def _mke2fs(host: Host, kind: str, name: str, device: str) -> Completed | Effects:
    volume = host.volume(device)
    if volume is None:
        return bad(1, f"The file {device} does not exist and no size was specified.\n")
    if host.mount_of(volume):
        return bad(1, f"{device} is mounted; will not make a filesystem here!\n")
    return _make(host, kind, name, volume)


def _mkfs_xfs(host: Host, name: str, device: str) -> Completed | Effects:
    volume = host.volume(device)
    if volume is None:
        return bad(1, f"Error accessing specified device {device}: No such file or directory\nUsage: mkfs.xfs\n")
    if host.mount_of(volume):
        return bad(1, f"mkfs.xfs: {device} contains a mounted filesystem\nUsage: mkfs.xfs\n")
    if volume.size < _XFS_SMALLEST:
        return bad(1, "Filesystem must be larger than 300MB.\nUsage: mkfs.xfs\n")
    return _make(host, "xfs", name, volume)


def _make(host: Host, kind: str, name: str, volume: SimulatedVolume) -> Effects:
    host.wipe(volume)
    yield Point(f"mkfs.{kind} {volume.name}: what was there is wiped", seconds=_MKFS)
    # the superblock is written last, so that what is half made is not taken for a file system
    host.format(volume, Filesystem(kind, name, volume.size, 0))
    yield Point(f"mkfs.{kind} {volume.name}: made")
    return good()


def tune2fs(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """ext3 and ext4 get another UUID, mounted or not."""
    match argv:
        case ("tune2fs", "-U", name, device):
            banner = f"tune2fs {_E2FSPROGS}\n"
            volume = host.volume(device)
            if volume is None:
                return bad(1, f"tune2fs: No such file or directory while trying to open {device}\n", banner)
            if volume.filesystem is None or volume.lost or volume.filesystem.type == "xfs":
                return bad(1, f"tune2fs: Bad magic number in super-block while trying to open {device}\n", banner)
            volume.filesystem.id = name
            host.write(volume, _TUNE)
            return only(f"tune2fs {volume.name}: new UUID", good(banner))
    raise NotPractised("these arguments")


def xfs_admin(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """xfs gets another UUID, unless its log has to be replayed first: then it says so, and ends well all the same."""
    match argv:
        case ("xfs_admin", "-U", name, device):
            volume = host.volume(device)
            if volume is None:
                return bad(1, f"{device}: No such file or directory\n\n"
                              "fatal error -- couldn't initialize XFS library\n")
            if host.mount_of(volume):
                return bad(1, f"xfs_admin: {device} contains a mounted filesystem\n\n"
                              "fatal error -- couldn't initialize XFS library\n")
            if volume.filesystem is None or volume.lost or volume.filesystem.type != "xfs":
                return bad(1, f"xfs_admin: {device} is not a valid XFS filesystem (unexpected SB magic number)\n")
            if volume.filesystem.unclean:
                return good("ERROR: The filesystem has valuable metadata changes in a log which needs to\nbe replayed."
                            "  Mount the filesystem to replay the log, and unmount it before\nre-running xfs_admin.\n")
            volume.filesystem.id = name
            host.write(volume, _XFS_LOG)
            return only(f"xfs_admin {volume.name}: new UUID",
                        good(f"Clearing log and setting UUID\nwriting all SBs\nnew UUID = {name}\n"))
    raise NotPractised("these arguments")


def resize2fs(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """ext3 and ext4 grow to their volume's size while they are mounted."""
    match argv:
        case ("resize2fs", device):
            banner = f"resize2fs {_E2FSPROGS}\n"
            volume = host.volume(device)
            if volume is None:
                return bad(1, f"{banner}open: No such file or directory while opening {device}\n")
            filesystem = volume.filesystem
            if filesystem is None or volume.lost or filesystem.type == "xfs":
                return bad(1, f"{banner}resize2fs: Bad magic number in super-block while trying to open {device}\n",
                           "Couldn't find valid filesystem superblock.\n")
            blocks = _shown_size(host, volume) // 4096
            if filesystem.size == _shown_size(host, volume):
                return Completed(0, "", f"{banner}The filesystem is already {blocks} (4k) blocks long.  "
                                        "Nothing to do!\n\n")
            mounted = host.mount_of(volume)
            if mounted is None:
                return bad(1, f"{banner}Please run 'e2fsck -f {device}' first.\n\n")
            filesystem.size = _shown_size(host, volume)
            return only(f"resize2fs {volume.name}: grown", Completed(
                0, f"Filesystem at {device} is mounted on {mounted.target}; on-line resizing required\n"
                   f"The filesystem on {device} is now {blocks} (4k) blocks long.\n\n", banner))
    raise NotPractised("these arguments")


def xfs_growfs(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """xfs grows to its volume's size where it is mounted."""
    match argv:
        case ("xfs_growfs", path):
            mounted = host.mounts.get(path)
            volume = mounted.volume if mounted else None
            if mounted is None or mounted.type != "xfs" or volume is None or volume.filesystem is None:
                return bad(1, f"xfs_growfs: {path} is not a mounted XFS filesystem\n")
            before, after = volume.filesystem.size // 4096, _shown_size(host, volume) // 4096
            said = f"data     =                       bsize=4096   blocks={before}, imaxpct=25\n"
            if before == after:
                return good(said)
            volume.filesystem.size = _shown_size(host, volume)
            return only(f"xfs_growfs {volume.name}: grown",
                        good(f"{said}data blocks changed from {before} to {after}\n"))
    raise NotPractised("these arguments")


def _shown_size(host: Host, volume: SimulatedVolume) -> int:
    """Bytes of the device: a snapshot has its origin's."""
    return host.group.volumes[volume.origin].size if volume.kind == "snapshot" else volume.size


def blkid(host: Host, argv: Sequence[str]) -> Completed:
    """The UUID of what is on a device; exit code 2 for nothing (blkid(8))."""
    match argv:
        case ("blkid", "-p", "-s", "UUID", "-o", "value", device):
            volume = host.volume(device)
            if volume is None or volume.lost or volume.filesystem is None:
                return bad(2, "")
            return good(f"{volume.filesystem.id}\n")
        case ("blkid", "-p", "--", disk):
            return good(f'{disk}: TYPE="LVM2_member"\n') if ("pv", disk) in host.software.made else bad(2, "")
    raise NotPractised("these arguments")
