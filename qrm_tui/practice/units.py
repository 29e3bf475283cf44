"""systemd as far as mount units go: enable, disable, daemon-reload, verify, and the machine's start (systemd 252)."""
from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from qrm_tui.backends.mounts import unit_name
from qrm_tui.practice import services
from qrm_tui.practice.effects import Effects, NotPractised, Point, bad, good, only
from qrm_tui.practice.host import CannotMount, Host, Unit
from qrm_tui.runners.base import Completed

_UNITS = "/etc/systemd/system"
_WANTS = f"{_UNITS}/multi-user.target.wants"
_SETTINGS = {
    "Unit": ("Description", "Documentation", "Before", "After", "Requires", "Wants", "Conflicts", "BindsTo",
             "RequiresMountsFor", "DefaultDependencies", "StartLimitIntervalSec", "StartLimitBurst",
             "ConditionPathExists"),
    "Mount": ("What", "Where", "Type", "Options", "TimeoutSec", "LazyUnmount", "ForceUnmount", "DirectoryMode"),
    "Service": (),
    "Install": ("WantedBy", "RequiredBy", "Alias"),
}
_SEE = 'See "journalctl -xe" for details.'


def read_unit(text: str) -> tuple[dict[tuple[str, str], str], list[tuple[int, str]]]:
    """Settings by section and name, and complaints by line (systemd.syntax(7))."""
    settings: dict[tuple[str, str], str] = {}
    complaints: list[tuple[int, str]] = []
    section = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        heading = re.fullmatch(r"\[(.+)\]", line)
        key, sign, value = line.partition("=")
        if heading:
            section = heading[1]
            if section not in _SETTINGS:
                complaints.append((number, f"Unknown section '{section}'. Ignoring."))
        elif not section:
            complaints.append((number, "Assignment outside of section. Ignoring."))
        elif not sign:
            complaints.append((number, "Missing '=', ignoring line."))
        elif section in _SETTINGS and key.strip() not in _SETTINGS[section] and not (
                section == "Service" and re.fullmatch(r"[A-Z][A-Za-z]+", key.strip())):  # there are hundreds
            complaints.append((number, f"Unknown key '{key.strip()}' in section [{section}], ignoring."))
        else:
            settings[section, key.strip()] = value.strip()
    return settings, complaints


def verify(host: Host, argv: Sequence[str]) -> Completed:
    """systemd-analyze verify: what is wrong with a unit's file."""
    match argv:
        case ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path):
            name = posixpath.basename(path)
            place = host.root.here(path)
            if not place.is_file():
                return bad(1, f"Unit {name} not found.\n")
            text = place.read_text(errors="replace")
            if not text.strip():
                return bad(1, f"Unit {name} is masked.\n")
            settings, complaints = read_unit(text)
            said = "".join(f"{path}:{number}: {words}\n" for number, words in complaints)
            refusal = _refusal(name, settings)
            if refusal:
                said += f"{refusal}\nUnit {name} has a bad unit file setting.\n"
            return bad(1, said) if said else good()
    raise NotPractised("these arguments")


def _refusal(name: str, settings: dict[tuple[str, str], str]) -> str:
    if name.endswith(".service"):
        return "" if settings.get(("Service", "ExecStart")) else \
            f"{name}: Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing."
    if not settings.get(("Mount", "What")):
        return f"{name}: What= setting is missing. Refusing."
    where = settings.get(("Mount", "Where"))
    if where and unit_name(where) != name:
        return f"{name}: Where= setting doesn't match unit name. Refusing."
    return ""


def _load(host: Host, name: str) -> Unit | None:
    """The unit as systemd knows it: read from its file once, and again when it is told to."""
    if name not in host.units:
        place = host.root.here(f"{_UNITS}/{name}")
        if not place.is_file():
            return host.former_units.get(name)
        settings, _ = read_unit(place.read_text(errors="replace"))
        if _refusal(name, settings):
            return None
        host.units[name] = Unit(settings["Mount", "What"], settings.get(("Mount", "Where"), ""),
                                settings.get(("Mount", "Type"), ""), settings.get(("Mount", "Options"), ""),
                                f"{name} - {settings.get(('Unit', 'Description'), name)}")
    return host.units[name]


def _reload(host: Host) -> None:
    """Units are read anew when they are needed; of a mounted one whose file is gone, what was read stays."""
    known = {**host.former_units, **host.units}
    host.former_units = {name: unit for name, unit in known.items() if unit.where in host.mounts}
    host.units.clear()


def systemctl(host: Host, argv: Sequence[str]) -> Completed | Effects:
    """enable --now, disable --no-reload --now, daemon-reload, reset-failed; of services see there."""
    if any(word.endswith((".service", ".socket")) for word in argv):
        return services.systemctl(host, argv)
    match argv:
        case ("systemctl", "daemon-reload"):
            _reload(host)
            return only("systemctl daemon-reload: read", good())
        case ("systemctl", "reset-failed", "--", name) if name.endswith(".mount"):
            if name not in host.failed and name not in host.units and name not in host.former_units:
                return bad(1, f"Failed to reset failed state of unit {name}: Unit {name} not loaded.\n")
            host.failed.discard(name)
            return only(f"systemctl reset-failed {name}: forgotten", good())
        case ("systemctl", "enable" as verb, "--now", "--", name) | \
                ("systemctl", "disable" as verb, "--no-reload", "--now", "--", name) if name.endswith(".mount"):
            if not host.root.here(f"{_UNITS}/{name}").is_file():
                return bad(1, f"Failed to {verb} unit: Unit file {name} does not exist.\n")
            return _enable(host, name) if verb == "enable" else _disable(host, name)
    raise NotPractised("these arguments")


def _link(host: Host, name: str) -> Path:
    return host.root.here(f"{_WANTS}/{name}", follow=False)


def _enable(host: Host, name: str) -> Effects:
    link, said = _link(host, name), ""
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{_UNITS}/{name}")
        said = f"Created symlink {_WANTS}/{name} → {_UNITS}/{name}.\n"
        _reload(host)
        yield Point(f"systemctl enable {name}: linked")
    trouble = _start(host, name)
    if trouble:
        return bad(1, f"{said}{trouble}\n")
    yield Point(f"systemctl enable {name}: mounted")
    return Completed(0, "", said)


def _start(host: Host, name: str) -> str:
    """Mount it; the complaint if that fails."""
    unit = _load(host, name)
    if unit is None:
        return f"Failed to start {name}: Unit {name} has a bad unit file setting."
    if unit.where in host.mounts:
        return ""
    volume = host.volume(unit.what)
    said = host.journal.setdefault(name, [])
    said.append(f"Mounting {unit.called}...")
    if volume is None:
        # a real one waits 90 s for the device (systemd-system.conf(5), DefaultTimeoutStartSec)
        said[-1:] = [f"Dependency failed for {unit.called}.",
                     f"{name}: Job {name}/start failed with result 'dependency'."]
        return f"A dependency job for {name} failed. See 'journalctl -xe' for details."
    try:
        host.mount(volume, unit.where, unit.type, unit.options)
    except CannotMount as error:
        host.failed.add(name)
        said += [f"mount: {unit.where}: {error}",
                 "       dmesg(1) may have more information after failed mount system call.",
                 f"{name}: Mount process exited, code=exited, status=32/n/a",
                 f"{name}: Failed with result 'exit-code'.", f"Failed to mount {unit.called}."]
        return f"Job failed. {_SEE}"
    host.failed.discard(name)
    said.append(f"Mounted {unit.called}.")
    return ""


def _disable(host: Host, name: str) -> Effects:
    link, said = _link(host, name), ""
    unit = _load(host, name)
    if link.is_symlink():
        link.unlink()
        said = f'Removed "{_WANTS}/{name}".\n'
        yield Point(f"systemctl disable {name}: unlinked")
    if unit and unit.where in host.mounts:
        if not host.unmount(unit.where):
            host.journal.setdefault(name, []).extend((f"umount: {unit.where}: target is busy.",
                                                      f"Failed unmounting {unit.called}."))
            return bad(1, f"{said}Job failed. {_SEE}\n")
        yield Point(f"systemctl disable {name}: unmounted")
    return Completed(0, "", said)


def journalctl(host: Host, argv: Sequence[str]) -> Completed:
    """What was said of a unit lately."""
    match argv:
        case ("journalctl", "--quiet", "--no-pager", "--output", "cat", "--lines", count, "--unit", name):
            return good("".join(f"{line}\n" for line in host.journal.get(name, [])[-int(count):]))
    raise NotPractised("these arguments")


def boot(host: Host) -> None:
    """What the machine mounts and starts when it starts; a unit that fails blocks nothing."""
    for device, target in host.fstab.items():
        volume = host.volume(device)
        if volume and target not in host.mounts:
            host.mount(volume, target, "", "")
    wants = host.root.here(_WANTS)
    for link in sorted(wants.iterdir()) if wants.is_dir() else []:
        if link.name.endswith(".mount"):
            _start(host, link.name)
        else:
            services.start(host, link.name)
