"""qrmd as an object: the farm with everything that keeps it, started and stopped as one."""
from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qrm_tui import __version__
from qrm_tui.core import rows
from qrm_tui.core.errors import BadInput, NotFound, QrmError
from qrm_tui.core.farm import Farm
from qrm_tui.core.filters import compile_filter
from qrm_tui.core.kinds import WORDS
from qrm_tui.core.model import Item, JobRecord
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.operations.registry import find
from qrm_tui.core.plan import Plan, Record
from qrm_tui.core.states import WARNINGS, is_paused, judge
from qrm_tui.daemon.bootlog import BootLog
from qrm_tui.daemon.changes import Changes
from qrm_tui.daemon.console_events import ConsoleEvents
from qrm_tui.daemon.consoles import Consoles
from qrm_tui.daemon.controllers import Controllers
from qrm_tui.daemon.enlisting import Enlisting
from qrm_tui.daemon.hosts import PAUSE as HOSTS_PAUSE
from qrm_tui.daemon.hosts import Hosts
from qrm_tui.daemon.installing import Installing
from qrm_tui.daemon.jobs import FIRST_PAUSE, Jobs
from qrm_tui.daemon.log_in import LogIn
from qrm_tui.daemon.machines import Machines, MakesRunners
from qrm_tui.daemon.nodes import Nodes
from qrm_tui.daemon.planners import JOB_CONTROLS
from qrm_tui.daemon.planning import Planning, check_role, inverse_of
from qrm_tui.daemon.rack import Rack
from qrm_tui.daemon.records import Author, Records, plan_digest
from qrm_tui.daemon.sessions import LogInSettings
from qrm_tui.daemon.silence import Silence
from qrm_tui.daemon.upkeep import Upkeep
from qrm_tui.daemon.watchers import PAUSE, Watchers
from qrm_tui.db.store import Entry, Store, Write
from qrm_tui.db.tables import JournalRow

_log = logging.getLogger("qrmd")

#: Kinds that the farm's status counts, and states that a person should look at.
_COUNTED = ("resource", "ve", "partition", "host", "domain", "image", "boot-image", "storage", "component", "user",
            "job")
_BAD = frozenset(("error", "warning", "unknown", "degraded", "crashed"))
#: Rows that are made in one go.
_ROWS = 500
#: Entries of the journal that a filter looks through.
_JOURNAL_SEARCH = 20_000


class Qrmd:
    """The server. `name` is the farm's; `practice`: machines are simulated; `installer`: it is the installer's own."""

    def __init__(self, state: Path, makes_runners: MakesRunners, *, name: str = "farm", practice: bool = False,
                 database: str = "", log_in: LogInSettings | None = None, installer: bool = False,
                 clock: Callable[[], float] = time.time,
                 look_every: float = PAUSE, hosts_every: float = HOSTS_PAUSE,
                 first_pause: float = FIRST_PAUSE) -> None:
        self.name, self.practice, self.clock = name, practice, clock
        self.started = clock()
        self.host = socket.gethostname()
        self.farm = Farm(clock)
        self.store = Store(database or f"sqlite:///{state / 'qrm.db'}", clock, durable=not practice)
        self.machines = Machines(self.farm, makes_runners)
        self.farm.public_key, self.farm.practice = self.machines.public_key, practice
        self.changes = Changes(self.farm)
        self.records = Records(self.farm, self.store)
        self.installing = Installing(self.farm, self.machines, state, installer)
        self.watchers = Watchers(self.farm, self.store, self.machines, look_every)
        self.log_in = LogIn(self.farm, self.store, self.records, log_in or LogInSettings())
        self.planning = Planning(self.farm, self.machines, self.log_in.seal_secrets)
        self.rack = Rack(self.farm, self.store)
        self.upkeep = Upkeep(self.farm, self.machines, self.rack, self.watchers.warn)
        self.enlisting = Enlisting(self.farm, self.records, self.rack, self.upkeep)
        self.bootlog = BootLog(self.farm, self.machines, self.rack, self.enlisting.appear,
                               self.watchers.warn)
        self.nodes = Nodes(self.farm, self.rack, self.enlisting)
        self.controllers = Controllers(self.farm, self.machines, self.rack)
        self.silence = Silence(self.farm, self.rack, self.machines.answers)
        self.hosts = Hosts(self.farm, self.machines, self.rack, lambda name: self.consoles.recorded(name),
                           self.upkeep.addressed, hosts_every)
        self.machines.partition_console = self.hosts.console
        self.jobs = Jobs(self.farm, self.store, self.machines, self.records, self.rack, self.hosts, state / "jobs",
                         check=self.planning.check, look=self.watchers.look, first_pause=first_pause)

        self.consoles = Consoles(self.farm, self.machines, state / "consoles", self._note,
                                 ConsoleEvents(self.farm, self.rack.show_and_keep), first_pause=first_pause)

    async def start(self, node_socket: Path | None = None) -> None:
        """Open the database, take up what was left, begin to watch; qrmd-node connects at `node_socket`."""
        await self.store.open()
        for item in await self.store.objects():
            self.farm.put(self.rack.taken_up(item))
        if not self.practice:
            await self.log_in.make_first()
        self.rack.start()
        self.hosts.start()
        await self.jobs.start()
        self.watchers.start()
        self.silence.start()
        self.controllers.start()
        self.upkeep.start()
        self.bootlog.start()
        self.consoles.start()
        if node_socket is not None:
            await self.nodes.open(node_socket)
        _log.info("farm %s: %d storage servers, %d images", self.name, self.farm.count("storage"),
                  self.farm.count("image"))

    def part(self) -> None:
        """It is about to end: streams without an end are ended first, so that nothing waits for those who watch."""
        self.changes.part()
        self.consoles.part()

    async def stop(self) -> None:
        """End; jobs go on with the next server."""
        await self.nodes.close()
        await self.consoles.stop()
        await self.bootlog.stop()
        await self.silence.stop()
        await self.controllers.stop()
        await self.watchers.stop()
        await self.jobs.stop()
        await self.hosts.stop()
        await self.enlisting.stop()
        await self.upkeep.stop()
        await self.rack.stop()
        await self.machines.close()
        self.store.close()

    async def _note(self, entry: Entry) -> None:
        """The journal knows who took a console's keyboard from somebody, or had the kernel there reboot."""
        await self.store.write(Write(entry=entry))

    # operations

    async def plan(self, operation: str, arguments: Mapping[str, Any], role: Role, reason: str = "") -> Plan:
        """A plan that is kept until it is run; changes nothing."""
        if operation in JOB_CONTROLS:
            plan = await self._plan_job_control(operation, arguments, role)
        else:
            plan = await self.planning.make(operation, arguments, role)
        self.planning.keep(plan, reason)
        return plan

    async def _plan_job_control(self, operation: str, arguments: Mapping[str, Any], role: Role) -> Plan:
        declared = find(operation)
        check_role(declared, role)
        parsed = check_arguments(declared.arguments, arguments)
        number = str(parsed["name"])
        self.farm.get("job", number)
        if operation == "job.cancel":
            return Plan(id=self.planning.new_id(), operation=operation, object=f"job/{number}", arguments=parsed,
                        steps=(), notes=("it stops after the step that runs, and takes back what it did",))
        stored = await self.store.plan_of(int(number))
        assert stored is not None
        state = self.farm.get("job", number).state
        if state != "done":
            raise BadInput(f"job {number} is {state}: only a job that is done can be undone")
        inverse, inverse_arguments = inverse_of(stored[0])
        check_role(inverse, role, inverse_arguments)
        return await self.planning.draw(inverse, inverse_arguments)

    async def run(self, plan_id: str, author: Author, role: Role, reason: str = "") -> dict[str, Any]:
        """Run a plan: `{"job": row}`, or `{"changed": …, "removed": …}` where only our records change."""
        plan, said = self.planning.take(plan_id)
        operation = find(plan.operation)
        check_role(operation, role, plan.arguments)
        reason = reason or said
        if operation.name == "job.cancel":
            record = await self.jobs.cancel(int(plan.arguments["name"]))
            await self.store.write(Write(entry=self._entry(plan, author, reason)))
            row = {"object": "job", "kind": "job", "added": False, **self._job_row(record)}
            return {"changed": [row], "removed": []}
        if operation.sort == "record":
            return await self._run_record(plan, author, reason)
        record = await self.jobs.submit(plan, author, reason)
        return {"job": self._job_row(record)}

    def _job_row(self, record: JobRecord) -> dict[str, Any]:
        return rows.row_of(self.farm.get("job", str(record.id)), self.farm)

    def _entry(self, plan: Plan, author: Author, reason: str) -> Entry:
        return Entry(who=author.who, terminal=author.terminal, operation=plan.operation, object=plan.object,
                     outcome="done", reason=reason, details={"arguments": plan.arguments, "plan": plan_digest(plan)})

    async def _run_record(self, plan: Plan, author: Author, reason: str) -> dict[str, Any]:
        changes = [change for step in plan.steps if isinstance(step, Record) for change in step.changes]
        async with self.log_in.turn if any(change.kind == "user" for change in changes) else contextlib.nullcontext():
            await self.planning.check(plan)
            await self.records.apply(changes, Write(entry=self._entry(plan, author, reason)))
        for change in changes:
            if change.kind == "storage" and change.wanted is not None:
                try:
                    await self.watchers.look(change.name)
                except QrmError as error:
                    _log.info("storage server %s: %s", change.name, error)
        # a resource's row has a kind of its own: whether it is a machine or a partition
        changed = [{"object": change.kind, "kind": change.kind, "added": change.former is None,
                    **rows.row_of(self.farm.get(change.kind, change.name), self.farm)}
                   for change in changes if change.wanted is not None]
        return {"changed": changed, "removed": [[change.kind, change.name] for change in changes
                                                if change.wanted is None]}

    # reading

    async def list(self, kind: str, filter: str, sort: str, limit: int | None, offset: int) -> dict[str, Any]:
        """Rows of a kind."""
        if kind == "journal":
            entries, _ = await self.store.journal(0, _JOURNAL_SEARCH)
            fields, made = _JOURNAL_FIELDS, (journal_row(entry) for entry in entries)
        elif kind in WORDS:
            fields, made = rows.fields_of(kind), (rows.row_of(item, self.farm) for item in list(self.farm.all(kind)))
        else:
            raise BadInput(f"there is no kind {kind!r}; there are {', '.join(WORDS)}")
        predicate = compile_filter(filter, fields, self.clock) if filter else None
        found = []
        for number, row in enumerate(made, 1):
            if predicate is None or predicate(row):
                found.append(row)
            if number % _ROWS == 0:  # others have their turn: 10,000 rows take a tenth of a second
                await asyncio.sleep(0)
        for key in reversed([key for key in sort.split(",") if key]):
            name = key.lstrip("-")
            if name not in fields:
                raise BadInput(f"there is no field {name!r} to sort by; there are {', '.join(sorted(fields))}")
            found.sort(key=lambda row: _sortable(row.get(name)), reverse=key.startswith("-"))
        return {"rows": found[offset:] if limit is None else found[offset: offset + limit], "total": len(found),
                "revision": self.farm.revision}

    async def show(self, kind: str, name: str) -> dict[str, Any]:
        """One row with its *why*."""
        if kind == "journal":
            found = (await self.list(kind, f"name={name}", "", 1, 0))["rows"]
            if not found:
                raise NotFound(f"there is no journal entry {name!r}")
            return {**found[0], "why": "", "next": ""}
        return rows.detail_of(self.farm.get(kind, name), self.farm)

    async def job_plan(self, number: int) -> dict[str, Any]:
        """A job's plan with the state of each step."""
        self.farm.get("job", str(number))
        stored = await self.store.plan_of(number)
        assert stored is not None
        plan, steps = stored[0], self.jobs.rows(number) or stored[1]
        shown = await self.planning.describe(plan, look=False)
        for described, row in zip(shown["steps"], steps, strict=True):
            described.update(state="running" if row.state == "begun" else row.state, started=row.started,
                             ended=row.ended, error=row.error)
        return shown

    def status(self) -> dict[str, Any]:
        """The farm at a glance."""
        counts: dict[str, dict[str, int]] = {}
        alerts = []
        for kind in _COUNTED:
            count = counts[kind] = {"total": 0}
            for item in self.farm.all(kind):
                count["total"] += 1
                count[item.state] = count.get(item.state, 0) + 1
                if alert := self._alert(item):
                    alerts.append(alert)
        capacity = [{"storage": item.name, "size": item.seen.size if item.seen else 0,
                     "free": item.seen.free if item.seen else 0} for item in self.farm.all("storage")]
        return {"farm": self.name, "server": self.host, "practice": self.practice, "version": __version__,
                "started": self.started, "counts": counts, "capacity": capacity,
                "machines": self._machines(), "alerts": alerts, "public_key": self.machines.public_key}

    def _alert(self, item: Item) -> dict[str, Any] | None:
        """What an administrator should know of an object; None if nothing. Only those in trouble are judged again."""
        # somebody may have switched it off to mend it, or has paused it
        meant = item.kind == "resource" and item.state == "unknown" and (
            item.wanted.maintenance or is_paused(item, self.farm))
        bad = item.state in _BAD and not meant and not self._follows(item)
        threatened = any(threat.holds(item, self.farm) for threat in WARNINGS.get(item.kind, ()))
        if item.kind == "job" or not (bad or threatened):
            return None
        detail = rows.detail_of(item, self.farm)
        why = judge(item, self.farm).warning or detail["why"]
        return {"kind": item.kind, "name": item.name, "state": item.state, "why": why, "next": detail["next"],
                "since": item.since}

    def _follows(self, item: Item) -> bool:
        """Whether nothing is known of it because its virtualization host does not answer, which is told once."""
        host = self.farm.find("host", item.wanted.host) if item.kind in ("partition", "domain", "resource") else None
        return item.state == "unknown" and host is not None and host.state == "error"

    def _machines(self) -> dict[str, int]:
        """Machines that a VE can start on, with what they have together; and how many are in maintenance."""
        free = [item.seen.inventory for item in self.farm.all("resource")
                if item.state == "idle" and not item.wanted.maintenance and item.seen]
        return {"free": len(free), "cpus": sum(has.cpus for has in free), "memory": sum(has.memory for has in free),
                "maintenance": sum(item.wanted.maintenance for item in self.farm.all("resource"))}


def _sortable(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, (int, float)):
        return (1, value)
    return (2, str(value))


def journal_row(entry: Any) -> dict[str, Any]:
    """A journal entry as a row."""
    return {"name": str(entry.seq), "seq": entry.seq, "at": entry.at, "who": entry.who, "terminal": entry.terminal,
            "operation": entry.operation, "object": entry.object, "outcome": entry.outcome, "reason": entry.reason,
            "job": entry.job, "hash": entry.hash, "state": entry.outcome, "since": entry.at}


_JOURNAL_FIELDS = frozenset(journal_row(JournalRow(
    seq=0, at=0, who="", terminal="", operation="", object="", outcome="", reason="", details="", hash="")))
