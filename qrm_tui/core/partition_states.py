"""States of partitions, their hosts, and what else runs there; core.states says how they are read."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qrm_tui.core.partitionings import EMULATED
from qrm_tui.core.rules import Rule

if TYPE_CHECKING:
    from qrm_tui.core.farm import Farm
    from qrm_tui.core.model import Item


def _host(item: Item, farm: Farm) -> Item | None:
    return farm.find("host", item.wanted.host)


def keeps_no_domains(host: Item | None, farm: Farm) -> bool:
    """Whether a virtualization host forgets its domains when it boots: its root is the same for all."""
    ve = farm.find("ve", host.wanted.ve) if host is not None else None
    return ve is not None and ve.wanted.same_for_all


def domain_state(item: Item) -> str:
    """How its host's hypervisor shows it; empty: not, or not yet."""
    return item.seen.domain.state if item.seen and item.seen.domain else ""


def _partition_jobs(item: Item, farm: Farm) -> list[str]:
    return farm.open_jobs(f"partition/{item.name}")


def _host_gone(item: Item, farm: Farm) -> str:
    """Why nothing is known of it by its host; empty while that answers."""
    host = _host(item, farm)
    if host is not None:
        return f"its host {host.name} does not answer: {host.seen.silent}" if host.seen and host.seen.silent else ""
    resource = farm.find("resource", item.wanted.host)
    if resource is None:
        return f"its host {item.wanted.host} is no resource any more"
    return f"its host {resource.name} is {resource.state}, and runs no VE with partitioning"


PARTITION: Sequence[Rule] = (
    Rule("defined", lambda i, f: i.wanted.life == "creating" and _partition_jobs(i, f),
         lambda i, f: f"job {_partition_jobs(i, f)[0]} is making it",
         lambda i, f: f"qrm job show {_partition_jobs(i, f)[0]}"),
    Rule("unknown", _host_gone, _host_gone, lambda i, f: f"qrm resource why {i.wanted.host}"),
    Rule("unknown", lambda i, f: i.seen is None, lambda i, f: "its host was not asked yet"),
    Rule("unknown", lambda i, f: i.wanted.life != "present",
         lambda i, f: f"a job that was {i.wanted.life} it failed half-way",
         lambda i, f: f"mend the cause, and remove it: qrm partition remove {i.name}"),
    Rule("off", lambda i, f: i.seen.domain is None and keeps_no_domains(_host(i, f), f),
         lambda i, f: f"{i.wanted.host} booted anew, on a root that is the same for all: it knows none of its domains",
         lambda i, f: f"qrm partition start {i.name}"),
    Rule("unknown", lambda i, f: i.seen.domain is None,
         lambda i, f: f"{i.wanted.host} has no domain of it: somebody has undefined it there",
         lambda i, f: f"qrm partition start {i.name} defines it anew; or qrm partition remove {i.name}"),
    Rule("crashed", lambda i, f: domain_state(i) == "crashed",
         lambda i, f: "its kernel panicked, or its hypervisor killed it",
         lambda i, f: f"qrm console log {i.name}; qrm partition start {i.name}"),
    Rule("paused", lambda i, f: domain_state(i) == "paused", lambda i, f: "its clock stands still"
         + ("" if i.wanted.power == "paused" else ", and nobody here has paused it"),
         lambda i, f: f"qrm partition resume {i.name}"),
    Rule("running", lambda i, f: domain_state(i) == "running", lambda i, f: "it runs"
         + (" though it was switched off here" if i.wanted.power == "off" else "")),
    Rule("defined", lambda i, f: i.wanted.power == "new", lambda i, f: "it was not started yet",
         lambda i, f: f"qrm partition start {i.name}"),
    Rule("off", lambda i, f: True, lambda i, f: "it is switched off" if i.wanted.power == "off" else
         "it went off by itself", lambda i, f: f"qrm partition start {i.name}"),
)

def _host_silent(item: Item, farm: Farm) -> str:
    count = len(farm.partitions_on(item.name))
    return f"its libvirtd does not answer: {item.seen.silent}" + (
        f"; nothing is known of its {count} partition{'s' if count != 1 else ''}" if count else "")


HOST: Sequence[Rule] = (
    Rule("unknown", lambda i, f: i.seen is None, lambda i, f: "its libvirtd was not asked yet"),
    Rule("error", lambda i, f: i.seen.silent, _host_silent,
         lambda i, f: f"is it on, and its network? Look at {i.wanted.address}" if i.wanted.technology else
         f"systemctl status libvirtd there; qrm resource why {i.name}"),
    Rule("ok", lambda i, f: i.wanted.technology,
         lambda i, f: "it answers; it was added as it is: what is there is listed, started and stopped"),
    Rule("ok", lambda i, f: i.seen.technology in EMULATED,
         lambda i, f: "its libvirtd answers; it has no KVM, so its partitions are emulated: slow",
         lambda i, f: "switch on virtualization in its firmware (VT-x, AMD-V), and look whether /dev/kvm is there"),
    Rule("ok", lambda i, f: True, lambda i, f: "its libvirtd answers"),
)


def _domain_silent(item: Item, farm: Farm) -> str:
    host = _host(item, farm)
    return "its host is none any more" if host is None else str(host.seen.silent) if host.seen else ""


DOMAIN: Sequence[Rule] = (
    Rule("unknown", _domain_silent, lambda i, f: f"its host {i.wanted.host} does not answer: {_domain_silent(i, f)}",
         lambda i, f: f"qrm host why {i.wanted.host}"),
    Rule("running", lambda i, f: i.seen.state == "running", lambda i, f: "it runs"),
    Rule("paused", lambda i, f: i.seen.state == "paused", lambda i, f: "its clock stands still"),
    Rule("crashed", lambda i, f: i.seen.state == "crashed", lambda i, f: "it went off by a crash"),
    Rule("off", lambda i, f: True, lambda i, f: "it is off"),
)
