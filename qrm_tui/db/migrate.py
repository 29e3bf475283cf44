"""Brings a database to the form that this version uses; a copy of an SQLite file is kept first."""
from __future__ import annotations

import shutil
from pathlib import Path

import sqlalchemy
from sqlalchemy import Engine

#: The newest migration in migrations/versions; a test holds them equal.
HEAD = "0001"


def current(engine: Engine) -> str | None:
    """The migration that the database is at; None for a new one."""
    if not sqlalchemy.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        row = connection.execute(sqlalchemy.text("select version_num from alembic_version")).first()
    return row[0] if row else None


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing."""
    at = current(engine)
    if at == HEAD:
        return
    # only here: importing Alembic takes as long as the rest of the start
    from alembic import command
    from alembic.config import Config

    if at is not None and engine.url.database and engine.dialect.name == "sqlite":
        shutil.copy2(engine.url.database, f"{engine.url.database}.before-{HEAD}")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
