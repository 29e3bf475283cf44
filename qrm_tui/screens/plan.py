"""The plan before anything happens: every step on every machine, where it cannot be undone, and then run, or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key, ScreenResume
from textual.widgets import Input, Label

from qrm_tui.core.errors import QrmError, Stale
from qrm_tui.screens.base import Answer, FarmScreen, Sections
from qrm_tui.screens.operate import Outcome, Request, with_documents
from qrm_tui.screens.views import BY_KIND
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.lineinput import LineInput
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap
from qrm_tui.widgets.steps import Steps
from qrm_tui.widgets.topline import TopLine

_CSS = """
{name} {{ layout: vertical; }}
{name} > #plan-title {{ height: auto; max-height: 5; background: $surface; }}
{name} > Steps {{ height: 1fr; }}
"""


def title_lines(plan: Mapping[str, Any], width: int) -> list[PageLine]:
    """What it is about, and the command that does the same."""
    return [line((f" {plan['operation'].replace('.', ' ')}", "title"), f"  {plan['object']}"),
            *wrap(str(plan.get("command", "")), width - 1, "muted", first=" $ ")]


def note_lines(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Warnings first, then why this and not something else."""
    return [*((f"! {text}", "warning") for text in plan.get("warnings") or ()),
            *((text, "") for text in plan.get("notes") or ())]


class _Planned(Answer):
    """A plan came, or the reasons why there is none."""

    def __init__(self, plan: dict[str, Any] | None, error: QrmError | None = None) -> None:
        super().__init__()
        self.plan, self.error = plan, error


class _Ran(Answer):
    """The server took the plan, or says why not."""

    def __init__(self, answer: dict[str, Any] | None, error: QrmError | None = None) -> None:
        super().__init__()
        self.answer, self.error = answer, error


class PlanScreen(FarmScreen[Outcome]):
    """Asks for the plan, shows it, and runs it when told to: a destructive one only when the name is typed."""

    DEFAULT_CSS = _CSS.format(name="PlanScreen") + """
    PlanScreen > #asks { height: auto; background: $surface; display: none; }
    PlanScreen.-ready > #asks { display: block; }
    PlanScreen #asks Horizontal { height: 1; }
    PlanScreen #asks .pointer { width: 2; visibility: hidden; text-style: bold; }
    PlanScreen #asks Horizontal:focus-within { height: 1; }
    PlanScreen #asks Horizontal:focus-within .pointer { visibility: visible; }
    PlanScreen #asks Label { width: auto; max-width: 50%; margin-right: 1; }
    PlanScreen #asks Input { width: 1fr; }
    PlanScreen #confirm-line { display: none; }
    PlanScreen.-destructive #confirm-line { display: block; }
    PlanScreen #plan-trouble { height: auto; max-height: 5; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "run", id="plan.run", tooltip="Do exactly what is shown"),
        Binding("y", "copy", "copy command", id="plan.copy", tooltip="The qrm command into the terminal's clipboard"),
        Binding("tab", "app.focus_next", "reason", key_display="tab", id="plan.next",
                tooltip="To the line for the journal's reason, and on"),
        Binding("escape", "leave", "leave", key_display="esc", id="plan.leave"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="plan.help"),
    ]

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self.plan: dict[str, Any] | None = None
        self._sent = False
        #: there is no plan, and these are the reasons
        self._refused: Outcome | None = None
        #: tab was pressed before the plan was there
        self._goes_on = False

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield Page([self._planning("planning ..."), EMPTY], id="plan-title")
        yield Steps(self.live.clock)
        with Vertical(id="asks"):
            yield Page(id="plan-trouble")
            with Horizontal(id="reason-line"):
                yield Label(">", classes="pointer", markup=False)
                yield Label("reason:", markup=False)
                yield LineInput(self.request.reason, id="reason", placeholder="for the journal, or none")
            with Horizontal(id="confirm-line"):
                yield Label(">", classes="pointer", markup=False)
                yield Label("", id="confirm-label", markup=False)
                yield LineInput(id="confirm", placeholder="No", enter="confirm")
        yield Keys()

    def on_mount(self) -> None:
        self.query_one(Steps).focus()
        self.ask()

    def on_resize(self) -> None:
        if self.plan:
            self.query_one("#plan-title", Page).set_lines(title_lines(self.plan, self.app.size.width))

    def farm_changed(self, what: frozenset[str]) -> None:
        if "job" in what:
            self._leave_if_late()

    @on(ScreenResume)
    def _resumed(self) -> None:
        if self._refused is not None:
            self.dismiss(self._refused)
        else:
            self._leave_if_late()

    def _leave_if_late(self) -> None:
        """What was to be cancelled has ended while one read, or looked at what came of it."""
        if self.request.operation.name != "job.cancel" or self.plan is None or self._sent or not self.is_active:
            return
        for name in map(str, self.request.subjects):
            row = self.live.row("job", name)
            if row is not None and row["state"] not in BY_KIND["job"].applies["job.cancel"]:
                self._sent = True  # nothing more is to be done here, this neither
                self.dismiss(None)
                self.app.notify(f"job {name} has ended ({row['state']}): nothing is to be cancelled", markup=False)
                return

    def _planning(self, words: str) -> PageLine:
        operation = self.request.operation
        return line((f" {operation.kind} {operation.verb}", "title"), f"  {words}")

    def on_key(self, event: Key) -> None:
        """Before the plan is there: tab counts then, and what would run it is told that nobody has seen it yet."""
        if self.plan is not None or event.key not in ("r", "enter", "tab", "y", "e"):
            return
        event.stop()
        self._goes_on |= event.key == "tab"
        self.query_one("#plan-title", Page).set_lines([
            self._planning("planning ..."),
            line((" nothing runs before it is shown", "warning"))])

    # asking the server

    @work(group="plan", exclusive=True, exit_on_error=False)
    async def ask(self) -> None:
        """Ask for the plan; it changes nothing."""
        try:
            arguments = await with_documents(self.request.operation, self.request.single())
            self.post_message(_Planned(await self.qrm.client.plan(
                self.request.operation.name, arguments, self.request.reason)))
        except QrmError as error:
            self.post_message(_Planned(None, error))

    @on(_Planned)
    def _planned(self, event: _Planned) -> None:
        if event.plan is None:
            self._refused = Outcome(refused=event.error.reasons if event.error else ("no plan came",))
            if self.is_active:  # else when what has opened over it is left
                self.dismiss(self._refused)
            return
        plan = self.plan = event.plan
        self._sent = False
        self.query_one("#plan-title", Page).set_lines(title_lines(plan, self.app.size.width))
        self.query_one(Steps).show(plan["steps"], plan.get("no_return"), note_lines(plan))
        self.set_class(bool(plan.get("destructive")), "-destructive")
        self.query_one("#confirm-label", Label).update(f"type {plan.get('confirm')} to do it:")
        self.add_class("-ready")
        self.refresh_bindings()
        if self._goes_on:
            self._goes_on = False
            self.query_one("#reason", Input).focus()

    # running

    def action_run(self) -> None:
        """Run it; of a destructive one, ask for the name first."""
        if self.plan is None or self._sent:
            return
        confirm = self.query_one("#confirm", Input)
        if self.plan.get("destructive") and confirm.value != self.plan.get("confirm"):
            if confirm.value:
                self._say((f"that is not {self.plan.get('confirm')!r}: nothing was done",))
            confirm.focus()
            return
        self._sent = True
        self._say(())
        self.refresh_bindings()
        self.run_plan(self.plan["id"], self.query_one("#reason", Input).value.strip())

    @on(Input.Submitted, "#confirm")
    def _confirmed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value:
            self.action_run()
        else:
            self.action_leave()  # the default is No

    @on(Input.Submitted, "#reason")
    def _reasoned(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(Steps).focus()

    @work(group="run", exclusive=True, exit_on_error=False)
    async def run_plan(self, plan: str, reason: str) -> None:
        try:
            self.post_message(_Ran(await self.qrm.client.run(plan, reason)))
        except QrmError as error:
            self.post_message(_Ran(None, error))

    @on(_Ran)
    def _ran(self, event: _Ran) -> None:
        self._sent = False
        if event.answer is not None:
            job = event.answer.get("job")
            self.dismiss(Outcome(job=job) if job else Outcome(changed=event.answer))
            return
        reasons = event.error.reasons if event.error else ()
        if isinstance(event.error, Stale):
            self._say((*reasons, "nothing was done; this is the plan as it would be now"))
            self.ask()
        else:
            self._say(reasons)
        self.refresh_bindings()

    def _say(self, reasons: tuple[str, ...]) -> None:
        self.query_one("#plan-trouble", Page).set_lines(
            [part for reason in reasons for part in wrap(reason, self.app.size.width - 2, "bad", " ! ")])

    # keys

    def action_copy(self) -> None:
        if self.plan:
            self.app.copy_to_clipboard(str(self.plan.get("command", "")))
            self.notify("the command was sent to the terminal's clipboard", markup=False)

    def action_leave(self) -> None:
        if self.focused is not None and isinstance(self.focused, Input):
            self.query_one(Steps).focus()
        else:
            self.dismiss(None)

    def action_help(self) -> None:
        self.qrm.open_help()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("run", "copy"):
            return self.plan is not None and not self._sent
        return True

    def help_sections(self) -> Sections:
        return [("A plan", [
            ("", "Nothing has happened yet. What runs is exactly what is shown, or nothing: if the farm has changed "
                 "meanwhile, the plan is refused and made anew."),
            ("", "Up to the point of no return, a failing step takes back all steps before it."),
        ])]


class JobPlan(FarmScreen[None]):
    """The plan that a job runs or ran, to read."""

    DEFAULT_CSS = _CSS.format(name="JobPlan")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "copy command", id="plan.copy"),
        Binding("escape,p,q", "leave", "back", key_display="esc", id="plan.leave"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="plan.help"),
    ]

    def __init__(self, job: str) -> None:
        super().__init__()
        self._job = job
        self.plan: dict[str, Any] | None = None

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield Page([line((f" job {self._job}", "title"), "  asking for its plan ..."), EMPTY], id="plan-title")
        yield Steps(self.live.clock)
        yield Keys()

    def on_mount(self) -> None:
        self.query_one(Steps).focus()
        self.ask()

    @work(exit_on_error=False)
    async def ask(self) -> None:
        try:
            self.post_message(_Planned(await self.qrm.client.job_plan(self._job)))
        except QrmError as error:
            self.post_message(_Planned(None, error))

    @on(_Planned)
    def _planned(self, event: _Planned) -> None:
        if event.plan is None:
            self.dismiss(None)
            if event.error:
                self.tell(event.error)
            return
        self.plan = event.plan
        self.query_one("#plan-title", Page).set_lines(title_lines(event.plan, self.app.size.width))
        self.query_one(Steps).show(event.plan["steps"], event.plan.get("no_return"), note_lines(event.plan))

    def action_copy(self) -> None:
        if self.plan:
            self.app.copy_to_clipboard(str(self.plan.get("command", "")))
            self.notify("the command was sent to the terminal's clipboard", markup=False)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_help(self) -> None:
        self.qrm.open_help()
