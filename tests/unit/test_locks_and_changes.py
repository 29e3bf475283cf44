"""Locks on objects; watching the farm."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrm_tui.core.model import Item
from qrm_tui.core.plan import Lock
from qrm_tui.daemon import changes
from qrm_tui.daemon.changes import Changes
from qrm_tui.daemon.locks import Locks
from tests.unit.allocation import image, make_farm


def test_many_share_and_one_has_it_alone() -> None:
    locks = Locks()
    assert locks.take(1, [Lock("image/golden", True)]) and locks.take(2, [Lock("image/golden", True)])
    assert not locks.take(3, [Lock("image/golden")])
    assert locks.blocker(3, [Lock("image/golden")]) in (("image/golden", 1), ("image/golden", 2))
    locks.release(1)
    locks.release(2)
    assert locks.take(3, [Lock("image/golden")])


async def test_all_or_none_and_first_come_first_served() -> None:
    locks = Locks()
    assert locks.take(1, [Lock("a")])
    told: list[tuple[str, int]] = []
    second = asyncio.create_task(locks.acquire(2, [Lock("a"), Lock("b")], lambda *who: told.append(who)))
    await asyncio.sleep(0)
    assert told == [("a", 1)]
    assert not locks.take(3, [Lock("b")]), "the one that waits longer comes first"
    assert locks.take(4, [Lock("c")])
    locks.release(1)
    await second
    assert locks.blocker(5, [Lock("b")]) == ("b", 2)


async def test_one_who_gives_up_is_in_nobodys_way() -> None:
    locks = Locks()
    assert locks.take(1, [Lock("a")])
    waiting = asyncio.create_task(locks.acquire(2, [Lock("a"), Lock("b")], lambda *who: None))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert locks.take(3, [Lock("b")])


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=40))
def test_nobody_ever_shares_what_one_has_alone(moves: list[tuple[int, str, bool, bool]]) -> None:
    locks, held = Locks(), {}
    for job, name, shared, release in moves:
        if release:
            locks.release(job)
            held.pop(job, None)
        elif job not in held and locks.take(job, [Lock(name, shared)]):
            held[job] = (name, shared)
        for name_ in "abc":
            holders = [shared for other, shared in held.values() if other == name_]
            assert len(holders) <= 1 or all(holders)


async def _next(events: AsyncIterator[Any], count: int = 1) -> list[Any]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "TOGETHER", 0.0)


async def test_a_snapshot_then_what_changes() -> None:
    farm = make_farm(image("web"))
    events = Changes(farm).watch(["image", "job"])
    first, second = await _next(events, 2)
    assert (first["kind"], [row["name"] for row in first["rows"]]) == ("image", ["web"])
    assert (second["kind"], second["rows"], second["first"], second["last"]) == ("job", [], True, True)
    farm.put(Item(kind="image", name="c1", wanted=image("c1", origin="web")))
    farm.delete("image", "c1")
    farm.put(Item(kind="image", name="c2", wanted=image("c2", origin="web")))
    (delta,) = await _next(events)
    assert delta["removed"] == {"image": ["c1"]}
    assert {row["name"] for row in delta["changed"]["image"]} == {"c2", "web"}  # web is frozen now
    assert delta["revision"] == farm.revision


async def test_it_goes_on_where_it_was_left() -> None:
    farm = make_farm(image("web"))
    watching = Changes(farm)
    (snapshot,) = await _next(watching.watch(["image"]))
    farm.put(Item(kind="image", name="c1", wanted=image("c1")))
    (delta,) = await _next(watching.watch(["image"], snapshot["revision"]))
    assert delta["event"] == "delta" and [row["name"] for row in delta["changed"]["image"]] == ["c1"]


@pytest.mark.parametrize("since", [-1, 10**9])
async def test_what_is_no_longer_remembered_is_a_snapshot(since: int) -> None:
    farm = make_farm(image("web"))
    (event,) = await _next(Changes(farm).watch(["image"], since))
    assert event["event"] == "snapshot"


async def test_a_slow_reader_gets_the_newest_and_costs_nothing() -> None:
    farm = make_farm(image("web"))
    watching = Changes(farm)
    events = watching.watch(["image"])
    await _next(events)
    item = farm.get("image", "web")
    for size in range(5000):
        farm.put(msgspec.structs.replace(item, seen=msgspec.structs.replace(item.seen, used=size)))
    (delta,) = await _next(events)
    assert [row["used"] for row in delta["changed"]["image"]] == [4999]
    await events.aclose()  # type: ignore[attr-defined]
    assert not watching._watchers


async def test_watchers_are_let_go_when_the_server_ends() -> None:
    farm = make_farm(image("web"))
    watching = Changes(farm)
    events = watching.watch(["image"])
    await _next(events)
    waits = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    watching.part()
    async with asyncio.timeout(changes.ALIVE / 2):
        with pytest.raises(StopAsyncIteration):
            await waits
    assert not watching._watchers


async def test_large_snapshots_come_in_parts() -> None:
    farm = make_farm(*(image(f"i{at}") for at in range(1201)))
    events = await _next(Changes(farm).watch(["image"]), 3)
    assert [len(event["rows"]) for event in events] == [500, 500, 201]
    assert [(event["first"], event["last"]) for event in events] == [(True, False), (False, False), (False, True)]
