"""LVM2: volumes, groups, classic and thin snapshots. Reads lvs(8) and vgs(8), writes argv.

A volume of ours carries the tag `qrm` and `qrm.image.ID`, the image's own id: made in the same commit as the volume
itself, so it is ours from the first moment, and found by it whatever it is called.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import Group, Volume
from qrm_tui.core.plan import Check, Run, Undo

TAG = "qrm"
_FIELDS = ("vg_name,lv_name,lv_uuid,lv_size,lv_attr,lv_tags,origin,origin_size,pool_lv,data_percent,metadata_percent,"
           "lv_device_open")
_REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix")


def image_tag(image_id: str) -> str:
    """The tag that says which image a volume is."""
    return f"{TAG}.image.{image_id}"


def volumes_argv(group: str) -> tuple[str, ...]:
    return ("lvs", *_REPORT, "-o", _FIELDS, group)


def group_argv(group: str) -> tuple[str, ...]:
    return ("vgs", *_REPORT, "-o", "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size", group)


def _report(text: str, what: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads(text)["report"][0][what]
    except (ValueError, KeyError, IndexError, TypeError):
        raise StepFailed(f"{what}s printed no report that can be read: {text[:80]!r}") from None
    return rows


#: All groups of a machine; and what the volumes in them are tagged with.
GROUPS_ARGV = ("vgs", *_REPORT, "-o", "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_attr")
TAGS_ARGV = ("lvs", *_REPORT, "-o", "vg_name,lv_tags")
#: Letters of vg_attr (vgs(8)) by their place, and what is wrong with a group that has them.
_AMISS = ((0, "r", "it is read-only"), (2, "x", "it is exported"), (3, "p", "disks of it are missing"),
          (5, "cs", "other machines share it"))


def _share(text: str) -> float | None:
    return round(float(text) / 100, 6) if text else None


def parse_volumes(text: str) -> dict[str, Volume]:
    """Volumes by name, from `volumes_argv`."""
    return {
        row["lv_name"]: Volume(
            name=row["lv_name"], group=row["vg_name"], id=row["lv_uuid"], size=int(row["lv_size"] or 0),
            attributes=row["lv_attr"], tags=tuple(tag for tag in row["lv_tags"].split(",") if tag),
            origin=row["origin"].strip("[]"), origin_size=int(row["origin_size"] or 0),
            pool=row["pool_lv"].strip("[]"), data=_share(row["data_percent"]),
            metadata=_share(row["metadata_percent"]), open=row["lv_device_open"] in ("open", "1"),
        )
        for row in _report(text, "lv")
    }


def parse_group(text: str) -> Group:
    """The group, from `group_argv`."""
    return _group(_report(text, "vg")[0])


def _group(row: Mapping[str, Any]) -> Group:
    return Group(name=row["vg_name"], id=row["vg_uuid"], size=int(row["vg_size"]), free=int(row["vg_free"]),
                 extent=int(row["vg_extent_size"]))


def parse_groups(text: str) -> list[tuple[Group, str]]:
    """All groups, from `GROUPS_ARGV`, each with why nothing new belongs into it (empty: it does)."""
    return [(_group(row), next((why for place, letters, why in _AMISS
                                if row["vg_attr"][place:place + 1] in tuple(letters)), ""))
            for row in _report(text, "vg")]


def parse_tags(text: str) -> dict[str, set[str]]:
    """By group, all tags of its volumes, from `TAGS_ARGV`."""
    found: dict[str, set[str]] = {}
    for row in _report(text, "lv"):
        found.setdefault(row["vg_name"], set()).update(filter(None, row["lv_tags"].split(",")))
    return found


def device(group: str, name: str) -> str:
    """The volume's device path."""
    return f"/dev/{group}/{name}"


def select(name: str, image_id: str) -> str:
    """lvm(8) selection of the volume of one image and no other."""
    return _select(name, image_tag(image_id))


def _select(name: str, tag: str) -> str:
    return f'lv_name="{name}" && lv_tags="{tag}"'


def _listed(group: str, selection: str, expect: Any, otherwise: str = "", fields: str = "lv_name") -> Check:
    return Check(argv=("lvs", "--noheadings", "-o", fields, "-S", selection, group), expect=expect,
                 otherwise=otherwise)


def _remove_argv(group: str, name: str, tag: str) -> tuple[str, ...]:
    return ("lvremove", "--yes", "-S", _select(name, tag), group)


def _create(machine: str, group: str, name: str, tag: str, summary: str, arguments: tuple[str, ...],
            origin: str = "") -> Run:
    chosen = _select(name, tag)
    # lvcreate makes a snapshot's volume first and ties it to its origin then: only tied it is done
    made = f'{chosen} && origin="{origin}"' if origin else chosen
    return Run(
        machine=machine, summary=summary,
        argv=("lvcreate", "--yes", *arguments, "--name", name, "--addtag", TAG, "--addtag", tag),
        done=_listed(group, made, "some"),
        undo=Undo(argv=_remove_argv(group, name, tag), done=_listed(group, chosen, "empty")),
    )


def create_tagged(machine: str, group: str, name: str, size: int, tag: str) -> Run:
    """A plain volume; old signatures on it are wiped."""
    return _create(machine, group, name, tag, f"make volume {group}/{name}",
                   ("--wipesignatures", "y", "--size", f"{size}b", group))


def remove_tagged(machine: str, group: str, name: str, tag: str) -> Run:
    """The volume that was made so goes, if there is one."""
    chosen = _select(name, tag)
    return Run(machine=machine, summary=f"remove volume {group}/{name} and all that is in it",
               argv=_remove_argv(group, name, tag), done=_listed(group, chosen, "empty"),
               guards=(_listed(group, f'origin="{name}"', "empty",
                               f"volume {group}/{name} has snapshots, which would go with it: remove them first"),))


def closed(group: str, name: str, tag: str, otherwise: str) -> Check:
    """Nothing has the volume open."""
    return _listed(group, f'{_select(name, tag)} && lv_device_open="open"', "empty", otherwise)


def create_volume(machine: str, group: str, pool: str, name: str, size: int, image_id: str) -> Run:
    """A plain volume, or a thin one where a pool is named; old signatures on it are wiped."""
    if pool:
        return _create(machine, group, name, image_tag(image_id), f"make thin volume {group}/{name} in pool {pool}",
                       ("--thin", "--virtualsize", f"{size}b", f"{group}/{pool}"))
    return create_tagged(machine, group, name, size, image_tag(image_id))


def snapshot_volume(machine: str, origin: Volume, name: str, reserve: int, image_id: str) -> Run:
    """A snapshot: thin of a thin origin, else classic with `reserve` bytes of room for changes."""
    source = f"{origin.group}/{origin.name}"
    if origin.pool:
        # thin snapshots are left inactive at boot unless told otherwise (lvmthin(7))
        return _create(machine, origin.group, name, image_tag(image_id), f"make thin snapshot {name} of {source}",
                       ("--snapshot", "--setactivationskip", "n", source), origin.name)
    return _create(machine, origin.group, name, image_tag(image_id), f"make snapshot {name} of {source}",
                   ("--snapshot", "--size", f"{reserve}b", source), origin.name)


def remove_volume(machine: str, group: str, volume: Volume, image_id: str) -> Run:
    """The volume goes, if it is still the one that was seen, is ours, is not open, and nothing hangs on it."""
    # by its UUID and tag: a volume that was renamed or made anew by hand is not this one
    chosen = f'lv_uuid="{volume.id}" && lv_tags="{image_tag(image_id)}"'
    return Run(
        machine=machine, summary=f"remove volume {group}/{volume.name} and all that is in it",
        argv=("lvremove", "--yes", "-S", chosen, group),
        done=_listed(group, chosen, "empty"),
        guards=(
            # lvremove of an origin takes its snapshots with it
            _listed(group, f'origin="{volume.name}"', "empty",
                    f"volume {group}/{volume.name} has snapshots, which would go with it: remove them first"),
            _listed(group, f'{chosen} && lv_device_open="open"', "empty",
                    f"volume {group}/{volume.name} is open: something on {machine} still uses it"),
        ),
    )


def most_reserve(snapshot: Volume, extent: int) -> int:
    """What a classic snapshot can make use of, in bytes: lvextend(8) gives no more, and says so with status 0.

    Its origin's size and its own table, 16 bytes a chunk of 4 KiB (Linux, drivers/md/dm-snap-persistent.c), rounded up.
    """
    table = 8192 + -(-snapshot.origin_size // 4096) * 16
    return -(-(snapshot.origin_size + table) // extent) * extent


def extend_volume(machine: str, volume: Volume, size: int) -> Run:
    """The volume (of a classic snapshot: its room for changes) grows to `size` bytes."""
    path = f"{volume.group}/{volume.name}"
    at_least = f'lv_uuid="{volume.id}" && lv_size >= {size}b'
    return Run(machine=machine, summary=f"grow volume {path}", argv=("lvextend", "--yes", "--size", f"{size}b", path),
               done=_listed(volume.group, at_least, "some"))
