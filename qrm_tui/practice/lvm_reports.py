"""lvs and vgs, as lvm2 2.03.16 prints them (tests/fixtures/lvs-*.json, vgs.json)."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qrm_tui.practice.effects import NotPractised, bad, good
from qrm_tui.practice.host import Host
from qrm_tui.practice.selection import selector
from qrm_tui.practice.volumes import SimulatedGroup, SimulatedVolume
from qrm_tui.runners.base import Completed

_TYPE = {"plain": "-", "snapshot": "s", "pool": "t", "thin": "V"}
#: Share of a small pool's metadata that is in use at first, and what a volume in it takes.
_METADATA, _METADATA_VOLUME = 10.84, 0.1


def no_group(name: str, out: str = "") -> Completed:
    """The words for a volume group that is not there."""
    return bad(5, f'  Volume group "{name}" not found\n  Cannot process volume group {name}\n', out)


def attributes(host: Host, volume: SimulatedVolume) -> str:
    """lv_attr (lvs(8))."""
    origin = bool(host.group.snapshots(volume.name))
    kind = "o" if origin else _TYPE[volume.kind]
    state = "I" if volume.lost else "a"
    opened = "o" if host.is_open(volume) else "-"
    target = {"plain": "s" if origin else "-", "snapshot": "s", "pool": "t", "thin": "t"}[volume.kind]
    zero = "z" if volume.kind in ("pool", "thin") else "-"
    full = volume.kind == "pool" and host.group.pool_used(volume.name) >= volume.size
    return f"{kind}wi-{state}{opened}{target}{zero}{'D' if full else '-'}-"


def _data(host: Host, volume: SimulatedVolume) -> str:
    if volume.kind == "snapshot":
        return f"{100 * volume.written / volume.size:.2f}"
    if volume.kind == "thin":
        return f"{100 * volume.mapped / volume.size:.2f}"
    if volume.kind == "pool":
        return f"{100 * host.group.pool_used(volume.name) / volume.size:.2f}"
    return ""


def _metadata(host: Host, volume: SimulatedVolume) -> str:
    if volume.kind != "pool":
        return ""
    used = _METADATA + _METADATA_VOLUME * len(host.group.thins(volume.name))
    return f"{min(used, 100):.2f}"


def _origin_size(host: Host, volume: SimulatedVolume) -> str:
    if volume.kind == "snapshot":
        return str(host.group.volumes[volume.origin].size)
    return str(volume.size) if host.group.snapshots(volume.name) else ""


_FIELDS: Mapping[str, Callable[[Host, SimulatedVolume], str]] = {
    "vg_name": lambda host, volume: host.group.name,
    "lv_name": lambda host, volume: volume.name,
    "lv_uuid": lambda host, volume: volume.id,
    "lv_size": lambda host, volume: str(volume.size),
    "lv_attr": attributes,
    "lv_tags": lambda host, volume: ",".join(volume.tags),
    "origin": lambda host, volume: volume.origin,
    "origin_size": _origin_size,
    "pool_lv": lambda host, volume: volume.pool,
    "data_percent": _data,
    "metadata_percent": _metadata,
    "lv_device_open": lambda host, volume: "open" if host.is_open(volume) else "",
}
_GROUP_FIELDS: Mapping[str, Callable[[SimulatedGroup], str]] = {
    "vg_name": lambda group: group.name,
    "vg_uuid": lambda group: group.id,
    "vg_size": lambda group: str(group.size),
    "vg_free": lambda group: str(group.free),
    "vg_extent_size": lambda group: str(group.extent),
    "vg_attr": lambda group: "wz--n-",
}


def _cells(host: Host, fields: str, volume: SimulatedVolume) -> list[tuple[str, str]]:
    try:
        return [(field, _FIELDS[field](host, volume)) for field in fields.split(",")]
    except KeyError as error:
        raise NotPractised(f"the field {error}") from None


def _json(what: str, rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    lines = [" " * 18 + "{" + ", ".join(f'"{name}":"{text}"' for name, text in row) + "}" for row in rows]
    body = ",\n".join(lines) + "\n" if lines else ""
    return (f'  {{\n      "report": [\n          {{\n              "{what}": [\n{body}              ]\n          }}\n'
            "      ]\n  }\n")


def lvs(host: Host, argv: Sequence[str]) -> Completed:
    """All volumes as JSON, or the selected ones as text."""
    match argv:
        case ("lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields):
            return good(_json("lv", [_cells(host, fields, volume) for volume in host.group.ordered()]))
        case ("lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields, group):
            if group != host.group.name:
                return no_group(group, _json("lv", []))
            return good(_json("lv", [_cells(host, fields, volume) for volume in host.group.ordered()]))
        case ("lvs", "--noheadings", "-o", fields, "-S", selection, group):
            if group != host.group.name:
                return no_group(group)
            chosen = filter(selector(selection, host.is_open), host.group.ordered())
            rows = [[text for _, text in _cells(host, fields, volume)] for volume in chosen]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines = [" ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
            return good("".join(f"  {line}\n" for line in lines))
    raise NotPractised("these arguments")


def vgs(host: Host, argv: Sequence[str]) -> Completed:
    """The volume group as JSON, or all there are: one without a disk is none."""
    match argv:
        case ("vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields):
            return good(_json("vg", [_group_cells(host, fields)] if host.group.size else []))
        case ("vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields, group):
            if group != host.group.name:
                return no_group(group, _json("vg", []))
            return good(_json("vg", [_group_cells(host, fields)]))
    raise NotPractised("these arguments")


def _group_cells(host: Host, fields: str) -> list[tuple[str, str]]:
    try:
        return [(field, _GROUP_FIELDS[field](host.group)) for field in fields.split(",")]
    except KeyError as error:
        raise NotPractised(f"the field {error}") from None
