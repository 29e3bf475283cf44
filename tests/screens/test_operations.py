"""From a key to a job: forms, plans, confirmation, refusals, many at once."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.widgets import Input

from qrm_tui.core.errors import BadInput, Refused, Stale
from qrm_tui.screens.bulk import Bulk
from qrm_tui.screens.form import Form
from qrm_tui.screens.job import JobScreen
from qrm_tui.screens.message import MessageScreen, Question
from qrm_tui.screens.plan import PlanScreen
from qrm_tui.widgets.field import Field
from qrm_tui.widgets.steps import Steps
from tests.screens.driver import Driver, running
from tests.screens.fake_client import CLONE, FakeClient


def hint(d: Driver, name: str) -> str:
    return " ".join(d.page(f"#hint-{name}").split())


async def test_a_form_is_filled_from_the_cursor_and_checks_while_one_types() -> None:
    async with running() as d:
        await d.press("5", "c")
        form = await d.at(Form)
        assert form.query_one("#field-source", Field).text == "customer1"
        assert form.query_one("#field-name", Field).has_focus_within, "the first that is needed and empty"
        assert "(20%)" in d.text(), "the default is shown"
        await d.type("web_cdata")
        assert "! 'web_cdata': LVM keeps names with '_cdata'" in hint(d, "name")
        await d.press(*["backspace"] * 9)
        await d.type("webserver")
        assert "the name 'webserver' is taken by another image" in hint(d, "name")
        await d.type("2")
        assert hint(d, "name") == "what the clone is called"
        await d.press("down")
        await d.type("no_host")
        assert "no host name" in hint(d, "hostname")
        assert "qrm image clone customer1 webserver2 --hostname no_host" in d.page("#form-command")


async def test_enter_goes_to_what_is_missing_and_then_to_the_plan() -> None:
    async with running() as d:
        await d.press("5", "c")
        form = await d.at(Form)
        form.query_one("#field-reserve", Field).editor.focus()
        await d.press("enter")
        assert form.query_one("#field-name", Field).has_focus_within and "is needed" in hint(d, "name")
        await d.type("new1")
        await d.press("enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        assert d.called("plan") == [("image.clone", {"source": "customer1", "name": "new1"})]
        await d.press("escape")
        form = await d.at(Form)
        assert form.query_one("#field-name", Field).text == "new1", "what was typed is still there"


async def test_leaving_a_form_asks_only_when_something_was_typed() -> None:
    async with running() as d:
        await d.press("5", "c")
        await d.at(Form)
        await d.press("escape")
        assert d.app.screen is d.app.main
        await d.press("c")
        await d.at(Form)
        await d.type("x")
        await d.press("escape")
        await d.at(Question)
        await d.press("enter")
        await d.at(Form)
        await d.press("escape", "y")
        await d.until(lambda: d.app.screen is d.app.main)


async def test_what_the_server_refuses_stands_under_its_field() -> None:
    client = FakeClient()
    client.plans["image.clone"] = BadInput("hostname: it is taken", "vol has no room")
    async with running(client) as d:
        await d.press("5", "c")
        await d.at(Form)
        await d.type("new1")
        await d.press("enter")
        await d.until(lambda: d.called("plan"))
        await d.at(Form)
        assert "vol has no room" in d.page("#form-trouble")
        assert hint(d, "hostname") != "! it is taken", "an empty field has nothing wrong with it"
        assert d.app.screen.query_one("#field-hostname", Field).has_focus_within


async def test_of_many_reasons_why_not_the_last_is_read_whole_too() -> None:
    client = FakeClient()
    long = "machines that boot from here are on (r1, r11, r12 and 7 more): qrm resource power r1 off"
    client.plans["image.clone"] = BadInput(*(f"{name}: {long}" for name in ("apache", "dhcpd", "the last")))
    async with running(client) as d:
        await d.press("5", "c")
        await d.at(Form)
        await d.type("new1")
        await d.press("enter")
        await d.at(MessageScreen)
        assert "the last: machines that boot from here are on (r1, r11, r12 and 7 more): qrm resource power r1 off" in \
            " ".join(d.text().replace("│", " ").split())
        await d.press("escape")
        form = await d.at(Form)
        assert form.query_one("#field-name", Field).text == "new1"


async def test_running_a_plan_leads_to_its_job() -> None:
    async with running() as d:
        await d.press("5", "c")
        await d.at(Form)
        await d.type("customer20")
        await d.press("enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        await d.press("tab")
        await d.type("ticket 12")
        await d.press("enter", "r")
        job = await d.at(JobScreen)
        assert d.called("run") == [("plan0", "ticket 12")] and job.job == "17"
        await d.press("escape")
        assert d.app.screen is d.app.main, "the form and the plan are done with"
        assert d.app.live.rows["job"]["17"]["state"] == "running"


async def test_keys_that_come_before_the_plan_run_nothing_unseen_and_are_told_so() -> None:
    async with running() as d:
        come, ask = asyncio.Event(), d.client.plan

        async def slow(*arguments: Any) -> Any:
            await come.wait()
            return await ask(*arguments)

        d.client.plan = slow  # type: ignore[method-assign]
        await d.press("5", "d")
        plan = await d.at(PlanScreen)
        await d.press("r", "tab", "enter")
        assert "nothing runs before it is shown" in d.page("#plan-title")
        come.set()
        await d.until(lambda: plan.plan is not None)
        await d.until(lambda: plan.focused is plan.query_one("#reason"), "tab counts")
        assert not d.called("run") and "nothing runs" not in d.page("#plan-title")


async def test_the_plan_tells_every_step_and_opens_it() -> None:
    async with running() as d:
        await d.press("5", "d")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        text = d.page("Steps")
        assert "192.168.88.193 has it mounted" in text and "qrm image remove customer3" in d.page("#plan-title")
        assert text.index("unmount it") < text.index("cannot be undone") < text.index("remove the volume")
        assert "umount" not in text.replace("unmount", "")
        await d.press("down", "enter")
        assert "$ umount /vol/customer3" in d.page("Steps") and "undo: mount /vol/customer3" in d.page("Steps")
        await d.press("e")
        assert "-/vol/customer3 192.168.88.193" in d.page("Steps")


async def test_a_destructive_plan_wants_the_name() -> None:
    async with running() as d:
        await d.press("5", "d")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        await d.press("r")
        assert plan.query_one("#confirm", Input).has_focus and not d.called("run")
        await d.type("customer")
        await d.press("enter")
        assert not d.called("run") and "nothing was done" in d.page("#plan-trouble")
        await d.type("3")
        await d.press("enter")
        await d.at(JobScreen)
        assert len(d.called("run")) == 1


async def test_enter_on_an_empty_confirmation_is_no() -> None:
    async with running() as d:
        await d.press("5", "d")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        await d.press("r", "enter", "escape")
        await d.until(lambda: d.app.screen is d.app.main)
        assert not d.called("run")


async def test_a_stale_plan_is_made_anew() -> None:
    client = FakeClient()
    client.run_error = Stale("image customer3 has changed")
    async with running(client) as d:
        await d.press("5", "c")
        await d.at(Form)
        await d.type("new1")
        await d.press("enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        await d.press("r")
        await d.until(lambda: len(d.called("plan")) == 2)
        assert "nothing was done" in d.page("#plan-trouble") and isinstance(d.app.screen, PlanScreen)


async def test_a_refused_plan_tells_each_reason() -> None:
    client = FakeClient()
    client.plans["image.remove"] = Refused("webserver has clones", "customer1 is mounted")
    async with running(client) as d:
        await d.press("5", "d")
        await d.at(MessageScreen)
        assert "- webserver has clones" in d.text() and "- customer1 is mounted" in d.text()
        await d.press("escape")
        assert d.app.screen is d.app.main


async def test_a_record_is_done_at_once_and_said() -> None:
    client = FakeClient()
    client.plans["image.clone"] = {**CLONE, "sort": "record"}
    async with running(client) as d:
        await d.press("5", "c")
        await d.at(Form)
        await d.type("customer20")
        await d.press("enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        await d.press("r")
        await d.until(lambda: d.app.screen is d.app.main)
        assert "customer20: ready" in d.said()


async def test_marked_rows_are_planned_shown_and_run_together() -> None:
    async with running() as d:
        await d.press("5", "space", "down", "space", "d")
        bulk = await d.at(Bulk)
        await d.until(lambda: bulk.ready)
        assert "2 images: 2 can run" in d.page("#bulk-title")
        assert "customer1" in d.text() and "customer2" in d.text()
        await d.press("r")
        assert not d.called("run"), "the count must be typed"
        await d.type("3")
        await d.press("enter")
        assert not d.called("run")
        await d.press("backspace")
        await d.type("2")
        await d.press("enter")
        await d.until(lambda: len(d.called("run")) == 2)
        await d.until(lambda: "2 of 2 asked for" in d.page("#bulk-title"))
        assert [call[1]["name"] for call in d.called("plan")] == ["customer1", "customer2"]
        await d.press("escape")
        await d.until(lambda: d.app.screen is d.app.main)
        assert not d.said(), "jobs that were asked for are not done"


async def test_one_refusal_does_not_stop_the_others() -> None:
    class Picky(FakeClient):
        async def plan(self, operation: str, arguments: dict[str, object], reason: str = "") -> dict[str, object]:
            if arguments["name"] == "customer1":
                raise Refused("customer1 is mounted")
            return await super().plan(operation, arguments, reason)

    async with running(Picky()) as d:
        await d.press("5", "space", "down", "space", "d")
        bulk = await d.at(Bulk)
        await d.until(lambda: bulk.ready)
        assert "1 can run, 1 refused" in d.page("#bulk-title")
        await d.press("up")
        await d.until(lambda: "customer1 is mounted" in d.page("#said"))


async def test_a_form_for_many_tells_their_names_and_asks_only_for_the_rest() -> None:
    async with running() as d:
        await d.press("5", "space", "down", "space", "z")
        form = await d.at(Form)
        assert [field.argument.name for field in form.fields] == ["size"]
        assert "2 marked: customer1, customer2" in d.page("#form-title")
        await d.type("8G")
        await d.press("enter")
        bulk = await d.at(Bulk)
        await d.until(lambda: bulk.ready)
        assert d.called("plan") == [
            ("image.resize", {"name": name, "size": "8G"}) for name in ("customer1", "customer2")]


async def test_what_makes_a_new_object_takes_one_at_a_time() -> None:
    async with running() as d:
        await d.press("5", "space", "down", "space", "c")
        await d.at(MessageScreen)
        assert "one image at a time" in d.text()


async def test_undo_of_a_job_is_a_plan() -> None:
    async with running() as d:
        await d.press("8")
        d.app.main.shown.table.show_cursor_on("12")
        await d.until(lambda: "undo" in d.offered())
        await d.press("u")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        assert d.called("plan") == [("job.undo", {"name": "12"})]


async def test_steps_are_wrapped_and_never_cut() -> None:
    async with running(size=(40, 20)) as d:
        await d.press("5", "d")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        await d.press("e")
        steps = plan.query_one(Steps)
        assert max(sum(len(text) for text, _ in line) for line in steps.lines) <= 40
        joined = "".join(steps.text.split())
        assert "192.168.88.193(rw,no_root_squash,fsid=0b9f2c)" in joined
