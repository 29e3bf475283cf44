"""Alembic's environment: migrations run over the connection that the store hands in."""
from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from qrm_tui.db import tables  # noqa: F401 the tables register themselves

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata,
                  render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
