"""The database's tables. Objects of every kind share one: what is wanted and seen of them is JSON by core.model."""
from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, Text
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlmodel import Field, SQLModel

#: MariaDB's TEXT ends at 64 KiB, and its FLOAT has 24 bits: a time of today is some minutes off.
LONG, DOUBLE = Text().with_variant(LONGTEXT(), "mariadb"), Float(53)
#: Names are compared byte by byte, blanks at the end too, as SQLite does.
AS_SQLITE: dict[str, Any] = {"mariadb_engine": "InnoDB", "mariadb_default_charset": "utf8mb4",
                             "mariadb_collate": "utf8mb4_nopad_bin"}


class ObjectRow(SQLModel, table=True):
    """A storage server, an image …"""

    __tablename__ = "object"
    __table_args__ = AS_SQLITE
    kind: str = Field(primary_key=True, max_length=32)
    name: str = Field(primary_key=True, max_length=64)
    wanted: str = Field(sa_column=Column(LONG, nullable=False))
    seen: str | None = Field(default=None, sa_column=Column(LONG))
    seen_at: float | None = Field(default=None, sa_type=DOUBLE)
    state: str = Field(max_length=16)
    since: float = Field(sa_type=DOUBLE)
    revision: int
    created: float = Field(sa_type=DOUBLE)


class JobRow(SQLModel, table=True):
    """A job: its record as scripts read it, and the plan that it runs."""

    __tablename__ = "job"
    __table_args__ = AS_SQLITE
    id: int | None = Field(default=None, primary_key=True)
    operation: str = Field(max_length=64)
    object: str = Field(max_length=100, index=True)
    state: str = Field(max_length=16, index=True)
    asked: float = Field(sa_type=DOUBLE)
    record: str = Field(sa_column=Column(LONG, nullable=False))
    plan: str = Field(sa_column=Column(LONG, nullable=False))


class StepRow(SQLModel, table=True):
    """How far a job's step is: pending, begun, done, undone, failed."""

    __tablename__ = "step"
    __table_args__ = AS_SQLITE
    job: int = Field(primary_key=True, foreign_key="job.id")
    number: int = Field(primary_key=True)
    state: str = Field(max_length=16)
    started: float | None = Field(default=None, sa_type=DOUBLE)
    ended: float | None = Field(default=None, sa_type=DOUBLE)
    error: str = Field(default="", sa_column=Column(LONG, nullable=False))


class JournalRow(SQLModel, table=True):
    """One entry of the journal; `hash` covers it and the hash of the one before."""

    __tablename__ = "journal"
    __table_args__ = AS_SQLITE
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: float = Field(index=True, sa_type=DOUBLE)
    who: str = Field(max_length=64)
    terminal: str = Field(max_length=64)
    operation: str = Field(max_length=64)
    object: str = Field(max_length=100, index=True)
    outcome: str = Field(max_length=16)
    reason: str = Field(sa_column=Column(LONG, nullable=False))
    job: int | None = None
    #: plan and error as JSON
    details: str = Field(sa_column=Column(LONG, nullable=False))
    hash: str = Field(max_length=64)
