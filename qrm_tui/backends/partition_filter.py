"""What holds a partition to its own addresses: a filter on its host's bridge (nftables), by its card's device.

One partition, one file and one table of its own; both last until the host goes down or the partition off. Nothing is
started without.
"""
from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address

from qrm_tui.backends.planning import machine_of
from qrm_tui.backends.rendering import render
from qrm_tui.core.errors import Refused
from qrm_tui.core.partitionings import BRIDGE
from qrm_tui.core.partitions import PartitionWanted
from qrm_tui.core.places import templates_folder
from qrm_tui.core.plan import Check, Run, Undo

#: On a virtualization host. Not in its root: that may be cloned, or given to another machine, and what is in the
#: kernel is gone with the next boot, too.
FOLDER = "/run/qrm/partitions"
#: Arguments: a verb, the file, the device; of `load` and `loaded` the bridge and the rules, too.
FILTER_SCRIPT = (templates_folder() / "libvirt/filter.sh").read_text()
#: Prints what is another text when any filter of a host was changed; fails where there is no nft or no bridge.
DIGEST_ARGV = ("sh", "-ec", FILTER_SCRIPT, "sh", "digest", "", "", BRIDGE)


def filter_path(name: str) -> str:
    """The file of a partition's filter on its host."""
    return f"{FOLDER}/{name}.nft"


def render_filter(name: str, wanted: PartitionWanted, address: str) -> str:
    """A partition's filter, a file for nft(8); Refused without an IPv4 address of its own."""
    try:
        own = IPv4Address(address)
    except AddressValueError:
        why = f"{address} is none of IPv4" if address else "it has none"
        raise Refused(f"partition {name} is held to an address of its own, and {why}: qrm resource edit {name} "
                      "--address ADDRESS") from None
    return render("libvirt/filter.nft.j2", name=name, target=wanted.target, mac=wanted.mac, address=own,
                  digits=f"0x{wanted.mac.replace(':', '')}")


def _argv(verb: str, name: str, wanted: PartitionWanted, *more: str) -> tuple[str, ...]:
    return ("sh", "-ec", FILTER_SCRIPT, "sh", verb, filter_path(name), wanted.target, *more)


def loaded(name: str, wanted: PartitionWanted, address: str) -> Check:
    """Whether its host's kernel has its filter as it should be."""
    return Check(argv=_argv("loaded", name, wanted, BRIDGE, render_filter(name, wanted, address)),
                 otherwise=f"{wanted.host} does not hold {name} to its addresses any more, as after a restart: start "
                           "it again")


def load_step(name: str, wanted: PartitionWanted, address: str) -> Run:
    """Before each start: its filter is in its host's kernel, whatever was there; Refused without an address."""
    return Run(machine=machine_of(wanted.host), summary=f"hold {name} to {wanted.mac} and {address} on {wanted.host}",
               argv=_argv("load", name, wanted, BRIDGE, render_filter(name, wanted, address)),
               done=loaded(name, wanted, address),
               undo=Undo(argv=_argv("drop", name, wanted)))


def drop_step(name: str, wanted: PartitionWanted) -> Run:
    """Its filter goes, when it is off."""
    return Run(machine=machine_of(wanted.host), summary=f"remove the filter of {name} from {wanted.host}",
               argv=_argv("drop", name, wanted))
