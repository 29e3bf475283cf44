"""Which volume groups of a virtualization host are its own, so that partitions' disks can be from them."""
from __future__ import annotations

from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.partitions import HostGroup, HostSeen


def own_groups(farm: Farm, host: Item) -> dict[str, HostGroup]:
    """By name; none that holds filesystem-images, and none that a storage server has for them."""
    seen: HostSeen = host.seen or HostSeen()
    images = {server.wanted.group for server in farm.all("storage") if server.wanted.address == host.wanted.address}
    return {group.name: group for group in seen.groups if not group.unfit and group.name not in images}
