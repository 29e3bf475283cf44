"""Machines that nobody knew: how many are taken, what each is called, its address, and who it may have been."""
from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from qrm_tui.core.enlistment import identity_of
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.netboot import free_addresses
from qrm_tui.core.resources import Inventory, is_heard

#: Resources that a farm may have.
MOST_RESOURCES = 50_000
#: Machines that one address may bring, and seconds after which it may again; this machine itself (practice) may more.
MOST_OF_ONE, FORGIVEN = 16, 3600.0


class Newcomers:
    """What new resources are given. `coming`: by MAC those that the database is writing, and the farm has not yet."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self.coming: dict[str, Item] = {}
        self._highest = 0
        self._brought: dict[str, tuple[float, int]] = {}

    def is_full(self) -> bool:
        """Whether no more are taken."""
        return self._farm.count("resource") + len(self.coming) >= MOST_RESOURCES

    def refusal(self, address: str) -> str:
        """Why no more machines are taken, from there or at all; empty: one more is, and is counted."""
        if self.is_full():
            return f"the farm has {MOST_RESOURCES} resources: no more are taken"
        now = self._farm.steady()
        since, brought = self._brought.get(address, (now, 0))
        if now - since > FORGIVEN:
            since, brought = now, 0
        if brought >= MOST_OF_ONE and not _is_own(address):
            return f"{address} has brought {brought} machines already: come again in an hour"
        if len(self._brought) > MOST_RESOURCES:
            self._brought.clear()
        self._brought[address] = since, brought + 1
        return ""

    def next_name(self) -> str:
        """One above the highest there is; a number is not used again while this server runs."""
        if not self._highest:
            numbers = [int(item.name[1:]) for item in self._farm.all("resource")
                       if item.name[:1] == "r" and item.name[1:].isdecimal() and len(item.name) < 12]
            self._highest = max(numbers, default=0)
        self._highest += 1
        while any(self._farm.find(kind, f"r{self._highest}") for kind in ("resource", "host")):
            self._highest += 1
        return f"r{self._highest}"

    def free_addresses(self) -> Iterator[str]:
        """Addresses for machines (the dhcpd component's setting `machines`) that nobody has."""
        return free_addresses(self._farm, (item.wanted.address for item in self.coming.values()))

    def serials(self) -> dict[str, str]:
        """Names of resources by serial number; the newest of those who share one."""
        return {item.seen.inventory.serial: item.name for item in self._farm.all("resource") if item.seen}

    def former_self(self, inventory: Inventory, serials: Mapping[str, str]) -> str:
        """Which resource a new machine may have been, in words."""
        known = identity_of(inventory)
        item = self._farm.find("resource", serials.get(inventory.serial, ""))
        if item is None or known is None or identity_of(item.seen.inventory) != known or is_heard(
                item.seen, self._farm.clock()):
            return ""
        return f"it has the serial number of {item.name}, which is not heard of: was a card changed?"


def _is_own(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
