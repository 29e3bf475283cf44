"""The app on a real server with a practice farm: from a list through a form and a plan to a finished job, and back;
and a fault of a machine that is called as it is listed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.widgets import Input

from qrm_tui.client.connection import Client
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.form import Form
from qrm_tui.screens.job import JobScreen
from qrm_tui.screens.plan import PlanScreen
from qrm_tui.screens.practice import Practice
from qrm_tui.styles import themes

#: Seconds for the server to start, and for a job to end, on a busy machine.
PATIENCE = 120


async def test_clone_an_image_and_undo_it() -> None:
    practice = Practice()  # in this thread: the server ends with the thread that started it
    app = QrmApp(practice.where, connect=Client, look=themes.DARK, practice=practice)
    try:
        async with app.run_test(size=(80, 24)) as pilot, asyncio.timeout(PATIENCE):
            async def until(condition: Callable[[], Any]) -> None:
                while not condition():
                    assert not practice.trouble
                    await pilot.pause(0.05)

            def job_state() -> str:
                name = app.screen.job if isinstance(app.screen, JobScreen) else ""
                return str(app.live.rows["job"].get(name, {}).get("state", ""))

            await until(lambda: app.live.rows["image"] and app.live.farm)
            await pilot.press("colon", *"image clone webserver", "enter")
            await until(lambda: isinstance(app.screen, Form) and app.screen.focused)
            await pilot.press(*"fresh1", "enter")
            await until(lambda: isinstance(app.screen, PlanScreen) and app.screen.plan)
            await pilot.press("r")
            await until(lambda: job_state() == "done")
            assert app.live.rows["image"]["fresh1"]["origin"] == "webserver"

            await until(lambda: app.screen.check_action("operate", ("job.undo",)))
            await pilot.press("u")
            await until(lambda: isinstance(app.screen, PlanScreen) and app.screen.plan)
            await pilot.press("r")
            if app.screen.query("#confirm"):
                confirm = app.screen.query_one("#confirm", Input)
                if confirm.has_focus:
                    await pilot.press(*"fresh1", "enter")
            await until(lambda: "fresh1" not in app.live.rows["image"])
            await until(lambda: job_state() == "done")

            name = next(name for name, row in app.live.rows["resource"].items()
                        if row["state"] == "idle" and row["kind"] == "physical")
            await app.client.practise("fault", {"machine": name, "fault": "oom"})
            await until(lambda: app.live.rows["resource"][name]["event"] == "Out of memory")
    finally:
        await asyncio.to_thread(practice.stop)
    assert not practice.folder.exists()
