"""The form of an operation, made from its arguments: checked while one types, by the same parsers as everywhere."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from qrm_tui.core.operations.arguments import Argument, parse_value
from qrm_tui.screens import room
from qrm_tui.screens.base import FarmScreen, Sections
from qrm_tui.screens.command import command_text, usage
from qrm_tui.screens.entries import Entry, entries, names, sent, unreadable
from qrm_tui.screens.operate import Outcome, Request
from qrm_tui.screens.views import BY_KIND
from qrm_tui.widgets.field import Check, Field
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import Page, PageLine, wrap
from qrm_tui.widgets.topline import TopLine

#: Names of live objects that a suggestion goes through; beyond that, typing is checked all the same.
_SUGGESTED = 5000
#: Lines of what the server says no to, below the fields; more have a window of their own.
_TROUBLES = 5
#: Lines of a screen with less than which only the fields and what is wrong with them are shown.
_LOW = 16
#: Types of what is called so from then on.
_NEW_NAMES = ("name", "image-name", "user-name")


class Form(FarmScreen[Outcome]):
    """Leads to the plan; nothing is done from here."""

    DEFAULT_CSS = """
    Form { layout: vertical; }
    Form > #form-title { height: auto; margin: 0 0 1 0; }
    Form > #fields { height: 1fr; overflow-y: auto; }
    Form > #form-hint { height: 2; }
    Form > #form-room { height: auto; max-height: 3; }
    Form > #form-trouble { height: auto; }
    Form > #form-command { height: auto; max-height: 3; background: $surface; }
    Form.-low > #form-title { max-height: 1; margin: 0; }
    Form.-low > #form-room { max-height: 1; }
    Form.-low > #form-hint, Form.-low > #form-command { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "go on", key_display="enter", id="form.submit",
                tooltip="To the next field that is needed; when nothing is missing, to the plan"),
        Binding("down", "app.focus_next", "next", key_display="tab", id="form.next", tooltip="The next field"),
        Binding("up", "app.focus_previous", show=False, id="form.previous", tooltip="The field before"),
        Binding("escape", "leave", "leave", key_display="esc", id="form.leave"),
        Binding("f1", "help", "help", key_display="F1", id="form.help"),
    ]

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self._entries: dict[str, Entry] = {}
        self._tells_room = request.operation.name in room.OPERATIONS
        self._complete = False

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield Page(self._title(), id="form-title")
        request, row = self.request, self._row()
        given = {**self._only(), **self._begin(row),
                 **(dict(request.arguments) if request.several else request.single())}
        with Vertical(id="fields"):
            for entry in entries(request.operation, given, row, several=request.several):
                argument = entry.argument
                self._entries[argument.name] = entry
                yield Field(argument, entry.value, names=self._names(argument), check=self._check(argument),
                            placeholder=self._placeholder(argument))
        yield Page(id="form-trouble")
        if self._tells_room:
            yield Page(id="form-room")
        yield Page(id="form-hint")
        yield Page(id="form-command")
        yield Keys()

    def on_mount(self) -> None:
        self._complete = True
        self._show_room()
        self._first_field().editor.focus()
        self._show_command()

    def on_resize(self) -> None:
        """What is wrapped is wrapped anew, and where there are few lines the fields have them."""
        self.set_class(self.size.height < _LOW, "-low")
        self.query_one("#form-title", Page).set_lines(self._title())
        self._show_hint()
        self._show_command()
        self._show_room()
        self._show_field()

    def on_descendant_focus(self) -> None:
        self._show_hint()
        self._show_field()

    @property
    def fields(self) -> list[Field]:
        return list(self.query(Field))

    @property
    def arguments(self) -> dict[str, Any]:
        """What is filled in, as it is sent."""
        return sent([(self._entries[field.argument.name], field.value, field.touched) for field in self.fields])

    def _first_field(self) -> Field:
        """What is needed and empty; else the first that may be changed, or the last."""
        empty = next((field for field in self.fields if not field.text and field.argument.required), None)
        other = next((field for field in self.fields if field.argument.name != self.request.operation.subject), None)
        return empty or (other if self._changes or self.request.several else None) or self.fields[
            0 if self._tells_room else -1]

    @property
    def _changes(self) -> bool:
        """Whether it shows what the object has already, to be changed."""
        return any(entry.present for entry in self._entries.values())

    # what it says

    def _title(self) -> list[PageLine]:
        operation, subjects = self.request.operation, self.request.subjects
        size = max(36, self.app.size.width - 2)
        name = f" {operation.kind} {operation.verb}  "
        title = [((name if place == 0 else spans[0][0], "title"), *spans[1:])
                 for place, spans in enumerate(wrap(operation.summary, size, first=name))]
        if self.request.several:
            title += wrap(", ".join(subjects), size, "strong",
                          first=f" {len(subjects)} marked: ", rest="    ")[:3]
        return title

    @property
    def _focused_field(self) -> Field | None:
        return next((field for field in self.fields if field.has_focus_within), None)

    def _show_field(self) -> None:
        """All of the field where one types is in view: what is said below it, too, which may have become longer."""
        field = self._focused_field
        if field is not None:
            self.call_after_refresh(field.scroll_visible, animate=False)

    def _show_hint(self) -> None:
        """What may be typed where the focus is."""
        field = self._focused_field
        self.query_one("#form-hint", Page).set_lines(
            wrap(field.hint, self.app.size.width - 2, "muted", " ")[:2] if field else ())

    def _show_command(self) -> None:
        page = self.query_one("#form-command", Page)
        arguments = self.arguments
        if self.request.several:
            arguments = {**self.request.for_subject(self.request.subjects[0]), **arguments}
        more = f"   and {len(self.request.subjects) - 1} more" if self.request.several else ""
        page.set_lines(wrap(command_text(self.request.operation, arguments) + more, self.app.size.width - 2, "muted",
                            first=" $ "))

    def _show_room(self) -> None:
        """What would still fit, and what does not with what is typed elsewhere."""
        if self._tells_room:
            text = room.words(self._host(), self._wanted())
            self.query_one("#form-room", Page).set_lines(wrap(text, self.app.size.width - 2, "strong", " ") if text
                                                         else ())
            for field in self.fields:
                field.say()

    def _host(self) -> Mapping[str, Any] | None:
        return self.live.rows["host"].get(next(f.text.strip() for f in self.fields if f.argument.type == "host"))

    def _wanted(self) -> dict[str, Any]:
        """What room is judged by, as typed, or as by default; what is none yet is left out."""
        found: dict[str, Any] = {}
        for field in self.fields:
            if field.argument.type in ("count", "size") or field.argument.name in room.NAMES:
                with contextlib.suppress(ValueError):
                    text = field.text.strip()
                    found[field.argument.name] = parse_value(field.argument, text) if text else field.argument.default
        return found

    # what the farm knows of arguments

    def _only(self) -> Mapping[str, Any]:
        """The only virtualization host, where there is one."""
        hosts = [name for name in self.live.names("host") if not self.live.rows["host"][name].get("added")] \
            if self._tells_room else []
        return {"host": hosts[0]} if len(hosts) == 1 else {}

    def _row(self) -> Mapping[str, Any] | None:
        """The object that it is about, if there is one."""
        operation, subjects = self.request.operation, self.request.subjects
        return self.live.row(operation.kind, subjects[0]) if len(subjects) == 1 else None

    def _begin(self, row: Mapping[str, Any] | None) -> Mapping[str, Any]:
        view = BY_KIND.get(self.request.operation.kind)
        return view.begins.get(self.request.operation.name, {}).get(row["state"], {}) if view and row else {}

    def _names(self, argument: Argument) -> list[str]:
        rows = self.live.rows.get(argument.type, {})
        return names(argument, self.request.operation, self._row(), rows)[:_SUGGESTED]

    def _check(self, argument: Argument) -> Check | None:
        live, operation = self.live, self.request.operation
        if argument.type == "document":
            return unreadable
        if argument.type in live.rows and argument.type != "job":
            return lambda name: "" if name in live.rows[argument.type] else f"there is no {argument.type} {name!r}"
        if self._tells_room and (argument.type in ("count", "size") or argument.name in room.NAMES):
            return lambda text: room.trouble(argument.name, self._host(), self._wanted()) if self._complete else ""
        if argument.name == operation.target != operation.subject and argument.type in _NEW_NAMES:
            kind = operation.kind
            return lambda name: f"the name {name!r} is taken by another {kind}" if name in live.rows[kind] else ""
        return None

    def _placeholder(self, argument: Argument) -> str:
        """A default that follows from the farm: the only storage server."""
        names = self.live.names(argument.type) if argument.type == "storage" and not argument.required else []
        return names[0] if len(names) == 1 else "" if argument.choices else argument.otherwise

    # keys

    @on(Field.Changed)
    def _changed(self) -> None:
        self.query_one("#form-trouble", Page).set_lines(())
        self._show_command()
        self._show_hint()
        self._show_room()
        self._show_field()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_submit()

    def action_submit(self) -> None:
        """To the plan, or to what is missing or wrong."""
        troubled = [field for field in self.fields if field.reason]
        if troubled:
            for field in troubled:
                field.insisted = field.insisted or field is troubled[0] or bool(field.text)
                field.say()
            troubled[0].editor.focus()
            self._show_field()
            return
        if self._changes and not set(self.arguments) - {self.request.operation.subject}:
            self._refused(("nothing was changed: change something, or leave with esc",))
            return
        request = Request(self.request.operation, self.request.subjects if self.request.several else (), self.arguments,
                          self.request.reason)
        if request.bulk:
            from qrm_tui.screens.bulk import Bulk

            self.app.push_screen(Bulk(request), self._came_back)
        else:
            from qrm_tui.screens.plan import PlanScreen

            self.app.push_screen(PlanScreen(request), self._came_back)

    def _came_back(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        if outcome.refused:
            self._refused(outcome.refused)
        else:
            self.dismiss(outcome)

    def _refused(self, reasons: tuple[str, ...]) -> None:
        """Reasons that name an argument stand under its field, the others below."""
        others: list[PageLine] = []
        fields = {field.argument.name: field for field in self.fields}
        for reason in reasons:
            name, sign, text = reason.partition(": ")
            if sign and name in fields:
                fields[name].refuse(text)
                fields[name].editor.focus()
                self._show_field()
            else:
                others += wrap(reason, self.app.size.width - 2, "bad", " ! ")
        page = self.query_one("#form-trouble", Page)
        if len(others) <= _TROUBLES:
            page.set_lines(others)
            return
        from qrm_tui.screens.message import MessageScreen

        page.set_lines(())
        self.app.push_screen(MessageScreen("Not possible so", reasons))

    def action_leave(self) -> None:
        """Leave; ask only if something was typed."""
        if not any(field.touched for field in self.fields):
            self.dismiss(None)
            return
        from qrm_tui.screens.message import Question

        self.app.push_screen(Question("Leave this form?", "What you typed is lost. Nothing was changed in the farm."),
                             self._answered)

    def _answered(self, leave: bool | None) -> None:
        if leave:
            self.dismiss(None)

    def action_help(self) -> None:
        self.qrm.open_help()

    def help_sections(self) -> Sections:
        operation = self.request.operation
        rows = [(argument.name + (" *" if argument.required else ""), argument.help)
                for argument in operation.arguments]
        return [(f"{operation.kind} {operation.verb}", [("", operation.summary), *rows]),
                ("The same on the command line", [("", f"qrm {operation.kind} {operation.verb} {usage(operation)}"),
                                                   ("", f"e.g. {operation.example}")])]
