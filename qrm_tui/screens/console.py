"""A machine's console: its terminal, how things stand, who types, and what was missed.

Opened, it types at once where nobody else does; else one watches, and `t` takes the right over. While one types every
key is the machine's but two: ctrl+] leaves, ctrl+^ gives the keys back to this program.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from qrm_tui.client import console as consoles
from qrm_tui.core.errors import NoServer, QrmError
from qrm_tui.core.operations.declarations import Role
from qrm_tui.screens.base import Answer, FarmScreen, Sections
from qrm_tui.screens.console_title import title, write_private
from qrm_tui.screens.message import Question
from qrm_tui.terminal.bittty_emulator import BitttyEmulator
from qrm_tui.terminal.view import gap_text
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import Page
from qrm_tui.widgets.prompt import Prompt
from qrm_tui.widgets.terminal import Terminal

#: Lines of what was recorded that a console begins with.
LINES = 2000
#: Seconds between attempts to watch again; an answer to a question older than so many seconds is nobody's any more.
BACKOFF, STALE = (0.5, 1, 2, 4, 8, 15), 5.0
#: States of a partition or a resource that hears nothing.
_DEAF = frozenset(("paused", "crashed", "off"))
#: Bytes typed that wait for the server; and lines of a paste that are shown before it is sent.
MOST_WAITING, PASTE_SHOWN = 1 << 16, 4


class ConsoleScreen(FarmScreen[None]):
    """Leaving it changes nothing: the console is recorded whether anyone looks or not."""

    DEFAULT_CSS = """
    ConsoleScreen { layout: vertical; }
    ConsoleScreen > #console-title { height: 1; background: $primary; color: $background; }
    ConsoleScreen:nocolor > #console-title { text-style: reverse; }
    ConsoleScreen.-stale > Terminal { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+right_square_bracket", "leave", "leave", key_display="ctrl+]", id="console.always.leave",
                tooltip="The console goes on, and is recorded"),
        Binding("ctrl+circumflex_accent", "watch", "stop typing", key_display="ctrl+^", id="console.always.watch",
                tooltip="The keys are this program's again: look back, search, copy, break"),
        Binding("enter", "type", show=False),
        Binding("t", "type", "type", id="console.type",
                tooltip="The keys are the machine's; takes the right over from whoever types"),
        Binding("slash", "search", "search", key_display="/", id="console.search", tooltip="n goes further back"),
        Binding("y", "copy", "copy", id="console.copy",
                tooltip="What is shown, or from the line chosen with space, by OSC 52"),
        Binding("Y", "save", "Copy to a file", show=False, id="console.save",
                tooltip="All that is kept here, with times, into a file"),
        Binding("b", "break", "break", id="console.break", tooltip="A break on the line"),
        Binding("r", "sysrq", "SysRq", id="console.sysrq", tooltip="A letter for the kernel, as this line sends it"),
        Binding("z", "size", "size", id="console.size", tooltip="Tell a shell on a serial line how large this is"),
        Binding("pageup", "look_back", "look back", key_display="pgup", id="console.look_back",
                tooltip="Lines that left the screen; end comes back"),
        Binding("escape,q", "back", "back", key_display="esc", id="console.back"),
        Binding("question_mark", "help", "help", key_display="?", id="console.help"),
    ]

    class Came(Answer):
        """Output of the console, to be written from `place` on. `taken`: it is, up to what `place` is then."""

        def __init__(self, output: consoles.Output, place: int) -> None:
            super().__init__()
            self.output, self.place, self.taken = output, place, asyncio.Event()

    class Told(Answer):
        """How things stand, or what is missing."""

        def __init__(self, event: consoles.Status | consoles.Gap) -> None:
            super().__init__()
            self.event = event

    class Trouble(Answer):
        """The server says no. `typing`: to what was typed."""

        def __init__(self, error: QrmError, typing: bool = False) -> None:
            super().__init__()
            self.error, self.typing = error, typing

    class Source(Answer):
        """Where the console comes from."""

        def __init__(self, source: str) -> None:
            super().__init__()
            self.source = source

    def __init__(self, name: str) -> None:
        super().__init__()
        self.machine = name
        self.terminal = Terminal(BitttyEmulator())
        self.status: consoles.Status | None = None
        self.source = ""
        self._offset: int | None = None
        self._waiting = bytearray()
        self._sending = self._begun = self._lost = False
        self._rang_at = 0.0

    def compose(self) -> ComposeResult:
        yield Page(id="console-title")
        yield self.terminal
        yield Prompt()
        yield Keys()

    def on_mount(self) -> None:
        self.terminal.focus()
        self._show_title()
        self.follow()
        self.ask_source()

    @property
    def takes_keys(self) -> bool:
        """Whether the app's own keys are the machine's now."""
        return self.terminal.typing and self.terminal.has_focus

    @property
    def may_type(self) -> bool:
        return not self.live.read_only and self.live.role >= Role.operator

    @property
    def types(self) -> bool:
        """Whether the right to type is ours."""
        status = self.status
        return status is not None and status.typist is not None and status.typist.session == status.session

    # what comes

    @work(group="console", exclusive=True, exit_on_error=False)
    async def follow(self) -> None:
        """Watch, from where it was left when the line is lost. The server's log waits for us, no queue does."""
        attempt = 0
        while True:
            try:
                async for event in consoles.open_console(self.qrm.client, self.machine, lines=LINES,
                                                         start=self._offset):
                    attempt = 0
                    if isinstance(event, consoles.Output):
                        await self._hand_on(event)
                    else:
                        self.post_message(self.Told(event))
                error: QrmError = NoServer("the server ended it")
            except NoServer as trouble:
                error = trouble
            except QrmError as trouble:
                self.post_message(self.Trouble(trouble))
                return
            self.post_message(self.Trouble(error))
            await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
            attempt += 1

    async def _hand_on(self, output: consoles.Output) -> None:
        place = 0
        while place < len(output.data):
            came = self.Came(output, place)
            self.post_message(came)
            await came.taken.wait()
            place = came.place

    @on(Came)
    def _came(self, event: Came) -> None:
        output = event.output
        event.place = self.terminal.take(output.data, output.at, event.place)
        self._offset = output.offset + event.place
        event.taken.set()
        replies = self.terminal.emulator.take_replies()
        if replies and self.types and self.live.clock() - output.at < STALE:
            self._send(replies)

    @on(Told)
    def _told(self, message: Told) -> None:
        event = message.event
        self._lost = False
        if isinstance(event, consoles.Gap):
            self.terminal.mark(gap_text(event.since, event.until, event.why), event.until)
            self._offset = event.offset if self._offset is None else max(self._offset, event.offset)
            return
        had, self.status = self.types, event
        self.refresh_bindings()
        if not self._begun:
            self._begun = True
            if event.typist is None and self.may_type:
                self._set_typing(True)
        elif had and not self.types and self.terminal.typing and event.typist is not None:
            self._set_typing(False)
            self.app.notify(f"{event.typist.who} types now; t takes it over", markup=False)
        if self.types and not had:
            self.tell_size()
        self._show_title()

    @on(Trouble)
    def _trouble(self, event: Trouble) -> None:
        if event.typing:
            self._waiting.clear()
            self._set_typing(False)
        if isinstance(event.error, NoServer) and not event.typing:
            self._lost = True
            self._show_title()
        else:
            self.tell(event.error)

    @work(group="source", exit_on_error=False)
    async def ask_source(self) -> None:
        try:
            for row in await consoles.list_consoles(self.qrm.client):
                if row["name"] == self.machine:
                    self.post_message(self.Source(str(row["source"])))
        except QrmError:
            pass  # the stream tells what is wrong

    @on(Source)
    def _source(self, event: Source) -> None:
        self.source = event.source
        self._show_title()
        self.refresh_bindings()

    def farm_changed(self, what: frozenset[str]) -> None:
        self.set_class(self.live.line == "lost", "-stale")
        if "hello" in what:
            self.refresh_bindings()
        if what & {"partition", "resource"}:
            self._show_title()

    def tick(self) -> None:
        if self._rang_at and self.live.clock() - self._rang_at >= 2:
            self._rang_at = 0.0
            self._show_title()

    # what it says

    @on(Terminal.Rang)
    def _rang(self) -> None:
        if not self._rang_at:
            self.app.bell()
        self._rang_at = self.live.clock()
        self._show_title()

    @on(Terminal.Titled)
    @on(Terminal.Moved)
    def _changed(self) -> None:
        self._show_title()
        self.refresh_bindings()

    def _show_title(self) -> None:
        terminal = self.terminal
        self.query_one("#console-title", Page).set_lines([title(
            self.app.size.width, self.machine, self.source, "LINE LOST" if self._lost else self.status,
            typing=terminal.typing, named=terminal.emulator.title, rings=bool(self._rang_at), back=terminal.back,
            stands=self._stands())])

    def _stands(self) -> str:
        """The state of a machine that hears nothing; empty of one that may."""
        row = self.live.row("partition", self.machine) or self.live.row("resource", self.machine) or {}
        return row["state"] if row.get("state") in _DEAF else ""

    # typing

    def _set_typing(self, typing: bool) -> None:
        self.terminal.typing = typing
        if typing:
            self.terminal.action_live()
            self.terminal.focus()
        self._show_title()
        self.refresh_bindings()

    def action_type(self) -> None:
        """The keys are the machine's; whoever types loses the right to."""
        if self.status is not None and self.status.typist is not None and not self.types:
            self._ask_for(lambda client, session: consoles.take(client, self.machine, session), begin=True)
        else:
            self._set_typing(True)

    def action_watch(self) -> None:
        self._set_typing(False)

    @on(Terminal.Typed)
    def _typed(self, event: Terminal.Typed) -> None:
        self._send(event.data)

    @on(Terminal.Pasted)
    def _pasted(self, event: Terminal.Pasted) -> None:
        lines = event.text.rstrip("\r\n").splitlines()
        shown = [text[:60] for text in lines[:PASTE_SHOWN]]
        more = f" ... and {len(lines) - PASTE_SHOWN} more" if len(lines) > PASTE_SHOWN else ""

        def pasting(yes: bool | None) -> None:
            if yes:
                self.terminal.paste(event.text)

        count = f"{len(lines)} lines" if len(lines) != 1 else "a line with its end"
        self.app.push_screen(Question(f"Paste {count} into {self.machine}?", " | ".join(shown) + more), pasting)

    def _send(self, data: bytes) -> None:
        if self.status is None or len(self._waiting) + len(data) > MOST_WAITING:
            self.app.bell()
            return
        self._waiting += data
        if not self._sending:
            self._sending = True
            self.send()

    @work(group="typing", exit_on_error=False)
    async def send(self) -> None:
        """Send what is typed, in its order, and what was typed meanwhile together."""
        try:
            while self._waiting and self.status is not None:
                data = bytes(self._waiting)
                self._waiting.clear()
                await consoles.type_into(self.qrm.client, self.machine, self.status.session, data)
        except QrmError as error:
            self.post_message(self.Trouble(error, typing=True))
        finally:
            self._sending = False

    @work(group="asking", exit_on_error=False)
    async def _ask_for(self, call: Callable[[Any, str], Coroutine[Any, Any, None]], *, begin: bool = False) -> None:
        """Something that wants the session; `begin`: typing begins when it is done."""
        if self.status is None:
            return
        try:
            await call(self.qrm.client, self.status.session)
        except QrmError as error:
            self.post_message(self.Trouble(error))
            return
        if begin:
            self.post_message(self.Allowed())

    class Allowed(Answer):
        """The right to type is ours."""

    @on(Allowed)
    def _allowed(self) -> None:
        self._set_typing(True)

    def action_break(self) -> None:
        self._ask_for(lambda client, session: consoles.send_break(client, self.machine, session))

    def action_sysrq(self) -> None:
        from qrm_tui.screens.sysrq import SysRq

        def chosen(letter: str | None) -> None:
            if letter:
                self._ask_for(lambda client, session: consoles.send_sysrq(client, self.machine, session, letter))

        self.app.push_screen(SysRq(self.machine), chosen)

    # size

    @work(group="size", exclusive=True, exit_on_error=False)
    async def tell_size(self) -> None:
        """Tell the source our size. Whether the machine at its other end hears of it nobody knows: see `z`."""
        if self.status is None or not self.types:
            return
        columns, rows = self.terminal.size
        with contextlib.suppress(QrmError):  # the stream tells of a lost line
            await consoles.set_size(self.qrm.client, self.machine, self.status.session, columns, rows)

    def on_resize(self) -> None:
        self._show_title()
        self.tell_size()

    def action_size(self) -> None:
        columns, rows = self.terminal.size
        command = f"stty rows {rows} cols {columns}"

        def answered(yes: bool | None) -> None:
            if yes:
                self._send(command.encode() + b"\r")
                self.terminal.fit(told=True)

        self.app.push_screen(Question(f"Type `{command}` into {self.machine}?",
                                      "A serial line tells no size. Only a shell at its prompt understands this."),
                             answered)

    # looking back

    def action_look_back(self) -> None:
        self.terminal.action_page(-1)

    def action_search(self) -> None:
        self.query_one(Prompt).open("/")

    @on(Prompt.Accepted)
    def _searched(self, event: Prompt.Accepted) -> None:
        self._close_prompt()
        if event.text and not self.terminal.find(event.text):
            self.app.notify(f"{event.text!r} is in none of the {self.terminal.lines.end - self.terminal.lines.first} "
                            "lines kept here; qrm console log has all", markup=False)

    @on(Prompt.Left)
    def _search_left(self) -> None:
        self._close_prompt()

    def _close_prompt(self) -> None:
        self.query_one(Prompt).close()
        self.terminal.focus()

    def action_copy(self) -> None:
        text = self.terminal.copied()
        self.app.copy_to_clipboard(text)
        count = text.count("\n")
        self.app.notify(f"{count} line{'s' if count != 1 else ''} copied, where your terminal allows it (OSC 52); "
                        "Y writes a file", markup=False)

    @work(group="save", exit_on_error=False)
    async def action_save(self) -> None:
        import time

        path = Path.home() / f"{self.machine}-console-{time.strftime('%Y%m%d-%H%M%S')}.txt"
        text = self.terminal.whole()
        try:
            await asyncio.to_thread(write_private, path, text)
        except OSError as error:
            self.app.notify(f"{path}: {error.strerror or error}", severity="error", markup=False)
            return
        self.app.notify(f"written to {path}", markup=False)

    # keys

    def action_back(self) -> None:
        """Back to the end, and no words any more; and then out."""
        if self.terminal.back or self.terminal.words:
            self.terminal.action_live()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_help(self) -> None:
        self.qrm.open_help()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        typing = self.terminal.typing
        if action == "leave":
            return True
        if action == "watch":
            return typing
        if typing or (self.is_mounted and self.query_one(Prompt).is_open):
            return False
        if action in ("break", "sysrq") and (self.status is None or action not in self.status.means):
            return False
        if action in ("type", "break", "sysrq", "size"):
            return self.may_type and self.status is not None and (action != "size" or not self.terminal.told)
        return True

    def help_sections(self) -> Sections:
        return [("A console", [
            ("", "It is recorded whether anyone looks or not; what is missing is marked where it is missing. Any "
                 "number of people watch; one types, and t takes that over."),
            ("", "While you type, every key is the machine's, but ctrl+] (leave) and ctrl+^ (stop typing)."),
        ])]
