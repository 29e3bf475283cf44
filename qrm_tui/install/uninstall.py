"""Plans that take components away, one or all: what was there before them is there again, and data stays unless the
call says otherwise.

What can be put back comes first; packages, copies of their files and data go last, after the point of no return.
"""
from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from qrm_tui.backends import boot_images, lvm_nfs, mounts, own_packages
from qrm_tui.backends.components import Site
from qrm_tui.backends.firewalls import Port
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core import answers
from qrm_tui.core.component_table import Component, FileEntry, table
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.data_place import Place
from qrm_tui.core.errors import Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.plan import HERE, Change, Inverse, Record, RemoveFile, Step, WriteFile
from qrm_tui.core.states import some
from qrm_tui.install import closing, fixes, own_place, staying, steps, uses
from qrm_tui.install.setting_up import OS_RELEASE, by_hand, digest, distribution_of, locks, present

#: What stays of qrmd when its program goes: settings, database and journal, log.
_STATE = ("/etc/qrm", "/var/lib/qrm", "/var/log/qrm")


def _names(farm: Farm, arguments: Mapping[str, Any]) -> list[str]:
    """Components that go: the one that is named, or all but what runs the plan."""
    there = present(farm)
    return [name for name in [arguments["name"]] if name in there] if "name" in arguments else \
        [name for name in there if not table()[name].itself]


def _packaged(farm: Farm, arguments: Mapping[str, Any]) -> list[Component]:
    """Components whose packages go: with everything also those that a job installed which was taken back."""
    names, there = _names(farm, arguments), present(farm)
    return [component for component in table().values()
            if component.name in names or ("name" not in arguments and component.name not in there)]


def _going_packages(farm: Farm, arguments: Mapping[str, Any]) -> list[str]:
    """Packages that no component needs that stays, of any system; LVM's stay where images lie in its volumes."""
    going = _packaged(farm, arguments)
    staying = set(present(farm)) - {component.name for component in going}
    if not arguments["data"] and any(uses.images_here(farm)):
        staying.add("lvm-mgmt")
    needed = {package for name in staying for group in table()[name].packages.values() for package in group}
    return sorted({package for component in going for group in component.packages.values() for package in group}
                  - needed)


def probe_uninstall(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """What these components are made of, as it is."""
    names = _names(farm, arguments)
    going = [table()[name] for name in names]
    files = [entry.path for component in going for entry in component.files]
    packages = [package for component in _packaged(farm, arguments) for group in component.packages.values()
                for package in group]
    images = [boot_images.place(item.name) for item in farm.all("boot-image")] if arguments["data"] else []
    return [*_probe_images(farm, arguments), Probe(
        HERE, asks=closing.ASKS,
        files=(OS_RELEASE, own_place.NOTE, answers.FILE, own_packages.INSTALLED, fixes.HOSTS, *closing.FILES, *files,
               *(by_hand(path) for path in files)),
        paths=(*(component.key for component in going if component.key), *images,
               *(path for component in going for path in (*component.folders, *component.copies, *component.data))),
        packages=tuple(sorted(set(packages))),
        removals=tuple(_going_packages(farm, arguments)),
        units=tuple(unit for component in going for unit in component.services))]


def _images(farm: Farm, arguments: Mapping[str, Any]) -> list[str]:
    """Images in volumes of this server that go with everything, clones before what they are clones of."""
    wanted = {item.name for item in uses.images_here(farm)} if arguments["data"] and "name" not in arguments else set()
    found: list[str] = []
    while left := wanted - set(found):
        found += sorted(name for name in left if not set(farm.clones(name)) & left)
    return found


def _probe_images(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    asked = [probe for name in _images(farm, arguments) for probe in lvm_nfs.probe_image(farm, {"name": name})]
    return [Probe(machine, files=tuple(path for probe in asked if probe.machine == machine for path in probe.files),
                  paths=tuple(path for probe in asked if probe.machine == machine for path in probe.paths))
            for machine in dict.fromkeys(probe.machine for probe in asked)]


def plan_uninstall(call: Call) -> Draft:
    """One component."""
    name, farm = call.arguments["name"], call.reading.farm
    if name not in table():
        raise Refused(f"component {name} is not known to this version: there are {', '.join(table())}")
    if table()[name].itself:
        raise Refused(f"{name} is what would run this: qrm install uninstall takes all others away, and tells how "
                      f"{name} goes then")
    draft = Draft(f"component/{name}", locks=locks())
    known = present(farm)
    if call.reading.find("component", name) is None:
        draft.notes.append(f"{name} is not set up: nothing is to be done")
        return draft
    needing = uses.dependants(name, known)
    refused, _ = uses.find_uses([name], farm, every=False)
    if needing:
        refused.insert(0, f"{', '.join(needing)} {'needs' if len(needing) == 1 else 'need'} {name}: "
                          f"qrm component uninstall {needing[0]} first")
    refused += own_place.held(call.reading, [name])
    if refused:
        raise Refused(*(f"{name}: {reason}" for reason in refused))
    _Removal(call, draft, [name]).plan()
    return draft


def plan_uninstall_all(call: Call) -> Draft:
    """All components; what runs this stays, and what takes that away is told."""
    draft = Draft("component/all", locks=locks())
    names = _names(call.reading.farm, call.arguments)
    refused, warned = uses.find_uses(names, call.reading.farm, every=True)
    refused += own_place.held(call.reading, names)
    if refused:
        raise Refused(*refused)
    draft.warnings += warned
    for item in [*call.reading.farm.all("ve"), *uses.images_here(call.reading.farm)]:
        call.reading.find(item.kind, item.name)
    _Removal(call, draft, names).plan()
    if not draft.steps:
        draft.notes.append("no component is set up: nothing is to be done")
    hosts = call.reading.file(HERE, fixes.HOSTS)
    draft.afterwards += staying.told(call.reading.farm, hosts.content if hosts else "")
    places = own_place.places(call.reading)
    draft.afterwards += _farewell(call.reading.farm.practice, places, data=call.arguments["data"])
    return draft


def _farewell(practice: bool, places: Sequence[Place], *, data: bool) -> list[str]:
    """How qrmd goes, which runs the plan, and so cannot take itself away."""
    # the program that practises is somebody's checkout
    place = "/opt/qrm" if practice else sys.prefix
    program = f"rm -r {shlex.quote(place)} /usr/local/bin/qrm*" if place != sys.base_prefix else \
        f"{shlex.quote(str(Path(sys.executable)))} -m pip uninstall qrm-tui"
    told = ["qrmd itself still runs, with all that it knows: what runs this cannot take itself away. It goes with:",
            "    systemctl disable --now qrmd && rm /etc/systemd/system/qrmd.service && systemctl daemon-reload",
            f"    {program}"]
    state = f"    rm -r {' '.join(dict.fromkeys((*_STATE, *(place.data for place in places))))}"
    return [*told, state] if data else [
        *told, "users, journal and what consoles said stay, until somebody says otherwise:", state]


class _Removal:
    """A plan in the making, that takes these components away."""

    def __init__(self, call: Call, draft: Draft, names: Sequence[str]) -> None:
        self._call, self._reading, self._draft = call, call.reading, draft
        self._data = bool(call.arguments["data"])
        self._facts = call.reading.facts(HERE)
        self._known = present(call.reading.farm)
        self._going = [component for component in reversed(table().values()) if component.name in names]
        self._staying = [table()[name] for name in self._known if name not in names]
        self._system = distribution_of(call.reading)
        for name in table():
            call.reading.find("component", name)

    def plan(self) -> None:
        """All steps, in their order."""
        draft = self._draft
        kept_running = self._services()
        units = [step for component in self._going for step in self._files(component, kept_running)]
        for component in self._going:
            if component.key and self._reading.ask(HERE, "path", component.key) != "absent":
                draft.steps.append(steps.remove_key(component.key))
        if units:
            draft.steps.append(steps.reload_units())
        for component in self._going:
            for unit in filter(kept_running.__contains__, component.services):
                draft.steps += [steps.enable(unit)] if unit in _own_units(component) else []
                draft.steps.append(steps.restart(unit, was_active=self._facts.units[unit] == "active",
                                                 slow=component.slow))
        closing.close_ports(draft, self._reading, self._ports(self._going) - self._ports(self._staying))
        self._answers()
        self._without_return()
        if self._going:
            self._record()

    # what can be put back

    def _services(self) -> set[str]:
        """They end, but for those that ran before, and were not switched off since: these are the answer."""
        needed = {unit for component in self._staying for unit in component.services}
        kept_running = set()
        for component in self._going:
            for unit in component.services:
                state, enabled = (self._reading.ask(HERE, question, unit) for question in ("unit", "enabled"))
                if unit in needed or (state in ("", "inactive") and enabled in ("", "disabled", "masked")):
                    continue
                if unit in self._known[component.name].ran and state in ("active", "failed"):
                    kept_running.add(unit)
                    if unit in _own_units(component):
                        self._draft.steps.append(steps.forget_link(unit))
                    self._draft.notes.append(f"{unit} goes on: it ran before {component.name} was set up")
                else:
                    self._draft.steps.append(steps.disable(unit))
                    self._draft.steps += [steps.forget_failure(unit)] if state == "failed" else []
        return kept_running

    def _files(self, component: Component, kept_running: Collection[str]) -> list[str]:
        """Files go, or become what they were before; the answer are units among them."""
        on = [unit for unit in component.services if unit in kept_running]
        units = []
        for entry in component.files:
            there = self._reading.file(HERE, entry.path)
            if there is None:
                continue
            tells = steps.start_again(on) if on and entry.restart else mounts.RELOAD_ARGV if entry.unit else ()
            former = self._former(component, entry)
            if not entry.once and digest(there.content) != self._known[component.name].files.get(entry.path):
                self._keep_by_hand(entry, there.content)
            if former is not None:
                self._draft.steps.append(WriteFile(
                    machine=HERE, summary=f"put {entry.path} back, as it was before {component.name}", path=entry.path,
                    content=former, former=there.content, mode=entry.mode, tells=tells))
            else:
                self._draft.steps.append(RemoveFile(machine=HERE, summary=f"remove {entry.path}", path=entry.path,
                                                    former=there.content, mode=there.mode, tells=tells))
            if former is not None and digest(there.content) == self._known[component.name].files.get(entry.path):
                self._draft.steps.append(RemoveFile(machine=HERE, summary=f"remove {by_hand(entry.path)}",
                                                    path=by_hand(entry.path), former=former, mode=entry.mode))
            units += [entry.path] if entry.unit else []
        return units

    def _former(self, component: Component, entry: FileEntry) -> str | None:
        """What was there before the component, if that was kept."""
        kept = self._reading.file(HERE, by_hand(entry.path))
        before = self._known[component.name].before.get(entry.path)
        return kept.content if kept and before == digest(kept.content) else None

    def _keep_by_hand(self, entry: FileEntry, content: str) -> None:
        kept = self._reading.file(HERE, by_hand(entry.path))
        self._draft.warnings.append(f"{entry.path} was changed by somebody since it was written: it is kept as "
                                    f"{by_hand(entry.path)}")
        self._draft.steps.append(WriteFile(
            machine=HERE, summary=f"keep {entry.path} as it is as {by_hand(entry.path)}", path=by_hand(entry.path),
            content=content, former=kept.content if kept else None, mode=entry.mode))

    def _ports(self, components: Sequence[Component]) -> set[Port]:
        site = Site({name: one.settings for name, one in self._known.items()})
        return {Port(port.protocol, int(port.port)) for component in components for port in site.ports(component.name)}

    def _answers(self) -> None:
        """The answers file tells of what stays."""
        there = self._reading.file(HERE, answers.FILE)
        left = {name: one.settings for name, one in self._known.items()
                if one.enabled and all(name != component.name for component in self._going)}
        former = there.content if there else None
        if left:
            content = answers.write(left)
            if content != former:
                self._draft.steps.append(WriteFile(machine=HERE, summary=f"write {answers.FILE}", path=answers.FILE,
                                                   content=content, former=former, mode=0o600))
        elif there:
            self._draft.steps.append(RemoveFile(machine=HERE, summary=f"remove {answers.FILE}", path=answers.FILE,
                                                former=there.content, mode=there.mode))
        gone = {component.name: self._known[component.name].settings for component in self._going
                if self._known[component.name].enabled}
        if gone and not self._data:
            self._draft.inverse = Inverse("install.run", {"answers": answers.write(gone)})

    # what cannot

    def _without_return(self) -> None:
        draft, begun = self._draft, len(self._draft.steps)
        back = self._images()
        going = self._packages()
        if going:
            draft.steps += steps.remove_packages(going, purge=self._data)
        listed = steps.content_of(self._reading.file(HERE, own_packages.INSTALLED))
        here = {package for component in _packaged(self._reading.farm, self._call.arguments)
                for package in component.packages.get(self._system, ())}
        gone = {package for package in here if not self._reading.ask(HERE, "package", package)}
        draft.steps += steps.list_packages(own_packages.parse_installed(listed or "") - {*going, *gone}, listed)
        copies = [path for component in self._going for path in component.copies
                  if self._reading.ask(HERE, "path", path) != "absent"]
        filled = [folder for component in self._going for folder in component.folders
                  if folder in component.filled and self._reading.ask(HERE, "path", folder) != "absent"]
        data = [folder for component in self._going if set(component.packages[self._system]) & set(going)
                for folder in component.data if self._data and self._reading.ask(HERE, "path", folder) != "absent"]
        empty = [folder for component in self._going for folder in reversed(component.folders)
                 if folder not in component.filled and self._reading.ask(HERE, "path", folder) != "absent"]
        draft.steps += [steps.remove_copies(copies)] if copies else []
        draft.steps += [steps.remove_data([*filled, *data])] if filled or data else []
        draft.steps += [steps.remove_folders(empty)] if empty else []
        if len(draft.steps) > begun:
            draft.point_of_no_return(begun + back)

    def _images(self) -> int:
        """Images of both kinds go, or it is noted that they stay; how many of these steps can be taken back."""
        farm, parts = self._reading.farm, list[Draft]()
        boot = sorted(item.name for item in farm.all("boot-image") if any(
            boot_images.place(item.name).startswith(f"{folder}/") for component in self._going
            for folder in component.folders))
        images = _images(farm, self._call.arguments)
        if self._data:
            calls = {name: Call({"name": name}, self._reading, self._call.identity) for name in (*images, *boot)}
            parts += [lvm_nfs.plan_remove(calls[name], images[:place]) for place, name in enumerate(images)]
            parts += [boot_images.plan_remove(calls[name]) for name in boot]
            if images:
                self._draft.notes.append("volume groups stay: others may have something in them, too")
        elif boot:
            self._draft.notes.append(f"boot-images stay ({some(boot)}); --data takes them away, too")
        first: list[Step] = []
        rest: list[Step] = []
        for part in parts:
            at = len(part.steps) if part.no_return is None else part.no_return
            first += part.steps[:at]
            rest += part.steps[at:]
            self._draft.locks += part.locks
        self._draft.locks = sorted(set(self._draft.locks))
        self._draft.steps += [*first, *rest]
        return len(first)

    def _packages(self) -> list[str]:
        """Packages that go, with what came along; why others stay is noted."""
        staying = {package: component.name for component in self._staying
                   for package in component.packages[self._system]}
        listed = self._reading.file(HERE, own_packages.INSTALLED)
        ours = own_packages.parse_installed(listed.content if listed else "")
        asked = set(_going_packages(self._reading.farm, self._call.arguments))
        for package in asked:
            self._reading.ask(HERE, "removal", package)
        kept: dict[str, list[str]] = {}
        for package in sorted({package for component in self._going for package in component.packages[self._system]}):
            if not self._reading.ask(HERE, "package", package):
                continue
            held = self._reading.ask(HERE, "removal", package)[1] if package in asked else ()
            reason = f"{staying[package]} needs them" if package in staying else \
                "images lie in volumes of this server" if package not in asked else \
                f"{own_packages.INSTALLED} is not there, which would tell what qrm installed" if listed is None else \
                "qrm did not install them" if package not in ours else \
                f"{some(held)} would go with them" if held else ""
            if reason:
                kept.setdefault(reason, []).append(package)
        self._draft.notes += [f"packages that stay, since {reason}: {', '.join(names)}"
                              for reason, names in kept.items()]
        going = [package for package in self._reading.ask(HERE, "goes") if package not in staying]
        along = [package for package in going if package not in ours]
        if along:
            self._draft.notes.append(f"packages that came along, and that nobody else needs: {', '.join(along)}")
        return going

    def _record(self) -> None:
        names = [component.name for component in self._going]
        self._draft.steps.append(Record(
            summary=f"forget how {', '.join(names)} {'is' if len(names) == 1 else 'are'} set up",
            changes=tuple(Change(kind="component", name=name, wanted=None, former=_built(self._known[name]))
                          for name in names)))


def _own_units(component: Component) -> set[str]:
    """Units that the component has files of."""
    return {entry.path.rpartition("/")[2] for entry in component.files if entry.unit}


def _built(wanted: ComponentWanted) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(wanted)
    return built
