"""All jobs of this server: taken up when it starts, begun, cancelled, waited for. How each runs: driving.py."""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from qrm_tui.core.errors import Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import FINISHED, JobRecord
from qrm_tui.core.plan import Plan
from qrm_tui.daemon.driving import Driver, Job
from qrm_tui.daemon.hosts import Hosts
from qrm_tui.daemon.joblog import JobLog
from qrm_tui.daemon.machines import Machines
from qrm_tui.daemon.rack import Rack
from qrm_tui.daemon.records import Author, Records
from qrm_tui.db.store import Store, Write
from qrm_tui.db.tables import StepRow

_log = logging.getLogger("qrmd.jobs")

#: Seconds until a machine that does not answer is tried again.
FIRST_PAUSE = 1.0


class Jobs(Driver):
    """They are driven side by side, each as soon as it has its locks."""

    def __init__(self, farm: Farm, store: Store, machines: Machines, records: Records, rack: Rack, hosts: Hosts,
                 folder: Path, *,
                 check: Callable[[Plan], Awaitable[None]], look: Callable[[str], Awaitable[None]],
                 first_pause: float = FIRST_PAUSE) -> None:
        super().__init__(farm, store, machines, records, rack, hosts, check=check, look=look, first_pause=first_pause)
        self._folder = folder
        self._jobs: dict[int, Job] = {}

    # from outside

    async def start(self) -> None:
        """Take up the jobs that a server before this one left; those that had begun come first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        found = []
        for record in await self._store.jobs():
            if record.state in FINISHED:
                self.show(record)
                continue
            stored = await self._store.plan_of(record.id)
            assert stored is not None
            found.append(Job(record, *stored, self._open_log(record.id)))
        for job in sorted(found, key=lambda job: (job.record.state == "waiting", job.number)):
            if job.record.state != "waiting" and not self.locks.take(job.number, job.plan.locks):
                _log.error("job %d: its locks are taken; it waits", job.number)
            job.log.add(None, "note", "the server was restarted; the job goes on")
            if job.record.cancelling:
                job.cancelled.set()
            self._begin(job)

    async def stop(self) -> None:
        """End the drivers; the jobs stay as they are written, and the next server takes them up."""
        tasks = [job.task for job in self._jobs.values() if job.task and not job.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(self, plan: Plan, author: Author, reason: str) -> JobRecord:
        """A new job for a plan; Stale, with nothing done, if what it relied on is no longer so."""
        # a number below every job's, so that the locks are held while the plan is checked
        ticket = -id(plan)
        free = self.locks.take(ticket, plan.locks)
        try:
            if free:
                await self._check(plan)
            record = await self._store.new_job(JobRecord(
                id=0, operation=plan.operation, object=plan.object, arguments=plan.arguments, steps=len(plan.steps),
                who=author.who, terminal=author.terminal, reason=reason, asked=self._farm.clock(),
                holds=tuple(lock.object for lock in plan.locks if not lock.shared and lock.object != plan.object)),
                plan)
        finally:
            self.locks.release(ticket)
        rows = [StepRow(job=record.id, number=number, state="pending") for number in range(len(plan.steps))]
        job = Job(record, plan, rows, self._open_log(record.id))
        if free:
            self.locks.take(record.id, plan.locks)
        self._begin(job)
        return job.record

    async def cancel(self, number: int) -> JobRecord:
        """Stop a job and take back what it did; Refused if that cannot be."""
        job = self._jobs.get(number)
        if job is None or job.record.state in FINISHED:
            state = self._farm.get("job", str(number)).state
            raise Refused(f"job {number} is {state}: there is nothing to cancel")
        if job.past_no_return():
            raise Refused(f"job {number} is past its point of no return: it can only go on to its end")
        job.record.cancelling = True
        await self.write(job, Write(job=job.record))
        if job.record.state not in FINISHED:
            self.show(job.record)
        job.cancelled.set()
        return job.record

    async def wait(self, number: int) -> JobRecord:
        """Until this server's driver of the job has ended."""
        job = self._jobs.get(number)
        if job is None:
            ended: JobRecord = self._farm.get("job", str(number)).wanted
            return ended
        if job.task is not None:
            await asyncio.shield(job.task)
        return job.record

    def log(self, number: int) -> JobLog:
        """A job's lines."""
        job = self._jobs.get(number)
        if job is not None:
            return job.log
        log = self._open_log(number)
        log.end()
        return log

    def rows(self, number: int) -> list[StepRow] | None:
        """How far the steps of a job that this server drives are."""
        job = self._jobs.get(number)
        return job.rows if job else None

    def _begin(self, job: Job) -> None:
        self._jobs[job.number] = job
        self.show(job.record)
        job.task = asyncio.create_task(self.drive(job), name=f"job {job.number}")


    def _open_log(self, number: int) -> JobLog:
        return JobLog(self._folder / f"{number}.jsonl", self._farm.clock)
