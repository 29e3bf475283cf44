"""The database's tables. Objects of every kind share one: what is wanted and seen of them is JSON by core.model."""
from __future__ import annotations

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel


class ObjectRow(SQLModel, table=True):
    """A storage server, an image …"""

    __tablename__ = "object"
    kind: str = Field(primary_key=True, max_length=32)
    name: str = Field(primary_key=True, max_length=64)
    wanted: str = Field(sa_column=Column(Text, nullable=False))
    seen: str | None = Field(default=None, sa_column=Column(Text))
    seen_at: float | None = None
    state: str = Field(max_length=16)
    since: float
    revision: int
    created: float


class JobRow(SQLModel, table=True):
    """A job: its record as scripts read it, and the plan that it runs."""

    __tablename__ = "job"
    id: int | None = Field(default=None, primary_key=True)
    operation: str = Field(max_length=64)
    object: str = Field(max_length=100, index=True)
    state: str = Field(max_length=16, index=True)
    asked: float
    record: str = Field(sa_column=Column(Text, nullable=False))
    plan: str = Field(sa_column=Column(Text, nullable=False))


class StepRow(SQLModel, table=True):
    """How far a job's step is: pending, begun, done, undone, failed."""

    __tablename__ = "step"
    job: int = Field(primary_key=True, foreign_key="job.id")
    number: int = Field(primary_key=True)
    state: str = Field(max_length=16)
    started: float | None = None
    ended: float | None = None
    error: str = Field(default="", sa_column=Column(Text, nullable=False))


class JournalRow(SQLModel, table=True):
    """One entry of the journal; `hash` covers it and the hash of the one before."""

    __tablename__ = "journal"
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: float = Field(index=True)
    who: str = Field(max_length=64)
    terminal: str = Field(max_length=64)
    operation: str = Field(max_length=64)
    object: str = Field(max_length=100, index=True)
    outcome: str = Field(max_length=16)
    reason: str = Field(sa_column=Column(Text, nullable=False))
    job: int | None = None
    #: plan and error as JSON
    details: str = Field(sa_column=Column(Text, nullable=False))
    hash: str = Field(max_length=64)
