"""Lists: what they show, how they follow the farm, filters, marks, roles, sizes."""

from __future__ import annotations

from typing import Any

import pytest
from textual.containers import Container
from textual.widget import Widget

from qrm_tui.screens.help import Help
from qrm_tui.screens.listing import Listing
from qrm_tui.screens.why import Why
from qrm_tui.widgets.table import VirtualTable
from tests.screens.driver import running
from tests.screens.fake_client import FakeClient, image

CHANGING = {"add", "clone", "resize", "allow", "revoke", "remove"}


async def test_the_farm_view_tells_what_there_is_and_what_needs_attention() -> None:
    async with running() as d:
        text = d.text()
        assert "training" in text and "root, administrator" in text and "PRACTICE" in text
        assert "11 in use" in text and "jobs at work" in text
        assert "archive" in text and "customer3" in text
        d.app.main.shown.table.show_cursor_on("image/customer3")
        await d.press("enter")
        assert d.app.main.view.name == "images"
        assert d.app.main.shown.row["name"] == "customer3"


async def test_a_row_follows_the_farm_and_its_details_come_from_the_server() -> None:
    async with running() as d:
        await d.press("5")
        await d.until(lambda: ("image", "customer1") in d.called("show"))
        d.client.push({"image": [image("customer1", "error", revision=2)]})
        await d.until(lambda: "its room for changes is 97% full" in d.about())
        assert "give it more now" in d.about()
        d.client.push(removed={"image": ["customer1"]})
        await d.until(lambda: d.app.main.shown.row["name"] == "customer2")


async def test_a_viewer_sees_no_key_that_changes_something() -> None:
    async with running(FakeClient(role="viewer")) as d:
        await d.press("5")
        assert not CHANGING & set(d.offered()) and "why" in d.offered()
        await d.press("d")
        assert not d.called("plan") and len(d.app.screen_stack) == 1
        await d.press("8")
        assert not {"cancel", "undo"} & set(d.offered())


async def test_an_operator_may_not_add_storage_servers() -> None:
    async with running(FakeClient(role="operator")) as d:
        await d.press("5")
        assert set(d.offered()) >= CHANGING
        await d.press("6")
        assert not {"add", "remove"} & set(d.offered())


async def test_read_only_offers_nothing_that_changes_and_says_so() -> None:
    async with running(read_only=True) as d:
        await d.press("5")
        assert not CHANGING & set(d.offered())
        assert "READ-ONLY" in d.text()


async def test_a_help_that_is_longer_than_the_screen_scrolls_by_keys() -> None:
    async with running() as d:
        await d.press("5", "question_mark")
        screen = await d.at(Help)
        await d.until(lambda: "page down" in d.offered())
        first = d.text()
        await d.press("space")
        await d.until(lambda: d.text() != first)
        await d.press("escape")
        assert d.app.screen is not screen


async def test_keys_follow_the_state_of_a_job() -> None:
    async with running() as d:
        await d.press("8")
        shown = d.app.main.shown
        shown.table.show_cursor_on("14")
        await d.until(lambda: "cancel" in d.offered())
        assert "undo" not in d.offered()
        shown.table.show_cursor_on("12")
        await d.until(lambda: "undo" in d.offered())
        assert "cancel" not in d.offered()


async def test_an_empty_list_offers_no_operation_on_a_row() -> None:
    async with running(FakeClient(rows={})) as d:
        await d.press("5")
        assert "add" in d.offered() and not {"clone", "remove", "why"} & set(d.offered())
        assert "no images yet" in d.text()


async def test_a_hostile_name_stays_text() -> None:
    async with running() as d:
        await d.press("5")
        assert d.app.main.shown.table.show_cursor_on("evil\x1b[31m[bold]name")
        await d.pilot.pause()
        assert "evil?[31m[bold]" in d.text() and "\x1b" not in d.text()
        assert "evil?[31m[bold]name" in d.about()


async def test_a_filter_counts_and_tells_its_errors_while_one_types() -> None:
    async with running() as d:
        await d.press("5", "slash")
        await d.type("state=error")
        assert len(d.app.live.sources["image"]) == 1
        assert "1 of 16 match" in d.page("#prompt-hint")
        await d.type(" (")
        assert "! filter:" in d.page("#prompt-hint")
        assert len(d.app.live.sources["image"]) == 1, "the last good filter stays"
        await d.press("enter")
        assert d.app.main.prompt is not None and d.app.main.prompt.is_open
        await d.press("backspace", "backspace", "enter")
        assert not d.app.main.prompt.is_open and "/state=error: 1 of 16" in d.text()
        await d.press("escape")
        assert len(d.app.live.sources["image"]) == 16


async def test_an_unknown_field_is_named() -> None:
    async with running() as d:
        await d.press("5", "slash")
        await d.type("colour=red")
        assert "there is no field 'colour'" in d.page("#prompt-hint")
        await d.press("escape")
        assert len(d.app.live.sources["image"]) == 16


async def test_marks_are_counted_and_escape_takes_them_away() -> None:
    async with running() as d:
        await d.press("5", "space", "down", "space")
        assert "2 marked" in d.text()
        assert [type(message) for message in d.messages].count(VirtualTable.MarkedChanged) >= 2
        assert d.app.main.shown.subjects() == ("customer1", "customer2")
        await d.press("escape")
        assert d.app.main.shown.subjects() == ("customer2",)


async def test_why_tells_the_reason_what_next_and_the_latest_jobs() -> None:
    async with running() as d:
        await d.press("5")
        d.app.main.shown.table.show_cursor_on("customer3")
        await d.press("w")
        await d.at(Why)
        await d.until(lambda: "97% full" in d.page("#why"))
        assert "qrm image resize customer3" in d.page("#why").replace("\n", " ")
        assert "image.clone" in d.page("#why")
        await d.press("escape")
        assert len(d.app.screen_stack) == 1


async def test_enter_goes_into_the_details_and_escape_comes_back() -> None:
    async with running() as d:
        await d.press("5", "enter")
        listing = d.app.main.query_one("#view-images", Listing)
        assert listing.inside and listing.detail.has_focus and not listing.query_one("#list").display
        assert "volume id" in d.about()
        await d.press("escape")
        assert not listing.inside and listing.table.has_focus


async def test_a_tiny_window_and_back() -> None:
    async with running() as d:
        await d.press("5", "down", "down")
        await d.until(lambda: "give it more now" in d.about())
        await d.pilot.pause()
        before = _without_scroll_bar(d.text())
        await d.pilot.resize_terminal(40, 10)
        await d.pilot.pause()
        assert "> customer3" in d.text() and "help" in d.text()
        await d.press("down", "up")
        await d.pilot.resize_terminal(80, 24)
        await d.until(lambda: _without_scroll_bar(d.text()) == before, f"the same as before:\n{before}")


async def test_a_large_window_has_the_details_beside() -> None:
    async with running(size=(160, 50)) as d:
        await d.press("5")
        listing = d.app.main.shown
        assert listing.query_one("#about").region.x > listing.table.region.x
        assert listing.query_one("#about").region.y == listing.table.region.y


async def test_the_journal_is_fetched_when_it_is_looked_at() -> None:
    async with running() as d:
        assert not d.called("list")
        await d.press("9")
        await d.until(lambda: len(d.app.live.sources["journal"]) == 12)
        assert d.app.main.shown.row["name"] == "12", "the newest is on top"


def _without_scroll_bar(text: str) -> list[str]:
    return [line[:79] for line in text.splitlines()]


async def test_a_second_passes_while_a_view_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked for its table before it had one, once in many runs on a busy machine."""
    async with running() as d:
        main, really = d.app.main, Container.mount

        def mount(views: Container, *widgets: Widget, **where: Any) -> Any:
            making = really(views, *widgets, **where)
            main.tick()
            main.farm_changed(frozenset(("resource",)))
            return making

        monkeypatch.setattr(Container, "mount", mount)
        await d.press("4")
        assert main.view.name == "partitions"
