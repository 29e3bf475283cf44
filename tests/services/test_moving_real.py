"""A farm's rows go from SQLite into a real MariaDB and back: all of them or none, whatever cuts it off."""
from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import URL, Engine, event

from qrm_tui.core.data_place import NOTE, Place
from qrm_tui.core.errors import BadInput, Broken, Refused
from qrm_tui.core.model import ImageSeen, Item, JobRecord
from qrm_tui.core.plan import Plan, Record
from qrm_tui.daemon.moving import settle, try_place
from qrm_tui.daemon.moving import url_of as url_at
from qrm_tui.db import migrate, moving
from qrm_tui.db.address import url_of
from qrm_tui.db.engine import engine_of
from qrm_tui.db.moving import move, reach, try_move
from qrm_tui.db.store import Entry, Store, Write
from tests.services.mariadb_room import MariaDb
from tests.unit.allocation import image

pytestmark = pytest.mark.xdist_group("mariadb")
ENTRIES = 510
ROWS = 3 + 2 + 4 + ENTRIES


@pytest.fixture
def lite(tmp_path: Path) -> URL:
    return url_of("sqlite", tmp_path)


@pytest.fixture
def maria(mariadb: MariaDb, tmp_path: Path) -> Iterator[URL]:
    with mariadb.empty_database() as name:
        yield url_of(mariadb.place(name), tmp_path)


async def _fill(url: URL) -> None:
    store = Store(url, lambda: 1795670821.1234567)
    await store.open()
    await store.write(Write(put=[
        Item(kind="image", name=name, wanted=image(name), state="ready", since=at, created=at, seen_at=0.1, revision=3,
             seen=ImageSeen(mounted=True)) for at, name in enumerate(("web", "Web", "zoë💾"), 5)]))
    steps = tuple(Record(summary="a row", changes=()) for _ in range(2))
    for _ in range(2):
        await store.new_job(JobRecord(id=0, operation="image.add", object="image/web", arguments={}, asked=1.0), Plan(
            id="p", operation="image.add", object="image/web", arguments={"name": "web"}, steps=steps,
            notes=("long " * (1 << 16),)))
    await store.write(Write(entries=[
        Entry(who="admin", terminal="/dev/pts/1", operation="image.add", object="image/web", outcome="done",
              reason=f"reason 'n' \\ \"{number}\" \0 😀", job=1 if number % 2 else None, details={"n": number})
        for number in range(ENTRIES)]))
    store.close()


async def _read(url: URL) -> Any:
    store = Store(url, lambda: 0.0)
    await store.open()
    found = (await store.objects(), await store.jobs(), [await store.plan_of(job) for job in (1, 2)],
             await store.journal(limit=5), await store.verify_journal())
    store.close()
    return msgspec.to_builtins(found, enc_hook=lambda row: row.model_dump())


async def test_there_and_back_it_is_the_same(lite: URL, maria: URL, tmp_path: Path) -> None:
    await _fill(lite)
    before = await _read(lite)
    assert before[-1] == (ENTRIES, "")
    assert move(lite, maria) == ROWS
    assert await _read(maria) == before
    (tmp_path / "back").mkdir()
    back = url_of("sqlite", tmp_path / "back")
    assert move(maria, back) == ROWS
    assert await _read(back) == before == await _read(lite)


@pytest_asyncio.fixture(params=["to MariaDB", "to SQLite"])
async def way(request: pytest.FixtureRequest, lite: URL, maria: URL) -> tuple[URL, URL]:
    source, target = (lite, maria) if request.param == "to MariaDB" else (maria, lite)
    await _fill(source)
    return source, target


def _rows_in(url: URL) -> int:
    engine = engine_of(url)
    with engine.connect() as connection:
        found = sum(moving._counts(connection).values())
    engine.dispose()
    return found


def _prepare(url: URL) -> None:
    engine = engine_of(url)
    migrate.upgrade(engine)
    engine.dispose()


class Cut(BaseException):
    pass


def test_cut_off_at_any_change_nothing_is_there_and_it_can_be_done_again(way: tuple[URL, URL]) -> None:
    source, target = way
    _prepare(target)
    left = [0]

    def cut(*told: Any) -> None:
        if len(told) == 1 or told[2].startswith("INSERT"):
            left[0] -= 1
            if left[0] < 0:
                raise Cut

    moved, changes = 0, 0
    for event_name in ("before_cursor_execute", "commit"):
        event.listen(Engine, event_name, cut)
    try:
        while not moved:
            left[0], changes = changes, changes + 1
            try:
                moved = move(source, target)
            except Cut:
                left[0] = 1000
                assert _rows_in(target) == 0
    finally:
        for event_name in ("before_cursor_execute", "commit"):
            event.remove(Engine, event_name, cut)
    assert moved == ROWS and changes > 6
    assert move(source, target) == ROWS


_KILLED = """
import os, sys
from sqlalchemy import Engine, event
from qrm_tui.db.moving import move, reach

if sys.argv[1] == "before the commit":
    event.listen(Engine, "commit", lambda connection: os.kill(os.getpid(), 9))
moved = move(*sys.argv[2:])
os.kill(os.getpid(), 9)
"""


async def test_killed_it_goes_on_when_it_is_run_again(way: tuple[URL, URL]) -> None:
    source, target = way
    before = await _read(source)
    _prepare(target)
    for at, rows in (("before the commit", 0), ("after it", ROWS)):
        argv = [sys.executable, "-c", _KILLED, at, str(source), str(target)]
        ended = await asyncio.to_thread(subprocess.run, argv, timeout=60)
        assert ended.returncode == -signal.SIGKILL
        assert _rows_in(target) == rows
    assert move(source, target) == ROWS
    assert await _read(target) == before == await _read(source)


async def test_a_target_with_another_farm_is_left_alone(lite: URL, maria: URL) -> None:
    for url, clock in ((lite, lambda: 1.0), (maria, lambda: 2.0)):
        store = Store(url, clock)
        await store.open()
        await store.write(Write(entry=Entry(who="admin", terminal="", operation="x", object="y", outcome="done")))
        store.close()
    before = await _read(maria)
    with pytest.raises(Refused, match=r"has rows already .*journal: 1.*give an empty one"):
        move(lite, maria)
    assert await _read(maria) == before
    with pytest.raises(Refused, match="it is there already"):
        move(maria, maria)


async def test_what_the_same_farm_once_left_there_is_replaced(lite: URL, maria: URL) -> None:
    await _fill(lite)
    move(lite, maria)
    store = Store(lite, lambda: 1.0)
    await store.open()
    await store.write(Write(delete=[("image", "Web")],
                            entry=Entry(who="admin", terminal="", operation="x", object="y", outcome="done")))
    store.close()
    try_move(lite, maria)
    assert _rows_in(maria) == ROWS
    assert move(lite, maria) == ROWS
    assert await _read(maria) == await _read(lite)


async def test_another_farm_is_told_while_it_is_tried(lite: URL, maria: URL) -> None:
    await _fill(lite)
    try_move(lite, maria)
    store = Store(maria, lambda: 2.0)
    await store.open()
    await store.write(Write(entry=Entry(who="admin", terminal="", operation="x", object="y", outcome="done")))
    store.close()
    with pytest.raises(Refused, match="has rows already"):
        try_move(lite, maria)


async def test_qrmd_moves_into_it_and_back_when_it_starts(mariadb: MariaDb, tmp_path: Path) -> None:
    usual, told = tmp_path / "usual", list[str]()
    usual.mkdir()
    await _fill(url_of("sqlite", usual))
    before = await _read(url_of("sqlite", usual))
    with mariadb.empty_database() as name:
        there = Place(data=str(tmp_path / "disk"), database=mariadb.place(name))
        assert settle(there, usual / NOTE, told.append) == (there, "")
        assert await _read(url_at(there)) == before
        assert not list(usual.glob("qrm.db*"))
        mariadb.kill()
        home = Place(data=str(usual))
        place, why = settle(home, usual / NOTE, told.append)
        assert place == there and "MariaDB does not answer" in why
        mariadb.start()
        assert settle(home, usual / NOTE, told.append) == (home, "")
        assert await _read(url_at(home)) == before


async def test_another_file_with_the_password_is_taken_when_it_can_be_read(mariadb: MariaDb, tmp_path: Path) -> None:
    usual, secret = tmp_path / "usual", tmp_path / "secret"
    usual.mkdir()
    await _fill(url_of("sqlite", usual))
    with mariadb.empty_database() as name:
        there = Place(data=str(usual), database=mariadb.place(name))
        assert settle(there, usual / NOTE, lambda _: None) == (there, "")
        other = Place(data=str(usual), database=there.database, password_file=str(secret))
        with pytest.raises(BadInput, match="secret, the database's password, cannot be read"):
            try_place(other, usual / NOTE)
        place, why = settle(other, usual / NOTE, lambda _: None)
        assert place == there and "the database's password is still that of nobody: " in why
        secret.touch(0o600)
        secret.write_text("not needed by the socket\n")
        try_place(other, usual / NOTE)
        assert settle(other, usual / NOTE, lambda _: None) == (other, "")
        home = Place(data=str(usual), password_file=str(tmp_path / "gone"))
        assert settle(home, usual / NOTE, lambda _: None) == (home, ""), "SQLite needs none"
        assert len((await _read(url_at(home)))[0]) == 3


async def test_databases_that_cannot_be_used_are_told(lite: URL, maria: URL, mariadb: MariaDb, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no farm in sqlite:.*: nothing is to be moved"):
        move(lite, maria)
    assert not (tmp_path / "qrm.db").exists()
    with pytest.raises(Refused, match="no farm in mariadb"):
        move(maria, lite)
    await _fill(lite)
    away = maria.set(query={"unix_socket": "/nowhere/s"}, password="hunter2")
    with pytest.raises(Broken, match=r"to move to cannot be used: .*does not answer at /nowhere/s") as told:
        move(lite, away)
    with pytest.raises(Broken, match=r"to move from cannot be used: .*does not answer at /nowhere/s"):
        move(away, lite)
    assert "hunter2" not in "".join(traceback.format_exception(told.value))
    with pytest.raises(Broken, match=r"the database to move to cannot be used: unable to open"):
        move(lite, url_of("sqlite", tmp_path / "nowhere"))


async def test_a_journal_that_was_tampered_with_stays_so(lite: URL, maria: URL,
                                                         caplog: pytest.LogCaptureFixture) -> None:
    await _fill(lite)
    engine = engine_of(lite)
    with engine.begin() as connection:
        connection.exec_driver_sql("update journal set who='somebody' where seq=7")
    engine.dispose()
    assert move(lite, maria) == ROWS
    assert "the journal is moved as it is: entry 7 was changed" in caplog.text
    assert (await _read(maria))[-1] == (6, "entry 7 was changed after it was written")


async def test_what_is_not_there_as_it_was_written_does_not_count(lite: URL, maria: URL,
                                                                  mariadb: MariaDb) -> None:
    await _fill(lite)
    _prepare(maria)
    mariadb.execute(f"use {maria.database}", "create trigger t before insert on step for each row set new.state='done'")
    with pytest.raises(Broken, match="does not hold what was written: nothing was moved"):
        move(lite, maria)
    assert _rows_in(maria) == 0


def test_whether_a_farm_could_be_moved_there(maria: URL, mariadb: MariaDb, tmp_path: Path) -> None:
    reach(maria)
    assert mariadb.rows(f"show tables from {maria.database}") == []
    with pytest.raises(Broken, match=r"to move to cannot be used: .*does not answer at /nowhere/s"):
        reach(maria.set(query={"unix_socket": "/nowhere/s"}))
    mariadb.execute("create user looks@localhost", f"grant select on {maria.database}.* to looks@localhost")
    with pytest.raises(Broken, match=r"command denied .*GRANT ALL PRIVILEGES ON"):
        reach(maria.set(username="looks"))
    mariadb.execute("drop user looks@localhost")
