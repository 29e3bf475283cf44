"""The store: durability and history. One thread writes, in the order it is asked; reads of the farm never come here."""
from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import URL
from sqlmodel import Session, SQLModel, col, func, select

from qrm_tui.core.model import SEEN_TYPES, Item, JobRecord, convert_wanted
from qrm_tui.core.plan import Plan
from qrm_tui.db import chain, migrate
from qrm_tui.db.engine import engine_of
from qrm_tui.db.tables import JobRow, JournalRow, ObjectRow, StepRow
from qrm_tui.db.transactions import Transactions

_log = logging.getLogger("qrmd.database")
_encode = msgspec.json.encode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal is told of a job or a record operation."""

    who: str
    terminal: str
    operation: str
    object: str
    outcome: str
    reason: str = ""
    job: int | None = None
    details: dict[str, Any] = {}


class Write(msgspec.Struct, kw_only=True):
    """What goes into the database together, or not at all."""

    put: Sequence[Item] = ()
    #: only what was seen of these, and only if they are (still) there: a look must not bring back what was removed
    seen: Sequence[Item] = ()
    delete: Sequence[tuple[str, str]] = ()
    job: JobRecord | None = None
    steps: Sequence[StepRow] = ()
    entry: Entry | None = None
    #: more entries of the journal, after that one: many machines that enlist together are one transaction
    entries: Sequence[Entry] = ()


class Store:
    """The database. `url` is SQLAlchemy's. `durable` False trades power failures for speed."""

    def __init__(self, url: str | URL, clock: Callable[[], float], *, durable: bool = True) -> None:
        self._clock = clock
        self._engine = engine_of(url, durable=durable)
        self._transactions = Transactions(self._engine)
        self._call = self._transactions.call
        self._last = (0, chain.START)
        self._last_job = 0

    async def open(self) -> None:
        """Migrate, and find the ends of journal and jobs."""
        for weakness in await self._transactions.inside(lambda: migrate.opened(self._engine)):
            _log.warning(weakness)
        self._last = await self._call(self._end_of_journal)
        self._last_job = await self._call(lambda session: session.exec(select(func.max(JobRow.id))).one() or 0)

    def close(self) -> None:
        self._transactions.close()

    @staticmethod
    def _end_of_journal(session: Session) -> tuple[int, str]:
        row = session.exec(select(JournalRow).order_by(col(JournalRow.seq).desc()).limit(1)).first()
        return (row.seq, row.hash) if row else (0, chain.START)

    # writing

    async def write(self, what: Write) -> None:
        """All of it in one transaction. Broken if it cannot be."""
        # only a commit moves the end of the chain, and before the next write begins
        await self._call(lambda session: self._write(session, what), self._move_end, self._is_there)

    def _move_end(self, end: tuple[int, str]) -> None:
        self._last = end

    def _is_there(self, session: Session, result: tuple[int, str]) -> bool:
        """Whether a write with entries is. One without changes nothing when it is made again."""
        if result == self._last:
            return False
        # waits for a commit that the server is still at
        row = session.get(JournalRow, result[0], with_for_update=True)
        return row is not None and row.hash == result[1]

    def _write(self, session: Session, what: Write) -> tuple[int, str]:
        """The journal's end then."""
        # whole batches by one statement each: through the session a row takes 30 times as long
        connection = session.connection()
        put = {(item.kind, item.name): item for item in what.put}
        if put:
            connection.execute(_DELETE, [{"of_kind": kind, "of_name": name} for kind, name in put])
            connection.execute(sqlalchemy.insert(_OBJECTS), [_object_row(item) for item in put.values()])
        if what.seen:
            connection.execute(_SEEN, [_seen_of(item) for item in what.seen])
        if what.delete:
            connection.execute(_DELETE, [{"of_kind": kind, "of_name": name} for kind, name in what.delete])
        if what.job is not None:
            changed = connection.execute(_JOB, {"of_id": what.job.id, "new_state": what.job.state,
                                                "new_record": _encode(what.job).decode()})
            assert changed.rowcount == 1
        if what.steps:
            connection.execute(_STEP, [_step_of(step) for step in what.steps])
        end, lines = self._last, []
        for told in ([what.entry] if what.entry else []) + list(what.entries):
            lines.append(self._line(told, *end))
            end = lines[-1]["seq"], lines[-1]["hash"]
        if lines:
            connection.execute(sqlalchemy.insert(_JOURNAL), lines)
        return end

    def _line(self, told: Entry, seq: int, before: str) -> dict[str, Any]:
        line = {"seq": seq + 1, "at": self._clock(), "who": told.who, "terminal": told.terminal, "reason": told.reason,
                "operation": told.operation, "object": told.object, "outcome": told.outcome, "job": told.job,
                "details": json.dumps(told.details, separators=(",", ":"), sort_keys=True)}
        return {**line, "hash": chain.seal(line, before)}

    async def new_job(self, record: JobRecord, plan: Plan) -> JobRecord:
        """A job gets its number, and is there even if power fails now."""
        def work(session: Session) -> JobRecord:
            # a number of our own: of one that the database gives nobody knows if the answer is lost
            numbered = msgspec.structs.replace(record, id=self._last_job + 1)
            session.add(JobRow(id=numbered.id, operation=record.operation, object=record.object, state=record.state,
                               asked=record.asked, record=_encode(numbered).decode(), plan=_encode(plan).decode()))
            session.flush()
            for number in range(len(plan.steps)):
                session.add(StepRow(job=numbered.id, number=number, state="pending"))
            return numbered

        def is_there(session: Session, result: JobRecord) -> bool:
            return session.get(JobRow, result.id, with_for_update=True) is not None

        return await self._call(work, self._move_job, is_there)

    def _move_job(self, record: JobRecord) -> None:
        self._last_job = record.id

    # reading

    async def objects(self) -> list[Item]:
        """Every object, oldest first."""
        def work(session: Session) -> list[Item]:
            rows = session.exec(select(ObjectRow).order_by(col(ObjectRow.created), col(ObjectRow.name))).all()
            return [_item(row) for row in rows]

        return await self._call(work)

    async def jobs(self, most: int = 1000) -> list[JobRecord]:
        """The newest jobs, and all that are not finished, by number."""
        def work(session: Session) -> list[JobRecord]:
            newest = select(JobRow).order_by(col(JobRow.id).desc()).limit(most)
            open_ = select(JobRow).where(col(JobRow.state).in_(("waiting", "running", "undoing")))
            rows = {row.id: row for query in (newest, open_) for row in session.exec(query)}
            return [msgspec.json.decode(rows[number].record, type=JobRecord) for number in sorted(rows, key=int)]

        return await self._call(work)

    async def plan_of(self, job: int) -> tuple[Plan, list[StepRow]] | None:
        """A job's plan and how far its steps are."""
        def work(session: Session) -> tuple[Plan, list[StepRow]] | None:
            row = session.get(JobRow, job)
            if row is None:
                return None
            steps = session.exec(select(StepRow).where(StepRow.job == job).order_by(col(StepRow.number))).all()
            return msgspec.json.decode(row.plan, type=Plan), list(steps)

        return await self._call(work)

    async def journal(self, offset: int = 0, limit: int = 500) -> tuple[list[JournalRow], int]:
        """Entries, newest first, and how many there are."""
        def work(session: Session) -> tuple[list[JournalRow], int]:
            total = session.exec(select(func.count()).select_from(JournalRow)).one()
            query = select(JournalRow).order_by(col(JournalRow.seq).desc()).offset(offset).limit(limit)
            return list(session.exec(query).all()), total

        return await self._call(work)

    async def verify_journal(self) -> tuple[int, str]:
        """How many entries hold, and what is wrong with the next (empty: nothing)."""
        def work(session: Session) -> tuple[int, str]:
            held, trouble = chain.check(session)
            if not trouble and held != self._last[0]:
                trouble = f"entries after {held} are missing: {self._last[0]} were written"
            return held, trouble

        return await self._call(work)


_OBJECTS, _JOURNAL = SQLModel.metadata.tables["object"], SQLModel.metadata.tables["journal"]
_THAT = (_OBJECTS.c.kind == sqlalchemy.bindparam("of_kind"), _OBJECTS.c.name == sqlalchemy.bindparam("of_name"))
_DELETE = sqlalchemy.delete(_OBJECTS).where(*_THAT)
_JOBS, _STEPS = SQLModel.metadata.tables["job"], SQLModel.metadata.tables["step"]
_JOB = sqlalchemy.update(_JOBS).where(_JOBS.c.id == sqlalchemy.bindparam("of_id")).values(
    {field: sqlalchemy.bindparam(f"new_{field}") for field in ("state", "record")})
#: its row is there since the job is
_STEP = sqlalchemy.update(_STEPS).where(_STEPS.c.job == sqlalchemy.bindparam("of_job"),
                                        _STEPS.c.number == sqlalchemy.bindparam("of_number")).values(
    {field: sqlalchemy.bindparam(f"new_{field}") for field in ("state", "started", "ended", "error")})
_SEEN = sqlalchemy.update(_OBJECTS).where(*_THAT).values(
    {field: sqlalchemy.bindparam(f"new_{field}") for field in ("seen", "seen_at", "state", "since")})


def _text_of(seen: Any) -> str | None:
    return _encode(seen).decode() if seen is not None else None


def _object_row(item: Item) -> dict[str, Any]:
    return {"kind": item.kind, "name": item.name, "wanted": _encode(item.wanted).decode(), "seen": _text_of(item.seen),
            "seen_at": item.seen_at, "state": item.state, "since": item.since, "revision": item.revision,
            "created": item.created}


def _step_of(step: StepRow) -> dict[str, Any]:
    return {"of_job": step.job, "of_number": step.number, "new_state": step.state, "new_started": step.started,
            "new_ended": step.ended, "new_error": step.error}


def _seen_of(item: Item) -> dict[str, Any]:
    return {"of_kind": item.kind, "of_name": item.name, "new_seen": _text_of(item.seen), "new_seen_at": item.seen_at,
            "new_state": item.state, "new_since": item.since}


def _item(row: ObjectRow) -> Item:
    seen = msgspec.json.decode(row.seen, type=SEEN_TYPES[row.kind]) if row.seen else None
    return Item(kind=row.kind, name=row.name, wanted=convert_wanted(row.kind, json.loads(row.wanted)), seen=seen,
                seen_at=row.seen_at, state=row.state, since=row.since, revision=row.revision, created=row.created)
