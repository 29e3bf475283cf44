"""Who uses a component: what is said, and what is to be done first, before it may be taken away."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from qrm_tui.core.component_table import table
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.states import some

#: States of machines that ask this server for nothing.
_AWAY = frozenset(("off", "unknown", "error"))
_BOOTING = ("tftpd", "apache", "dhcpd", "node")


class Use(NamedTuple):
    """What of the farm needs some components."""

    components: tuple[str, ...]
    find: Callable[[Farm], Iterator[Item]]
    #: with {names}, and {first} of them
    words: str
    #: it is refused also where the whole server is taken away; else that is a warning then
    always: bool = False


def _running(farm: Farm) -> Iterator[Item]:
    return (item for item in farm.all("ve") if item.wanted.life != "stopped")


def _machines(farm: Farm) -> Iterator[Item]:
    return (item for item in farm.all("resource") if item.state not in _AWAY and not item.wanted.ve)


def _here(farm: Farm) -> set[str]:
    """Storage servers that are this very machine: they need no ssh, and so have no key."""
    return {item.name for item in farm.all("storage") if not item.wanted.host_key}


def images_here(farm: Farm) -> Iterator[Item]:
    """Images in volumes of this machine."""
    here = _here(farm)
    return (item for item in farm.all("image") if item.wanted.storage in here)


def _exported(farm: Farm) -> Iterator[Item]:
    return (item for item in images_here(farm) if item.wanted.allowed)


def _servers(farm: Farm) -> Iterator[Item]:
    return (item for item in farm.all("storage") if item.wanted.host_key)


def _hosts(farm: Farm) -> Iterator[Item]:
    return iter(farm.all("host"))


USES: Sequence[Use] = (
    Use(_BOOTING, _running, "VEs run on machines that boot from here ({names}): qrm ve stop {first}", always=True),
    Use(_BOOTING, _machines, "machines that boot from here are on ({names}): qrm resource power {first} off, or "
                             "qrm resource remove {first}"),
    Use(("nfs",), _exported, "machines may mount images that lie here ({names}): qrm image show {first} names them, "
                             "and qrm image revoke {first} ADDRESS ends it", always=True),
    Use(("nfs", "lvm-mgmt"), images_here, "images lie on this server ({names}): qrm image remove {first}"),
    Use(("sshlogin",), _servers, "storage servers are reached by ssh ({names}): qrm storage remove {first}"),
    Use(("sshlogin", "xen"), _hosts, "virtualization hosts are reached by it ({names}): qrm host show {first}; a VE's "
                                     "is one until that is stopped (qrm ve stop), others go with qrm host remove"),
)


def dependants(name: str, present: Collection[str]) -> list[str]:
    """Components that are set up and need this one, those that go first first."""
    return [other.name for other in reversed(table().values()) if other.name in present and name in other.depends]


def find_uses(names: Collection[str], farm: Farm, *, every: bool) -> tuple[list[str], list[str]]:
    """Why these components cannot go, and what goes wrong without them; `every`: the whole server is taken away."""
    refused: list[str] = []
    warned: list[str] = []
    for use in USES:
        if set(use.components) & set(names) and (found := sorted(item.name for item in use.find(farm))):
            (warned if every and not use.always else refused).append(
                use.words.format(names=some(found), first=found[0]))
    return refused, warned
