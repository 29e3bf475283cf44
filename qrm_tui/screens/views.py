"""The views: a new kind of list is a table here, not a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrm_tui.core.units import format_size
from qrm_tui.screens.boots import stage_style, stage_text
from qrm_tui.screens.columns import (
    Fact,
    Lead,
    Row,
    View,
    age_column,
    bar_column,
    clock_text,
    job_progress,
    job_took,
    list_column,
    memory_column,
    outcome_style,
    share_column,
    size_column,
    state_column,
)
from qrm_tui.widgets.columns import Column


def _stage() -> Column:
    return Column("stage", "stage", 12, priority=8, format=stage_text, style=stage_style)


def _number(key: str, label: str, width: int, priority: int) -> Column:
    return Column(key, label, width, "right", priority=priority, format=lambda row, now: str(row.get(key) or ""))


def _processors(row: Row) -> str:
    if not row.get("cpus"):
        return ""
    speed = f" of {row['mhz']} MHz" if row.get("mhz") else ""
    return f"{row['cpus']} CPU{'s' if row['cpus'] != 1 else ''}{speed}"


def _made_by(row: Row) -> str:
    names = [str(row[key]) for key in ("vendor", "product") if row.get(key)]
    return " ".join(names) + (", serial " + str(row["serial"]) if row.get("serial") else "")


def event_words(row: Row) -> str:
    """What was found last on a machine's console, in a few words; empty for nothing."""
    if not row.get("event"):
        return ""
    often = f" x{row['event_count']}" if (row.get("event_count") or 0) > 1 else ""
    if row.get("event_stands"):
        return f"ALERT {row['event']}{often}"
    return f"{row['event']}{often}" + (", seen" if row.get("event_seen_by") else "")


def _console_said(row: Row) -> str:
    said = event_words(row)
    return f"{said}: {row.get('event_text') or ''}" if said else ""


def _kind(row: Row) -> str:
    where = f" on {row['host']}" if row.get("host") else ""
    return " ".join(str(row[key]) for key in ("technology", "kind") if row.get(key)) + where


def _is(row: Row) -> str:
    """Of a resource: what it is a slice of, or what it hosts."""
    if row.get("host"):
        return f"{row.get('technology') or '?'} on {row['host']}"
    return f"hosts {row['virtualization']}" if row.get("virtualization") else str(row.get("kind") or "")


def _disk(row: Row) -> str:
    return f"{format_size(row['disk'])} in {row.get('disk_group')}" if row.get("disk") else ""


def _memory(row: Row) -> str:
    share = row.get("memory_share")
    return format_size(row.get("memory")) + ("" if share is None else f", {share:.0%} of its host's")


def _groups(row: Row) -> str:
    """Volume groups for partitions' disks, and what is free in each."""
    return ", ".join(f"{format_size(free)} in {name}" for name, free in (row.get("groups") or {}).items())


def _given(row: Row) -> str:
    return f"{row['cpus_given']} of {row['cpus']}" if row.get("cpus") else ""


def _booted_here(row: Row) -> bool:
    """Of a virtualization host: it runs a VE, and was not added as it is."""
    return not row.get("added")


def _memory_taken(row: Row) -> float | None:
    return 1 - row["memory_free"] / row["memory"] if row.get("memory") else None


def profile_words(profile: Mapping[str, Any]) -> str:
    """What a machine must have at least, in words."""
    parts = []
    if profile.get("cpus"):
        parts.append(f"{profile['cpus']} CPU{'s' if profile['cpus'] != 1 else ''}")
    if profile.get("mhz"):
        parts.append(f"{profile['mhz']} MHz" + (" each" if profile.get("cpus", 1) != 1 else ""))
    if profile.get("memory"):
        parts.append(f"{format_size(profile['memory'])} memory")
    if profile.get("nics"):
        parts.append(f"{profile['nics']} network card{'s' if profile['nics'] != 1 else ''}")
    kind = " ".join(str(profile[key]) for key in ("technology", "kind") if profile.get(key))
    return (f"{kind} with " if kind and parts else kind) + ("at least " if parts else "") + ", ".join(parts)


def _root(row: Row) -> str:
    """What the machines of a VE have as their root, in a word."""
    return "same" if row.get("same_for_all") else "clone" if row.get("multi_server", 1) != 1 else "own"


def _on(row: Row) -> str:
    count = row.get("multi_server", 1)
    machines = f"{count} machine{'s' if count != 1 else ''}"
    if row.get("same_for_all"):
        return f"{machines}, one root for all that is only read; what a machine writes is gone when it boots anew"
    return machines + (", each with a clone of its own" if count != 1 else "")


def _own_files(row: Row) -> str:
    """Of a machine on a shared root: how full the memory for what is its own is."""
    return f"{row['filled']:.0%} of their memory" if row.get("filled") is not None else ""


def _services(row: Row) -> str:
    """Services that do not run are told first, by their state; of the others the names."""
    services = {name.removesuffix(".service"): state for name, state in (row.get("services") or {}).items()}
    return ", ".join([*(f"{name} {state}" for name, state in services.items() if state != "active"),
                      *(name for name, state in services.items() if state == "active")])


def _settings(row: Row) -> str:
    return "  ".join(f"{key}={value}" for key, value in (row.get("settings") or {}).items())


_STOPPED, _RUNNING = frozenset(("inactive", "error")), frozenset(("active", "degraded"))
_NOT_OFF = frozenset(("ok", "warning", "error", "unknown"))
_UNFINISHED = frozenset(("waiting", "running"))

VIEWS: tuple[View, ...] = (
    View(
        "farm", "alert", "1", "Farm",
        (
            Column("kind", "kind", 10, priority=5),
            Column("name", "name", 14, priority=10),
            state_column(),
            Column("why", "needs attention, because", 24, flexible=True, priority=8),
            age_column("since", "since"),
        ),
        "nothing needs attention", order=("since", False), enter="goto",
        hidden=frozenset(("key", "kind")),
    ),
    View(
        "resources", "resource", "2", "Resources",
        (
            Column("name", "name", 9, flexible=True, priority=10),
            state_column(),
            _stage(),
            Column("maintenance", "maint", 5, priority=7, format=lambda row, now: "maint" if row.get("maintenance")
                   else ""),
            Column("ve", "VE", 10, flexible=True, priority=6),
            _number("cpus", "cpu", 4, 5),
            _number("mhz", "MHz", 5, 3),
            Column("memory", "mem", 5, "right", priority=5,
                   format=lambda row, now: format_size(row["memory"]) if row.get("memory") else ""),
            Column("kind", "kind", 9, flexible=True, priority=4, format=lambda row, now: _is(row)),
            Column("address", "address", 15, priority=3),
            age_column("since", "since", priority=2),
            Column("product", "product", 16, flexible=True, priority=1),
        ),
        "no machines yet: power one on that boots from the network (:component list: is dhcpd there?)", short="Res",
        fields=(Fact("console said", _console_said, ("event", "event_severity", "event_text", "event_count",
                                                     "event_stands", "event_seen_by")), "event_at",
                "address", "mac", Fact("has", _processors, ("cpus", "mhz")), "memory",
                Fact("kind", _kind, ("kind", "technology", "host")), "disks", "ve", "maintenance",
                Fact("power", lambda row: "by its host" if row.get("kind") == "partition" else str(row.get("power")),
                     ("power",)), "firmware", "load",
                Fact("own files", _own_files, ("filled",)), "seen_at",
                "virtualization", "nics", "model", Fact("made by", _made_by, ("vendor", "product", "serial"))),
        hidden=frozenset(("id", "revision", "stage", "stage_at", "stages")),
        applies={"resource.remove": frozenset(("idle", "off", "unknown", "error", "booting"))},
        begins={"resource.power": {"off": {"action": "on"}}},
        leads=(Lead("partition", when=lambda row: row.get("kind") == "partition"),
               Lead("host", when=lambda row: bool(row.get("virtualization")))),
    ),
    View(
        "ves", "ve", "3", "VEs",
        (
            Column("name", "name", 12, flexible=True, priority=10),
            state_column(),
            _stage(),
            list_column("resources", "resources", 12, 7),
            Column("image", "image", 12, flexible=True, priority=6),
            Column("boot_image", "boot-image", 11, flexible=True, priority=5),
            Column("partitioning", "parts", 5, priority=2),
            Column("same_for_all", "root", 5, priority=3, format=lambda row, now: _root(row)),
            age_column("since", "since"),
            Column("profile", "wants", 20, flexible=True, priority=2,
                   format=lambda row, now: profile_words(row.get("profile") or {})),
        ),
        "no virtual environments yet: a defines one, or :ve create", short="VEs",
        fields=("image", "boot_image", "partitioning",
                Fact("machine wanted", lambda row: profile_words(row.get("profile") or {})
                     or "any that is idle and out of maintenance", ("profile",)),
                Fact("on", _on, ("multi_server", "same_for_all"))),
        hidden=frozenset(("id", "revision", "stage", "stage_at", "resources", "images", "seen_at")),
        applies={"ve.start": _STOPPED, "ve.stop": frozenset(("starting", "active", "degraded", "error")),
                 "ve.add-resource": _RUNNING, "ve.remove-resource": _RUNNING, "ve.remove": _STOPPED},
    ),
    View(
        "partitions", "partition", "4", "Partitions",
        (
            Column("name", "name", 10, flexible=True, priority=10),
            state_column(),
            bar_column("busy", "cpu", 8, lambda row: row.get("busy")),
            Column("cpus", "cpus", 4, "right", priority=4),
            memory_column("memory", "memory_share", 8),
            Column("host", "host", 6, flexible=True, priority=7),
            Column("ve", "VE", 10, flexible=True, priority=7),
            Column("resource", "resource", 8, priority=5),
            age_column("since", "since", priority=3),
            Column("address", "address", 15, priority=2),
        ),
        "no partitions yet: a makes some, on a virtualization host (:hosts lists them)", short="Part",
        fields=("host", "technology", "cpus", Fact("memory", _memory, ("memory", "memory_share")),
                Fact("MHz at most", lambda row: str(row["mhz"] or "no limit"), ("mhz",)), "resource", "ve", "address",
                "mac", "device", Fact("disk", _disk, ("disk", "disk_group"))),
        # when it was seen is its host's
        hidden=frozenset(("id", "revision", "power", "busy", "seen_at")),
        leads=(Lead("resource"),),
        # one that somebody undefined on its host is unknown, and started anew
        applies={"partition.start": frozenset(("off", "defined", "crashed", "unknown")),
                 "partition.stop": frozenset(("running", "paused")), "partition.pause": frozenset(("running",)),
                 "partition.resume": frozenset(("paused",)), "partition.reset": frozenset(("running", "paused")),
                 "partition.resize": frozenset(("running", "paused", "off", "defined", "crashed"))},
    ),
    View(
        "hosts", "host", "", "Hosts",
        (
            Column("name", "name", 7, flexible=True, priority=10),
            state_column(),
            Column("technology", "with", 4, priority=6),
            Column("partitions", "parts", 5, "right", priority=8),
            bar_column("busy", "cpu", 7, lambda row: row.get("busy")),
            Column("cpus_given", "cpus", 9, "right", priority=6, format=lambda row, now: _given(row)),
            bar_column("memory", "memory", 7, _memory_taken),
            Column("memory_free", "free", 6, "right", priority=7,
                   format=lambda row, now: format_size(row["memory_free"]) if row.get("memory") else ""),
            Column("disk_free", "disk", 6, "right", priority=4,
                   format=lambda row, now: format_size(row["disk_free"]) if row.get("disk_free") else ""),
            Column("ve", "VE", 8, flexible=True, priority=5),
            list_column("foreign", "foreign domains", 15, 4),
            age_column("since", "since", priority=2),
        ),
        "no virtualization hosts: start a VE with partitioning (qrm ve create NAME --partitioning xen or kvm), or + "
        "adds one that is there",
        fields=("technology", "ve", "address", "partitions",
                Fact("CPUs given", _given, ("cpus", "cpus_given")),
                Fact("MHz", lambda row: str(row.get("mhz") or ""), ("mhz",)), "memory", "memory_free", "memory_given",
                Fact("free for disks", _groups, ("groups", "disk_free")), "foreign", "libvirt",
                "hypervisor", "seen_at"),
        hidden=frozenset(("revision", "busy")),
        only={"partition.create": _booted_here, "console.attach": _booted_here,
              "host.remove": lambda row: not _booted_here(row)},
        leads=(Lead("partition", filter="host={name}", when=_booted_here),
               Lead("domain", filter="host={name}", when=lambda row: bool(row.get("foreign")))),
    ),
    View(
        "domains", "domain", "", "Foreign domains",
        (
            Column("name", "name", 14, flexible=True, priority=10),
            state_column(),
            Column("host", "host", 8, flexible=True, priority=7),
            Column("technology", "with", 4, priority=5),
            Column("cpus", "cpus", 4, "right", priority=5),
            Column("memory", "mem", 5, "right", priority=6,
                   format=lambda row, now: format_size(row["memory"]) if row.get("memory") else ""),
            age_column("since", "since", priority=3),
        ),
        "no domains that are none of ours: qrm host add lists what runs on a host that is there already",
        fields=("host", "technology", Fact("called there", lambda row: str(row.get("title") or ""), ("title",)), "cpus",
                "memory", "nics", Fact("has a definition", lambda row: "yes" if row.get("persistent") else
                                       "no: gone when it is off", ("persistent",)), "seen_at"),
        hidden=frozenset(("id", "revision")),
        leads=(Lead("host"),),
        applies={"domain.start": frozenset(("off", "crashed")),
                 "domain.stop": frozenset(("running", "paused", "crashed"))},
    ),
    View(
        "images", "image", "5", "Images",
        (
            Column("name", "name", 15, flexible=True, priority=10),
            state_column(),
            size_column("size", "size", 8),
            size_column("used", "used", 6),
            share_column("fill", "fill", 7),
            Column("origin", "clone of", 11, flexible=True, priority=5),
            Column("storage", "storage", 10, priority=4),
            age_column("since", "since"),
            list_column("used_by", "used by", 14, 2),
        ),
        "no images yet: a makes an empty one, or :image add", short="Img",
        fields=("storage", "path", "size", "used", "fill", "full_at", "origin", "clones", "used_by",
                Fact("it is", lambda row: "only read: nobody writes into it" if row.get("read_only") else "",
                     ("read_only",)), "hostname", "fs",
                "mounted", "thin", "managed", "seen_at", "created", "export_id", "volume_id"),
        hidden=frozenset(("id", "revision")),
    ),
    View(
        "storage", "storage", "6", "Storage",
        (
            Column("name", "name", 16, flexible=True, priority=10),
            state_column(),
            Column("type", "type", 9, priority=3),
            Column("address", "address", 15, priority=6),
            size_column("size", "size", 7),
            size_column("free", "free", 8),
            share_column("pool_data", "pool", 5),
            Column("images", "images", 6, "right", priority=4),
            age_column("since", "since"),
        ),
        "no storage server yet: a registers one", short="Stor",
        fields=("address", "type", "env", "size", "free", "images", "pool_size", "pool_data", "pool_metadata",
                "pool_promised", "user", "port", "seen_at", "versions", "host_key"),
        hidden=frozenset(("revision",)),
    ),
    View(
        "components", "component", "7", "Components",
        (
            Column("name", "name", 10, flexible=True, priority=10),
            state_column(),
            Column("services", "services", 22, flexible=True, priority=7, format=lambda row, now: _services(row)),
            Column("settings", "settings", 24, flexible=True, priority=5, format=lambda row, now: _settings(row)),
            age_column("since", "since"),
        ),
        "no components yet: a looks at the server and sets it up", short="Comp",
        fields=("enabled", "services", "settings", "files", "seen_at"), hidden=frozenset(("revision",)),
        applies={"component.enable": frozenset(("off",)), "component.disable": _NOT_OFF,
                 "component.restart": _NOT_OFF},
    ),
    View(
        "boot-images", "boot-image", "", "Boot-images",
        (
            Column("name", "name", 16, flexible=True, priority=10),
            state_column(),
            Column("version", "kernel", 20, flexible=True, priority=7),
            Column("size", "size", 6, "right", priority=6,
                   format=lambda row, now: format_size(row["size"]) if row.get("size") else ""),
            age_column("since", "since"),
            list_column("used_by", "used by", 14, 5),
        ),
        "no boot-images yet: a makes one from a kernel package",
        fields=("version", "type", "size", "source", "hypervisor", "used_by", "seen_at"),
        hidden=frozenset(("id", "revision")),
        applies={"boot-image.remove": frozenset(("ready", "error", "unknown"))},
    ),
    View(
        "users", "user", "", "Users",
        (
            Column("name", "name", 8, flexible=True, priority=10),
            state_column(),
            Column("role", "role", 13, priority=9),
            Column("password", "password", 8, priority=7),
            age_column("last_in", "log-in", 6, 6),
            Column("last_from", "from", 12, flexible=True, priority=5),
            age_column("since", "since"),
        ),
        "nobody logs in by password: a lets somebody; accounts with a role by their groups are not listed",
        fields=("role", "password", "last_in", "last_from"), hidden=frozenset(("revision", "seen_at")),
    ),
    View(
        "jobs", "job", "8", "Jobs",
        (
            Column("id", "job", 5, "right", priority=10),
            state_column(),
            Column("operation", "operation", 14, priority=7),
            Column("object", "object", 16, flexible=True, priority=8),
            Column("step", "step", 8, priority=6, format=lambda row, now: job_progress(row)),
            Column("started", "took", 6, "right", priority=5, format=job_took),
            age_column("ended", "ended", priority=4),
            Column("who", "who", 10, priority=2),
            Column("reason", "reason", 16, flexible=True, priority=1),
        ),
        "no jobs yet: everything that changes a machine will be listed here",
        order=("id", True), enter="job",
        fields=("error", "doing", "waits_for", "operation", "object", "arguments", "reason", "who", "terminal", "step",
                "steps", "asked", "started", "ended", "cancelling"),
        hidden=frozenset(("id", "revision", "progress", "seen_at")),
        applies={"job.cancel": _UNFINISHED, "job.undo": frozenset(("done",))},
    ),
    View(
        "journal", "journal", "9", "Journal",
        (
            Column("seq", "no", 5, "right", priority=8),
            Column("at", "when", 14, priority=9, format=clock_text),
            Column("outcome", "outcome", 8, priority=7, style=outcome_style),
            Column("operation", "operation", 14, priority=7),
            Column("object", "object", 16, flexible=True, priority=6),
            Column("who", "who", 10, priority=5),
            Column("reason", "reason", 16, flexible=True, priority=1),
        ),
        "no entries yet", order=("seq", True), short="Jour",
        fields=("at", "who", "terminal", "operation", "object", "outcome", "reason", "job", "hash"),
        hidden=frozenset(("seq",)),
    ),
)

BY_NAME = {view.name: view for view in VIEWS}
BY_KIND = {view.kind: view for view in VIEWS}
