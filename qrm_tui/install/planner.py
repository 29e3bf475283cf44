"""Plans for the server: everything as an answers file says, or one component changed."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from qrm_tui.backends import dhcpd, own_packages
from qrm_tui.backends.components import Site
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core import answers, component_table
from qrm_tui.core.component_table import table
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.plan import HERE, Inverse
from qrm_tui.core.settings import check
from qrm_tui.install import fixes, own_place
from qrm_tui.install.setting_up import OS_RELEASE, SettingUp, by_hand, present


def probe_server(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """Everything that any component is made of, as it is."""
    all_of = list(table().values())
    files = [entry.path for component in all_of for entry in component.files]
    copies = {path: source for component in all_of for path, source in component.copies.items()}
    packages = {package for component in all_of for group in (*component.packages.values(), component.conflicts)
                for package in group}
    fixing = fixes.probe(farm, arguments)[0] if arguments.get("fix") else Probe(HERE)
    return [Probe(
        HERE, asks=tuple(dict.fromkeys((*fixing.asks, "groups"))),
        files=(OS_RELEASE, own_place.NOTE, answers.FILE, own_packages.INSTALLED, *fixing.files, *files,
               *(by_hand(path) for path in files)),
        paths=(dhcpd.LOCAL, *(component.key for component in all_of if component.key),
               *(entry.path for component in all_of for entry in component.files if entry.once),
               *(folder for component in all_of for folder in component.folders)),
        downloads=_asked_for(arguments), packages=tuple(sorted({*packages, *fixing.packages})),
        units=(*fixing.units, *(unit for component in all_of for unit in component.services)),
        digests=(*copies, *copies.values()), network=True)]


def _asked_for(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Packages of the components that an answers file names."""
    names = answers.components_of(str(arguments.get("answers") or ""))
    return tuple(sorted({package for name in names for group in table()[name].packages.values() for package in group}))


# operations


def plan_run(call: Call) -> Draft:
    """The server as the answers file says."""
    known = present(call.reading.farm)
    settings = answers.read(call.arguments["answers"], {name: wanted.settings for name, wanted in known.items()})
    off = _to_disable(call, known, settings)
    draft = Draft("component/all")
    wanted = dict(known) | {name: msgspec.structs.replace(known[name], enabled=False) for name in off}
    for name in call.arguments["fix"]:
        fixes.add_with(draft, call, name, settings)
    for name, chosen in settings.items():
        wanted[name] = msgspec.structs.replace(known.get(name, ComponentWanted()), settings=chosen, enabled=True)
    setup = SettingUp(call, draft, wanted)
    for name in off:
        setup.stop(name, known[name])
    setup.apply(settings)
    if not draft.steps:
        draft.notes.append("everything is as the answers say: nothing is to be done")
    return draft


def _to_disable(call: Call, known: Mapping[str, ComponentWanted], settings: Mapping[str, object]) -> list[str]:
    """What shall be switched off, what needs others before these; Refused, with every reason."""
    names = set(call.arguments["disable"])
    stays = {name for name, wanted in known.items() if wanted.enabled and name not in names} | set(settings)
    reasons = []
    for name in sorted(names):
        if name not in known:
            reasons.append(f"disable: {name} is not set up")
        elif table()[name].itself:
            reasons.append(f"disable: {name} is what runs this, and cannot stop itself")
        elif name in settings:
            reasons.append(f"disable: the answers ask for {name}: take it out of them, or leave it on")
        elif needing := [other for other in component_table.needed(stays) if other in stays
                         and name in table()[other].depends]:
            reasons.append(f"disable: {', '.join(needing)} needs {name}: switch that off, too, or leave {name} on")
    if names:
        reasons += [f"disable: {reason}" for reason in own_place.held(call.reading, names)]
    if reasons:
        raise Refused(*reasons)
    return [name for name in reversed(table()) if name in names]


def _one(call: Call) -> tuple[Item, dict[str, ComponentWanted]]:
    item = call.reading.get("component", call.arguments["name"])
    if item.name not in table():
        raise Refused(f"component {item.name} is not known to this version: there are {', '.join(table())}")
    return item, present(call.reading.farm)


def _not_itself(name: str, verb: str) -> None:
    if table()[name].itself:
        raise Refused(f"{name} is what would run this, and cannot {verb} itself: systemctl {verb} {name}; jobs go on "
                      "with the next one")


def plan_configure(call: Call) -> Draft:
    """One component's settings; files of others that depend on them, too."""
    item, known = _one(call)
    given = {**item.wanted.settings, **call.arguments["settings"]}
    kept, wrong = check({**{name: wanted.settings for name, wanted in known.items()}, item.name: given})
    if wrong:
        raise BadInput(*(f"{one.component}: {one.key}: {one.reason}" if one.key else one.reason for one in wrong))
    before = Site({name: wanted.settings for name, wanted in known.items()})
    known[item.name] = msgspec.structs.replace(item.wanted, settings=kept[item.name])
    after = Site({name: wanted.settings for name, wanted in known.items()})
    concerned = [name for name in known if name == item.name or any(
        before.file_text(name, entry) != after.file_text(name, entry) for entry in table()[name].files)]
    former = {key: item.wanted.settings.get(key, "") for key in call.arguments["settings"]}
    draft = Draft(f"component/{item.name}",
                  inverse=Inverse("component.configure", {"name": item.name, "settings": former}))
    SettingUp(call, draft, known).apply(concerned)
    if not draft.steps:
        draft.notes.append(f"{item.name} is so already: nothing is to be done")
    return draft


def plan_restart(call: Call) -> Draft:
    """Its services start anew, and answer; its files stay as they are."""
    item, known = _one(call)
    _not_itself(item.name, "restart")
    if not item.wanted.enabled:
        raise Refused(f"component {item.name} is switched off: qrm component enable {item.name}")
    draft = Draft(f"component/{item.name}")
    SettingUp(call, draft, known).restart(item.name)
    return draft


def plan_enable(call: Call) -> Draft:
    """Switched on, now and at every boot; its files as they should be."""
    item, known = _one(call)
    known[item.name] = msgspec.structs.replace(item.wanted, enabled=True)
    draft = Draft(f"component/{item.name}", inverse=Inverse("component.disable", {"name": item.name}))
    SettingUp(call, draft, known).apply([item.name])
    if not draft.steps:
        draft.notes.append(f"{item.name} is on, and as it should be: nothing is to be done")
    return draft


def plan_disable(call: Call) -> Draft:
    """Switched off, now and at every boot."""
    item, known = _one(call)
    _not_itself(item.name, "stop")
    if refused := own_place.held(call.reading, [item.name]):
        raise Refused(*refused)
    draft = Draft(f"component/{item.name}", inverse=Inverse("component.enable", {"name": item.name}))
    SettingUp(call, draft, known).disable(item.name)
    return draft
