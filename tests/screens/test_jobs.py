"""The live view of a job."""

from __future__ import annotations

import asyncio
from typing import Any

from qrm_tui.core.errors import Refused
from qrm_tui.screens.help import Help
from qrm_tui.screens.job import JobScreen
from qrm_tui.screens.message import MessageScreen
from qrm_tui.screens.plan import JobPlan, PlanScreen
from qrm_tui.widgets.log import LogView
from tests.screens.driver import Driver, running
from tests.screens.fake_client import FakeClient, job


async def opened(d: Driver, name: str) -> JobScreen:
    """The view of this job, with its steps."""
    await d.press("8")
    d.app.main.shown.table.show_cursor_on(name)
    await d.press("enter")
    screen = await d.at(JobScreen)
    await d.until(lambda: "on lvm-nfs" in d.page("Steps"))
    assert isinstance(screen, JobScreen)
    return screen


async def test_steps_have_states_and_clocks_and_the_bar_says_how_far() -> None:
    async with running() as d:
        await opened(d, "14")
        text = d.page("Steps")
        assert "done        3s  take a snapshot" in text and "running     1m  seal it" in text and "waits" in text
        assert "44%  step 3 of 8: make the file system" in d.page("#progress")
        assert "ticket 4711" in d.page("#job-title") and "Job 14  running 1m" in d.page("#job-title")


async def test_it_follows_the_job_and_its_log() -> None:
    async with running() as d:
        screen = await opened(d, "14")
        log = screen.query_one(LogView)
        await d.client.log("14", "mke2fs 1.47", "Creating \x1b[31mfilesystem\x1b[0m")
        await d.until(lambda: "mke2fs 1.47" in log.text)
        assert "\x1b" not in log.text
        d.client.push({"job": [job(14, "image.add", "image/fresh", "done", step=7)]})
        await d.until(lambda: "done" in d.page("#job-title"))
        assert "100%" in d.page("#progress")
        await d.until(lambda: "undo" in d.offered())
        assert "cancel" not in d.offered()


async def test_whom_a_step_waits_for_is_told_whole_on_a_small_screen() -> None:
    said = ("waits and tries again: apt on qrmd: unattended-upgr (process 4711) is at it: it holds "
            "/var/lib/dpkg/lock-frontend")
    async with running() as d:
        await opened(d, "14")
        d.client.push({"job": [job(14, "install.run", "component/all", "running", step=2, waits_for=said)]})
        await d.until(lambda: "waits and tries again" in d.page("#job-title"))
        assert said in " ".join(d.page("#job-title").split())


async def test_a_failed_job_tells_why_at_its_step() -> None:
    async with running() as d:
        await opened(d, "13")
        assert "lvremove: Logical volume vol/old is used" in d.page("#job-title")


async def test_a_long_log_follows_its_end_until_one_scrolls_up() -> None:
    async with running() as d:
        await d.client.log("14", *(f"line {n}" for n in range(5000)))
        screen = await opened(d, "14")
        log = screen.query_one(LogView)
        await d.until(lambda: "line 4999" in d.text())
        await d.pilot.resize_terminal(80, 20)
        await d.until(lambda: "line 4999" in d.text())
        assert "line 4980" not in d.text()
        log.focus()
        await d.press("pageup")
        assert "line 4999" not in d.text() and not log.following
        await d.client.log("14", "line 5000")
        await d.until(lambda: "line 5000" in log.text)
        assert "line 5000" not in d.text(), "one reads further up"
        await d.press("end")
        await d.until(lambda: "line 5000" in d.text())
        assert log.following


async def test_cancelling_is_a_plan_and_leaving_leaves_the_job() -> None:
    async with running() as d:
        await opened(d, "14")
        await d.press("c")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        assert d.called("plan") == [("job.cancel", {"name": "14"})] and not d.called("run")
        await d.press("escape", "escape")
        await d.until(lambda: d.app.screen is d.app.main)
        assert d.app.live.rows["job"]["14"]["state"] == "running"


async def test_the_plan_of_a_cancel_goes_when_its_job_ends_though_something_has_opened_over_it() -> None:
    for over in (False, True):
        async with running() as d:
            screen = await opened(d, "14")
            await d.press("c")
            plan = await d.at(PlanScreen)
            await d.until(lambda plan=plan: plan.plan is not None)
            if over:
                await d.press("question_mark")
                await d.at(Help)
            d.client.push({"job": [{**d.client.rows["job"]["14"], "state": "done"}]})
            await d.until(lambda screen=screen: screen._row["state"] == "done")
            if over:
                assert isinstance(d.app.screen, Help), "nobody's page is taken away"
                await d.press("escape")
            await d.until(lambda screen=screen: d.app.screen is screen, "back at the job")
            await d.until(lambda d=d: "job 14 has ended (done): nothing is to be cancelled" in d.said(), "why")
            assert not d.called("run")


async def test_a_plan_that_is_refused_takes_away_nothing_that_has_opened_over_it() -> None:
    client = FakeClient()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def plan(operation: str, arguments: dict[str, Any], reason: str = "") -> dict[str, Any]:
        asked.set()
        await answer.wait()
        raise Refused("job 14 is done")

    client.plan = plan  # type: ignore[method-assign]
    async with running(client) as d:
        screen = await opened(d, "14")
        await d.press("c")
        await d.at(PlanScreen)
        await d.until(asked.is_set)
        await d.press("question_mark")
        await d.at(Help)
        answer.set()
        await d.until(lambda: d.app.screen_stack[-2]._refused, "refused")
        assert isinstance(d.app.screen, Help)
        await d.press("escape")
        window = await d.at(MessageScreen)
        assert window.texts == ("job 14 is done",) and d.app.screen_stack[-2] is screen


async def test_the_plan_of_a_job_can_be_read() -> None:
    async with running() as d:
        await d.press("8", "p")
        plan = await d.at(JobPlan)
        await d.until(lambda: plan.plan is not None)
        assert "run" not in d.offered() and "take a snapshot" in d.page("Steps")


async def test_after_a_lost_line_the_log_goes_on_where_it_was() -> None:
    async with running() as d:
        screen = await opened(d, "14")
        await d.client.log("14", "one", "two")
        await d.until(lambda: "two" in screen.query_one(LogView).text)
        d.client.cut()
        await d.until(lambda: d.app.live.line == "lost")
        d.client.mend()
        await d.until(lambda: d.called("job_log")[-1] == ("14", 2), "asked from the next line on")
        await d.client.log("14", "three")
        await d.until(lambda: screen.query_one(LogView).text == "one\ntwo\nthree")
