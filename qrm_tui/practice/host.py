"""The state of a simulated storage server: its root folder, volumes, mounts, units and exports, and time going by."""
from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qrm_tui.practice.folder import RootFolder
from qrm_tui.practice.software import Software
from qrm_tui.practice.trees import plant
from qrm_tui.practice.volumes import (
    Filesystem,
    SimulatedGroup,
    SimulatedVolume,
    first_used,
    new_id,
    shown_size,
    written_by_mkfs,
)

if TYPE_CHECKING:
    from qrm_tui.practice.rack import PracticeRack

#: Mounts that every machine has: target, source, type, options, size, used (as captured from Debian 12).
_SYSTEM_MOUNTS = (
    ("/", "/dev/sda2", "ext4", "rw,relatime", 2040373248, 293212160),
    ("/dev", "devtmpfs", "devtmpfs", "rw,relatime,mode=755", 249352192, 0),
    ("/proc", "proc", "proc", "rw,nosuid,nodev,noexec,relatime", 0, 0),
    ("/sys", "sysfs", "sysfs", "rw,nosuid,nodev,noexec,relatime", 0, 0),
    ("/run", "tmpfs", "tmpfs", "rw,nosuid,nodev,size=97404k,nr_inodes=819200,mode=755", 99741696, 1323008),
    ("/proc/fs/nfsd", "nfsd", "nfsd", "rw,relatime", 0, 0),
)
_XFS_OPTIONS = "attr2,inode64,logbufs=8,logbsize=32k,noquota"


class CannotMount(Exception):
    """mount(8) refuses; the reason for the journal."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A mount unit as systemd has read it."""

    what: str
    where: str
    type: str
    options: str
    #: as messages call it: its name, and its description
    called: str


@dataclass(slots=True)
class Mounted:
    """A mount; of one that is not of a volume, size and used are as they were given."""

    target: str
    source: str
    type: str
    options: str
    size: int = 0
    used: int = 0
    volume: SimulatedVolume | None = None


@dataclass(frozen=True, slots=True)
class Seed:
    """What becomes of a volume of this name once it is made: somebody installs a system in it, or writes into it."""

    tree: str = ""
    used: int = 0
    #: of a snapshot: share of its room in use at once, and bytes a second from then on
    fill: float = 0
    rate: float = 0


class Host:
    """One storage server's state. `folder` holds its root and what its volumes contain while they are not mounted."""

    def __init__(self, name: str, folder: Path, group: SimulatedGroup, clock: Callable[[], float],
                 seeds: Mapping[str, Seed] | None = None) -> None:
        self.name, self.group, self.clock = name, group, clock
        self.seeds = dict(seeds or {})
        self.root = RootFolder(folder / "root")
        self._contents = folder / "volumes"
        self._covered = folder / "covered"
        for place in (self._contents, self._covered):
            place.mkdir(parents=True, exist_ok=True)
        for path in ("/etc/systemd/system", "/var/lib/nfs", "/srv", "/tmp"):
            self.root.here(path).mkdir(parents=True, exist_ok=True)
        self.root.write("/var/lib/nfs/etab", "")
        self.random = random.Random(name)
        group.id = group.id or new_id(self.random)
        self.mounts: dict[str, Mounted] = {}
        #: mounted at every start, besides units: device → target (another admin's /etc/fstab)
        self.fstab: dict[str, str] = {}
        #: units as systemd has read them
        self.units: dict[str, Unit] = {}
        #: of mounted units, what it had read before
        self.former_units: dict[str, Unit] = {}
        #: units whose last start failed: with any, systemd calls the machine degraded
        self.failed: set[str] = set()
        #: packages and services: of the machine that qrmd itself serves from
        self.software = Software()
        #: addresses of NFSv4 clients that hold something open
        self.sessions: set[str] = set()
        #: of a virtualization host: filters in its kernel, by the card's device
        self.filters: dict[str, str] = {}
        #: of one with Xen: lines of `xl list` for domains that somebody made with xl
        self.listed: list[str] = []
        #: of the server: the machines that boot from it
        self.rack: PracticeRack | None = None
        #: what systemd and mount said of each unit
        self.journal: dict[str, list[str]] = {}
        #: (path, client, options) that the kernel answers to
        self.exports: list[tuple[str, str, str]] = []
        self._now = clock()
        self._mount_system()

    # volumes

    def volume(self, device: str) -> SimulatedVolume | None:
        """The volume of a device path or GROUP/NAME."""
        group, _, name = device.removeprefix("/dev/").partition("/")
        return self.group.volumes.get(name) if group == self.group.name else None

    def add(self, volume: SimulatedVolume) -> None:
        """A new volume appears."""
        self.group.volumes[volume.name] = volume
        self._contents.joinpath(volume.id).mkdir()

    def new_id(self) -> str:
        return new_id(self.random)

    def is_open(self, volume: SimulatedVolume) -> bool:
        """As lvs tells in lv_device_open."""
        return volume.held or self.mount_of(volume) is not None or (
            volume.kind == "pool" and bool(self.group.thins(volume.name)))

    def mount_of(self, volume: SimulatedVolume) -> Mounted | None:
        return next((mounted for mounted in self.mounts.values() if mounted.volume is volume), None)

    def content(self, volume: SimulatedVolume) -> Path:
        """The folder of what is in a volume."""
        mounted = self.mount_of(volume)
        return self.root.here(mounted.target) if mounted else self._contents / volume.id

    def format(self, volume: SimulatedVolume, filesystem: Filesystem) -> None:
        """A new, empty file system on a volume; then what the practice farm says that somebody does with it."""
        self.wipe(volume)
        volume.filesystem = filesystem
        if filesystem.type != "xfs":
            self.content(volume).joinpath("lost+found").mkdir(mode=0o700)
        filesystem.used = first_used(filesystem.type, filesystem.size)
        self.write(volume, written_by_mkfs(filesystem.type, filesystem.size))
        seed = self.seeds.get(volume.name)
        if seed and seed.tree:
            plant(seed.tree, self.content(volume), volume.name)
            filesystem.used = max(filesystem.used, seed.used)
            self.write(volume, seed.used)

    def wipe(self, volume: SimulatedVolume) -> None:
        """Nothing can be told of what was on it."""
        volume.filesystem = None
        place = self.content(volume)
        shutil.rmtree(place)
        place.mkdir()

    def copy(self, origin: SimulatedVolume, volume: SimulatedVolume) -> None:
        """A snapshot shows what its origin holds."""
        place = self._contents / volume.id
        place.rmdir()
        shutil.copytree(self.content(origin), place, symlinks=True)
        if origin.filesystem:
            source = origin.filesystem
            volume.filesystem = Filesystem(source.type, source.id, source.size, source.used,
                                           unclean=source.unclean or self.mount_of(origin) is not None)
        seed = self.seeds.get(volume.name)
        if seed:
            volume.rate = seed.rate
            self.write(volume, int(volume.size * seed.fill))

    def remove(self, volume: SimulatedVolume) -> None:
        """A volume goes. Extents keep what was on them; thin snapshots keep what they share."""
        del self.group.volumes[volume.name]
        shutil.rmtree(self._contents / volume.id)
        if volume.kind == "plain":
            self.group.leftover = volume.filesystem
        heirs = [other for other in self.group.volumes.values() if other.kind == "thin" and other.origin == volume.name]
        for heir in heirs:
            heir.origin = ""
        if heirs and volume.kind == "thin":
            heirs[0].written += min(volume.written, heirs[0].mapped)

    def write(self, volume: SimulatedVolume, size: int) -> None:
        """Somebody writes so many bytes into a volume: a snapshot's room fills, a pool's too."""
        if volume.kind == "snapshot":
            volume.written += size
            if volume.written >= volume.size and not volume.lost:
                self._lose(volume)
        elif volume.kind == "thin":
            volume.written += size
            volume.mapped = min(volume.size, volume.mapped + size)

    def _lose(self, volume: SimulatedVolume) -> None:
        """A classic snapshot runs full: it is invalid from then on, and dmeventd(8) unmounts it."""
        volume.written, volume.lost, volume.rate = volume.size, True, 0
        mounted = self.mount_of(volume)
        if mounted:
            self.unmount(mounted.target)

    def advance(self) -> None:
        """Time went by, and everybody wrote at the usual pace."""
        now = self.clock()
        passed, self._now = now - self._now, now
        for volume in list(self.group.volumes.values()):
            if volume.rate and passed > 0 and not volume.lost:
                self.write(volume, int(volume.rate * passed))
                if volume.filesystem:
                    used = volume.filesystem.used + int(volume.rate * passed)
                    volume.filesystem.used = min(used, shown_size(volume.filesystem))

    # mounts

    def mount(self, volume: SimulatedVolume, target: str, kind: str, options: str) -> None:
        """Put a volume's content at `target`. CannotMount says why not."""
        place = self.root.here(target)
        # systemd makes the folder first, and leaves it there if the mount fails
        place.mkdir(parents=True, exist_ok=True)
        filesystem, device = volume.filesystem, dm_path(self.group.name, volume.name)
        wrong = CannotMount(f"wrong fs type, bad option, bad superblock on {device}, missing codepage or helper "
                            "program, or other error.")
        if volume.lost:
            raise CannotMount(f"can't read superblock on {device}.")
        if filesystem is None or (kind and kind != filesystem.type and (kind, filesystem.type) != ("ext4", "ext3")):
            raise wrong
        if filesystem.type == "xfs" and "nouuid" not in options.split(",") and any(
                mounted.type == "xfs" and mounted.volume and mounted.volume.filesystem
                and mounted.volume.filesystem.id == filesystem.id
                for mounted in self.mounts.values()):
            raise wrong  # "Filesystem has duplicate UUID", says the kernel's log
        covered = self._covered / volume.id
        place.rename(covered)
        (self._contents / volume.id).rename(place)
        filesystem.unclean = False
        shown = ",".join(part for part in ("rw", *_plain(options), "relatime") if part)
        if filesystem.type == "xfs":
            shown = ",".join((shown, *(("nouuid",) if "nouuid" in options else ()), _XFS_OPTIONS))
        self.mounts[target] = Mounted(target, device, filesystem.type, shown, volume=volume)

    def unmount(self, target: str) -> bool:
        """Take a mount away; False if somebody is in it."""
        mounted = self.mounts[target]
        assert mounted.volume is not None
        if mounted.volume.held or any(other.startswith(target + "/") for other in self.mounts):
            return False
        place = self.root.here(target)
        place.rename(self._contents / mounted.volume.id)
        (self._covered / mounted.volume.id).rename(place)
        del self.mounts[target]
        return True

    def _mount_system(self) -> None:
        for target, source, kind, options, size, used in _SYSTEM_MOUNTS:
            self.mounts[target] = Mounted(target, source, kind, options, size, used)

    def sizes(self, mounted: Mounted) -> tuple[int, int]:
        """Size and used of a mount."""
        if mounted.volume is None or mounted.volume.filesystem is None:
            return mounted.size, mounted.used
        return shown_size(mounted.volume.filesystem), mounted.volume.filesystem.used

    def wrote(self, path: str, size: int) -> None:
        """Files under `path` were written: the volume mounted there takes them."""
        fitting = [target for target in self.mounts if path == target or path.startswith(target.rstrip("/") + "/")]
        volume = self.mounts[max(fitting, key=len)].volume if fitting else None
        if volume:
            self.write(volume, size)

    def down(self) -> None:
        """What lives in memory is gone."""
        for volume in self.group.volumes.values():
            volume.held = False
        for target in sorted(self.mounts, reverse=True):
            if self.mounts[target].volume is not None:
                self.unmount(target)
        self.units.clear()
        self.former_units.clear()
        self.software.active.clear()
        self.failed.clear()
        self.sessions.clear()
        self.exports.clear()

    def offered(self) -> dict[str, tuple[str, ...]]:
        """What a client can mount right now: `mountpoint` holds an export back while nothing is mounted there."""
        found: dict[str, list[str]] = {}
        for path, client, options in self.exports:
            if "mountpoint" not in options.split(",") or path in self.mounts:
                found.setdefault(path, []).append(client or "*")
        return {path: tuple(clients) for path, clients in found.items()}

    def access(self, path: str, address: str) -> str:
        """How a client may mount it right now: `ro`, `rw`; empty: not at all."""
        if address not in self.offered().get(path, ()):
            return ""
        given = next(options for place, client, options in self.exports if (place, client) == (path, address))
        return "rw" if "rw" in given.split(",") else "ro"


def _plain(options: str) -> list[str]:
    """The options that the kernel shows: others are for mount(8) and systemd."""
    return [option for option in options.split(",")
            if option not in ("", "rw", "defaults", "relatime", "nouuid", "nofail", "auto", "noauto", "_netdev")
            and not option.startswith("x-")]


def dm_path(group: str, name: str) -> str:
    """The device mapper's path of a volume: a `-` in a name is doubled (lvm(8))."""
    return f"/dev/mapper/{group.replace('-', '--')}-{name.replace('-', '--')}"
