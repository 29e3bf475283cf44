"""lvcreate, lvremove and lvextend, with the words and exit codes of lvm2 2.03.16 (tests/fixtures/lvcreate-*.json …)."""
from __future__ import annotations

from collections.abc import Sequence

from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good, only
from qrm_tui.practice.host import Host
from qrm_tui.practice.lvm_reports import no_group
from qrm_tui.practice.selection import selector
from qrm_tui.practice.volumes import SimulatedGroup, SimulatedVolume, most_room
from qrm_tui.runners.base import Completed

_SECTOR = 512
#: What a mounted origin writes into a new snapshot while it is frozen and thawed: three chunks, as captured.
_FREEZE = 12288
#: Bytes that are filled with zeros in a second of life.
_ZEROED = 1 << 30
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def human(size: int) -> str:
    """A size as LVM prints it: `<` where rounding made it larger."""
    power = max(power for power in range(len(_UNITS)) if power == 0 or size >= 1024 ** power)
    exact = size / 1024 ** power
    text = f"{exact:.2f}"
    return f"{'<' if float(text) > exact else ''}{text} {_UNITS[power]}"


def _bytes(text: str) -> int:
    if not text.endswith("b") or not text[:-1].isdigit():
        raise NotPractised(f"the size {text!r}")
    return int(text[:-1])


def _odd(option: str, size: int) -> Completed | None:
    if size % _SECTOR == 0:
        return None
    below = size // _SECTOR * _SECTOR
    return bad(3, f"  Size is not a multiple of 512. Try using {below} or {below + _SECTOR}.\n"
                  f"  Invalid argument for {option}: {size}b\n  Error during parsing of command line.\n")


def _tags(words: Sequence[str]) -> tuple[str, ...]:
    if len(words) % 2 or any(word != "--addtag" for word in words[::2]):
        raise NotPractised(f"the arguments {' '.join(words)}")
    return tuple(words[1::2])


def _taken(group: SimulatedGroup, name: str) -> Completed | None:
    if name not in group.volumes:
        return None
    return bad(5, f'  Logical Volume "{name}" already exists in volume group "{group.name}"\n')


def _no_room(group: SimulatedGroup, size: int) -> Completed | None:
    if size <= group.free:
        return None
    return bad(5, f'  Volume group "{group.name}" has insufficient free space ({group.free // group.extent} extents): '
                  f"{size // group.extent} required.\n")


def _overcommitted(group: SimulatedGroup, pool: str) -> tuple[str, str]:
    """Warnings on standard output and error where more is promised than a pool has."""
    promised = sum(volume.size for volume in group.thins(pool))
    size = group.volumes[pool].size
    if promised <= size:
        return "", ""
    rest = f"and the size of whole volume group ({human(group.size)})" if promised > group.size else f"({human(size)})"
    return (
        "  WARNING: You have not turned on protection against thin pools running out of space.\n"
        "  WARNING: Set activation/thin_pool_autoextend_threshold below 100 to trigger automatic extension of thin "
        "pools before they get full.\n",
        f"  WARNING: Sum of all thin volume sizes ({human(promised)}) exceeds the size of thin pool "
        f"{group.name}/{pool} {rest}.\n",
    )


def lvcreate(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """A plain or thin volume, or a snapshot of either."""
    match argv:
        case ("lvcreate", "--yes", "--wipesignatures", "y", "--size", size, group, "--name", name, *rest):
            return _plain(host, _bytes(size), group, name, _tags(rest))
        case ("lvcreate", "--yes", "--thin", "--virtualsize", size, path, "--name", name, *rest):
            return _thin(host, _bytes(size), path, name, _tags(rest))
        case ("lvcreate", "--yes", "--snapshot", "--size", size, path, "--name", name, *rest):
            return _snapshot(host, _bytes(size), path, name, _tags(rest))
        case ("lvcreate", "--yes", "--snapshot", "--setactivationskip", "n", path, "--name", name, *rest):
            return _thin_snapshot(host, path, name, _tags(rest))
    raise NotPractised("these arguments")


def _plain(host: Host, asked: int, name_of_group: str, name: str, tags: tuple[str, ...]) -> Completed | Effects:
    group = host.group
    refused = _odd("--size", asked) or (no_group(name_of_group) if name_of_group != group.name else None)
    if refused:
        return refused
    size, said = group.round_up(asked), ""
    if size != asked:
        said = f"  Rounding up size to full physical extent {human(size)}\n"
    refused = _taken(group, name) or _no_room(group, size)
    if refused:
        return Completed(refused.status, said, refused.err)
    return _make_plain(host, size, name, tags, said)


def _make_plain(host: Host, size: int, name: str, tags: tuple[str, ...], said: str) -> Effects:
    volume = SimulatedVolume(name, host.new_id(), "plain", size, tags, filesystem=host.group.leftover)
    host.group.leftover = None
    host.add(volume)
    yield Point(f"lvcreate {name}: volume made")
    if volume.filesystem:
        said += f"  Wiping {volume.filesystem.type} signature on /dev/{host.group.name}/{name}.\n"
        host.wipe(volume)
    yield Point(f"lvcreate {name}: signatures wiped")
    return good(f'{said}  Logical volume "{name}" created.\n')


def _thin(host: Host, asked: int, path: str, name: str, tags: tuple[str, ...]) -> Completed | Effects:
    group = host.group
    name_of_group, _, pool = path.partition("/")
    refused = _odd("--virtualsize", asked) or (no_group(name_of_group) if name_of_group != group.name else None)
    if refused:
        return refused
    found = group.volumes.get(pool)
    if found is None:
        return bad(5, f"  Pool {pool} not found in Volume group {group.name}.\n")
    if found.kind != "pool":
        return bad(5, f"  Logical volume {path} is not a thin pool.\n")
    refused = _taken(group, name) or _pool_full(group, pool)
    if refused:
        return refused
    host.add(SimulatedVolume(name, host.new_id(), "thin", group.round_up(asked), tags, pool=pool))
    return only(f"lvcreate {name}: thin volume made", _created(group, pool, name))


def _pool_full(group: SimulatedGroup, pool: str) -> Completed | None:
    if group.pool_used(pool) < group.volumes[pool].size:
        return None
    return bad(5, f"  Cannot create new thin volume, free space in thin pool {group.name}/{pool} reached threshold.\n")


def _created(group: SimulatedGroup, pool: str, name: str) -> Completed:
    out, err = _overcommitted(group, pool)
    return Completed(0, f'{out}  Logical volume "{name}" created.\n', err)


def _snapshot(host: Host, asked: int, path: str, name: str, tags: tuple[str, ...]) -> Completed | Effects:
    group = host.group
    name_of_group, _, source = path.partition("/")
    refused = _odd("--size", asked) or (no_group(name_of_group) if name_of_group != group.name else None)
    if refused:
        return refused
    size, said = group.round_up(asked), ""
    if size != asked:
        said = f"  Rounding up size to full physical extent {human(size)}\n"
    origin = group.volumes.get(source)
    if origin is None:
        return bad(5, f"  Snapshot origin LV {source} not found in Volume group {group.name}.\n", said)
    if origin.kind == "snapshot":
        return bad(5, "  Snapshots of snapshots are not supported.\n", said)
    refused = _taken(group, name)
    if refused:
        return Completed(refused.status, said, refused.err)
    if size > most_room(group, origin):
        said += (f"  Reducing COW size {human(size)} down to maximum usable size "
                 f"{human(most_room(group, origin))}.\n")
        size = most_room(group, origin)
    refused = _no_room(group, size)
    if refused:
        return Completed(refused.status, said, refused.err)
    return _make_snapshot(host, origin, size, name, tags, said)


def _make_snapshot(host: Host, origin: SimulatedVolume, size: int, name: str, tags: tuple[str, ...],
                   said: str) -> Effects:
    # lvm2 commits it as a plain volume with its tags, clears its beginning, then makes it a snapshot (lv_manip.c)
    volume = SimulatedVolume(name, host.new_id(), "plain", size, tags)
    host.add(volume)
    yield Point(f"lvcreate {name}: volume made, not yet a snapshot")
    volume.kind, volume.origin = "snapshot", origin.name
    mounted = host.mount_of(origin)
    if mounted and mounted.type != "xfs":
        host.write(volume, _FREEZE)
    host.copy(origin, volume)
    yield Point(f"lvcreate {name}: snapshot made")
    return good(f'{said}  Logical volume "{name}" created.\n')


def _thin_snapshot(host: Host, path: str, name: str, tags: tuple[str, ...]) -> Completed | Effects:
    group = host.group
    name_of_group, _, source = path.partition("/")
    if name_of_group != group.name:
        return no_group(name_of_group)
    origin = group.volumes.get(source)
    if origin is None:
        return bad(5, f"  Snapshot origin LV {source} not found in Volume group {group.name}.\n")
    if origin.kind != "thin":
        raise NotPractised("a snapshot without a size, of what is not thin")
    refused = _taken(group, name) or _pool_full(group, origin.pool)
    if refused:
        return refused
    volume = SimulatedVolume(name, host.new_id(), "thin", origin.size, tags, origin=source, pool=origin.pool,
                             mapped=origin.mapped)
    host.add(volume)
    host.copy(origin, volume)
    return only(f"lvcreate {name}: thin snapshot made", _created(group, origin.pool, name))


def lvremove(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """Whatever is selected goes, and the snapshots of it; what is open stays."""
    match argv:
        case ("lvremove", "--yes", "-S", selection, group):
            if group != host.group.name:
                return no_group(group)
            return _remove(host, [volume.name for volume in host.group.ordered()
                                  if selector(selection, host.is_open)(volume)])
    raise NotPractised("these arguments")


def _open(host: Host, volume: SimulatedVolume) -> str:
    if host.mount_of(volume):
        return f"  Logical volume {host.group.name}/{volume.name} contains a filesystem in use.\n"
    if host.is_open(volume):
        return f"  Logical volume {host.group.name}/{volume.name} in use.\n"
    return ""


def _remove(host: Host, names: Sequence[str]) -> Effects:
    group, out = host.group, ""
    for name in names:
        volume = group.volumes.get(name)
        if volume is None:
            continue  # went with its origin
        trouble = _open(host, volume)
        if trouble:
            return bad(5, trouble, out)
        snapshots = group.snapshots(name)
        troubles = [trouble for trouble in (_open(host, snapshot) for snapshot in snapshots) if trouble]
        if troubles:
            path = f"{group.name}/{name}"
            return bad(5, f"{troubles[0]}  LV {path} has open {len(troubles)} snapshot(s), not deactivating.\n"
                          f"  Logical volume {path} not removed.\n", out)
        for going in (*snapshots, volume):
            host.remove(going)
            out += f'  Logical volume "{going.name}" successfully removed.\n'
            yield Point(f"lvremove {going.name}: gone")
    return good(out)


def blkdiscard(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """A volume is filled with zeros."""
    match argv:
        case ("blkdiscard", "--zeroout", "--force", path):
            volume = host.volume(path)
            if volume is None:
                return bad(1, f"blkdiscard: cannot open {path}: No such file or directory\n")
            return _zero(host, volume)
    raise NotPractised("these arguments")


def _zero(host: Host, volume: SimulatedVolume) -> Effects:
    host.wipe(volume)
    yield Point(f"blkdiscard {volume.name}: zeros", volume.size / _ZEROED)
    return good()


def lvextend(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """A volume, a snapshot's room or a pool grows."""
    match argv:
        case ("lvextend", "--yes", "--size", size, path):
            return _extend(host, _bytes(size), path)
    raise NotPractised("these arguments")


def _extend(host: Host, asked: int, path: str) -> Completed | Effects:
    group = host.group
    name_of_group, _, name = path.partition("/")
    refused = _odd("--size", asked) or (no_group(name_of_group) if name_of_group != group.name else None)
    if refused:
        return refused
    volume = group.volumes.get(name)
    if volume is None:
        return bad(5, f"  Logical volume {name} not found in volume group {group.name}.\n")
    size, out = group.round_up(asked), ""
    if size != asked:
        out += f"  Rounding size to boundary between physical extents: {human(size)}.\n"
    if volume.kind == "snapshot" and size > most_room(group, group.volumes[volume.origin]):
        size = most_room(group, group.volumes[volume.origin])
        out += f"  Reached maximum COW size {human(size)} ({size // group.extent} extents).\n"
        if size == volume.size:
            return good(f"{out}  Size of logical volume {path} unchanged from {human(size)} ({size // group.extent} "
                        f"extents).\n  Logical volume {path} successfully resized.\n")
    refused = _no_growth(group, volume, size)
    if refused:
        return Completed(refused.status, out, refused.err)
    before, volume.size = volume.size, size
    out += (f"  Size of logical volume {path}{'_tdata' if volume.kind == 'pool' else ''} changed from {human(before)} "
            f"({before // group.extent} extents) to {human(size)} ({size // group.extent} extents).\n")
    warnings, err = _overcommitted(group, volume.pool) if volume.kind == "thin" else ("", "")
    return only(f"lvextend {name}: grown",
                Completed(0, f"{out}{warnings}  Logical volume {path} successfully resized.\n", err))


def _no_growth(group: SimulatedGroup, volume: SimulatedVolume, size: int) -> Completed | None:
    new, old = size // group.extent, volume.size // group.extent
    if new == old:
        return bad(5, f"  New size ({new} extents) matches existing size ({old} extents).\n")
    if new < old:
        return bad(5, f"  New size given ({new} extents) not larger than existing size ({old} extents)\n")
    if group.snapshots(volume.name):
        return bad(5, "  Snapshot origin volumes can be resized only while inactive: try lvchange -an.\n")
    if volume.kind != "thin" and size - volume.size > group.free:
        return bad(5, f"  Insufficient free space: {new - old} extents needed, but only "
                      f"{group.free // group.extent} available\n")
    return None
