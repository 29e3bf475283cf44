"""Components as the server shows them: services, files that are not as they were written, what does not answer."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from qrm_tui.backends.components import Site
from qrm_tui.backends.planning import Probe
from qrm_tui.core.component_table import Component, table
from qrm_tui.core.components import ComponentSeen, ComponentWanted
from qrm_tui.core.facts import MachineFacts
from qrm_tui.core.plan import HERE


def probe(wanted: Mapping[str, ComponentWanted]) -> Probe:
    """What is asked of the server to see these components."""
    known = [table()[name] for name in wanted]
    copies = {path: source for component in known for path, source in component.copies.items()}
    files = [path for one in wanted.values() for path in one.files]
    return Probe(HERE, digests=tuple(dict.fromkeys((*files, *copies, *copies.values()))), network=True,
                 paths=tuple(component.key for component in known if component.key),
                 units=tuple(unit for component in known for unit in component.services))


def see(name: str, wanted: Mapping[str, ComponentWanted], facts: MachineFacts,
        warnings: Iterable[str] = ()) -> ComponentSeen:
    """One component."""
    component, one = table()[name], wanted[name]
    services = {unit: facts.units.get(unit, "") for unit in component.services}
    changed = tuple(path for path, digest in one.files.items() if facts.digests.get(path) not in ("", digest))
    troubles: list[str] = []
    if one.enabled:
        troubles += [f"{unit} is {state or 'not there'}" for unit, state in services.items()
                     # qrmd looks, so one runs, be it the installer's own
                     if state != "active" and not (component.itself and state == "inactive")]
        if not troubles:
            troubles += _silent(component, Site({key: value.settings for key, value in wanted.items()}), facts)
        troubles += [f"{path} is missing" for path in one.files if not facts.digests.get(path)]
        troubles += _copies(component, facts)
        if component.key and facts.paths.get(component.key) == "absent":
            troubles.append(f"{component.key} is missing")
    return ComponentSeen(services=services, changed=changed, troubles=tuple(troubles), warnings=tuple(warnings))


def _silent(component: Component, site: Site, facts: MachineFacts) -> list[str]:
    open_ports = {(listener.protocol, str(listener.port)) for listener in facts.listeners}
    return [f"nothing listens on {port.protocol} port {port.port}" for port in site.ports(component.name)
            if (port.protocol, port.port) not in open_ports]


def _copies(component: Component, facts: MachineFacts) -> list[str]:
    troubles = []
    for target, source in component.copies.items():
        there, origin = facts.digests.get(target, ""), facts.digests.get(source, "")
        if not there:
            troubles.append(f"{target} is missing")
        elif origin and there != origin:
            troubles.append(f"{target} is not {source}: it was cut short, or its package is newer")
    return troubles
