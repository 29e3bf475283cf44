"""What the app knows of the farm: who it speaks with, every row, the overview, and whether the line stands.

Only the app's message handlers change it; tables, lines and screens listen and read.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from qrm_tui.core.operations.declarations import Operation, Role
from qrm_tui.screens import boots
from qrm_tui.widgets.rows import ListSource

Row = dict[str, Any]
Line = Literal["connecting", "up", "lost"]
#: Kinds whose rows are all kept here. The journal only grows: its newest entries are asked for when they are looked at.
#: Resources come before VEs, which tell the stages of theirs.
WATCHED = ("resource", "ve", "partition", "host", "domain", "image", "storage", "component", "boot-image", "user",
           "job")


class Live:
    """The farm as last heard of. `listen` tells what changed: kinds, and "line", "hello", "farm", "journal"."""

    def __init__(self, where: str, *, read_only: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.where = where
        self.read_only = read_only
        self.clock = clock
        self.hello: Row = {}
        self.farm: Row = {}
        self.line: Line = "connecting"
        #: why the line is lost, when it was, and when the next attempt is (seconds since the epoch)
        self.trouble = ""
        self.lost_at = 0.0
        self.again_at = 0.0
        self.revision: int | None = None
        #: every row by kind and name; the sources hold the same rows in the order and choice of the tables
        self.rows: dict[str, dict[str, Row]] = {kind: {} for kind in WATCHED}
        self.sources = {"alert": ListSource("key"), **{kind: ListSource() for kind in (*WATCHED, "journal")}}
        self.states = {kind: Counter[str]() for kind in WATCHED}
        #: kinds of which the server has told all there is, or that there is none
        self.heard: set[str] = set()
        #: names of the resources that boot, or are stuck in it
        self.boots: set[str] = set()
        self._snapshots: dict[str, list[Row]] = {}
        self._listeners: list[Callable[[frozenset[str]], None]] = []

    # reading

    @property
    def role(self) -> Role:
        """What the server lets this user do."""
        try:
            return Role[self.hello.get("role", "nobody")]
        except KeyError:
            return Role.nobody

    def may(self, operation: Operation) -> bool:
        """Whether this operation can be asked for from here."""
        return self.role >= operation.role and (not self.read_only or operation.role <= Role.viewer)

    @property
    def alerts(self) -> list[Row]:
        """What needs attention, as the server tells it."""
        return list(self.farm.get("alerts", ()))

    def row(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """A row by its name."""
        source = self.sources.get(kind)
        return None if source is None else source.row(name)

    def names(self, kind: str) -> list[str]:
        """Names of all objects of a kind, whatever is filtered; sorted."""
        return sorted(self.rows.get(kind, ()))

    def jobs(self, *states: str) -> list[Row]:
        """The jobs in these states, oldest first. Looks at all jobs only if there is such a one."""
        if not any(self.states["job"][state] for state in states):
            return []
        return sorted((row for row in self.rows["job"].values() if row["state"] in states), key=lambda row: row["id"])

    # listening

    def listen(self, listener: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """`listener` is called after each change; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, *what: str) -> None:
        for listener in tuple(self._listeners):
            listener(frozenset(what))

    # changing

    def connected(self, hello: Row) -> None:
        """The server answered."""
        if hello.get("started") != self.hello.get("started"):
            self.revision = None  # another server, or the same one started anew: its revisions mean something else
        self.hello, self.line, self.trouble = hello, "up", ""
        self._tell("line", "hello")

    def moved(self, where: str) -> None:
        """Another server is asked from now on."""
        self.where, self.line, self.trouble = where, "connecting", ""
        self._tell("line")

    def lost(self, trouble: str, again_at: float) -> None:
        """The line is lost, or there never was one."""
        if self.line == "up" or not self.lost_at:
            self.lost_at = self.clock()
        self.line, self.trouble, self.again_at = "lost", trouble, again_at
        self._tell("line")

    def overview(self, farm: Row) -> None:
        """The farm's counts, capacity and alerts."""
        if farm == self.farm:
            return
        self.farm = farm
        self.heard.add("alert")
        alerts = [{**alert, "key": f"{alert['kind']}/{alert['name']}"} for alert in self.alerts]
        self.sources["alert"].set(alerts)
        self._tell("farm")

    def journal(self, rows: list[Row]) -> None:
        """The newest entries of the journal."""
        self.heard.add("journal")
        self.sources["journal"].set(rows)
        self._tell("journal")

    def apply(self, event: Mapping[str, Any]) -> None:
        """An event of the watch: a part of a snapshot, a delta, or a sign of life."""
        if event["event"] == "snapshot":
            self._snapshot(event["kind"], event["rows"], bool(event.get("first")), bool(event.get("last")))
        elif event["event"] == "delta":
            touched = [*event.get("changed", {}), *event.get("removed", {})]
            for kind in dict.fromkeys(touched):
                if kind in WATCHED:
                    touched += self._delta(kind, event.get("changed", {}).get(kind, ()),
                                           event.get("removed", {}).get(kind, ()))
            self._tell(*touched)
        # the parts of a snapshot are one state only when the last of all kinds is there; see `resume_from`
        self.revision = event["revision"]

    @property
    def resume_from(self) -> int | None:
        """The revision that a new watch may go on from; None while a snapshot is not complete."""
        return None if self._snapshots else self.revision

    def _snapshot(self, kind: str, rows: list[Row], first: bool, last: bool) -> None:
        if first:
            self._snapshots[kind] = []
        self._snapshots.setdefault(kind, []).extend(rows)
        if last:
            whole = self._snapshots.pop(kind)
            self.heard.add(kind)
            self.rows[kind] = {row["name"]: row for row in whole}
            if kind == "resource":
                self.boots = {row["name"] for row in whole if boots.is_booting(row)}
            elif kind == "ve":
                whole = [boots.slowest(row, self.rows["resource"].get) for row in whole]
                self.rows[kind] = {row["name"]: row for row in whole}
            self.sources[kind].set(whole)
            self.states[kind] = Counter(row["state"] for row in whole)
            self._tell(kind)

    def _delta(self, kind: str, changed: list[Row], removed: list[str]) -> tuple[str, ...]:
        """Apply it; the answer are other kinds that show something else now."""
        rows, states = self.rows[kind], self.states[kind]
        if kind == "ve":
            changed = [boots.slowest(row, self.rows["resource"].get) for row in changed]
        ves: set[str] = set()
        for name in {*removed, *(row["name"] for row in changed)}:
            former = rows.pop(name, None)
            if former is not None:
                states[former["state"]] -= 1
                if kind == "resource" and former.get("ve"):
                    ves.add(former["ve"])
        for row in changed:
            rows[row["name"]] = row
            states[row["state"]] += 1
            if kind == "resource":
                (self.boots.add if boots.is_booting(row) else self.boots.discard)(row["name"])
                if row.get("ve"):
                    ves.add(row["ve"])
        self.sources[kind].update(changed, removed)
        if kind == "resource":
            self.boots.difference_update(removed)
            self._stages_of(ves)
        return ("ve",) if ves else ()

    def _stages_of(self, ves: Iterable[str]) -> None:
        """Their machines' stages have changed."""
        known, find = self.rows["ve"], self.rows["resource"].get
        judged = [(known[name], boots.slowest(known[name], find)) for name in ves if name in known]
        changed = [row for former, row in judged if row is not former]
        if changed:
            known |= {row["name"]: row for row in changed}
            self.sources["ve"].update(changed)
