"""One job driven: a plan that runs, step by step, each written down before and after.

A job goes forward after a crash, since every step can tell whether it is done or be run again. It goes back only when
a step fails or somebody cancels it, and only before the point of no return. A machine that does not answer is no
failure: the job waits for it, and says so.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from qrm_tui.core.errors import Broken, Busy, GuardRefused, QrmError, Refused, StepFailed, Unreachable
from qrm_tui.core.facts import RECORDS
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, JobRecord
from qrm_tui.core.plan import OFF_RUNNER, Await, Domain, Order, Plan, Record, RemoveFile, Run, Step, Wait, WriteFile
from qrm_tui.daemon import amounts
from qrm_tui.daemon.hosts import Hosts
from qrm_tui.daemon.joblog import JobLog
from qrm_tui.daemon.locks import Locks
from qrm_tui.daemon.machines import RESOURCE, Machines
from qrm_tui.daemon.rack import Rack
from qrm_tui.daemon.records import Records, forward, plan_digest
from qrm_tui.db.store import Entry, Store, Write
from qrm_tui.db.tables import StepRow
from qrm_tui.runners import steps as running
from qrm_tui.runners.base import Runner

T = TypeVar("T")
_log = logging.getLogger("qrmd.jobs")

#: Seconds between tries to reach a machine at the most; the first pause is doubled up to that.
LONGEST_PAUSE = 15.0
#: Seconds that a step waits for somebody who has what it needs (apt's lock): a system's own upgrades take some minutes.
PATIENCE = 900.0


class _Cancelled(Exception):
    """Somebody cancelled the job."""


class Job:
    """One job while this server drives it."""

    def __init__(self, record: JobRecord, plan: Plan, rows: list[StepRow], log: JobLog) -> None:
        self.record, self.plan, self.rows, self.log = record, plan, rows, log
        self.task: asyncio.Task[None] | None = None
        self.cancelled = asyncio.Event()

    @property
    def number(self) -> int:
        return self.record.id

    def past_no_return(self) -> bool:
        """Whether a step that cannot be undone has begun."""
        first = self.plan.no_return
        return first is not None and any(row.state in ("begun", "done") for row in self.rows[first:])


class Driver:
    """Drives jobs, each from where it stands to its end."""

    def __init__(self, farm: Farm, store: Store, machines: Machines, records: Records, rack: Rack, hosts: Hosts, *,
                 check: Callable[[Plan], Awaitable[None]], look: Callable[[str], Awaitable[None]],
                 first_pause: float) -> None:
        self._farm, self._store, self._machines, self._records = farm, store, machines, records
        self._rack, self._hosts = rack, hosts
        self._check, self._look = check, look
        self._first_pause = first_pause
        self.locks = Locks()
        #: called at each point of a step (`before`, `begun`, `effect`); tests end the server there
        self.on_point: Callable[[str, Job, int], None] = lambda point, job, step: None
        self.patience = PATIENCE

    def show(self, record: JobRecord) -> None:
        """The job's row, as it stands."""
        copy = msgspec.structs.replace(record)
        self._farm.put(Item(kind="job", name=str(record.id), wanted=copy, created=record.asked,
                            state=record.state, since=record.ended or record.started or record.asked))

    async def drive(self, job: Job) -> None:
        """From where it stands to its end, forward or back."""
        record = job.record
        try:
            if record.state == "waiting":
                await self._get_ready(job)
            if record.state == "running":
                await self._forward(job)
        except _Cancelled:
            await self._back(job, "it was cancelled")
        except (StepFailed, Refused, Unreachable) as error:
            if record.state == "waiting":
                await self._end(job, "undone", str(error))
            elif job.past_no_return():
                await self._end(job, "failed", f"{error} (past the point of no return: what was done stays)")
            else:
                await self._back(job, str(error))
        else:
            if record.state == "undoing":
                await self._back(job, record.error)
        finally:
            self.locks.release(job.number)

    async def _get_ready(self, job: Job) -> None:
        """Locks, and a plan that still holds."""
        held = self.locks.take(job.number, job.plan.locks)
        if not held:
            def waits(name: str, other: int) -> None:
                whose = f"job {other}" if other > 0 else "another plan's check"
                self._waits(job, f"waits for {whose}, which has {name}")

            await self._or_cancelled(job, self.locks.acquire(job.number, job.plan.locks, waits))
            # somebody else had the objects meanwhile
            await self._insist(job, lambda: self._check(job.plan))
        self._waits(job, "")
        job.record.state, job.record.started = "running", self._farm.clock()
        await self.write(job, Write(job=job.record))
        self.show(job.record)

    async def _forward(self, job: Job) -> None:
        for number, step in enumerate(job.plan.steps):
            row = job.rows[number]
            if row.state == "done":
                continue
            if job.cancelled.is_set() and not job.past_no_return():
                raise _Cancelled
            again = row.state == "begun"
            job.record.step, job.record.doing, job.record.progress = number, step.summary, None
            job.record.amount = None
            self.on_point("before", job, number)
            if isinstance(step, Record):
                self.on_point("begun", job, number)
                await self._keep_records(job, number, forward(step))
            else:  # the rack's machines are told and awaited like any other effect
                if not again:
                    row.state, row.started = "begun", self._farm.clock()
                    await self.write(job, Write(job=job.record, steps=[row]))
                self.show(job.record)
                self.on_point("begun", job, number)
                try:
                    await self._effect(job, number, step, again)
                except GuardRefused:
                    if not again:
                        row.state = "pending"
                        await self.write(job, Write(job=job.record, steps=[row]))
                    raise
                self.on_point("effect", job, number)
                row.state, row.ended = "done", self._farm.clock()
                await self.write(job, Write(job=job.record, steps=[row]))
            self.show(job.record)
        await self._end(job, "done", "")

    async def _effect(self, job: Job, number: int, step: Step, again: bool) -> None:
        """The step's effect, whatever it takes to reach its machine; cancelled in the middle, it is half done."""
        async def once() -> None:
            nonlocal again
            if isinstance(step, Order):
                await self._rack.tell(step)
                return
            if isinstance(step, Domain):
                job.log.add(number, "note", step.summary)
                await self._hosts.perform(step, lambda text: job.log.add(number, "note", text))
                return
            if isinstance(step, Await):
                job.log.add(number, "note", step.summary)
                await self._rack.until(step, job.rows[number].started or self._farm.clock(),
                                       lambda text: job.log.add(number, "note", text))
                return
            runner = self._machines.runner(step.machine)
            # only what was begun before can be done already: the plan was just held against what is there; a file
            # is written again, which also clears away what lay beside it
            if again and not isinstance(step, (WriteFile, RemoveFile)) and await running.is_done(step, runner):
                job.log.add(number, "note", f"{step.summary}: done already")
                return
            if again and isinstance(step, Run) and step.done and step.undo:
                # begun, and neither done nor not: half of it may be there and in the way
                await running.undo(step, self._stage(job, number, runner))
            again = True
            job.log.add(number, "note", step.summary)
            await running.perform(step, self._stage(job, number, runner))

        insisting = self._insist(job, once)
        slow = isinstance(step, (Await, Wait)) or (isinstance(step, Run) and step.long)
        if slow and not job.past_no_return():
            await self._or_cancelled(job, insisting)
        else:
            await insisting

    def _stage(self, job: Job, number: int, runner: Runner) -> running.Stage:
        def on_progress(report: running.Report) -> None:
            record, amount = job.record, amounts.of(report, job.record.amount, self._farm.clock())
            if record.progress is None or abs(report.share - record.progress) >= 0.01 \
                    or amounts.differ(amount, record.amount):
                record.progress, record.amount = report.share, amount
                self.show(record)

        return running.Stage(runner, f"qrm-{job.number}-{number}", self._machines.tell,
                             lambda stream, text: job.log.add(number, stream, text), on_progress)

    async def _back(self, job: Job, reason: str) -> None:
        """Take back every step that began, the last one first."""
        record = job.record
        if record.state != "undoing":
            record.state, record.error = "undoing", reason
            await self.write(job, Write(job=record))
            job.log.add(None, "note", f"taking back: {reason}")
        self.show(record)
        troubles = []
        for number in reversed(range(len(job.plan.steps))):
            row, step = job.rows[number], job.plan.steps[number]
            if row.state not in ("begun", "done"):
                continue
            record.step, record.doing, record.progress = number, f"taking back: {step.summary}", None
            record.amount = None
            self.show(record)
            try:
                if isinstance(step, Record):
                    await self._keep_records(job, number, [
                        msgspec.structs.replace(change, wanted=change.former, former=change.wanted)
                        for change in reversed(step.changes)], state="undone")
                else:
                    await self._undo(job, number, step)
                    row.state, row.ended = "undone", self._farm.clock()
                    await self.write(job, Write(job=record, steps=[row]))
            except StepFailed as error:
                troubles.append(f"{step.summary}: {error}")
                row.state, row.error, row.ended = "failed", str(error), self._farm.clock()
                await self.write(job, Write(job=record, steps=[row]))
                break
        if troubles:
            await self._end(job, "failed", f"{record.error}; and it could not be taken back: {'; '.join(troubles)}")
        else:
            await self._end(job, "undone", record.error)

    async def _undo(self, job: Job, number: int, step: Step) -> None:
        async def once() -> None:
            if isinstance(step, Order):
                await self._rack.take_back(step)
                return
            if isinstance(step, Domain):
                await self._hosts.take_back(step, lambda text: job.log.add(number, "note", text))
            if isinstance(step, (Await, Domain)):
                return
            runner = self._machines.runner(step.machine)
            await running.undo(step, self._stage(job, number, runner))

        await self._insist(job, once, undoing=True)

    async def _keep_records(self, job: Job, number: int, changes: list, *, state: str = "done") -> None:
        row = job.rows[number]
        now = self._farm.clock()

        async def once() -> None:
            await self._records.apply(changes, Write(job=job.record, steps=[StepRow(
                job=job.number, number=number, state=state, started=row.started or now, ended=now)]))

        await self._insist(job, once, undoing=True)
        row.state, row.started, row.ended = state, row.started or now, now

    async def _end(self, job: Job, state: str, error: str) -> None:
        record = job.record
        await self._look_again(job)
        await self._forget_commands(job)
        record.state, record.error, record.ended = state, error, self._farm.clock()  # type: ignore[assignment]
        record.waits_for, record.progress, record.amount, record.cancelling = "", None, None, False
        record.doing = "" if state == "done" else record.doing
        entry = Entry(who=record.who, terminal=record.terminal, operation=record.operation, object=record.object,
                      outcome=state, reason=record.reason, job=record.id,
                      details={"arguments": record.arguments, "error": error, "plan": plan_digest(job.plan)})
        await self.write(job, Write(job=record, entry=entry))
        job.log.add(None, "note", f"{state}: {error}" if error else state)
        for line in job.plan.afterwards if state == "done" else ():
            job.log.add(None, "note", line)
        job.log.end()
        self.show(record)
        _log.info("job %d %s %s: %s %s", record.id, record.operation, record.object, state, error)

    async def _look_again(self, job: Job) -> None:
        """What is seen is true again before the job is told to have ended."""
        touched = {step.machine for step in job.plan.steps if not isinstance(step, OFF_RUNNER)}
        asked = {reliance.machine for reliance in job.plan.relies if reliance.question != RECORDS}
        for machine in sorted(machine for machine in touched | asked if not machine.startswith(RESOURCE)):
            try:
                await self._look(machine)
            except QrmError as error:
                job.log.add(None, "note", f"{machine} could not be looked at: {error}")

    async def _forget_commands(self, job: Job) -> None:
        for number, step in enumerate(job.plan.steps):
            if isinstance(step, Run) and step.long and job.rows[number].state != "pending":
                try:
                    await self._machines.runner(step.machine).end_named(f"qrm-{job.number}-{number}")
                except QrmError as error:
                    job.log.add(number, "note", f"its folder in /run stays until the next restart there: {error}")

    # waiting

    def _waits(self, job: Job, reason: str) -> None:
        if job.record.waits_for != reason:
            job.record.waits_for = reason
            if reason:
                job.log.add(None, "note", reason)
            self.show(job.record)

    async def _insist(self, job: Job, work: Callable[[], Awaitable[T]], *, undoing: bool = False) -> T:
        """Until the machine answers and the database takes it; _Cancelled ends it, unless it is undoing.

        Who else is at work there is waited for, too, but not for ever."""
        pause, loop = self._first_pause, asyncio.get_running_loop()
        begun = loop.time()
        while True:
            try:
                result = await work()
            except Busy as error:
                if loop.time() - begun >= self.patience:
                    raise StepFailed(f"{error}; that has not ended for {self.patience / 60:.0f} min: look at it there, "
                                     "and ask again") from None
                self._waits(job, f"waits and tries again: {error}")
            except (Unreachable, Broken) as error:
                self._waits(job, f"waits and tries again: {error}")
            else:
                self._waits(job, "")
                return result
            if undoing or job.past_no_return():
                await asyncio.sleep(pause)
            else:
                await self._or_cancelled(job, asyncio.sleep(pause))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _or_cancelled(self, job: Job, work: Awaitable[T]) -> T:
        """Its result, or _Cancelled as soon as somebody cancels the job."""
        task = asyncio.ensure_future(work)
        cancelled = asyncio.ensure_future(job.cancelled.wait())
        try:
            await asyncio.wait((task, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Cancelled
        finally:
            for future in (task, cancelled):
                future.cancel()
            await asyncio.gather(task, cancelled, return_exceptions=True)

    async def write(self, job: Job, write: Write) -> None:
        """Into the database, however long it takes to have room."""
        await self._insist(job, lambda: self._store.write(write), undoing=True)
