"""The one list view: a table of a kind's rows, with the details of the row under the cursor beside or below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.timer import Timer

from qrm_tui.core.operations.declarations import Operation
from qrm_tui.core.operations.registry import OPERATIONS, offered_on
from qrm_tui.screens.boots import UNDER_WAY
from qrm_tui.screens.columns import Lead, View
from qrm_tui.screens.live import Live
from qrm_tui.screens.operate import Request, key_text
from qrm_tui.screens.overview import Overview
from qrm_tui.widgets.detail import Detail
from qrm_tui.widgets.page import Page, PageLine
from qrm_tui.widgets.table import VirtualTable

#: Cells from which on the details are beside the table.
WIDE = 120
#: The cursor must rest this long (seconds) before *why* is asked of the server.
_REST = 0.08
#: Seconds that *why* counts while a boot is under way.
_BOOT_NEWS = 3.0


class Listing(Container):
    """One view. It never speaks to the server: it asks the app by messages."""

    DEFAULT_CSS = """
    Listing { layout: vertical; height: 1fr; }
    Listing > #list { height: 1fr; }
    Listing > #about { height: 9; background: $surface; }
    Listing > #about > Detail { height: 1fr; }
    Listing > #about > #about-title { height: 1; background: $panel; }
    Listing.-short > #about { display: none; }
    Listing.-wide { layout: horizontal; }
    Listing.-wide > #list { width: 3fr; }
    Listing.-wide > #about { width: 2fr; height: 1fr; border-left: solid $panel; display: block; }
    Listing.-details > #about { height: 1fr; display: block; }
    Listing.-details > #list { display: none; }
    Listing.-wide.-details > #list { display: block; }
    Listing.-empty > #about { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "why", "why", id="list.why", tooltip="Why it is in its state, since when, and what next"),
        Binding("p", "plan", "plan", id="list.plan", tooltip="The plan of this job, step by step"),
        Binding("t", "lead", "to it", id="list.lead",
                tooltip="From a partition to its resource and back, from a host to its partitions"),
        Binding("escape", "back", "back", key_display="esc", id="list.back"),
    ]

    class Asked(Message):
        """An operation is wanted."""

        def __init__(self, request: Request) -> None:
            super().__init__()
            self.request = request

    class Opened(Message):
        """Enter on a row that leads elsewhere: a job, or an object of another view."""

        def __init__(self, view: View, row: Mapping[str, Any]) -> None:
            super().__init__()
            self.view, self.row = view, row

    class NeedsDetail(Message):
        """The details of this row are not known yet, or may have changed."""

        def __init__(self, listing: Listing, name: str) -> None:
            super().__init__()
            self.listing, self.name = listing, name

    class Why(Message):
        """Why is this row in its state?"""

        def __init__(self, view: View, row: Mapping[str, Any]) -> None:
            super().__init__()
            self.view, self.row = view, row

    class Led(Message):
        """To what a row is besides, or has."""

        def __init__(self, lead: Lead, name: str) -> None:
            super().__init__()
            self.lead, self.name = lead, name

    class PlanOf(Message):
        """The plan of this job."""

        def __init__(self, row: Mapping[str, Any]) -> None:
            super().__init__()
            self.row = row

    def __init__(self, view: View, live: Live) -> None:
        super().__init__(id=f"view-{view.name}")
        self.view, self._live = view, live
        self._asked: dict[str, Any] = {}
        self._asked_at = 0.0
        self._timer: Timer | None = None
        #: what the keys shown depend on
        self._keys_for: tuple[object, ...] = ()
        self._stop: Callable[[], None] | None = None
        #: there are rows, and a filter lets none through
        self._filtered = False
        for operation in offered_on(view.kind):
            if operation.key:
                self._bindings.key_to_bindings.setdefault(operation.key, []).insert(0, Binding(
                    operation.key, f"operate('{operation.name}')",
                    operation.verb if operation.kind == view.kind else f"new {operation.kind}" if operation.on else
                    operation.kind, id=operation.name,
                    key_display=key_text(operation.key), tooltip=operation.summary))
        if view.kind == "component":
            self._bindings.key_to_bindings["a"] = [Binding(
                "a", "app.set_up", "set up", id="component.set_up",
                tooltip="The installer's screens, with all as it is: choose others, leave some out, change settings")]

    def compose(self) -> ComposeResult:
        self._fit_size()
        source = self._live.sources[self.view.kind]
        source.sort(*self.view.order)
        with Vertical(id="list"):
            if self.view.kind == "alert":
                yield Overview(self._live)
            yield VirtualTable(self.view.columns, source, placeholder=self._none, clock=self._live.clock)
        with Vertical(id="about"):
            yield Page(id="about-title")
            yield Detail(self._details)

    def on_mount(self) -> None:
        if offered_on(self.view.kind):  # the table's own key is not among those shown
            self.table._bindings.key_to_bindings["space"] = [Binding(
                "space", "mark", "mark", id="table.mark", tooltip="Mark rows: operations then work on all of them")]
        self.set_class(self.table.cursor_row is None, "-empty")
        self._stop = self._live.listen(self._changed)

    def on_unmount(self) -> None:
        if self._stop:
            self._stop()

    def on_resize(self) -> None:
        if self._fit_size():
            self.call_after_refresh(self._show_row)

    def _fit_size(self) -> bool:
        """Where the details are, at this size; True if that changed."""
        size, before = self.app.size, self.classes
        self.set_class(size.width >= WIDE, "-wide")
        # an alert's reason is in its row already
        self.set_class(size.height < (36 if self.view.kind == "alert" else 18) and size.width < WIDE, "-short")
        return self.classes != before

    # parts and state

    @property
    def table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

    @property
    def row(self) -> Mapping[str, Any] | None:
        """The row under the cursor."""
        return self.table.cursor_row

    @property
    def inside(self) -> bool:
        """Whether the details have the focus."""
        return self.has_class("-details")

    @property
    def _none(self) -> str:
        """What is said where no row is."""
        if self.view.kind not in self._live.heard:
            return "waiting for the server ..."
        return "no row matches; esc shows all" if self._filtered else self.view.placeholder

    def filter(self, holds: Callable[[Mapping[str, Any]], bool] | None) -> None:
        """Show only rows for which it holds; None: all."""
        self._filtered = holds is not None
        self._live.sources[self.view.kind].filter(holds)
        self.table.placeholder = self._none

    def subjects(self) -> tuple[str, ...]:
        """Names of what an operation works on, in the order of the list."""
        table, source = self.table, self._live.sources[self.view.kind]
        if not table.marked:
            return tuple(str(key) for key in table.targets)
        return tuple(sorted((str(key) for key in table.marked), key=lambda key: (source.index(key) is None,
                                                                               source.index(key) or 0, key)))

    def subjects_of(self, operation: Operation) -> tuple[str, ...]:
        """What this operation works on: a session with a VE is one with the machines that it runs on."""
        if operation.sort != "session" or self.view.kind != "ve":
            return self.subjects()
        rows = self._live.rows["ve"]
        return tuple(dict.fromkeys(name for ve in self.subjects() for name in rows.get(ve, {}).get("resources", ())))

    def offered(self) -> tuple[str, ...]:
        """Names of the operations that make sense now."""
        return tuple(operation.name for operation in offered_on(self.view.kind) if self._offers(operation))

    def _offers(self, operation: Operation) -> bool:
        if not self._live.may(operation):
            return False
        row = self.row if self.is_mounted else None
        only = self.view.only.get(operation.name)
        if only is not None and row is not None and not self.table.marked and not only(row):
            return False
        if operation.subject is None:
            return operation.kind == self.view.kind or row is not None
        if operation.sort == "session" and row is not None and not self.subjects_of(operation):
            return False
        states = self.view.applies.get(operation.name)
        return row is not None and (states is None or bool(self.table.marked) or row["state"] in states)

    # following the farm

    def _changed(self, what: frozenset[str]) -> None:
        if self.view.kind in what or "farm" in what:
            self.set_class(not len(self.table.source), "-empty")
            if self.table.placeholder != self._none:
                self.table.placeholder = self._none
        if what & {self.view.kind, "line", "hello"} and self.display:
            self._show_row()
            self._refresh_keys()

    def tick(self) -> None:
        """A second has passed: ages, and what is said of a boot under way."""
        if self.display:
            self.table.tick()
            self._show_detail()
            if self._is_old():
                self._show_row()
            for overview in self.query(Overview):
                overview.rebuild()

    def _refresh_keys(self) -> None:
        state = (*self.offered(), self.row is not None, self.view.lead(self.row))
        if state != self._keys_for:
            self._keys_for = state
            self.refresh_bindings()

    # the row under the cursor

    @on(VirtualTable.CursorMoved)
    def _moved(self, event: VirtualTable.CursorMoved) -> None:
        event.stop()
        self.set_class(event.key is None, "-empty")
        self._show_row()
        self._refresh_keys()

    @on(VirtualTable.MarkedChanged)
    def _marked(self, event: VirtualTable.MarkedChanged) -> None:
        self._refresh_keys()  # and on to the screen, which tells how many

    def _show_row(self) -> None:
        """Show what is known at once; ask for the rest when the cursor rests."""
        row = self.row
        self._show_detail()
        if self._timer:
            self._timer.stop()
        seen = self.display and self.query_one("#about").display
        if row is not None and seen and self._live.line == "up" and self._wants_detail(row):
            self._timer = self.set_timer(_REST, lambda: self.post_message(self.NeedsDetail(self, row["name"])))

    def _wants_detail(self, row: Mapping[str, Any]) -> bool:
        """Whether the server has not told of this row as it is now."""
        return "why" not in row and (self._is_old() or any(
            self._asked.get(key) != row.get(key) for key in ("name", "state", "revision", "stage")))

    def _is_old(self) -> bool:
        """Whether *why* may be another one by now though the row is the same: a boot goes on, or stalls."""
        row = self.row
        return (row is not None and row.get("state") in UNDER_WAY
                and self._live.clock() - self._asked_at >= _BOOT_NEWS)

    def take_detail(self, detail: Mapping[str, Any]) -> None:
        """What the server says of a row: kept while the cursor is on it."""
        row = self.row
        self._asked = dict(detail)
        if row is not None and row["name"] == detail["name"]:
            self._asked["stage"] = row.get("stage")  # of a VE it is made here
        self._asked_at = self._live.clock()
        self._show_detail()

    def _show_detail(self) -> None:
        about = self.query_one("#about")
        if not about.display:
            return
        from qrm_tui.screens.details import title_line

        row = self.row
        if row is not None and self._asked.get("name") == row["name"]:
            row = {**self._asked, **row}
        self.detail.show(row)
        now = self._live.clock()
        self.query_one("#about-title", Page).set_lines([title_line(row, now)] if row is not None else [])

    def _details(self, row: Mapping[str, Any], width: int) -> Sequence[PageLine]:
        from qrm_tui.screens.details import detail_lines

        return detail_lines(row, self.view, width, self._live)

    # keys

    @on(VirtualTable.Selected)
    def _selected(self, event: VirtualTable.Selected) -> None:
        event.stop()
        row = self.row
        if row is None:
            return
        if self.view.enter == "details":
            self.add_class("-details")
            self.detail.can_focus = True
            self.detail.focus()
        else:
            self.post_message(self.Opened(self.view, row))

    def leave_details(self) -> None:
        """Back to the table."""
        self.remove_class("-details")
        self.table.focus()
        self.detail.can_focus = False
        self.detail.scroll_home(animate=False)

    def action_back(self) -> None:
        """One step back: out of the details, then the marks go, then the filter."""
        if self.inside:
            self.leave_details()
        elif self.table.marked:
            self.table.mark(())
        else:
            self.post_message(Unfilter(self))

    def action_operate(self, name: str) -> None:
        operation = OPERATIONS[name]
        elsewhere = operation.on and operation.kind != self.view.kind
        here = {operation.on: self.row["name"]} if elsewhere and self.row else {}
        self.post_message(self.Asked(Request(operation, self.subjects_of(operation) if operation.subject else (),
                                             here)))

    def action_why(self) -> None:
        if self.row is not None:
            self.post_message(self.Why(self.view, self.row))

    def action_lead(self) -> None:
        lead = self.view.lead(self.row)
        if lead is not None and self.row is not None:
            self.post_message(self.Led(lead, str(self.row["name"])))

    def action_plan(self) -> None:
        if self.row is not None:
            self.post_message(self.PlanOf(self.row))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "operate":
            return self._offers(OPERATIONS[str(parameters[0])])
        if action == "plan":
            return self.view.kind == "job" and self.is_mounted and self.row is not None
        if action == "lead":
            return self.is_mounted and self.view.lead(self.row) is not None
        if action == "why":
            return self.view.kind != "journal" and self.is_mounted and self.row is not None
        if action == "back":
            filtered = self.is_mounted and len(self.table.source) != self._live.sources[self.view.kind].total
            return self.inside or filtered or (self.is_mounted and bool(self.table.marked))
        return True


class Unfilter(Message):
    """The filter is to go."""

    def __init__(self, listing: Listing) -> None:
        super().__init__()
        self.listing = listing
