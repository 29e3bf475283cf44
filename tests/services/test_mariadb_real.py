"""A real MariaDB: killed, restarted, cut off at a commit, set up wrongly; and no password in what is told of it."""
from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import event

from qrm_tui.core import database
from qrm_tui.core.errors import Broken
from qrm_tui.core.model import ImageSeen, Item, JobRecord
from qrm_tui.core.plan import Plan
from qrm_tui.db import engine, migrate, transactions
from qrm_tui.db.address import url_of
from qrm_tui.db.engine import engine_of
from qrm_tui.db.store import Entry, Store, Write
from tests.daemon.test_faults import _job as job_of
from tests.daemon.test_faults import _until as until
from tests.daemon.world import World
from tests.services.mariadb_room import Line, MariaDb
from tests.unit.allocation import image

pytestmark = pytest.mark.xdist_group("mariadb")

PLAN = Plan(id="p", operation="image.add", object="image/web", arguments={"name": "web"}, steps=())
JOB = JobRecord(id=0, operation="image.add", object="image/web", arguments={}, asked=1.0)
SECRET = "hun:ter2@/%"


@pytest.fixture
def name(mariadb: MariaDb) -> Iterator[str]:
    with mariadb.empty_database() as made:
        yield made


@pytest.fixture
def line(mariadb: MariaDb, tmp_path: Path) -> Iterator[Line]:
    made = Line(mariadb, tmp_path / "line")
    yield made
    made.close()


@pytest_asyncio.fixture
async def store(mariadb: MariaDb, name: str, line: Line, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """Over the line that can be cut."""
    monkeypatch.setattr(transactions, "AGAIN", 0.01)
    made = Store(url_of(mariadb.place(name, at=line.at), Path("/")), lambda: 1000.0)
    await made.open()
    yield made
    made.close()


def _entry(operation: str = "image.add") -> Entry:
    return Entry(who="admin", terminal="/dev/pts/1", operation=operation, object="image/web", outcome="done")


def _item(name: str = "web") -> Item:
    return Item(kind="image", name=name, wanted=image(name), state="ready", since=5.0, created=5.0, revision=3)


async def test_a_server_that_was_killed_is_used_again(mariadb: MariaDb, store: Store) -> None:
    await store.write(Write(put=[_item()], entry=_entry()))
    mariadb.kill()
    for _ in range(2):
        with pytest.raises(Broken, match=r"MariaDB (is gone|does not answer)"):
            await store.write(Write(put=[_item("db")], entry=_entry()))
    mariadb.start()
    await store.write(Write(put=[_item("db")], entry=_entry()))
    assert {item.name for item in await store.objects()} == {"web", "db"}
    assert await store.verify_journal() == (2, "")


async def test_a_connection_that_the_server_ended_is_made_anew(mariadb: MariaDb, name: str, store: Store) -> None:
    """As wait_timeout does with one that was idle for long."""
    for (number,) in mariadb.rows(f"select id from information_schema.processlist where db='{name}'"):
        mariadb.execute(f"kill {number}")
    await store.write(Write(entry=_entry()))
    assert await store.verify_journal() == (1, "")


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_what_is_in_doubt_is_written_once(store: Store, line: Line, cut: str) -> None:
    """The line is cut at the commit, before it came there or after: nobody is told of a trouble, nothing is twice."""
    await store.write(Write(entry=_entry()))
    line.cut = cut
    await store.write(Write(put=[_item()], entry=_entry("image.grow"), entries=[_entry("image.tag")]))
    line.cut = cut
    seen = msgspec.structs.replace(_item(), seen=ImageSeen(mounted=True))
    await store.write(Write(seen=[seen]))
    line.cut = cut
    assert (await store.new_job(JOB, PLAN)).id == 1
    assert line.cut == ""
    assert (await store.new_job(JOB, PLAN)).id == 2
    await store.write(Write(entry=_entry()))
    assert [row.operation for row in (await store.journal())[0]] == ["image.add", "image.tag", "image.grow",
                                                                     "image.add"]
    assert await store.verify_journal() == (4, "")
    assert await store.objects() == [seen]
    assert [job.id for job in await store.jobs()] == [1, 2]


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_nothing_else_is_done_while_something_is_in_doubt(mariadb: MariaDb, store: Store, line: Line, cut: str,
                                                                caplog: pytest.LogCaptureFixture) -> None:
    """The server dies with the commit. Others are told so; the one in doubt waits, and has its place in the journal."""
    await store.write(Write(entry=_entry("first")))
    line.cut, line.at_cut = cut, mariadb.kill
    doubted = asyncio.create_task(store.write(Write(put=[_item()], entry=_entry("doubted"))))
    while "whether a change was written" not in caplog.text:
        await asyncio.sleep(0.01)
    with pytest.raises(Broken, match="MariaDB"):
        await store.write(Write(entry=_entry("told so")))
    assert not doubted.done()
    mariadb.start()
    await doubted
    await store.write(Write(entry=_entry("last")))
    assert [row.operation for row in (await store.journal())[0]] == ["last", "doubted", "first"]
    assert await store.verify_journal() == (3, "")


async def test_a_plan_that_the_server_does_not_take(mariadb: MariaDb, name: str) -> None:
    mariadb.execute(f"set global max_allowed_packet={2 << 20}")
    store = Store(url_of(mariadb.place(name), Path("/")), lambda: 0.0)
    await store.open()
    large = msgspec.structs.replace(PLAN, notes=("é\n" * (1 << 19),))
    with pytest.raises(Broken, match=r"MariaDB takes 2,097,152 in one piece \(max_allowed_packet\): set global "
                                     "max_allowed_packet=4194304"):
        await store.new_job(JOB, large)
    assert (await store.new_job(JOB, msgspec.structs.replace(PLAN, notes=("x" * 2_090_000,)))).id == 1
    mariadb.execute("set global max_allowed_packet=4194304")
    with pytest.raises(Broken, match="max_allowed_packet"):
        await store.new_job(JOB, large)
    assert (await store.new_job(JOB, large)).id == 2
    mariadb.execute("set global max_allowed_packet=default")
    store.close()


async def test_what_is_too_long_is_refused_whatever_the_server_is_set_to(mariadb: MariaDb, store: Store) -> None:
    """Cut off, the entry would break the chain."""
    mariadb.execute("set global sql_mode=''")
    with pytest.raises(Broken, match="Data too long for column 'who'"):
        await store.write(Write(entry=Entry(who="w" * 65, terminal="", operation="", object="", outcome="")))
    mariadb.execute("set global sql_mode=default")
    assert await store.verify_journal() == (0, "")


async def test_a_server_that_forgets_when_power_fails_is_told(mariadb: MariaDb, name: str,
                                                              caplog: pytest.LogCaptureFixture) -> None:
    mariadb.execute("set global innodb_flush_log_at_trx_commit=2")
    store = Store(url_of(mariadb.place(name), Path("/")), lambda: 0.0)
    await store.open()
    store.close()
    mariadb.execute("set global innodb_flush_log_at_trx_commit=1")
    assert "innodb_flush_log_at_trx_commit=2: when power fails, it loses what was done last. Set it to 1" in caplog.text


_CREATE = "create user {user}@localhost identified by '" + SECRET + "'"
_DROP = "drop user {user}@localhost"


@pytest.mark.parametrize(("before", "given", "told"), [
    ([_CREATE], {"password": SECRET[:-1]}, "Access denied .*MariaDB does not let qrm in. Its password is"),
    ([_CREATE], {}, "Access denied .*MariaDB does not let qrm in"),
    ([], {"password": SECRET}, "MariaDB does not let qrm in"),
    ([_CREATE], {"password": SECRET}, r"Access denied .*: in MariaDB, GRANT ALL PRIVILEGES ON {name}\.\* TO 'qrm'@"),
    ([_CREATE, "grant select on {name}.* to {user}@localhost"], {"password": SECRET},
     r"command denied .*GRANT ALL PRIVILEGES ON {name}\.\* TO 'qrm'@"),
    ([_CREATE, "grant all on nowhere.* to {user}@localhost"], {"password": SECRET, "database": "nowhere"},
     "Unknown database 'nowhere': in MariaDB, CREATE DATABASE IF NOT EXISTS nowhere CHARACTER SET utf8mb4 COLLATE"),
    ([], {"password": SECRET, "query": {"unix_socket": "/nowhere/s"}},
     "MariaDB does not answer at /nowhere/s; is it running"),
    ([], {"password": SECRET, "query": {}, "host": "127.0.0.1", "port": 1},
     "Connection refused.*MariaDB does not answer at 127.0.0.1:1; is it running"),
    ([], {"password": SECRET, "query": {}, "host": "no-such-host.invalid"}, "MariaDB does not answer at no-such-host"),
])
async def test_a_server_that_does_not_let_us_in(mariadb: MariaDb, name: str, before: list[str], given: dict[str, Any],
                                                told: str, caplog: pytest.LogCaptureFixture) -> None:
    for statement in before:
        mariadb.execute(statement.format(user="qrm", name=name))
    store = Store(url_of(mariadb.place(name, "qrm"), Path("/")).set(**given), lambda: 0.0)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Broken, match=told.format(name=name)) as caught:
        await store.open()
    if before:
        mariadb.execute(_DROP.format(user="qrm"))
    store.close()
    said = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(vars(store))
    assert "hun:ter" not in said and "hun%3Ater" not in said


async def test_with_rights_and_password_it_is_ours(mariadb: MariaDb, name: str) -> None:
    mariadb.execute(_CREATE.format(user="qrm"), f"grant all on {name}.* to qrm@localhost")
    store = Store(url_of(mariadb.place(name, "qrm"), Path("/"), SECRET), lambda: 0.0)
    await store.open()
    await store.write(Write(entry=_entry()))
    assert await store.verify_journal() == (1, "")
    store.close()
    mariadb.execute(_DROP.format(user="qrm"))


def test_the_first_migration_can_be_cut_off_anywhere(mariadb: MariaDb) -> None:
    """MariaDB takes back no table: what power cut off goes on at the next start, and is the same in the end."""
    def schema(name: str) -> dict[str, Any]:
        return {table: mariadb.rows(f"show create table {name}.{table}")[0][1]
                for (table,) in mariadb.rows(f"show tables from {name}")}

    class Cut(BaseException):
        pass

    def begin(name: str, statements: int) -> None:
        made = engine_of(url_of(mariadb.place(name), Path("/")))
        left = [statements]

        @event.listens_for(made, "before_cursor_execute")
        def _count(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            if statement.lstrip().upper().startswith(("CREATE", "INSERT")):
                left[0] -= 1
                if left[0] < 0:
                    raise Cut

        try:
            migrate.opened(made)
        finally:
            made.dispose()

    with mariadb.empty_database() as name:
        begin(name, 1000)
        whole = schema(name)
    assert all("utf8mb4_nopad_bin" in made for table, made in whole.items() if table != "alembic_version")
    with mariadb.empty_database() as name:
        for statements in range(1000):  # each goes a statement further than the one before it
            try:
                begin(name, statements)
            except Cut:
                continue
            break
        assert schema(name) == whole
        assert statements > len(whole)


def test_the_installer_makes_the_database_as_root(mariadb: MariaDb) -> None:
    here = database.HERE._replace(socket=str(mariadb.socket), name="of_the_installer")
    argv = [*database.preparing(here)]
    argv[2] = f"--user={mariadb.user}"
    for _ in range(2):
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
    (made,) = mariadb.rows("show create database of_the_installer")
    assert "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" in made[1]
    mariadb.execute("drop database of_the_installer")


async def test_a_farm_goes_on_when_its_database_was_killed(mariadb: MariaDb, name: str, tmp_path: Path) -> None:
    """In the middle of two steps of a job: it waits and tells for what, nothing else begins, and it goes on."""
    world = World(tmp_path, url_of(mariadb.place(name), tmp_path))
    await world.start()
    await world.add_storage()
    killed: list[int] = []

    def kill(point: str, job: object, step: int) -> None:
        if point == "effect" and step in (1, 3) and step not in killed:
            killed.append(step)
            mariadb.kill()

    world.qrmd.jobs.on_point = kill
    job = await world.submit("image.add", name="web", storage="s1", size="1G")
    for times in (1, 2):
        await until(world, lambda: "MariaDB" in job_of(world, job).waits_for)
        assert len(killed) == times
        with pytest.raises(Broken, match=r"MariaDB does not answer at .*; is it running"):
            await world.do("storage.remove", name="s2")
        mariadb.start()
        await until(world, lambda: "MariaDB" not in job_of(world, job).waits_for)
    assert (await world.qrmd.jobs.wait(job)).state == "done"
    assert await world.do("image.clone", source="web", name="customer") == "done"
    await world.kill_and_start()
    assert {item.name: item.state for item in world.qrmd.farm.all("image")} == {"web": "frozen", "customer": "ready"}
    assert await world.qrmd.store.verify_journal() == (4, "")
    for image_name in ("customer", "web"):
        assert await world.do("image.remove", name=image_name) == "done"
    assert await world.leftovers() == []
    await world.stop()


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(mariadb: MariaDb, name: str,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_SILENT", 0.2)
    store = Store(url_of(mariadb.place(name), Path("/")), lambda: 0.0)
    await store.open()
    mariadb.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Broken, match="MariaDB is gone"):
            await store.write(Write(entry=_entry()))
    finally:
        mariadb.signal(signal.SIGCONT)
    await store.write(Write(entry=_entry()))
    assert await store.verify_journal() == (1, "")
    store.close()
