"""Brings a database to the form that this version uses; a copy of an SQLite file is kept first."""
from __future__ import annotations

import shutil
from pathlib import Path

import sqlalchemy
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from qrm_tui.core.errors import Broken
from qrm_tui.db import tables  # noqa: F401 the tables register themselves
from qrm_tui.db.engine import weaknesses
from qrm_tui.db.troubles import words

#: The newest migration in migrations/versions; a test holds them equal.
HEAD = "0001"
_FOLDER = Path(__file__).parent / "migrations"


def opened(engine: Engine) -> list[str]:
    """Upgrade it. What its server is set to that loses data; Broken says why it cannot be used."""
    try:
        upgrade(engine)
        return weaknesses(engine)
    except SQLAlchemyError as error:
        raise Broken(f"the database cannot be opened: {words(error, engine.url)}") from error


def current(engine: Engine) -> str | None:
    """The migration that the database is at; None for a new one, or one whose first migration was cut off."""
    if not sqlalchemy.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        row = connection.execute(sqlalchemy.text("select version_num from alembic_version")).first()
    return row[0] if row else None


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing. Each can be run again after it was cut off anywhere."""
    at = current(engine)
    if at == HEAD:
        return
    if at is None:
        _only_ours(engine)
    elif not list((_FOLDER / "versions").glob(f"{at}_*.py")):
        raise Broken(f"the database was made by a newer qrmd (it is at {at}, this one knows {HEAD}): start that one")
    # only here: importing Alembic takes as long as the rest of the start
    from alembic import command
    from alembic.config import Config

    if at is not None and engine.url.database and engine.dialect.name == "sqlite":
        shutil.copy2(engine.url.database, f"{engine.url.database}.before-{HEAD}")
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _only_ours(engine: Engine) -> None:
    found = sqlalchemy.inspect(engine)
    for table in SQLModel.metadata.sorted_tables:
        if not found.has_table(table.name):
            continue
        ours, there = {*table.columns.keys()}, {column["name"] for column in found.get_columns(table.name)}
        # a form of another time has more of them, or fewer
        if not ours <= there and not there <= ours:
            raise Broken(f"the database {engine.url.database} has a table {table.name!r} of something else: give qrmd "
                         "one of its own")
