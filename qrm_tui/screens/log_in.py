"""Screens with a password: logging in, the first one of one's own, another one later, the lock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from qrm_tui.core.errors import NotLoggedIn, NotPermitted, QrmError
from qrm_tui.core.passwords import FIRST_PASSWORD, FIRST_USER, SHORTEST, check_password, trouble_with
from qrm_tui.screens.base import Answer, FarmScreen
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.lineinput import LineInput
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap
from qrm_tui.widgets.topline import TopLine

_CSS = """
{name} {{ layout: vertical; }}
{name} > #lines {{ height: auto; max-width: 60; margin: 1 0; }}
{name} #lines Horizontal {{ height: 1; }}
{name} #lines Label {{ width: 16; }}
{name} #lines .pointer {{ width: 3; visibility: hidden; text-style: bold; }}
{name} #lines Horizontal:focus-within {{ height: 1; }}
{name} #lines Horizontal:focus-within .pointer {{ visibility: visible; }}
{name} #lines Input {{ width: 1fr; }}
{name} > Page {{ margin-top: 1; }}
{name} > #trouble {{ height: 1fr; margin-top: 0; }}
{name}.-low > #lines {{ margin: 0; }}
{name}.-low > Page {{ margin-top: 0; }}
{name}.-low > #guard-title {{ max-height: 5; }}
{name}.-low.-told > #guard-title {{ max-height: 2; }}
"""
#: What is told meanwhile is not for whoever stands there.
_UNTOLD = "{name} ToastRack {{ display: none; }}\n"


#: Lines of a screen with less than which what it is about has no empty ones (and Textual's class is -low).
_LOW = 18
_Question = Callable[[], Awaitable[Mapping[str, Any] | None]]


class _Let(Answer):
    """The server's word: let in, or why not."""

    def __init__(self, *, must_change: bool = False, error: QrmError | None = None) -> None:
        super().__init__()
        self.must_change, self.error = must_change, error


class PasswordLines(FarmScreen[None]):
    """A few lines to type into, that the server says yes or no to. Takes every key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "previous", show=False),
        Binding("down", "app.focus_next", "next", show=False),
    ]

    #: by id: what stands before each line, and whether it is typed unseen
    LINES: ClassVar[dict[str, tuple[str, bool]]] = {}
    _asking = False
    _reasons: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield Page(self._title(), id="guard-title")
        with Vertical(id="lines"):
            for name, (label, unseen) in self.LINES.items():
                with Horizontal(id=f"{name}-line"):
                    yield Label(" >", classes="pointer", markup=False)
                    yield Label(label, markup=False)
                    yield LineInput(id=name, password=unseen)
        yield Page(id="trouble")
        yield Keys()

    def on_resize(self) -> None:
        """What is wrapped is wrapped anew."""
        self.retitle()
        self.say(*self._reasons)

    def title_lines(self) -> list[PageLine]:
        """What this is, and what to do."""
        return []

    def _title(self) -> list[PageLine]:
        """The same, without empty lines where there are few."""
        return [spans for spans in self.title_lines() if spans or self.app.size.height >= _LOW]

    @property
    def takes_keys(self) -> bool:
        return True

    def input(self, name: str) -> Input:
        """One of the lines."""
        return self.query_one(f"#{name}", Input)

    def say(self, *reasons: str) -> None:
        """Why not."""
        self._reasons = reasons
        self.set_class(bool(reasons), "-told")
        self.query_one("#trouble", Page).set_lines(
            [part for reason in reasons for part in wrap(reason, self.app.size.width - 2, "bad", " ! ")])

    def retitle(self) -> None:
        """Something that the title tells is another now."""
        self.query_one("#guard-title", Page).set_lines(self._title())

    def action_enter(self) -> None:
        """To the next line, or what all of them are for. The focus moves before the next key is looked at: whoever
        types faster than a slow machine must not see the password in the line above."""
        lines = [shown for shown in self.query(Input) if shown.parent and shown.parent.display]
        place = next((place for place, shown in enumerate(lines) if shown is self.focused), -1)
        if place + 1 < len(lines):
            self.set_focus(lines[place + 1])
        else:
            lines[place].call_later(self._entered, lines)  # after the keys that came before

    def _entered(self, lines: list[Input]) -> None:
        empty = next((shown for shown in lines if not shown.value), None)
        if empty is not None:
            self.set_focus(empty)
        elif not self._asking:
            self.submitted()

    def submitted(self) -> None:
        """All lines are filled in."""

    def ask(self, question: _Question) -> None:
        """The server is asked; its answer comes as a message."""
        self._asking = True
        self.say()
        self._ask(question)

    @work(group="login", exclusive=True, exit_on_error=False)
    async def _ask(self, question: _Question) -> None:
        try:
            answer = await question()
            self.post_message(_Let(must_change=bool(answer and answer.get("must_change"))))
        except QrmError as error:
            self.post_message(_Let(error=error))

    def new_password(self, user: str) -> str:
        """What was typed as the new one, twice; empty: it was said what is wrong with it, and is typed again."""
        new, again = self.input("new").value, self.input("again").value
        try:
            check_password(new)
            if reason := trouble_with(user, new):
                raise ValueError(reason)
            if new != again:
                raise ValueError("the two are not the same: type them again")
        except ValueError as error:
            self.say(str(error))
            self.empty("new", "again")
            return ""
        return new

    def empty(self, *names: str) -> None:
        """These are typed again, from the first one on."""
        for name in names:
            self.input(name).value = ""
        self.input(names[0]).focus()


class Guard(PasswordLines):
    """Covers everything, and nothing is opened over it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # ctrl+q is XON: a serial line keeps it for itself
        Binding("ctrl+c,ctrl+q", "quit", "leave", key_display="ctrl+c", priority=True, id="guard.quit",
                tooltip="Jobs go on in the server"),
    ]

    @property
    def guards(self) -> bool:
        return True

    def action_quit(self) -> None:
        self.app.exit()


class LogIn(Guard):
    """Name and password; after the first log-in, a password of one's own."""

    DEFAULT_CSS = (_CSS + _UNTOLD).format(name="LogIn") + """
    LogIn #new-line, LogIn #again-line { display: none; }
    LogIn.-first #new-line, LogIn.-first #again-line { display: block; }
    LogIn.-first #name-line, LogIn.-first #password-line { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "log in", key_display="enter", priority=True, id="login.enter"),
        Binding("escape", "back", "back", key_display="esc", id="login.back"),
    ]
    LINES: ClassVar[dict[str, tuple[str, bool]]] = {
        "name": ("name", False), "password": ("password", True), "new": ("new password", True),
        "again": ("once more", True)}

    def __init__(self, *, may_leave: bool = False) -> None:
        """`may_leave`: the account has a role without it."""
        super().__init__()
        self._may_leave = may_leave

    def on_mount(self) -> None:
        self.input("name").focus()

    def farm_changed(self, what: frozenset[str]) -> None:
        if "hello" in what:
            self.retitle()

    def title_lines(self) -> list[PageLine]:
        width, hello = self.app.size.width - 2, self.live.hello
        if self.has_class("-first"):
            text = (f"This password is known to others. Choose one of your own, of {SHORTEST} characters or more: "
                    "nothing else can be done before.")
            return [line((f" Welcome, {self.input('name').value}", "title")), EMPTY, *wrap(text, width, "", " ")]
        title = [line((f" Log in to {hello.get('farm', 'the farm')} on {hello.get('server', 'its server')}", "title"))]
        if hello.get("first_user"):
            text = (f"This server is new: its first user is {FIRST_USER}, with the password {FIRST_PASSWORD}; you "
                    "choose another one then.")
            return [*title, EMPTY, *wrap(text, width, "", " ")]
        return title

    def submitted(self) -> None:
        if not self.has_class("-first"):
            name, password = self.input("name").value.strip(), self.input("password").value
            self.ask(lambda: self.qrm.client.log_in(name, password))
            return
        old = self.input("password").value
        if new := self.new_password(self.input("name").value.strip()):
            self.ask(lambda: self.qrm.client.change_password(old, new))

    @on(_Let)
    def _let(self, event: _Let) -> None:
        self._asking = False
        if event.error is None and not event.must_change:
            self.dismiss(None)
            self.qrm.let_in(self.input("name").value.strip())
        elif event.error is None:
            self.add_class("-first")
            self.retitle()
            self.input("new").focus()
        else:
            self.say(*event.error.reasons)
            self.empty(*(("new", "again") if self.has_class("-first") else ("password",)))

    def action_back(self) -> None:
        if self.has_class("-first"):
            self.remove_class("-first")
            for name in self.LINES:
                self.input(name).value = ""
            self.say()
            self.retitle()
            self.input("name").focus()
            self.qrm.forget_session()
        elif self._may_leave:
            self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._may_leave or self.has_class("-first") if action == "back" else True


class OwnPassword(PasswordLines):
    """Another password for who has logged in."""

    DEFAULT_CSS = _CSS.format(name="OwnPassword")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "change it", key_display="enter", priority=True, id="own-password.enter"),
        Binding("escape", "leave", "back", key_display="esc", id="own-password.leave", tooltip="Nothing is changed"),
    ]
    LINES: ClassVar[dict[str, tuple[str, bool]]] = {
        "old": ("password now", True), "new": ("new password", True), "again": ("once more", True)}

    def __init__(self, user: str) -> None:
        super().__init__()
        self._user = user

    def on_mount(self) -> None:
        self.input("old").focus()

    def title_lines(self) -> list[PageLine]:
        text = f"The new one has {SHORTEST} characters or more. Your other sessions end."
        return [line((f" Another password for {self._user}", "title")), EMPTY,
                *wrap(text, self.app.size.width - 2, "", " ")]

    def submitted(self) -> None:
        old = self.input("old").value
        if new := self.new_password(self._user):
            self.ask(lambda: self.qrm.client.change_password(old, new))

    @on(_Let)
    def _let(self, event: _Let) -> None:
        self._asking = False
        if event.error is None:
            self.dismiss(None)
            self.app.notify(f"{self._user} has the new password; your other sessions have ended", markup=False)
        elif isinstance(event.error, NotLoggedIn):
            self.dismiss(None)
            self.qrm.follow()
        else:
            self.say(*event.error.reasons)
            wrong_one = isinstance(event.error, NotPermitted)
            self.empty("old") if wrong_one else self.empty("new", "again")

    def action_leave(self) -> None:
        self.dismiss(None)


class Lock(Guard):
    """Nobody was there for a while: the password again. What runs below goes on."""

    DEFAULT_CSS = (_CSS + _UNTOLD).format(name="Lock")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "unlock", key_display="enter", priority=True, id="lock.enter"),
        Binding("ctrl+o", "log_out", "log out", key_display="ctrl+o", id="lock.log-out",
                tooltip="Somebody else logs in"),
    ]
    LINES: ClassVar[dict[str, tuple[str, bool]]] = {"password": ("password", True)}

    def on_mount(self) -> None:
        self.input("password").focus()

    def title_lines(self) -> list[PageLine]:
        user = str(self.live.hello.get("user", ""))
        text = f"What was begun goes on. The password of {user} opens it again."
        return [line((f" Locked by {user}", "title")), EMPTY, *wrap(text, self.app.size.width - 2, "", " ")]

    def submitted(self) -> None:
        password = self.input("password").value
        self.ask(lambda: self.qrm.client.unlock(password))
        self.input("password").value = ""

    @on(_Let)
    def _let(self, event: _Let) -> None:
        self._asking = False
        if event.error is None:
            self.dismiss(None)
            self.qrm.unlocked()
        elif isinstance(event.error, NotLoggedIn):
            self.qrm.follow()
        else:
            self.say(*event.error.reasons)

    def action_log_out(self) -> None:
        self.qrm.log_out()
