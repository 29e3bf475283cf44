"""The line to the server: lost, back, never there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qrm_tui.screens import application
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.welcome import Welcome
from tests.screens.driver import Driver, build, running
from tests.screens.fake_client import FakeClient, image


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "BACKOFF", (0.2,))


async def test_a_lost_line_is_said_and_what_was_known_stays() -> None:
    async with running() as d:
        await d.press("5")
        d.client.cut("the server stopped")
        await d.until(lambda: d.app.live.line == "lost")
        await d.pilot.pause()
        assert "is lost (the server stopped)" in d.page("#banner") and "NO LINE" in d.text()
        assert d.app.screen.has_class("-stale")
        await d.press("down")
        assert d.app.main.shown.row["name"] == "customer2", "keys work on what is known"


async def test_it_comes_back_where_it_was() -> None:
    async with running() as d:
        d.client.cut()
        await d.until(lambda: d.app.live.line == "lost")
        d.client.rows["image"]["late"] = image("late")
        d.client.mend()
        await d.until(lambda: d.app.live.line == "up" and len(d.called("watch")) > 1)
        assert d.called("watch")[0] is None and d.called("watch")[-1] == 100
        assert not d.app.screen.has_class("-stale")
        d.client.push({"image": [image("fresh", "ready")]})
        await d.until(lambda: d.app.live.rows["image"]["fresh"]["state"] == "ready")


async def test_another_server_is_heard_from_the_start() -> None:
    async with running() as d:
        d.app.live.hello = {**d.app.live.hello, "started": 1.0}
        d.client.cut()
        await d.until(lambda: d.app.live.line == "lost")
        d.client.mend()
        await d.until(lambda: len(d.called("watch")) > 1)
        assert d.called("watch")[-1] is None


async def test_until_the_server_has_answered_nothing_is_claimed() -> None:
    client = FakeClient()
    answers, hello = asyncio.Event(), client.hello

    async def slow() -> dict[str, Any]:
        await answers.wait()
        return await hello()

    client.hello = slow  # type: ignore[method-assign]
    async with build(client).run_test(size=(80, 24)) as pilot:
        d = Driver(pilot.app, pilot, client, [])  # type: ignore[arg-type]
        await d.until(lambda: "waiting for the server" in d.text())
        assert not any(word in d.text() for word in ("resources", "nothing needs attention", "storage server is"))
        await d.press("4")
        assert "waiting for the server" in d.text()
        answers.set()
        await d.until(lambda: "waiting for the server" not in d.text() and d.app.live.rows["image"])
        await d.press("1")
        await d.until(lambda: "resources" in d.text())


async def test_an_operation_without_a_line_says_so() -> None:
    async with running() as d:
        await d.press("5")
        d.client.cut("the server stopped")
        await d.until(lambda: d.app.live.line == "lost")
        await d.press("d")
        await d.until(lambda: "the server stopped" in d.text() and len(d.app.screen_stack) == 2)
        await d.press("escape")
        assert len(d.app.screen_stack) == 1


async def test_no_server_at_all_offers_what_can_be_done_and_goes_away_by_itself() -> None:
    client = FakeClient()
    client.cut("nothing listens on /run/qrm/qrmd.sock")
    async with running(client) as d:
        await d.at(Welcome)
        text = d.text()
        assert "nothing listens on" in text and "practise" in text and "install an openQRM server here" in text
        assert {"practise", "connect", "try again", "quit"} <= set(d.offered())
        client.mend()
        await d.until(lambda: d.app.screen is d.app.main)
        assert d.app.live.line == "up"


async def test_connecting_elsewhere() -> None:
    client = FakeClient()
    client.cut()
    places: list[str] = []

    async with running(client) as d:
        def connect(where: str) -> FakeClient:
            places.append(where)
            client.mend()
            return client

        d.app._connect = connect  # type: ignore[assignment]
        await d.at(Welcome)
        await d.press("c")
        await d.type("ssh://tower")
        await d.press("enter")
        await d.until(lambda: d.app.screen is d.app.main)
        assert places == ["ssh://tower"] and isinstance(d.app, QrmApp) and d.app.live.where == "ssh://tower"
