"""What fixes of checks set on this server, and no uninstalling takes away: others may live by it."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qrm_tui.backends import static_address
from qrm_tui.core.farm import Farm
from qrm_tui.core.names import printable

#: What a fix set, from its job's arguments and dhcpd's settings. Ports are closed with what listens on them.
_SET: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str]], str]] = {
    "address": lambda asked, dhcpd: f"{asked.get('interface') or dhcpd.get('interface') or 'the interface'} has "
                                    f"{dhcpd.get('address') or 'its address'} for good",
    "clock": lambda asked, dhcpd: "systemd-timesyncd.service sets the clock",
    "names": lambda asked, dhcpd: f"this server's name is in /etc/hosts, from `{static_address.BEGIN}` to "
                                  f"`{static_address.END}`",
    "group": lambda asked, dhcpd: f"the volume group {printable(str(asked.get('group')))}: vgremove takes it away, "
                                  "with all that lies in it",
}


def told(farm: Farm, hosts: str) -> list[str]:
    """What is told of it when all is uninstalled; empty: nothing was fixed. `hosts`: /etc/hosts, where our block tells
    whether that fix had anything to do."""
    dhcpd = farm.find("component", "dhcpd")
    settings = dhcpd.wanted.settings if dhcpd else {}
    found = {name: f"    {_SET[name](asked, settings)} (job {job})" for job, name, asked in _fixed(farm)
             if name in _SET and (name != "names" or static_address.BEGIN in hosts)}
    return ["what fixes of checks set stays, since others may live by it (qrm job show tells each step):",
            *found.values()] if found else []


def _fixed(farm: Farm) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Jobs that are done, with each fix that was asked for and the arguments, the oldest first."""
    for item in sorted(farm.all("job"), key=lambda item: int(item.name)):
        record = item.wanted
        if record.state != "done" or not record.steps:
            continue
        if record.operation == "install.fix":
            yield record.id, str(record.arguments.get("name")), record.arguments
        elif record.operation == "install.run":
            for name in record.arguments.get("fix") or ():
                yield record.id, str(name), {}
