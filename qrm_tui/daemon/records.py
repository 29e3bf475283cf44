"""Our own records: changed in the database first, then in memory, and never only in one."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, convert_wanted
from qrm_tui.core.plan import Change, Plan, Record, describe_step
from qrm_tui.core.states import judge
from qrm_tui.db.store import Store, Write


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks, and from where."""

    who: str
    terminal: str = ""


class Records:
    """Writes changes of objects."""

    def __init__(self, farm: Farm, store: Store) -> None:
        self._farm, self._store = farm, store

    async def apply(self, changes: Sequence[Change], write: Write) -> None:
        """Make the changes in one transaction with all else in `write`; Broken if the database cannot."""
        put, delete = [], []
        for change in changes:
            if change.wanted is None:
                delete.append((change.kind, change.name))
            else:
                put.append(self._item(change))
        await self._store.write(msgspec.structs.replace(write, put=put, delete=delete))
        for item in put:
            known = self._farm.find(item.kind, item.name)
            # it may have been looked at while the database wrote
            self._farm.put(msgspec.structs.replace(item, seen=known.seen, seen_at=known.seen_at) if known else item)
        for kind, name in delete:
            self._farm.delete(kind, name)

    async def bring(self, items: Sequence[Item], write: Write) -> None:
        """New objects of which something was seen already, in one transaction with all else in `write`; Broken if the
        database cannot."""
        now = self._farm.clock()
        for item in items:
            item.state, item.since, item.created = judge(item, self._farm).state, now, now
        await self._store.write(msgspec.structs.replace(write, put=items))
        for item in items:
            self._farm.put(item)

    def _item(self, change: Change) -> Item:
        assert change.wanted is not None
        wanted = convert_wanted(change.kind, change.wanted)
        known = self._farm.find(change.kind, change.name)
        if known is None:
            now = self._farm.clock()
            return Item(kind=change.kind, name=change.name, wanted=wanted, created=now, since=now, revision=1)
        return msgspec.structs.replace(known, wanted=wanted, revision=known.revision + 1)


def forward(step: Record) -> list[Change]:
    """The step's changes as they are made."""
    return list(step.changes)


def plan_digest(plan: Plan) -> list[dict[str, Any]]:
    """A plan's steps as the journal keeps them: what, where, and how it would be undone."""
    return [{key: value for key, value in describe_step(step).items() if key != "done_already"}
            for step in plan.steps]
