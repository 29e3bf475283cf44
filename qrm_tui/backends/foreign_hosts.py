"""Planners of virtualization hosts that were added as they are, and of the domains there, which are none of ours."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.backends.virtualization import require, technologies
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.partitionings import TECHNOLOGIES
from qrm_tui.core.partitions import HostWanted, Technology
from qrm_tui.core.plan import Change, Domain, Inverse, Lock, Record
from qrm_tui.core.units import format_size


def uri_of(wanted: HostWanted) -> str:
    """Where libvirt's client finds a host that it speaks with by itself (libvirt.org/drvesx.html)."""
    address = f"[{wanted.address}]" if ":" in wanted.address else wanted.address
    driver = technologies()[wanted.technology].driver
    return f"{driver}://{quote(wanted.user, safe='')}@{address}/{'?no_verify=1' if wanted.unverified else ''}"


def _wanted(arguments: Mapping[str, Any]) -> HostWanted:
    word = arguments["technology"]
    technology: Technology = TECHNOLOGIES[word][0] if word in TECHNOLOGIES else word
    if technology == "esx":
        wrong = [] if arguments["secret"] else ["secret: is needed for esx: the file with its password"]
        wrong += ["host_key: is of ssh, and not for esx"] if arguments["host_key"] else []
    else:
        wrong = [f"{name}: is for --technology esx alone" for name in ("secret", "unverified") if arguments[name]]
    if wrong:
        raise BadInput(*wrong)
    return HostWanted(partitioning="", ve="", address=arguments["address"], technology=technology,
                      user=arguments["user"], port=arguments["port"], secret=arguments["secret"] or "",
                      unverified=bool(arguments["unverified"]))


def probe_add(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """The new host is looked at before it is added."""
    return [Probe(str(arguments["name"]), host=_wanted(arguments))]


def plan_add(call: Call) -> Draft:
    """Note a host that answers; its ssh host key is pinned."""
    name, wanted = call.arguments["name"], _wanted(call.arguments)
    for kind in ("host", "resource"):
        call.reading.absent(kind, name)
    same = [item.name for item in call.reading.farm.all("host") if item.wanted.address == wanted.address]
    if same:
        raise Refused(f"what is at {wanted.address} is host {same[0]} already")
    facts = call.reading.facts(name)
    seen = facts.host
    assert seen is not None
    draft = Draft(f"host/{name}", locks=[Lock(f"host/{name}")], inverse=Inverse("host.remove", {"name": name}))
    draft.notes.append(f"{seen.hypervisor}, {seen.cpus} CPUs, {format_size(seen.memory)}; domains there: "
                       f"{', '.join(domain.name for domain in seen.domains[:8]) or 'none'}")
    if facts.host_key:
        draft.notes.append(f"its ssh host key is pinned: {call.arguments['host_key'] or facts.host_key}")
    if wanted.unverified:
        draft.warnings.append("whatever certificate it shows is taken: who stands between learns its password")
    draft.steps = [Record(summary=f"note virtualization host {name}", changes=(Change(
        kind="host", name=name,
        wanted=msgspec.to_builtins(msgspec.structs.replace(wanted, host_key=facts.host_key))),))]
    return draft


def plan_remove(call: Call) -> Draft:
    """Forget it; nothing there is changed."""
    item = call.reading.get("host", call.arguments["name"])
    wanted: HostWanted = item.wanted
    if not wanted.technology:
        raise Refused(f"host {item.name} is a resource that runs VE {wanted.ve}, and is one until that is stopped: qrm "
                      f"ve stop {wanted.ve}")
    draft = Draft(f"host/{item.name}", locks=[Lock(f"host/{item.name}")])
    draft.notes.append("nothing there is changed: what runs goes on")
    draft.steps = [Record(summary=f"forget virtualization host {item.name}", changes=(Change(
        kind="host", name=item.name, wanted=None, former=msgspec.to_builtins(wanted)),))]
    return draft


def _domain(call: Call) -> tuple[Item, Item]:
    """The domain and its host; Refused where nothing there is touched, or the host does not answer."""
    item = call.reading.get("domain", call.arguments["name"])
    host = call.reading.farm.get("host", item.wanted.host)
    if not host.wanted.technology:
        raise Refused(f"domain {item.wanted.title} on {host.name} is none of ours, and is never touched: switch it "
                      "there by whatever made it")
    if host.state != "ok":
        raise Refused(f"virtualization host {host.name} is {host.state}: "
                      f"{host.seen.silent if host.seen else 'it was not asked yet'}")
    return item, host


def _draft(item: Item, inverse: Inverse) -> Draft:
    return Draft(f"domain/{item.name}", inverse=inverse, locks=[
        Lock(f"domain/{item.name}"), Lock(f"host/{item.wanted.host}", shared=True)])


def plan_start(call: Call) -> Draft:
    """It is switched on, as its host has it."""
    item, host = _domain(call)
    require(host.wanted.technology, "start")
    if item.state in ("running", "paused"):
        raise Refused(f"domain {item.name} is {item.state} already")
    draft = _draft(item, Inverse("domain.stop", {"name": item.name}))
    draft.steps = [Domain(summary=f"switch {item.wanted.title} on on {host.name}", host=host.name,
                          domain=item.wanted.uuid, do="switch-on", undo="switch-off")]
    return draft


def plan_stop(call: Call) -> Draft:
    """It is told to go down, or its plug is pulled."""
    item, host = _domain(call)
    force = bool(call.arguments["force"])
    require(host.wanted.technology, "shutdown")
    if item.state not in ("running", "paused", "crashed"):
        raise Refused(f"domain {item.name} is {item.state} already")
    draft = _draft(item, Inverse("domain.start", {"name": item.name}))
    draft.point_of_no_return(0)
    if not item.seen.persistent:
        draft.warnings.append(f"{item.wanted.title} has no definition: it is gone when it is off")
        draft.inverse = None
    if not force:
        draft.notes.append("when it is off is up to it: its state tells")
    how = f"pull the plug of {item.wanted.title}" if force else f"tell {item.wanted.title} to go down"
    draft.steps = [Domain(summary=f"{how} on {host.name}", host=host.name, domain=item.wanted.uuid,
                          do="switch-off" if force else "shut-down")]
    return draft
