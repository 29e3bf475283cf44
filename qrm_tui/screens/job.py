"""A job while it runs, or as it was: its steps with their clocks, how far it is, and its log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from qrm_tui.core.errors import NoServer, QrmError
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.core.units import format_age
from qrm_tui.screens.base import Answer, FarmScreen, Sections
from qrm_tui.screens.columns import STATE_STYLES
from qrm_tui.screens.operate import Request
from qrm_tui.screens.views import BY_KIND
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.log import LogView
from qrm_tui.widgets.page import Page, PageLine, line, wrap
from qrm_tui.widgets.progress import Progress
from qrm_tui.widgets.steps import Steps
from qrm_tui.widgets.topline import TopLine

#: States in which nothing more will happen.
FINISHED = frozenset(("done", "undone", "failed"))
#: Log lines are shown in batches: at most so many, and not rarer than so often (seconds).
_BATCH, _PAUSE = 500, 0.05
#: Seconds between two looks at the steps while the job changes.
_CALM = 0.2


class JobScreen(FarmScreen[None]):
    """Leaving it does not stop the job."""

    DEFAULT_CSS = """
    JobScreen { layout: vertical; }
    JobScreen > #job-title { height: auto; max-height: 10; background: $surface; }
    JobScreen > Steps { height: 3fr; }
    JobScreen > #log-title { height: 1; background: $panel; }
    JobScreen > LogView { height: 2fr; }
    JobScreen.-stale > Steps, JobScreen.-stale > LogView { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "operate('job.cancel')", "cancel", id="job.cancel", tooltip="Stop it and undo what it did so far"),
        Binding("u", "operate('job.undo')", "undo", id="job.undo", tooltip="Do the inverse, as a new plan"),
        Binding("p", "plan", "plan", id="job.plan", tooltip="The whole plan"),
        Binding("tab", "app.focus_next", "steps/log", key_display="tab", id="job.next"),
        Binding("escape,q", "leave", "back", key_display="esc", id="job.leave", tooltip="The job goes on"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="job.help"),
    ]

    class PlanCame(Answer):
        """The steps as they are now."""

        def __init__(self, plan: Mapping[str, Any]) -> None:
            super().__init__()
            self.plan = plan

    class LogCame(Answer):
        """New lines of the log."""

        def __init__(self, lines: list[dict[str, Any]]) -> None:
            super().__init__()
            self.lines = lines

    class RowCame(Answer):
        """The job's row with why and next, from the server."""

        def __init__(self, row: Mapping[str, Any]) -> None:
            super().__init__()
            self.row = row

    class Trouble(Answer):
        """The server says no."""

        def __init__(self, error: QrmError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job
        self._row: Mapping[str, Any] = {}
        self._steps_due = self._asking = False
        #: the step that the cursor was put on last, as it ran
        self._followed: int | None = None
        self._lines_seen = 0

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield Page(id="job-title")
        yield Progress()
        yield Steps(self.live.clock, live=True)
        yield Page([line((" log", "title"))], id="log-title")
        yield LogView()
        yield Keys()

    def on_mount(self) -> None:
        self._followed = None
        self.query_one(Steps).focus()
        row = self.live.row("job", self.job)
        if row is not None:
            self._show_row(row)
        self.ask_row()
        self._look_at_steps()
        self.follow_log()

    # following

    def farm_changed(self, what: frozenset[str]) -> None:
        self.set_class(self.live.line == "lost", "-stale")
        if "line" in what and self.live.line == "up":
            self.ask_row()
            self._look_at_steps()
            self.follow_log()
        row = self.live.row("job", self.job)
        if "job" in what and row is not None and row is not self._row:
            self._show_row(row)
            self._look_at_steps()

    def tick(self) -> None:
        self.query_one(Steps).tick()
        if self._row and self._row["state"] not in FINISHED:
            self._show_title()

    def _look_at_steps(self) -> None:
        self._steps_due = True
        if not self._asking:
            self._asking = True
            self.ask_steps()

    @work(group="steps", exit_on_error=False)
    async def ask_steps(self) -> None:
        try:
            while self._steps_due:
                self._steps_due = False
                self.post_message(self.PlanCame(await self.qrm.client.job_plan(self.job)))
                await asyncio.sleep(_CALM)
        except NoServer:
            pass  # asked again when the line is back
        except QrmError as error:
            self.post_message(self.Trouble(error))
        finally:
            self._asking = False

    @work(group="row", exclusive=True, exit_on_error=False)
    async def ask_row(self) -> None:
        try:
            self.post_message(self.RowCame(await self.qrm.client.show("job", self.job)))
        except NoServer:
            pass
        except QrmError as error:
            self.post_message(self.Trouble(error))

    @work(group="log", exclusive=True, exit_on_error=False)
    async def follow_log(self) -> None:
        """Hand on the log in batches, however fast it comes."""
        loop = asyncio.get_running_loop()
        batch: list[dict[str, Any]] = []
        seen, timer = self._lines_seen, None

        def flush() -> None:
            nonlocal timer
            timer = None
            if batch:
                self.post_message(self.LogCame(batch.copy()))
                batch.clear()

        try:
            async for entry in self.qrm.client.job_log(self.job, follow=True, start=seen):
                batch.append(entry)
                if len(batch) >= _BATCH:
                    flush()
                    await asyncio.sleep(0)
                elif timer is None:
                    timer = loop.call_later(_PAUSE, flush)
        except NoServer:
            pass  # followed again from here when the line is back
        except QrmError as error:
            self.post_message(self.Trouble(error))
        finally:
            if timer is not None:
                timer.cancel()
            flush()

    @on(PlanCame)
    def _plan_came(self, event: PlanCame) -> None:
        steps = self.query_one(Steps)
        steps.show(event.plan["steps"], event.plan.get("no_return"),
                   [(f"! {text}", "warning") for text in event.plan.get("warnings") or ()])
        self._show_progress()
        running = next((place for place, step in enumerate(event.plan["steps"])
                        if step.get("state") in ("running", "failed")), None)
        # whoever went elsewhere looks at something
        if running is not None and (self._followed is None or not steps.has_focus or steps.cursor == self._followed):
            steps.go(running)
            self._followed = running

    @on(LogCame)
    def _log_came(self, event: LogCame) -> None:
        self._lines_seen = event.lines[-1]["n"] + 1
        self.query_one(LogView).append(event.lines)

    @on(RowCame)
    def _row_came(self, event: RowCame) -> None:
        self._show_row({**event.row, **(self.live.row("job", self.job) or {})})

    @on(Trouble)
    def _trouble(self, event: Trouble) -> None:
        self.tell(event.error)

    # what it says

    def _show_row(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self._show_progress()
        self._show_title()
        self.refresh_bindings()

    def _show_progress(self) -> None:
        if self._row:
            self.query_one(Progress).show(self._row, self.query_one(Steps).steps)

    def _show_title(self) -> None:
        self.query_one("#job-title", Page).set_lines(self._title(self.app.size.width))

    def _title(self, width: int) -> list[PageLine]:
        row, now = self._row, self.live.clock()
        state = str(row["state"])
        took = f" {format_age((row.get('ended') or now) - row['started'])}" if row.get("started") else ""
        lines = [line((f" Job {row['id']} ", "title"), (f" {state}{took} ", STATE_STYLES.get(state, "")),
                      f"  {row['operation'].replace('.', ' ')}  {row['object']}",
                      (f"   by {row.get('who') or '?'}", "muted"))]
        if row.get("cancelling") and state not in FINISHED:
            lines.append(line((" it was cancelled: what it did is taken back", "warning")))
        if row.get("waits_for"):
            lines += wrap(str(row["waits_for"]), width - 1, "warning", " ")
        if row.get("error"):
            lines += wrap(str(row["error"]), width - 1, "bad", " ")
        if row.get("next") and state in FINISHED:
            lines += wrap(str(row["next"]), width - 1, "strong", " next: ")
        if row.get("reason"):
            lines += wrap(str(row["reason"]), width - 1, "muted", " reason: ")
        return lines

    # keys

    def action_operate(self, name: str) -> None:
        self.qrm.ask(Request(OPERATIONS[name], (self.job,)))

    def action_plan(self) -> None:
        self.qrm.open_plan_of(self.job)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_help(self) -> None:
        self.qrm.open_help()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "operate":
            name = str(parameters[0])
            states = BY_KIND["job"].applies.get(name, frozenset())
            return (self.live.may(OPERATIONS[name]) and self._row.get("state") in states
                    and not self._row.get("cancelling"))
        return True

    def help_sections(self) -> Sections:
        return [("A job", [
            ("", "It runs in the server, whether anyone looks or not. If a step fails, those before it are taken back, "
                 "up to the point of no return. After a crash it goes on where it was."),
        ])]
