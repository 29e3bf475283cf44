"""The main screen: the line on top, the views, a banner when the line is lost, the prompt and the keys."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from qrm_tui.core.errors import BadInput, QrmError
from qrm_tui.core.units import format_age
from qrm_tui.screens.base import Answer, FarmScreen, Sections
from qrm_tui.screens.columns import View
from qrm_tui.screens.listing import Listing, Unfilter
from qrm_tui.screens.views import BY_KIND, BY_NAME, VIEWS
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import Page, PageLine, line, wrap
from qrm_tui.widgets.table import VirtualTable
from qrm_tui.widgets.topline import TopLine
from qrm_tui.widgets.viewline import Item, ViewLine

if TYPE_CHECKING:
    from qrm_tui.widgets.prompt import Prompt

#: Newest entries of the journal that are fetched.
JOURNAL = 500


class MainScreen(FarmScreen[None]):
    """Everything starts here."""

    DEFAULT_CSS = """
    MainScreen { layout: vertical; }
    MainScreen > #views { height: 1fr; }
    MainScreen > #banner { display: none; background: $panel; color: $text-warning; height: auto; max-height: 2; }
    MainScreen:nocolor > #banner { text-style: reverse; }
    MainScreen.-stale > #banner { display: block; }
    MainScreen.-stale VirtualTable, MainScreen.-stale Detail, MainScreen.-stale Overview { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # before all others: what is typed right behind them waits until the prompt is there, and is its own
        Binding("slash", "filter", "filter", key_display="/", id="main.filter", priority=True,
                tooltip="Show only rows that match; ? tells the language"),
        Binding("colon", "command", "command", key_display=":", id="main.command", priority=True,
                tooltip="Type a view's name, or what you would type after `qrm`"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="main.help"),
        *(Binding(view.key, f"view('{view.name}')", view.title, show=False, id=f"view.{view.name}") for view in VIEWS
          if view.key),
        Binding("ctrl+p", "app.command_palette", "palette", show=False, id="main.palette",
                tooltip="Search all operations and views"),
        Binding("ctrl+o", "log_out", "log out", key_display="ctrl+o", id="main.log-out",
                tooltip="End the session; jobs go on. :lock only asks for the password again, :password changes it"),
        Binding("q", "app.quit", "quit", id="main.quit", tooltip="Jobs go on in the server"),
    ]

    class DetailCame(Answer):
        """An answer of the server about one row."""

        def __init__(self, kind: str, row: Mapping[str, Any]) -> None:
            super().__init__()
            self.kind, self.row = kind, row

    class JournalCame(Answer):
        """The newest entries of the journal."""

        def __init__(self, rows: list[dict[str, Any]]) -> None:
            super().__init__()
            self.rows = rows

    class Trouble(Answer):
        """The server, or the line, says no."""

        def __init__(self, error: QrmError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, view: View = VIEWS[0]) -> None:
        super().__init__(id="main")
        self.view = view
        self._filtered: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield ViewLine()
        yield Page(id="banner")
        with Container(id="views"):
            yield Listing(self.view, self.live)
        yield Keys()

    def on_mount(self) -> None:
        self.shown.table.focus()
        self._show_views()
        if self.view.kind == "journal":
            self.fetch_journal()

    # parts

    @property
    def shown(self) -> Listing:
        """The view that is shown."""
        return self.query_one(f"#view-{self.view.name}", Listing)

    @property
    def prompt(self) -> Prompt | None:
        """The prompt, once it was wanted."""
        found = self.query("Prompt")
        return cast("Prompt", found.first()) if found else None

    # following the farm

    def farm_changed(self, what: frozenset[str]) -> None:
        if "line" in what:
            self._show_line()
        if "hello" in what:
            self.refresh_bindings()
        if "job" in what and self.view.kind == "journal":
            self.fetch_journal()
        self._show_views()

    def tick(self) -> None:
        self.shown.tick()
        if self.live.line == "lost":
            self._show_line()

    def _show_line(self) -> None:
        live = self.live
        self.set_class(live.line == "lost", "-stale")
        if live.line == "lost":
            now = live.clock()
            again = max(0, round(live.again_at - now))
            text = (f"The line to {live.where} is lost ({live.trouble}). "
                    f"Shown as of {format_age(now - live.lost_at)} ago; trying again"
                    + (f" in {again} s." if again else "."))
            self.query_one("#banner", Page).set_lines(wrap(text, self.size.width - 1, "", " "))

    def _show_views(self) -> None:
        counts = {kind: str(len(self.live.rows[kind])) for kind in self.live.rows if kind in self.live.heard}
        items = [Item(view.key or ":", view.title, view.short, counts.get(view.kind, "")) for view in VIEWS
                 if view.key or view is self.view]
        self.query_one(ViewLine).show(items, self.view.title, self._note())

    def _note(self) -> str:
        """What is filtered and marked."""
        parts = []
        source, marked = self.live.sources[self.view.kind], self.shown.table.marked
        if self.view.name in self._filtered:
            parts.append(f"/{self._filtered[self.view.name]}: {len(source)} of {source.total}")
        if marked:
            parts.append(f"{len(marked)} marked")
        return "  ".join(parts)

    @on(VirtualTable.MarkedChanged)
    def _marked(self) -> None:
        self._show_views()
        self.refresh_bindings()

    # going to views

    async def go(self, view: View) -> Listing:
        """Show this view."""
        if view is not self.view:
            if self.shown.inside:
                self.shown.leave_details()
            self.shown.display = False
            if not self.query(f"#view-{view.name}"):
                await self.query_one("#views").mount(Listing(view, self.live))
            self.view = view  # whole by now: seconds pass and the farm changes while it is made
            self.shown.display = True
            if view.kind == "journal":
                self.fetch_journal()
        self.shown.table.focus()
        self._show_views()
        self.refresh_bindings()
        return self.shown

    async def action_view(self, name: str) -> None:
        await self.go(BY_NAME[name])

    async def visit(self, view: View, filter: str | None, name: str | None) -> None:
        """Go to a view with a filter, or with the cursor on an object."""
        shown = await self.go(view)
        if filter is not None:
            self.set_filter(filter)
        if name is not None:
            if not shown.table.show_cursor_on(name) and self.live.row(view.kind, name) is not None:
                self.set_filter("")
            if not shown.table.show_cursor_on(name):
                raise BadInput(f"there is no {view.kind} {name!r}")

    @on(Listing.Opened)
    async def _opened(self, event: Listing.Opened) -> None:
        row = event.row
        if event.view.enter == "job":
            self.qrm.open_job(str(row["name"]))
        elif row["kind"] in BY_KIND:
            await self.visit(BY_KIND[row["kind"]], None, str(row["name"]))

    @on(Listing.Led)
    async def _led(self, event: Listing.Led) -> None:
        lead = event.lead
        await self.visit(BY_KIND[lead.kind], lead.filter.format(name=event.name) if lead.filter else None,
                         None if lead.filter else event.name)

    @on(Listing.Asked)
    def _asked(self, event: Listing.Asked) -> None:
        self.qrm.ask(event.request)

    @on(Listing.Why)
    def _why(self, event: Listing.Why) -> None:
        self.qrm.open_why(event.view, str(event.row["name"]))

    @on(Listing.PlanOf)
    def _plan_of(self, event: Listing.PlanOf) -> None:
        self.qrm.open_plan_of(str(event.row["name"]))

    # what the server knows more

    @on(Listing.NeedsDetail)
    def _needs_detail(self, event: Listing.NeedsDetail) -> None:
        self.fetch_detail(event.listing.view.kind, event.name)

    @work(group="detail", exclusive=True, exit_on_error=False)
    async def fetch_detail(self, kind: str, name: str) -> None:
        """Ask for *why* and what next."""
        with contextlib.suppress(QrmError):  # gone meanwhile, or the line is lost: the row or the banner tells
            self.post_message(self.DetailCame(kind, await self.qrm.client.show(kind, name)))

    @on(DetailCame)
    def _detail_came(self, event: DetailCame) -> None:
        for view in self.query(Listing):
            if view.view.kind == event.kind:
                view.take_detail(event.row)

    @work(group="journal", exclusive=True, exit_on_error=False)
    async def fetch_journal(self) -> None:
        """Ask for the newest entries."""
        try:
            answer = await self.qrm.client.list("journal", sort="-seq", limit=JOURNAL)
            self.post_message(self.JournalCame(answer["rows"]))
        except QrmError as error:
            self.post_message(self.Trouble(error))

    @on(JournalCame)
    def _journal_came(self, event: JournalCame) -> None:
        self.live.journal(event.rows)

    @on(Trouble)
    def _trouble(self, event: Trouble) -> None:
        self.tell(event.error)

    # the prompt: filters and commands; its messages are handled by name, because it loads when it is first wanted

    async def _open_prompt(self, purpose: str, text: str) -> None:
        prompt = self.prompt
        if prompt is None:
            from qrm_tui.widgets.prompt import Prompt

            prompt = Prompt()
            await self.mount(prompt, before=self.query_one(Keys))
        prompt.open("/" if purpose == "/" else ":", text)
        self.refresh_bindings()

    async def action_filter(self) -> None:
        await self._open_prompt("/", self._filtered.get(self.view.name, ""))

    async def action_command(self) -> None:
        await self._open_prompt(":", "")

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        if event.purpose == "/":
            self._say_filter(event.prompt, event.text)
        else:
            event.prompt.say(self._hints(event.text))

    async def on_prompt_accepted(self, event: Prompt.Accepted) -> None:
        if event.purpose == "/":
            if self._say_filter(event.prompt, event.text):
                event.prompt.close()
                self.shown.table.focus()
            return
        try:
            await self.qrm.command(event.text)
        except BadInput as error:
            event.prompt.say([part for reason in error.reasons for part in self._wrong(reason)])
            return
        event.prompt.close()
        if self.focused is None or self.focused in event.prompt.query("*"):
            self.shown.table.focus()

    def on_prompt_left(self, event: Prompt.Left) -> None:
        if event.purpose == "/":
            self.set_filter("")
        event.prompt.close()
        self.shown.table.focus()

    def on_prompt_completion(self, event: Prompt.Completion) -> None:
        if event.prompt.purpose != ":":
            return
        from qrm_tui.screens.command import complete

        hints = [hint for hint in complete(event.text, self.live.names, limit=1000) if hint.text]
        if not hints:
            return
        shared = hints[0].text
        for hint in hints:
            while not hint.text.startswith(shared):
                shared = shared[:-1]
        before = event.text[: event.text.rfind(" ") + 1]
        event.prompt.put(before + shared + (" " if len(hints) == 1 else ""))

    def _wrong(self, reason: str) -> list[PageLine]:
        return wrap(reason, self.size.width - 1, "bad", first=" ! ")

    def _hints(self, text: str) -> list[PageLine]:
        from qrm_tui.screens.command import complete

        hints = complete(text, self.live.names)
        size = max((len(hint.text) for hint in hints), default=0)
        return [line((f" {hint.text:<{size}}  ", "key"), (hint.about, "muted")) for hint in hints]

    def _say_filter(self, prompt: Prompt, text: str) -> bool:
        """Filter by what is typed so far; what is wrong is said, and the last good filter stays."""
        try:
            self.set_filter(text)
        except BadInput as error:
            prompt.say([part for reason in error.reasons for part in self._wrong(reason)])
            return False
        source = self.live.sources[self.view.kind]
        prompt.say([line((f" {len(source)} of {source.total} match", "muted"))] if text.strip() else
                   [line((" a word, state=error, size>5G, name~^cust, since<1h, and, or, not, ( )", "muted"))])
        return True

    def set_filter(self, text: str) -> None:
        """Show only rows that match; BadInput tells what is wrong with the text."""
        text = text.strip()
        source = self.live.sources[self.view.kind]
        if text:
            from qrm_tui.core.filters import compile_filter

            rows = self.live.rows.get(self.view.kind)
            sample = next(iter(rows.values() if rows else source.rows(0, 1)), None)
            self.shown.filter(compile_filter(text, frozenset(sample) if sample else None, self.live.clock))
            self._filtered[self.view.name] = text
        else:
            self._filtered.pop(self.view.name, None)
            self.shown.filter(None)
        self._show_views()
        self.refresh_bindings()

    @on(Unfilter)
    def _unfilter(self) -> None:
        self.set_filter("")

    # keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "log_out" and not self.live.hello.get("session"):
            return False
        prompt = self.prompt
        return not (prompt and prompt.is_open and action in ("filter", "command", "help", "app.quit", "view"))

    def action_log_out(self) -> None:
        self.qrm.log_out()

    def action_help(self) -> None:
        self.qrm.open_help()

    def help_sections(self) -> Sections:
        from qrm_tui.screens.help import filter_sections, operation_sections

        kind = self.view.kind
        return [*operation_sections(kind, self.live), *filter_sections(self.live.rows.get(kind, {}))]
