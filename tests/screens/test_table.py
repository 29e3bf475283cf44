"""The table and its list source: state and messages, through the keys that a user presses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from qrm_tui.widgets.columns import Column, fit, layout, safe
from qrm_tui.widgets.rows import Change, ListSource, Row
from qrm_tui.widgets.spans import send_only_changes
from qrm_tui.widgets.table import VirtualTable

COLUMNS = (
    Column("name", "Name", 10, flexible=True, priority=9),
    Column("state", "State", 8, priority=8, style=lambda row: "bad" if row["state"] == "error" else None),
    Column("memory", "Memory", 7, justify="right", format=lambda row, now: f"{row['memory']} MiB"),
    Column("seen", "Seen", 6, justify="right", priority=5, format=lambda row, now: f"{now - row['seen']:.0f}s"),
)


def node(number: int, **other: Any) -> Row:
    return {"name": f"node-{number}", "state": "idle", "memory": number, "seen": 0.0} | other


class TableApp(App[None]):
    """A table, and what goes to the terminal."""

    def __init__(self, source: ListSource) -> None:
        super().__init__()
        self.now = 100.0
        self.table = VirtualTable(
            COLUMNS, source, placeholder="no images yet: press a to add one", clock=lambda: self.now
        )
        self.frames: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def _display(self, screen: Any, renderable: Any) -> None:
        if hasattr(renderable, "render_segments"):
            self.frames.append(renderable.render_segments(self.console))

    @property
    def lines(self) -> list[str]:
        """What is on screen, without the scrollbar."""
        with self._context():
            strips = self.screen._compositor.render_strips()
        return [strip.crop(0, self.table.scrollable_content_region.width).text.rstrip() for strip in strips]


class Farm:
    """A running app, its pilot, and the table's messages."""

    def __init__(self, app: TableApp, pilot: Pilot[None], heard: list[Message]) -> None:
        self.app, self.table, self.pilot, self.heard = app, app.table, pilot, heard
        assert isinstance(app.table.source, ListSource)
        self.source = app.table.source

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def said(self, kind: type[Message], field: str) -> list[Any]:
        """Contents of the messages of a kind since the last question; each is heard once for every ancestor."""
        unique = {id(message): message for message in self.heard if isinstance(message, kind)}
        found = [getattr(message, field) for message in unique.values()]
        self.heard.clear()
        return found

    async def settle(self) -> None:
        """Wait until the table has answered to its source and all is painted."""
        screen = self.app.screen
        await self.pilot.pause()
        while self.table._timer or screen._layout_required or screen._repaint_required or screen._dirty_widgets:
            await self.pilot.pause(0.01)


@asynccontextmanager
async def farm(count: int = 100, size: tuple[int, int] = (60, 12)) -> AsyncIterator[Farm]:
    heard: list[Message] = []
    app = TableApp(ListSource("name", [node(number) for number in range(count)]))
    async with app.run_test(size=size, message_hook=heard.append) as pilot:
        await pilot.pause()
        yield Farm(app, pilot, heard)


# keys


@pytest.mark.parametrize(
    ("keys", "cursor"),
    [
        (["down"], 1),
        (["j", "j", "k"], 1),
        (["up"], 0),
        (["pagedown"], 10),
        (["pagedown", "pagedown", "pageup"], 10),
        (["end"], 99),
        (["G", "down"], 99),
        (["G", "g"], 0),
        (["end", "up", "home"], 0),
    ],
)
async def test_keys_move_the_cursor_and_say_so(keys: list[str], cursor: int) -> None:
    async with farm() as f:
        assert f.said(VirtualTable.CursorMoved, "key") == ["node-0"]
        await f.press(*keys)
        assert (f.table.cursor, f.table.cursor_key) == (cursor, f"node-{cursor}")
        assert f.said(VirtualTable.CursorMoved, "key")[-1:] == ([f"node-{cursor}"] if cursor else []) or cursor == 0
        assert f"> node-{cursor}" in "\n".join(f.app.lines)


async def test_enter_selects_and_space_marks() -> None:
    async with farm() as f:
        await f.press("space", "down", "space", "enter")
        assert f.said(VirtualTable.Selected, "key") == ["node-1"]
        assert f.table.marked == {"node-0", "node-1"}
        assert f.app.lines[1].startswith("* node-0") and f.app.lines[2].startswith("* node-1")
        await f.press("space")
        assert f.said(VirtualTable.MarkedChanged, "keys") == [{"node-0"}]
        assert f.table.targets == ["node-0"]


async def test_all_rows_that_a_filter_lets_pass_are_marked_at_once() -> None:
    async with farm() as f:
        await f.press("space")
        f.source.filter(lambda row: row["memory"] in (1, 2))
        await f.press("asterisk")
        assert f.table.marked == {"node-0", "node-1", "node-2"}
        await f.press("asterisk")
        assert f.table.marked == {"node-0"}, "those that are hidden stay as they are"


async def test_without_marks_the_row_under_the_cursor_is_the_target() -> None:
    async with farm() as f:
        await f.press("down")
        assert f.table.targets == ["node-1"]
        f.source.set([])
        await f.settle()
        assert f.table.targets == []


async def test_sorting_by_keys_shows_its_mark_and_goes_by_value() -> None:
    async with farm(12) as f:
        await f.press("o")
        assert f.app.lines[0].split() == ["Name↑", "State", "Memory", "Seen"]
        assert [line.split()[0] for line in f.app.lines[2:4]] == ["node-1", "node-2"], "natural order, not node-10"
        await f.press("o", "o", "O")
        assert f.app.lines[0].split() == ["Name", "State", "Memory↓", "Seen"]
        assert f.source.rows(0, 2) == [node(11), node(10)]
        assert f.said(VirtualTable.Sorted, "column") == ["name", "state", "memory", "memory"]


async def test_every_key_can_be_remapped_by_its_id() -> None:
    async with farm() as f:
        f.app.set_keymap({"table.down": "x"})
        await f.press("x", "x")
        assert f.table.cursor == 2
        assert all(binding.id for binding in VirtualTable.BINDINGS)  # type: ignore[union-attr]


async def test_a_click_moves_and_a_click_on_the_header_sorts() -> None:
    async with farm() as f:
        await f.pilot.click(f.table, offset=(4, 3))
        assert f.table.cursor_key == "node-2"
        await f.pilot.click(f.table, offset=(4, 3), times=2)
        assert f.said(VirtualTable.Selected, "key") == ["node-2"]
        await f.pilot.click(f.table, offset=(3, 0))
        await f.pilot.click(f.table, offset=(3, 0))
        assert (f.source.column, f.source.reverse) == ("name", True)


# rows come and go


async def test_the_cursor_stays_on_its_row() -> None:
    async with farm() as f:
        await f.press("pagedown", "down")
        line = f.table.cursor - f.table._top
        f.heard.clear()
        f.table.sort_by("memory", True)
        assert (f.table.cursor_key, f.table.cursor) == ("node-11", 88)
        f.table.sort_by("name")
        f.source.update([{**node(3), "name": "a first one"}], ["node-2", "node-3"])
        await f.settle()
        assert (f.table.cursor_key, f.table.cursor) == ("node-11", 10)
        f.source.filter(lambda row: row["memory"] >= 11)
        await f.settle()
        assert (f.table.cursor_key, f.table.cursor) == ("node-11", 0)
        f.source.filter(None)
        await f.settle()
        assert f.table.cursor_key == "node-11"
        assert f.said(VirtualTable.CursorMoved, "key") == []
        assert 0 <= f.table.cursor - f.table._top < 11, line


async def test_where_its_row_goes_the_cursor_takes_the_next() -> None:
    async with farm(3) as f:
        await f.press("down")
        f.heard.clear()
        f.source.update(removed=["node-1"])
        await f.settle()
        f.source.update(removed=["node-2"])
        await f.settle()
        f.source.update(removed=["node-0"])
        await f.settle()
        assert f.said(VirtualTable.CursorMoved, "key") == ["node-2", "node-0", None]
        assert f.table.cursor_row is None
        await f.press("down", "space", "enter", "G")
        assert f.table.marked == frozenset()


async def test_rows_above_do_not_move_what_one_looks_at() -> None:
    async with farm() as f:
        f.table.sort_by("name")
        await f.press("pagedown", "pagedown")
        before = f.app.lines
        f.source.update([{**node(0), "name": f"a-{number}"} for number in range(5)])
        await f.settle()
        assert f.app.lines == before


async def test_marks_outlive_a_filter_and_not_their_row() -> None:
    async with farm() as f:
        await f.press("space", "down", "space")
        f.source.filter(lambda row: row["memory"] > 50)
        await f.settle()
        assert f.table.marked == {"node-0", "node-1"}
        f.source.update(removed=["node-0"])
        await f.settle()
        assert f.said(VirtualTable.MarkedChanged, "keys")[-1] == {"node-1"}


async def test_an_empty_table_says_what_to_do() -> None:
    async with farm(0) as f:
        assert "no images yet: press a to add one" in "\n".join(f.app.lines)
        await f.press("down", "up", "pagedown", "end", "enter", "space", "o", "O")
        f.source.update([node(1)])
        await f.settle()
        assert f.table.cursor_key == "node-1"
        assert "no images" not in "\n".join(f.app.lines)


async def test_another_source_starts_afresh() -> None:
    async with farm() as f:
        await f.press("space", "G")
        f.table.source = ListSource("name", [node(7), node(8)])
        await f.settle()
        assert (f.table.cursor_key, f.table.marked) == ("node-7", frozenset())
        f.source.update([node(5)])  # the old one is not listened to
        await f.settle()
        assert len(f.table.source) == 2


# paint


async def test_a_tick_repaints_only_the_cells_that_changed() -> None:
    undo = send_only_changes()
    async with farm() as f:
        f.source.update([node(number, seen=-1000.0 * number) for number in range(1, 100)])
        f.app.now = 100.2
        f.table.tick()
        await f.settle()
        f.app.frames.clear()
        f.app.now = 100.4
        f.table.tick()
        await f.settle()
        assert f.app.frames == [], "a steady screen sends nothing"
        f.source.update([node(2, seen=95.0, state="error")])
        await f.settle()
        sent = "".join(f.app.frames)
        assert "error" in sent and "5s" in sent and "node" not in sent
        f.app.frames.clear()
        f.source.update([node(90, state="error")])
        await f.settle()
        assert f.app.frames == [], "a row elsewhere"
    undo()


async def test_a_tick_recomputes_ages() -> None:
    async with farm() as f:
        assert f.app.lines[1].endswith("100s")
        f.app.now = 161.0
        f.table.tick()
        await f.settle()
        assert f.app.lines[1].endswith("161s")


async def test_the_work_does_not_grow_with_the_rows() -> None:
    class Counting(ListSource):
        asked = 0

        def rows(self, start: int, stop: int) -> list[Row]:
            found = super().rows(start, stop)
            self.asked += len(found)
            return found

    source = Counting("name", [node(number) for number in range(20_000)])
    app = TableApp(source)
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.press("G", "up", "pageup", "g", "down", "space")
        assert source.asked < 500


# widths and text


def test_narrow_screens_lose_the_least_important_columns() -> None:
    def shown(width: int) -> list[str]:
        return [slot.column.key for slot in layout(COLUMNS, width)]

    assert shown(60) == ["name", "state", "memory", "seen"]
    assert shown(38) == ["name", "state", "seen"]
    assert shown(24) == ["name", "state"]
    assert shown(14) == ["name"]
    for width in range(100):
        slots = layout(COLUMNS, width)
        assert sum(slot.gap + slot.width for slot in slots) + 2 <= max(width, 2)
        assert len(slots) == 1 or all(slot.width >= slot.column.least for slot in slots)


async def test_columns_follow_the_size_of_the_screen() -> None:
    async with farm() as f:
        await f.pilot.resize_terminal(28, 12)
        await f.settle()
        assert f.app.lines[0].split() == ["Name", "State"]
        await f.press("G")
        await f.pilot.resize_terminal(60, 5)
        await f.settle()
        assert f.app.lines[0].split() == ["Name", "State", "Memory", "Seen"]
        assert "> node-99" in "\n".join(f.app.lines), "the cursor stays in view"


HOSTILE = [
    "\x1b[2Jx",
    "a\nb\r\tc",
    "[red]x[/]",
    "名前-ノード",
    "e\u0301e\u0301",
    "Z" + "\u0301" * 99,
    "\u202egnp.exe",
    "\U0001f469\u200d\U0001f4bb",
    "x\ufe0f",
    "\x7f\x9b31m",
    "a\u00a0b",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_moves_nothing(name: str) -> None:
    async with farm(0) as f:
        f.source.set([node(0, name=name, state=name), node(1)])
        await f.settle()
        f.app.frames.clear()
        f.table.refresh()
        await f.pilot.pause()
        lines = f.app.lines
        assert lines[2].rstrip().endswith("100s") and lines[1].rstrip().endswith("100s")
        assert cell_len(lines[1]) == cell_len(lines[2]) == 60
        assert not set("\x1b\n\r\t\x7f\x9b\u202e\u200d\ufe0f") & set(lines[1])
        assert "[red]" not in name or "[red]x[/]" in lines[1]


@given(st.text(), st.integers(0, 30), st.sampled_from(["left", "right"]))
def test_cells_are_exactly_as_wide_as_they_should_be(text: str, width: int, justify: Any) -> None:
    cell = fit(text, width, justify)
    assert cell_len(cell) == width
    assert all(character.isprintable() for character in cell)
    assert safe(safe(text)) == safe(text)


def test_text_that_is_heaped_up_or_endless_is_cut() -> None:
    assert len(fit("Z" + "\u0301" * 99, 5)) <= 8
    assert fit("node-1" * 1_000_000, 8) == "node-1n~"


# the list source

names = st.sampled_from([f"{letter}{number}" for letter in "aBc" for number in (1, 2, 9, 10, 11)])
values = st.none() | st.integers(-3, 3) | st.floats() | st.sampled_from(["node-9", "node-10", "x", ""]) | st.booleans()
rows = st.builds(lambda name, x, y: {"name": name, "x": x, "y": y}, names, values, values)
FILTERS: list[Callable[[Row], bool] | None] = [
    None,
    lambda row: row["x"] is not None,
    lambda row: isinstance(row["y"], str),
    lambda row: row["name"] > "b",
]
acts = st.one_of(
    st.tuples(st.just("update"), st.tuples(st.lists(rows, max_size=4), st.lists(names, max_size=3))),
    st.tuples(st.just("set"), st.lists(rows, max_size=12, unique_by=lambda row: row["name"])),
    st.tuples(st.just("sort"), st.tuples(st.sampled_from([None, "name", "x", "y"]), st.booleans())),
    st.tuples(st.just("filter"), st.sampled_from(FILTERS)),
)


def from_scratch(state: dict[str, Any]) -> ListSource:
    source = ListSource("name", state["rows"].values())
    source.sort(*state["sort"])
    source.filter(state["filter"])
    return source


@pytest.mark.parametrize("bulk", [0, 2, 1000])
@given(steps=st.lists(acts, max_size=12))
def test_any_deltas_give_what_building_from_scratch_gives(bulk: int, steps: list[tuple[str, Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qrm_tui.widgets.rows._BULK", bulk)
        source, changes = ListSource("name"), list[Change]()
        source.watch(changes.append)
        state: dict[str, Any] = {"rows": {}, "sort": (None, False), "filter": None}
        for act, argument in steps:
            before = source.rows(0, len(source))
            if act == "update":
                changed, removed = argument
                source.update(changed, removed)
                for name in removed:
                    state["rows"].pop(name, None)
                for row in changed:
                    state["rows"][row["name"]] = row
            elif act == "set":
                source.set(argument)
                state["rows"] = {row["name"]: row for row in argument}
            elif act == "sort":
                source.sort(*argument)
                state["sort"] = argument
            else:
                source.filter(argument)
                state["filter"] = argument
            shown = source.rows(0, len(source))
            assert shown == from_scratch(state).rows(0, 99)
            assert [source.index(row["name"]) for row in shown] == list(range(len(source)))
            assert all(name in source for name in state["rows"]) and source.total == len(state["rows"])
            hidden = state["rows"].keys() - {row["name"] for row in shown}
            assert all(source.index(name) is None for name in hidden)
            if not changes[-1].moved:  # what is promised to the table
                assert [row["name"] for row in shown] == [row["name"] for row in before]
                different = {new["name"] for old, new in zip(before, shown, strict=True) if old is not new}
                assert different <= (changes[-1].keys or frozenset())


def test_order_is_by_value_then_by_name() -> None:
    source = ListSource(
        "name", [{"name": f"n{n}", "x": x} for n, x in ((10, 2), (9, 2), (1, None), (2, 11), (3, "text"))]
    )
    source.sort("x")
    assert [row["name"] for row in source.rows(0, 9)] == ["n9", "n10", "n2", "n3", "n1"]
    source.sort("x", True)
    assert [row["name"] for row in source.rows(1, 3)] == ["n3", "n2"]
