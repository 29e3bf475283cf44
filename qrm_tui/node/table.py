"""What qrmd-node knows of the machines: enough to answer their heartbeats, also while qrmd is away."""
from __future__ import annotations

from qrm_tui.core.node_wire import Entry, Table


class Machines:
    """Machines by the digest of their token, as qrmd told them last."""

    def __init__(self) -> None:
        self._by_name: dict[str, Entry] = {}
        self._by_token: dict[str, Entry] = {}
        #: a new table that is not whole yet
        self._coming: dict[str, Entry] | None = None

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, token: str) -> Entry | None:
        """The machine whose token has this digest."""
        return self._by_token.get(token)

    def take(self, told: Table) -> bool:
        """qrmd told a part of a new table, or what changed; True when a table is whole now."""
        if told.first:
            self._coming = {}
        if self._coming is not None:
            self._coming.update((entry.name, entry) for entry in told.entries)
            if told.last:
                self._by_name, self._coming = self._coming, None
                self._by_token = {entry.token: entry for entry in self._by_name.values()}
            return told.last
        for entry in told.entries:
            self._forget(entry.name)
            self._by_name[entry.name] = self._by_token[entry.token] = entry
        for name in told.gone:
            self._forget(name)
        return False

    def _forget(self, name: str) -> None:
        former = self._by_name.pop(name, None)
        if former is not None:
            self._by_token.pop(former.token, None)
