"""Steps after which components of the server are as they are wanted. Nothing is done twice: what is as it should be has
no step, and a service starts anew at most once, if what it reads changed."""
from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from qrm_tui.backends import dhcpd, disks, mounts, own_packages
from qrm_tui.backends.components import CHECKERS, Site
from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core import answers, component_table, data_place, database
from qrm_tui.core.component_table import Component, FileEntry, table
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.data_place import Place
from qrm_tui.core.errors import Refused
from qrm_tui.core.facts import Reading
from qrm_tui.core.farm import Farm
from qrm_tui.core.names import there_are
from qrm_tui.core.plan import HERE, Change, Lock, Record, Step, WriteFile
from qrm_tui.core.units import format_size
from qrm_tui.install import steps

OS_RELEASE = "/etc/os-release"


def by_hand(path: str) -> str:
    """Where a file that was changed by hand is kept, before it is written anew."""
    return f"{path}.by-hand"


def programs() -> str:
    """The folder of qrmd and qrmd-node, which are installed beside what runs now."""
    return str(Path(sys.executable).parent)


def digest(text: str) -> str:
    """SHA-256 in hex, as sha256sum(1) prints it."""
    return hashlib.sha256(text.encode()).hexdigest()


def present(farm: Farm) -> dict[str, ComponentWanted]:
    """Components that are set up."""
    return {item.name: item.wanted for item in farm.all("component") if item.name in table()}


def distribution_of(reading: Reading) -> str:
    """The server's `ID-VERSION_ID`; Refused where nothing can be set up on it."""
    file = reading.file(HERE, OS_RELEASE)
    key, called = component_table.distribution(file.content if file else "")
    if key not in component_table.distributions():
        raise Refused(f"this server runs {called}: qrm sets up {', '.join(component_table.distributions())}, and no "
                      "others yet; nothing was changed")
    return key


def locks() -> list[Lock]:
    """All components: files of one hold settings of another, and they are changed one after the other."""
    return [Lock(f"component/{name}") for name in ("all", *table())]


class SettingUp:
    """A plan in the making, for the components as they are wanted."""

    def __init__(self, call: Call, draft: Draft, wanted: Mapping[str, ComponentWanted]) -> None:
        self._reading, self._draft, self._wanted = call.reading, draft, wanted
        self._facts = call.reading.facts(HERE)
        #: of components that are new: files that were there before
        self._before: dict[str, dict[str, str]] = {}
        draft.locks = locks()
        for name in table():
            call.reading.find("component", name)
        hosts = tuple(sorted((item.name, item.wanted.mac, item.wanted.address)
                             for item in call.reading.farm.all("resource") if getattr(item.wanted, "address", "")))
        self._site = Site({name: one.settings for name, one in wanted.items()}, programs(),
                          call.reading.ask(HERE, "path", dhcpd.LOCAL) != "absent", hosts)

    # what is done

    def apply(self, names: Iterable[str]) -> None:
        """These components, in the table's order."""
        chosen = [component for component in table().values() if component.name in set(names)]
        system = distribution_of(self._reading)
        if lacking := [component for component in chosen if system not in component.packages]:
            raise Refused(*(f"{component.name}: {component.lacking}" for component in lacking))
        self._check_network(chosen)
        files = {component.name: self._files(component) for component in chosen}
        moves = any(step.path == data_place.FILE for step in files.get("qrmd", ()))
        self._place(moves, here=False)
        fresh = self._packages(chosen, system)
        for component in chosen:
            self._folders_and_copies(component)
            if component.key and (files[component.name] or self._reading.ask(HERE, "path", component.key) == "absent"):
                self._add(steps.make_key(component.key, self._reading.ask(HERE, "path", component.key) == "absent"))
            for step in files[component.name]:
                self._add(step)
        if any(entry.unit and entry.path == step.path for component in chosen for entry in component.files
               for step in files[component.name]):
            self._add(steps.reload_units())
        for component in chosen:
            if self._wanted[component.name].enabled:
                read = {entry.path for entry in component.files if entry.restart}
                self._services(component, bool(read & {step.path for step in files[component.name]}),
                               fresh=bool(fresh & set(component.packages[system])))
        self._place(moves, here=True)
        self._answers()
        self._records(chosen, system)

    def restart(self, name: str) -> None:
        """The services of one component, whatever they read."""
        component = table()[name]
        self._folders_and_copies(component)
        if component.key:
            self._add(steps.make_key(component.key, self._reading.ask(HERE, "path", component.key) == "absent"))
        self._services(component, True)

    def disable(self, name: str) -> None:
        """The services of one component end."""
        for other in table().values():
            if name in other.depends and self._wanted.get(other.name, ComponentWanted(enabled=False)).enabled:
                self._draft.warnings.append(f"{other.name} needs {name}: while it is off, machines cannot boot")
        former = self._wanted[name]
        if former.enabled:
            self._answers(without=name)
        self.stop(name, former)
        if not self._draft.steps:
            self._draft.notes.append(f"{name} is off already: nothing is to be done")

    def stop(self, name: str, former: ComponentWanted) -> None:
        """Its services end, for good; nobody else is asked."""
        for unit in table()[name].services:
            if self._reading.ask(HERE, "unit", unit) in ("", "inactive") and \
                    self._reading.ask(HERE, "enabled", unit) in ("", "disabled", "masked"):
                continue
            self._add(steps.disable(unit))
            if self._reading.ask(HERE, "unit", unit) == "failed":
                self._add(steps.forget_failure(unit))
        if former.enabled:
            self._record(name, msgspec.structs.replace(former, enabled=False), former)

    # its parts

    def _place(self, moves: bool, *, here: bool) -> None:
        """Whether qrmd can keep what it knows where it is wanted, of a database on this machine (`here`) or not."""
        place = Place.of(self._wanted["qrmd"].settings) if moves else Place()
        if not moves or place.here != here or (place == Place() and self._reading.find("component", "qrmd") is None):
            return
        server = database.parse(place.database)
        if server is not None and server.socket:
            self._add(steps.make_database(server))
        self._add(steps.try_place(f"{programs()}/qrmd", place))
        if self._reading.find("component", "qrmd") is not None:
            self._draft.afterwards.append(f"qrmd moves what it knows to {place} when it starts anew: systemctl restart "
                                          "qrmd (jobs go on)")

    def _add(self, step: Step) -> None:
        self._draft.steps.append(step)

    def _check_network(self, chosen: list[Component]) -> None:
        """The server has the address on the interface; nobody else listens where its services will."""
        names = {component.name for component in chosen}
        interfaces = self._facts.interfaces
        if "dhcpd" in names and interfaces:
            settings = self._site.settings["dhcpd"]
            interface, address = settings["interface"], settings["address"]
            if interface not in interfaces:
                raise Refused(f"dhcpd: interface: there is no {interface} on this server; "
                              f"{there_are(interfaces)}")
            prefix = settings["subnet"].partition("/")[2]
            if f"{address}/{prefix}" not in interfaces[interface]:
                has = ", ".join(interfaces[interface]) or "no address"
                raise Refused(f"dhcpd: address: {interface} has {has}, not {address}/{prefix}: give it that address "
                              "for good, or answer with what it has")
        self._check_group(names)
        for component in chosen:
            for port in self._site.ports(component.name):
                for listener in self._facts.listeners:
                    if port.process and (listener.protocol, str(listener.port)) == (port.protocol, port.port) and \
                            listener.interface in ("", self._interface()) and \
                            listener.address in ("0.0.0.0", "*", "[::]", self._site.server) and \
                            listener.processes and port.process not in listener.processes:
                        self._draft.warnings.append(
                            f"{port.protocol} port {port.port} is {', '.join(listener.processes)}'s now: "
                            f"{component.name} cannot have it as long as that runs")
            self._draft.warnings.extend(
                f"package {package} is installed: it does what {component.name} does, and may be in its way"
                for package in component.conflicts if self._facts.packages.get(package))

    def _check_group(self, names: Collection[str]) -> None:
        """Filesystem-images have the volume group that was said."""
        known = self._reading.find("component", "lvm-mgmt")
        group = self._site.settings["lvm-mgmt"].get("group", "") if "lvm-mgmt" in names else ""
        asked = self._facts.asked.get("groups")
        if not group or asked is None or (known and known.wanted.settings.get("group") == group):
            return
        there = [found.name for found in disks.parse_groups(asked.out)]
        if group not in there:
            raise Refused(f"lvm-mgmt: group: there is no volume group {group} on this server; "
                          f"{there_are(there)}: make it first (qrm install fix group, or vgcreate), name "
                          "another one, or leave it empty")

    def _interface(self) -> str:
        return self._site.settings.get("dhcpd", {}).get("interface", "")

    def _packages(self, chosen: list[Component], system: str) -> set[str]:
        """Those that are missing are installed, and answered."""
        wanted = list(dict.fromkeys(package for component in chosen for package in component.packages[system]))
        missing = [package for package in wanted if not self._reading.ask(HERE, "package", package)]
        if missing:
            services = [unit for component in chosen if set(component.packages[system]) & set(missing)
                        for unit in component.services]
            self._in_sources(missing, chosen, system)
            listed = self._reading.file(HERE, own_packages.INSTALLED)
            self._draft.steps += steps.install_packages(missing, services, listed, self._draft.steps)
            self._draft.notes.append("packages stay installed if this is taken back")
            self._sizes(missing)
        there = [f"{package} {self._facts.packages[package]}" for package in wanted if package not in missing]
        self._draft.notes.append(f"found: {component_table.distribution(self._os_release())[1]}"
                                 f"{'; installed are ' + ', '.join(there) if there else ''}")

        return set(missing)

    def _in_sources(self, missing: list[str], chosen: list[Component], system: str) -> None:
        """Refused if the package sources have not all of these, as far as that is known."""
        known = self._facts.candidates
        absent = {package: [component.name for component in chosen if package in component.packages[system]]
                  for package in missing if not known.get(package, True)}
        if absent:
            called = component_table.distribution(self._os_release())[1]
            raise Refused(*(f"{', '.join(names)}: the package sources of this server have no {package}, which {called} "
                            "comes with" for package, names in absent.items()),
                          "look at /etc/apt/sources.list and /etc/apt/sources.list.d (Debian: main; Ubuntu: main and "
                          "universe), run apt-get update, and plan anew; nothing was changed")

    def _sizes(self, missing: list[str]) -> None:
        """What is fetched for packages, and what comes with them."""
        found = self._facts.downloads
        if not found:
            self._draft.notes.append("how much is fetched is not known: apt has no lists of packages yet, or has them "
                                     "all here")
            return
        named = ", ".join(f"{name} {format_size(found[name])}" for name in missing if name in found)
        others = [size for name, size in found.items() if name not in missing]
        more = f", and {len(others)} that they need, {format_size(sum(others))}" if others else ""
        self._draft.notes.append(f"{format_size(sum(found.values()))} are fetched: {named}{more}")

    def _os_release(self) -> str:
        file = self._facts.files.get(OS_RELEASE)
        return file.content if file else ""

    def _folders_and_copies(self, component: Component) -> None:
        for folder in component.folders:
            if self._reading.ask(HERE, "path", folder) == "absent":
                self._add(steps.make_folder(folder))
        for target, source in component.copies.items():
            there = self._reading.ask(HERE, "digest", target)
            wanted = self._reading.ask(HERE, "digest", source)
            if not there or there != wanted:
                self._add(steps.copy(source, target, fresh=not there))

    def _files(self, component: Component) -> list[WriteFile]:
        """Writes of what is not as it should be; what somebody changed by hand is kept beside first."""
        written: list[WriteFile] = []
        recorded = self._wanted[component.name].files
        active = any(self._facts.units.get(unit) == "active" for unit in component.services)
        tells = steps.start_again(component.services) if active else ()
        for entry in component.files:
            # what others keep up to date may change at any moment: it is there, or not
            if entry.once and self._reading.ask(HERE, "path", entry.path) != "absent":
                continue
            there = self._reading.file(HERE, entry.path)
            content = self._site.file_text(component.name, entry)
            if there and there.content == content and there.mode == entry.mode:
                continue
            if there and there.content != content and recorded.get(entry.path) != digest(there.content):
                written.append(self._keep_by_hand(component, entry, there.content))
            written.append(WriteFile(
                machine=HERE, summary=f"write {entry.path}", path=entry.path, content=content,
                former=there.content if there else None, mode=entry.mode, checker=CHECKERS[entry.checker],
                # on the way back the first one is the last to be put back
                tells=tells if entry.restart and tells not in [step.tells for step in written]
                else mounts.RELOAD_ARGV if entry.unit else ()))
        return written

    def _keep_by_hand(self, component: Component, entry: FileEntry, content: str) -> WriteFile:
        if self._reading.find("component", component.name) is None:
            self._before.setdefault(component.name, {})[entry.path] = digest(content)
        self._draft.warnings.append(
            f"{entry.path} was changed by somebody since it was written: that is lost from it (see the diff), and is "
            f"kept as {by_hand(entry.path)}" + (f"; what is yours belongs into {dhcpd.LOCAL}"
                                                if entry.path == dhcpd.CONFIGURATION else ""))
        kept = self._reading.file(HERE, by_hand(entry.path))
        return WriteFile(machine=HERE, summary=f"keep {entry.path} as it is as {by_hand(entry.path)}",
                         path=by_hand(entry.path), content=content, former=kept.content if kept else None,
                         mode=entry.mode)

    def _services(self, component: Component, changed: bool, *, fresh: bool = False) -> None:
        # one without services is asked when its packages came
        begun = fresh and not component.services
        for unit in component.services:
            state = self._reading.ask(HERE, "unit", unit)
            if self._reading.ask(HERE, "enabled", unit) != "enabled":
                self._add(steps.enable(unit))
            if (changed or state != "active") and not component.itself:
                self._add(steps.restart(unit, was_active=state == "active", slow=component.slow,
                                        ports=[port.port for port in self._site.ports(component.name)]))
                begun = True
        if begun:
            for summary, check in self._site.checks(component.name):
                self._add(steps.answers(component.name, summary, check, component.patience))

    def _answers(self, without: str = "") -> None:
        """How the server is set up, for the next one: what is switched on."""
        there = self._reading.file(HERE, answers.FILE)
        content = answers.write({name: one.settings for name, one in self._wanted.items()
                                 if one.enabled and name != without})
        if there is None or there.content != content:
            self._add(WriteFile(machine=HERE, summary=f"write {answers.FILE}", path=answers.FILE, content=content,
                                former=there.content if there else None, mode=0o600))

    def _ran(self, component: Component, system: str) -> tuple[str, ...]:
        """Services that ran before the component was set up, and not because we had installed them."""
        listed = self._facts.files.get(own_packages.INSTALLED)
        ours = own_packages.parse_installed(listed.content if listed else "")
        if component.itself or ours & {*component.packages[system]}:
            return ()
        return tuple(unit for unit in component.services if self._facts.units.get(unit) == "active"
                     and self._facts.enabled.get(unit) not in ("", "disabled", "masked"))

    def _records(self, chosen: list[Component], system: str) -> None:
        for component in chosen:
            former = self._reading.find("component", component.name)
            files = {entry.path: digest(self._site.file_text(component.name, entry))
                     for entry in component.files if not entry.once}
            wanted = msgspec.structs.replace(self._wanted[component.name], files=files)
            if former is None:
                wanted = msgspec.structs.replace(wanted, ran=self._ran(component, system),
                                                 before=self._before.get(component.name, {}))
            if former is None or former.wanted != wanted:
                self._record(component.name, wanted, former.wanted if former else None)

    def _record(self, name: str, wanted: ComponentWanted, former: ComponentWanted | None) -> None:
        self._add(Record(summary=f"note how {name} is set up", changes=(Change(
            kind="component", name=name, wanted=msgspec.to_builtins(wanted),
            former=msgspec.to_builtins(former) if former else None),)))
