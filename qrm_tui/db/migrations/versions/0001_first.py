"""Objects, jobs with their steps, journal."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from qrm_tui.db.tables import AS_SQLITE, DOUBLE, LONG

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # MariaDB commits each statement by itself: what was made before power failed is there
    op.create_table(
        "object",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("wanted", LONG, nullable=False),
        sa.Column("seen", LONG),
        sa.Column("seen_at", DOUBLE),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", DOUBLE, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created", DOUBLE, nullable=False),
        if_not_exists=True, **AS_SQLITE)
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("object", sa.String(100), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked", DOUBLE, nullable=False),
        sa.Column("record", LONG, nullable=False),
        sa.Column("plan", LONG, nullable=False),
        if_not_exists=True, **AS_SQLITE)
    op.create_index("ix_job_object", "job", ["object"], if_not_exists=True)
    op.create_index("ix_job_state", "job", ["state"], if_not_exists=True)
    op.create_table(
        "step",
        sa.Column("job", sa.Integer, sa.ForeignKey("job.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started", DOUBLE),
        sa.Column("ended", DOUBLE),
        sa.Column("error", LONG, nullable=False),
        if_not_exists=True, **AS_SQLITE)
    op.create_table(
        "journal",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", DOUBLE, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("terminal", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("object", sa.String(100), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", LONG, nullable=False),
        sa.Column("job", sa.Integer),
        sa.Column("details", LONG, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        if_not_exists=True, **AS_SQLITE)
    op.create_index("ix_journal_at", "journal", ["at"], if_not_exists=True)
    op.create_index("ix_journal_object", "journal", ["object"], if_not_exists=True)


def downgrade() -> None:
    for table in ("journal", "step", "job", "object"):
        op.drop_table(table)
