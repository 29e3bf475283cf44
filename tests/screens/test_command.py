"""The command line `:`, its completion, and the palette."""

from __future__ import annotations

import pytest
from textual import events
from textual.command import CommandPalette
from textual.keys import _character_to_key
from textual.widgets import Input

from qrm_tui.core.errors import BadInput
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.screens.command import Call, Visit, Word, command_text, complete, parse
from qrm_tui.screens.form import Form
from qrm_tui.screens.job import JobScreen
from qrm_tui.screens.plan import PlanScreen
from tests.screens.driver import running


@pytest.mark.parametrize("text, view, wanted", [
    ("images", "images", (None, None)),
    ("image", "images", (None, None)),
    ("images state=error", "images", ("state=error", None)),
    ("image list --filter 'state=error fill>80%'", "images", ("state=error fill>80%", None)),
    ("image show customer1", "images", (None, "customer1")),
    ("qrm job list", "jobs", (None, None)),
])
def test_views(text: str, view: str, wanted: tuple[str | None, str | None]) -> None:
    meant = parse(text)
    assert isinstance(meant, Visit) and meant.view.name == view and (meant.filter, meant.name) == wanted


@pytest.mark.parametrize("example", [operation.example for operation in OPERATIONS.values()])
def test_every_example_is_understood_and_written_the_same(example: str) -> None:
    meant = parse(example)
    assert isinstance(meant, Call) and not meant.missing
    again = parse(command_text(meant.operation, meant.arguments))
    assert again == meant


@pytest.mark.parametrize("text, reason", [
    ("", "type a view"),
    ("imagse", "there is no view and no noun 'imagse'"),
    ("image frobnicate", "image has no verb 'frobnicate'; there are add, clone"),
    ("image clone a b c", "'c' is one word too many; image clone takes SOURCE NAME"),
    ("image clone a b --hots x", "has no option --hots; there are --hostname"),
    ("image clone a b --hostname", "--hostname wants a value"),
    ("image clone 'a", "a quote is not closed"),
])
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason.replace("(", r"\(")):
        parse(text)


def test_words_and_options() -> None:
    assert parse("q") == Word("quit")
    meant = parse("image clone a b --reserve=30% --reason 'for me' --yes")
    assert isinstance(meant, Call)
    assert meant.arguments == {"source": "a", "name": "b", "reserve": "30%"} and meant.reason == "for me"
    meant = parse("image allow a 10.0.0.1 10.0.0.2")
    assert isinstance(meant, Call) and meant.arguments["address"] == ["10.0.0.1", "10.0.0.2"]
    meant = parse("image clone a")
    assert isinstance(meant, Call) and meant.missing == ("name",)


@pytest.mark.parametrize("text, first", [
    ("", "farm"), ("im", "images"), ("image cl", "clone"), ("image clone we", "webserver"),
    ("image clone webserver x --ho", "--hostname"), ("image add x --fs ", "ext4"), ("image show we", "webserver"),
])
def test_completion(text: str, first: str) -> None:
    hints = complete(text, lambda kind: ["customer1", "webserver"] if kind == "image" else [])
    assert hints[0].text == first


async def test_a_whole_command_leads_to_its_plan() -> None:
    async with running() as d:
        await d.press("colon")
        await d.type("image clone webserver customer20")
        await d.press("enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        assert d.called("plan") == [("image.clone", {"source": "webserver", "name": "customer20"})]


async def test_half_a_command_leads_to_the_form() -> None:
    async with running() as d:
        await d.press("colon")
        await d.type("image clone webserver")
        await d.press("enter")
        form = await d.at(Form)
        assert form.arguments == {"source": "webserver"}


async def test_a_wrong_command_is_told_and_stays_to_be_mended() -> None:
    async with running() as d:
        await d.press("colon")
        await d.type("image shwo x")
        await d.press("enter")
        assert "image has no verb 'shwo'" in d.page("#prompt-hint")
        await d.press("escape")
        assert d.app.main.shown.table.has_focus


@pytest.mark.parametrize("opens, text", [(":", "quit: q/5d"), ("/", "state=error /:q")])
async def test_what_is_typed_in_one_go_is_all_in_the_prompt(opens: str, text: str) -> None:
    async with running() as d:
        for time in ("the first time, while it loads", "again"):
            for character in opens + text:
                d.app.post_message(events.Key(_character_to_key(character), character))
            await d.until(lambda: d.app.main.prompt is not None and d.app.main.prompt.is_open
                          and len(d.app.main.prompt.query_one(Input).value) >= len(text))
            assert d.app.main.prompt is not None
            assert d.app.main.prompt.query_one(Input).value == text, time
            await d.press("escape")
            assert not d.app.main.prompt.is_open


async def test_tab_completes() -> None:
    async with running() as d:
        await d.press("colon")
        await d.type("image sh")
        await d.press("tab")
        await d.type("web")
        await d.press("tab", "enter")
        await d.until(lambda: d.app.main.view.name == "images")
        assert d.app.main.shown.row["name"] == "webserver"


async def test_a_job_by_its_number() -> None:
    async with running() as d:
        await d.press("colon")
        await d.type("job log 14")
        await d.press("enter")
        screen = await d.at(JobScreen)
        assert screen.job == "14"


async def test_the_palette_has_every_operation_and_view() -> None:
    async with running() as d:
        await d.press("5", "ctrl+p")
        await d.until(lambda: isinstance(d.app.screen, CommandPalette))
        await d.type("image clone")
        await d.until(lambda: "clone an image in seconds" in d.text())
        await d.press("enter")
        form = await d.at(Form)
        assert form.request.subjects == ("customer1",)
