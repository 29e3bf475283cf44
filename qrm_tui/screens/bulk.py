"""One operation on many objects: a plan each, all of them shown, and then run together, or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from qrm_tui.core.errors import QrmError
from qrm_tui.screens.base import Answer, FarmScreen, Sections
from qrm_tui.screens.operate import Outcome, Request, with_documents
from qrm_tui.screens.plan import note_lines
from qrm_tui.widgets.columns import Column
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.lineinput import LineInput
from qrm_tui.widgets.page import Page, PageLine, line, wrap
from qrm_tui.widgets.rows import ListSource
from qrm_tui.widgets.steps import Steps
from qrm_tui.widgets.table import VirtualTable
from qrm_tui.widgets.topline import TopLine

#: Plans asked for at the same time.
_AT_ONCE = 8
_STYLES = {"planned": "good", "refused": "bad", "planning": "muted", "asked": "strong", "done": "good"}

_COLUMNS = (
    Column("name", "name", 16, flexible=True, priority=9),
    Column("state", "state", 8, priority=8, style=lambda row: _STYLES.get(row["state"])),
    Column("steps", "steps", 5, "right", priority=5),
    Column("said", "what", 30, flexible=True, priority=7),
)


class Bulk(FarmScreen[Outcome]):
    """The count, each name, what each plan says; a destructive one wants the count typed."""

    DEFAULT_CSS = """
    Bulk { layout: vertical; }
    Bulk > #bulk-title { height: auto; max-height: 4; background: $surface; }
    Bulk > VirtualTable { height: 2fr; }
    Bulk > #said { height: auto; max-height: 4; background: $surface; }
    Bulk > Steps { height: 1fr; border-top: solid $panel; }
    Bulk > #asks { height: auto; background: $surface; }
    Bulk #asks Horizontal { height: 1; }
    Bulk #asks .pointer { width: 2; visibility: hidden; text-style: bold; }
    Bulk #asks Horizontal:focus-within { height: 1; }
    Bulk #asks Horizontal:focus-within .pointer { visibility: visible; }
    Bulk #confirm-line { display: none; }
    Bulk.-destructive #confirm-line { display: block; }
    Bulk.-sent > #asks { display: none; }
    Bulk #asks Label { width: auto; margin-right: 1; }
    Bulk #asks Input { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "run", id="plan.run", tooltip="Run all plans that were not refused"),
        Binding("tab", "app.focus_next", "steps", key_display="tab", id="bulk.next"),
        Binding("escape", "leave", "leave", key_display="esc", id="plan.leave"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="plan.help"),
    ]

    class Came(Answer):
        """A plan, an answer to running one, or reasons why not, for one of the objects."""

        def __init__(self, name: str, *, plan: dict[str, Any] | None = None, answer: dict[str, Any] | None = None,
                     reasons: tuple[str, ...] = ()) -> None:
            super().__init__()
            self.object_name, self.plan, self.answer, self.reasons = name, plan, answer, reasons

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self.plans: dict[str, dict[str, Any]] = {}
        self.source = ListSource("name", [{"name": name, "state": "planning", "steps": None, "said": "", "reasons": ()}
                                          for name in request.subjects])
        self._sent = False

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield Page(id="bulk-title")
        yield VirtualTable(_COLUMNS, self.source, clock=self.live.clock)
        yield Page(id="said")
        yield Steps(self.live.clock)
        with Vertical(id="asks"):
            with Horizontal(id="reason-line"):
                yield Label(">", classes="pointer", markup=False)
                yield Label("reason:", markup=False)
                yield LineInput(self.request.reason, id="reason", placeholder="for the journal, one for all, or none")
            with Horizontal(id="confirm-line"):
                yield Label(">", classes="pointer", markup=False)
                yield Label("", id="confirm-label", markup=False)
                yield LineInput(id="confirm", placeholder="No", enter="confirm")
        yield Keys()

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        self._show_title()
        self.ask()

    # asking and running

    @work(group="plan", exclusive=True, exit_on_error=False)
    async def ask(self) -> None:
        """A plan for each, a few at a time."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with places:
                try:
                    arguments = await with_documents(self.request.operation, self.request.for_subject(name))
                    plan = await self.qrm.client.plan(self.request.operation.name, arguments, self.request.reason)
                    self.post_message(self.Came(name, plan=plan))
                except QrmError as error:
                    self.post_message(self.Came(name, reasons=error.reasons))

        await asyncio.gather(*(one(name) for name in self.request.subjects))

    @work(group="run", exclusive=True, exit_on_error=False)
    async def run_plans(self, plans: Mapping[str, str], reason: str) -> None:
        """In the order of the list; one that is refused does not stop the others. The reason joins their entries."""
        for name, plan in plans.items():
            try:
                self.post_message(self.Came(name, answer=await self.qrm.client.run(plan, reason)))
            except QrmError as error:
                self.post_message(self.Came(name, reasons=error.reasons))

    @on(Came)
    def _came(self, event: Came) -> None:
        name = event.object_name
        row: dict[str, Any] = {"name": name, "steps": None, "reasons": event.reasons}
        if event.plan is not None:
            self.plans[name] = event.plan
            warnings = event.plan.get("warnings") or ()
            steps = event.plan["steps"]
            # where one step says it all, it does
            said = [*warnings, *event.plan.get("notes", ())] or [step["summary"] for step in steps if len(steps) == 1]
            row |= {"state": "planned", "steps": len(steps), "said": "; ".join(map(str, said))}
            if event.plan.get("destructive"):
                self.add_class("-destructive")
        elif event.answer is not None:
            job = event.answer.get("job")
            row |= {"state": "asked" if job else "done", "steps": len(self.plans[name]["steps"]),
                    "said": f"job {job['name']}: enter shows it" if job else "done, and in the journal",
                    "job": job and str(job["name"])}
        else:
            row |= {"state": "refused", "said": "; ".join(event.reasons)}
            self.plans.pop(name, None)
        self.source.update([row])
        self._show_title()
        self._show_object()
        self.refresh_bindings()

    # what it says

    def _count(self, *states: str) -> int:
        return sum(row["state"] in states for row in self.source.rows(0, len(self.source)))

    def _show_title(self) -> None:
        operation, size = self.request.operation, len(self.request.subjects)
        refused, planned, asked = self._count("refused"), len(self.plans), self._count("asked", "done")
        done = "done" if operation.sort == "record" else "asked for"
        spans: PageLine = line((f" {operation.kind} {operation.verb}", "title"), f"  {size} {operation.kind}s: ",
                               f"{asked} of {planned} {done}" if self._sent else f"{planned} can run",
                               (f", {refused} refused" if refused else "", "bad"))
        self.query_one("#bulk-title", Page).set_lines([spans])
        self.query_one("#confirm-label", Label).update(
            f"type {planned} to {operation.verb} {planned} {operation.kind}s:")

    @on(VirtualTable.CursorMoved)
    def _moved(self) -> None:
        self._show_object()

    @on(VirtualTable.Selected)
    def _selected(self, event: VirtualTable.Selected) -> None:
        row = event.table.cursor_row
        if row is not None and row.get("job"):
            self.qrm.open_job(row["job"])
        elif self.query_one(Steps).lines:
            self.query_one(Steps).focus()

    def _show_object(self) -> None:
        """The plan, or the refusal, of the object under the cursor."""
        row = self.query_one(VirtualTable).cursor_row
        if row is None:
            return
        self.query_one("#said", Page).set_lines(
            [part for reason in row["reasons"] for part in wrap(reason, self.app.size.width - 2, "bad", " ! ")])
        plan = self.plans.get(str(row["name"]))
        self.query_one(Steps).show(plan["steps"] if plan else (), plan.get("no_return") if plan else None,
                                   note_lines(plan) if plan else ())

    # keys

    @property
    def ready(self) -> bool:
        """Every plan has come, and something can run."""
        return not self._sent and bool(self.plans) and not self._count("planning")

    def action_run(self) -> None:
        if not self.ready:
            return
        confirm = self.query_one("#confirm", Input)
        if self.has_class("-destructive") and confirm.value.strip() != str(len(self.plans)):
            confirm.focus()
            return
        self._sent = True
        self.add_class("-sent")
        self.query_one(VirtualTable).focus()
        self.run_plans({name: self.plans[name]["id"] for name in self.request.subjects if name in self.plans},
                       self.query_one("#reason", Input).value.strip())
        self.refresh_bindings()

    @on(Input.Submitted, "#reason")
    def _reasoned(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(VirtualTable).focus()

    @on(Input.Submitted, "#confirm")
    def _confirmed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.action_run()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        if isinstance(self.focused, Input):
            self.query_one(VirtualTable).focus()
        else:
            self.dismiss(Outcome() if self._sent else None)

    def action_help(self) -> None:
        self.qrm.open_help()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.ready if action == "run" and self.is_mounted else True

    def help_sections(self) -> Sections:
        return [("Many at once", [("", "Each object has its own plan, its own job where it needs one, and its own "
                                       "entry in the journal, all with the one reason. One that is refused or fails "
                                       "does not stop the others.")])]
