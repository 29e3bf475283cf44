"""The database, each kind of it: what is written holds, the journal's chain, migrations."""
from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import pytest_asyncio
from alembic.script import ScriptDirectory
from sqlalchemy import URL

from qrm_tui.core.errors import Broken
from qrm_tui.core.model import ImageSeen, Item, JobRecord
from qrm_tui.core.plan import HERE, Plan, Reliance
from qrm_tui.db import migrate
from qrm_tui.db.address import url_of
from qrm_tui.db.store import Entry, Store, Write
from tests.services.mariadb_room import MariaDb
from tests.unit.allocation import image


class Kind(NamedTuple):
    """A new database, and how somebody else changes it."""

    url: str | URL
    execute: Callable[[str], None]


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.xdist_group("mariadb"))])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "mariadb":
        server: MariaDb = request.getfixturevalue("mariadb")
        with server.empty_database() as name:
            yield Kind(url_of(server.place(name), tmp_path), lambda sql: server.execute(f"use {name}", sql))
        return

    def execute(sql: str) -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "qrm.db")) as connection, connection:
            connection.execute(sql)

    yield Kind(f"sqlite:///{tmp_path / 'qrm.db'}", execute)


@pytest_asyncio.fixture
async def store(kind: Kind) -> AsyncIterator[Store]:
    made = Store(kind.url, lambda: 1000.0)
    await made.open()
    yield made
    made.close()


def _entry(operation: str = "image.add") -> Entry:
    return Entry(who="admin", terminal="/dev/pts/1", operation=operation, object="image/web", outcome="done")


def _item(name: str = "web") -> Item:
    return Item(kind="image", name=name, wanted=image(name), state="ready", since=5.0, created=5.0, revision=3)


def _plan() -> Plan:
    return Plan(id="p", operation="image.add", object="image/web", arguments={"name": "web"}, steps=(),
                relies=(Reliance(HERE, "object", ("image", "web"), "d"),))


def test_the_head_is_the_newest_migration() -> None:
    folder = Path(migrate.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == migrate.HEAD


async def test_objects_come_back_as_they_were(store: Store) -> None:
    item = msgspec.structs.replace(_item(), seen=ImageSeen(mounted=True, used=7), seen_at=9.0)
    await store.write(Write(put=[item]))
    assert await store.objects() == [item]
    await store.write(Write(delete=[("image", "web"), ("image", "never-there")]))
    assert await store.objects() == []


async def test_a_look_brings_nothing_back_and_changes_no_wish(store: Store) -> None:
    await store.write(Write(put=[_item()]))
    stale = msgspec.structs.replace(_item(), seen=ImageSeen(mounted=True), state="error",
                                    wanted=msgspec.structs.replace(image("web"), size=1))
    await store.write(Write(seen=[stale]))
    (kept,) = await store.objects()
    assert kept.state == "error" and kept.seen.mounted and kept.wanted == image("web")
    await store.write(Write(delete=[("image", "web")]))
    await store.write(Write(seen=[stale]))
    assert await store.objects() == []


async def test_jobs_keep_plan_and_steps(store: Store) -> None:
    record = await store.new_job(JobRecord(id=0, operation="image.add", object="image/web", arguments={}, asked=1.0),
                                 _plan())
    assert record.id == 1
    stored = await store.plan_of(1)
    assert stored is not None and stored[0] == _plan() and stored[1] == []
    assert [job.id for job in await store.jobs()] == [1]
    assert await store.plan_of(2) is None


async def test_all_or_nothing(store: Store) -> None:
    await store.write(Write(put=[_item()], entry=_entry()))
    broken = msgspec.structs.replace(_item("other"), state=None)  # the table wants a state
    with pytest.raises(Broken):
        await store.write(Write(put=[broken], delete=[("image", "web")], entry=_entry()))
    assert [item.name for item in await store.objects()] == ["web"]
    await store.write(Write(entry=_entry()))
    assert await store.verify_journal() == (2, "")


@pytest.mark.parametrize(("sql", "trouble"), [
    ("update journal set who='somebody' where seq=2", "entry 2 was changed"),
    ("delete from journal where seq=2", "entry 2 is missing"),
    ("delete from journal where seq=3", "entries after 2 are missing"),
    ("update journal set hash='0' where seq=1", "entry 1 was changed"),
])
async def test_a_journal_that_was_tampered_with_is_told(store: Store, kind: Kind, sql: str, trouble: str) -> None:
    for _ in range(3):
        await store.write(Write(entry=_entry()))
    assert await store.verify_journal() == (3, "")
    kind.execute(sql)
    assert trouble in (await store.verify_journal())[1]


async def test_the_chain_goes_on_after_a_restart(store: Store, kind: Kind) -> None:
    await store.write(Write(entry=_entry()))
    other = Store(kind.url, lambda: 2000.0)
    await other.open()
    await other.write(Write(entry=_entry("image.remove")))
    assert await other.verify_journal() == (2, "")
    other.close()


async def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "qrm.db").write_text("this is no database, whatever it says on the tin " * 50)
    store = Store(f"sqlite:///{tmp_path / 'qrm.db'}", lambda: 0)
    with pytest.raises(Broken, match="cannot be opened"):
        await store.open()
    store.close()


async def test_a_database_that_is_full(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'qrm.db'}", lambda: 1000.0)
    await store.open()
    await store.write(Write(put=[_item()]))
    await store._call(lambda session: session.connection().exec_driver_sql("pragma max_page_count=1"))
    with pytest.raises(Broken, match="make room there"):
        for at in range(500):
            await store.write(Write(put=[_item(f"i{at}" + "x" * 50)], entry=_entry()))
    await store._call(lambda session: session.connection().exec_driver_sql("pragma max_page_count=100000"))
    await store.write(Write(entry=_entry()))
    assert (await store.verify_journal())[1] == ""
    store.close()


async def test_another_server_on_the_same_database_is_told(store: Store, kind: Kind) -> None:
    other = Store(kind.url, lambda: 2000.0)
    await other.open()
    await other.write(Write(entry=_entry()))
    with pytest.raises(Broken, match="another qrmd writes into this database"):
        await store.write(Write(put=[_item()], entry=_entry()))
    other.close()
    assert await store.objects() == []


@pytest.mark.parametrize(("sql", "trouble"), [
    ("update alembic_version set version_num='9999'", "made by a newer qrmd .it is at 9999"),
    ("delete from alembic_version", ""),
])
async def test_a_database_of_another_time(store: Store, kind: Kind, sql: str, trouble: str) -> None:
    """Without a word of its version it was cut off in its first migration, and goes on."""
    await store.write(Write(entry=_entry()))
    kind.execute(sql)
    other = Store(kind.url, lambda: 2000.0)
    if trouble:
        with pytest.raises(Broken, match=trouble):
            await other.open()
    else:
        await other.open()
        assert await other.verify_journal() == (1, "")
    other.close()


async def test_a_database_of_something_else_is_left_alone(kind: Kind) -> None:
    kind.execute("create table job (id integer primary key, salary integer)")
    store = Store(kind.url, lambda: 0)
    with pytest.raises(Broken, match="has a table 'job' of something else: give qrmd one of its own"):
        await store.open()
    store.close()


async def test_names_are_told_apart_as_they_are_written(store: Store) -> None:
    names = ["web", "Web", "web ", "wéb", "we\u0301b", "w\u0435b", "web\U0001f4be"]
    await store.write(Write(put=[_item(name) for name in names]))
    assert sorted(item.name for item in await store.objects()) == sorted(names)
    await store.write(Write(delete=[("image", "web")]))
    assert sorted(item.name for item in await store.objects()) == sorted(names[1:])


async def test_times_come_back_to_the_last_bit(kind: Kind) -> None:
    times = [1795670821.1234567, 0.1, 1e-300, 1795670821.9999998, 2**53 + 1.0]
    store = Store(kind.url, lambda: times[0])
    await store.open()
    for at in times[1:]:
        await store.write(Write(put=[msgspec.structs.replace(_item(), seen_at=at, since=at)], entry=_entry()))
        (kept,) = await store.objects()
        assert (kept.seen_at, kept.since) == (at, at)
    assert (await store.journal())[0][0].at == times[0]
    assert await store.verify_journal() == (4, "")
    store.close()


async def test_plans_of_large_farms(store: Store) -> None:
    plan = msgspec.structs.replace(_plan(), notes=tuple(f"machine {at}: \"é\" '\\'" * 10 for at in range(10_000)))
    assert len(msgspec.json.encode(plan)) > 2 << 20
    record = await store.new_job(JobRecord(id=0, operation="image.add", object="image/web", arguments={}, asked=1.0),
                                 plan)
    stored = await store.plan_of(record.id)
    assert stored is not None and stored[0] == plan


async def test_a_job_number_is_given_once(store: Store, kind: Kind) -> None:
    asked = JobRecord(id=0, operation="image.add", object="image/web", arguments={}, asked=1.0)
    assert [(await store.new_job(asked, _plan())).id for _ in range(2)] == [1, 2]
    other = Store(kind.url, lambda: 2000.0)
    await other.open()
    assert (await other.new_job(asked, _plan())).id == 3
    assert [job.id for job in await other.jobs()] == [1, 2, 3]
    other.close()
