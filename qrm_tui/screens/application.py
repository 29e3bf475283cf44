"""The Textual application: the line to the server, and which screen follows which."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from qrm_tui.core.errors import NoServer, NotLoggedIn, QrmError
from qrm_tui.core.operations.declarations import Role
from qrm_tui.screens.base import FarmScreen
from qrm_tui.screens.columns import View
from qrm_tui.screens.letting_in import LettingIn
from qrm_tui.screens.live import WATCHED, Live
from qrm_tui.screens.main import MainScreen
from qrm_tui.screens.operate import Outcome, Request, refusal
from qrm_tui.screens.views import BY_NAME, VIEWS
from qrm_tui.widgets.inputs import CSS as INPUTS_CSS

if TYPE_CHECKING:
    from textual.command import Provider

    from qrm_tui.client.connection import Client
    from qrm_tui.screens.practice import Practice
    from qrm_tui.styles.themes import Look

#: Seconds between attempts to get the line back.
BACKOFF = (0.5, 1, 2, 4, 8, 15)
#: Seconds between attempts while a practice farm starts.
_STARTING = 0.05
#: Seconds between two looks at the farm's overview while things change.
_CALM = 1.0
#: Actions whose keys a console may want.
_OWN_KEYS = frozenset(("quit", "command_palette", "redraw", "basic"))
#: Lines of a notification.
_TOLD = 6


def _provider() -> type[Provider]:
    from qrm_tui.screens.palette import Palette

    return Palette


class QrmApp(LettingIn):
    """qrm-tui."""

    TITLE = "openQRM"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_provider}
    CSS = INPUTS_CSS
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
        Binding("ctrl+l", "redraw", "redraw", show=False, priority=True, id="app.redraw",
                tooltip="Something else has written on the screen"),
        Binding("ctrl+t", "basic", "basic mode", show=False, priority=True, id="app.basic",
                tooltip="ASCII and few bytes, for slow lines; again: back"),
    ]

    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]] | None] = [(0, "-low"), (18, "-high")]

    class Connected(Message):
        """The server said hello."""

        def __init__(self, hello: dict[str, Any]) -> None:
            super().__init__()
            self.hello = hello

    class Event(Message):
        """An event of the watch."""

        def __init__(self, event: Mapping[str, Any]) -> None:
            super().__init__()
            self.event = event

    class Lost(Message):
        """The line is lost, or there is no server."""

        def __init__(self, trouble: str, again_at: float) -> None:
            super().__init__()
            self.trouble, self.again_at = trouble, again_at

    class Overviewed(Message):
        """The farm's overview."""

        def __init__(self, farm: dict[str, Any]) -> None:
            super().__init__()
            self.farm = farm

    class ConsolesCame(Message):
        """Machines that have a console, for a wall; `trouble` where there is none."""

        def __init__(self, names: Sequence[str], trouble: str) -> None:
            super().__init__()
            self.names, self.trouble = names, trouble

    def __init__(
        self,
        where: str,
        *,
        connect: Callable[[str], Client],
        look: Look | None = None,
        read_only: bool = False,
        practice: Practice | None = None,
        install: bool = False,
        asks_log_in: bool = False,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        view: str | None = None,
    ) -> None:
        """`view` is shown first, by its name."""
        self.asks_log_in, self.steady = asks_log_in, steady
        self.live = Live(where, read_only=read_only, clock=clock)
        self._connect = connect
        self.client = connect(where)
        self.practice = practice
        self._install, self._fresh = install, True
        self._overview_due = self._overviewing = False
        self._begun = self._to_end = False
        self._view = BY_NAME[view] if view else VIEWS[0]
        self.look = look
        #: the look that it was left for, and the view; it is started anew with these
        self.next_look: str | None = None
        self.next_view: str | None = None
        super().__init__(css_path=list(look.css) if look else None)
        if look:
            from qrm_tui.styles.themes import dress

            dress(self, look)

    def get_default_screen(self) -> Screen[None]:
        return MainScreen(self._view)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The app's own keys come before all others, but not while a console has the keys."""
        if action in _OWN_KEYS and isinstance(self.screen, FarmScreen) and self.screen.takes_keys:
            return False
        return super().check_action(action, parameters)

    @property
    def main(self) -> MainScreen:
        """The main screen."""
        screen = self.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    # the line

    async def run_async(self, **options: Any) -> Any:
        """Told to end it leaves in order, from before its first byte on: so do the terminal and a practice farm."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(RuntimeError, ValueError):  # in a thread that is not the main one
                loop.add_signal_handler(number, self._told_to_end)
        return await super().run_async(**options)

    def _told_to_end(self) -> None:
        """At once, or when it has begun: half of a screen cannot be left."""
        self._to_end = True
        if self._begun:
            self.exit()

    def on_ready(self) -> None:
        self._begun = True
        if self._to_end:
            self.exit()

    def on_mount(self) -> None:
        self.watch_keys()
        self.follow()

    async def on_unmount(self) -> None:
        await self.say_goodbye()
        await self.client.close()

    @work(group="line", exclusive=True, exit_on_error=False)
    async def follow(self) -> None:
        """Keep a watch on the farm; when the line is lost, try again, ever more slowly."""
        attempt = 0
        while self.is_running:
            try:
                hello = await self.client.hello()
                self.post_message(self.Connected(hello))
                if self.must_log_in(hello):
                    return  # whoever logs in begins anew
                await asyncio.sleep(0)  # let it be handled: it may forget the revision
                async for event in self.client.watch(WATCHED, self.live.resume_from):
                    attempt = 0
                    self.post_message(self.Event(event))
                trouble = "the server ended it"
            except NotLoggedIn:
                continue  # the session has ended
            except NoServer as error:
                trouble = error.reasons[0]
            except QrmError as error:
                trouble = "; ".join(error.reasons)
            if self.practice and not self.live.hello and not self.practice.trouble:
                await asyncio.sleep(_STARTING)  # it was started a moment ago
                continue
            trouble = (self.practice.trouble if self.practice else "") or trouble
            wait = BACKOFF[min(attempt, len(BACKOFF) - 1)]
            attempt += 1
            self.post_message(self.Lost(trouble, self.live.clock() + wait))
            await asyncio.sleep(wait)

    @on(Connected)
    def _connected(self, event: Connected) -> None:
        if not self.is_running:
            return
        self.live.connected(event.hello)
        from qrm_tui.screens.welcome import Welcome

        if isinstance(self.screen, Welcome):
            self.screen.dismiss(None)
        if self.must_log_in(event.hello):
            self.open_log_in()
            return
        job = str(event.hello.get("install_job") or "")
        goes_on = job and event.hello.get("installer") and self.live.role is Role.administrator
        if self._install or (self._fresh and goes_on):
            self.open_installer(job)
        self._install = self._fresh = False
        self._look_at_farm()

    @on(Event)
    def _event(self, event: Event) -> None:
        if not self.is_running:
            return
        self.live.apply(event.event)
        if event.event["event"] != "alive":
            self._look_at_farm()

    @on(Lost)
    def _lost(self, event: Lost) -> None:
        if not self.is_running:
            return
        never = not self.live.hello
        self.live.lost(event.trouble, event.again_at)
        if never and len(self.screen_stack) == 1:
            self.open_welcome()

    def _look_at_farm(self) -> None:
        """Ask for the overview: at once, then not more often than calm, and once more after the last change."""
        self._overview_due = True
        if not self._overviewing:
            self._overviewing = True
            self.fetch_overview()

    @work(group="overview", exit_on_error=False)
    async def fetch_overview(self) -> None:
        try:
            while self._overview_due:
                self._overview_due = False
                self.post_message(self.Overviewed(await self.client.farm()))
                await asyncio.sleep(_CALM)
        except QrmError:
            pass  # the watch tells of a lost line
        finally:
            self._overviewing = False

    @on(Overviewed)
    def _overviewed(self, event: Overviewed) -> None:
        if not self.is_running:
            return
        self.live.overview(event.farm)

    async def connect_to(self, where: str) -> None:
        """Leave this server, if any, and go to another."""
        client = self._connect(where)
        await self.client.close()
        self.client = client
        self.live.moved(where)
        self.follow()

    # operations

    def ask(self, request: Request, *, typed: bool = False) -> None:
        """Somebody wants an operation: a form for what is missing, then its plan. `typed`: from the command line."""
        from qrm_tui.screens.message import MessageScreen

        trouble = refusal(self.live, request.operation, request.subjects)
        session = request.operation.sort == "session"
        if trouble:
            self.push_screen(MessageScreen(f"{request.operation.kind} {request.operation.verb}", (trouble,)))
        elif session and request.several:
            self.open_wall(request.subjects)
        elif session and (name := request.single().get("name")):
            self.open_console(str(name))
        elif request.open_arguments and not (typed and request.complete):
            from qrm_tui.screens.form import Form

            self.push_screen(Form(request), self._came_of)
        elif request.bulk:
            from qrm_tui.screens.bulk import Bulk

            self.push_screen(Bulk(request), self._came_of)
        else:
            from qrm_tui.screens.plan import PlanScreen

            self.push_screen(PlanScreen(request), self._came_of)

    def _came_of(self, outcome: Outcome | None) -> None:
        """A request is done with."""
        if outcome is None:
            return
        if outcome.refused:
            from qrm_tui.screens.message import MessageScreen

            self.push_screen(MessageScreen("Not possible", outcome.refused))
        elif outcome.job is not None:
            self.open_job(str(outcome.job["name"]))
        elif outcome.changed is not None:
            words = [f"{row['name']}: {row.get('state', 'changed')}" if not row.get("cancelling") else
                     f"job {row['name']}: it stops, and what it did is taken back"
                     for row in outcome.changed.get("changed", ())]
            words += [f"{kind} {name}: removed" for kind, name in outcome.changed.get("removed", ())]
            if len(words) > _TOLD:
                words[_TOLD - 1:] = [f"and {len(words) - _TOLD + 1} more"]
            self.notify("\n".join(words) or "done", title="Done", markup=False)

    async def command(self, text: str) -> None:
        """Do what a typed command says; BadInput tells what is wrong with it."""
        from qrm_tui.screens.command import Call, Visit, Wall, Wear, parse

        meant = parse(text)
        if isinstance(meant, Visit):
            await self.main.visit(meant.view, meant.filter, meant.name)
            if meant.open and meant.view.kind == "job" and meant.name:
                self.open_job(meant.name)
            elif meant.why and meant.name:
                self.open_why(meant.view, meant.name)
        elif isinstance(meant, Call) and meant.operation.name == "user.password" and not meant.arguments and \
                self.live.hello.get("session"):
            self.open_password()  # as `qrm user password` does
        elif isinstance(meant, Call):
            arguments = dict(meant.arguments)
            subject = arguments.pop(meant.operation.subject, None) if meant.operation.subject else None
            subjects = tuple(subject) if isinstance(subject, list) else (subject,) if subject else ()
            self.ask(Request(meant.operation, subjects, arguments, meant.reason), typed=True)
        elif isinstance(meant, Wall):
            self.open_wall(meant.words)
        elif isinstance(meant, Wear):
            self.wear(meant.look)
        elif meant.word in _WORDS:
            _WORDS[meant.word](self)
        else:
            self.open_help()

    # looks

    def wear(self, name: str) -> None:
        """Leave for another look: its glyphs and what it sends are the whole process's. Jobs and practice go on."""
        self.next_look, self.next_view = name, self.main.view.name
        self.exit()

    def action_basic(self) -> None:
        self.wear("back" if self.look and self.look.name == "basic" else "basic")

    def action_redraw(self) -> None:
        """Send everything again."""
        self.screen.refresh(layout=True)

    # screens

    def open_job(self, name: str) -> None:
        from qrm_tui.screens.job import JobScreen

        self.push_screen(JobScreen(name))

    def open_console(self, name: str) -> None:
        from qrm_tui.screens.console import ConsoleScreen

        self.push_screen(ConsoleScreen(name))

    def open_wall(self, words: Sequence[str] = ()) -> None:
        """The consoles of machines and VEs by name, of those that a filter names, or of all; BadInput."""
        from qrm_tui.screens.wall_choice import machines_of

        choice = machines_of(words, self.live)
        if choice.named:
            self.push_wall(choice.names)
        else:
            self.look_for_consoles(choice.names)

    @work(group="wall", exclusive=True, exit_on_error=False)
    async def look_for_consoles(self, names: Sequence[str]) -> None:
        """Which of these machines have a console at all."""
        from qrm_tui.client.console import list_consoles

        try:
            there = {str(row["name"]) for row in await list_consoles(self.client)}
        except QrmError as error:
            self.post_message(self.ConsolesCame((), "; ".join(error.reasons)))
        else:
            found = [name for name in names if name in there]
            self.post_message(self.ConsolesCame(found, "" if found else "none of these machines has a console that is "
                                                "known here; say where: qrm resource edit NAME --console ..."))

    @on(ConsolesCame)
    def _consoles_came(self, event: ConsolesCame) -> None:
        from qrm_tui.screens.message import MessageScreen

        if not self.is_running:
            return
        if event.names:
            self.push_wall(event.names)
        else:
            self.push_screen(MessageScreen("Wall of consoles", (event.trouble,)))

    def push_wall(self, names: Sequence[str]) -> None:
        from qrm_tui.screens.wall import WallScreen

        self.push_screen(WallScreen(names))

    def open_plan_of(self, job: str) -> None:
        from qrm_tui.screens.plan import JobPlan

        self.push_screen(JobPlan(job))

    def open_why(self, view: View, name: str) -> None:
        from qrm_tui.screens.why import Why

        self.push_screen(Why(view, name))

    def open_help(self) -> None:
        from qrm_tui.screens.help import Help

        self.push_screen(Help.of(self.screen))

    async def install_on(self, where: str) -> None:
        """Set up the server there, as soon as it answers."""
        self._install = True
        await self.connect_to(where)

    def open_installer(self, job: str = "") -> None:
        """Set up the server that one is connected to, or look at how it is. `job`: an installation that goes on."""
        from qrm_tui.core.operations.registry import OPERATIONS
        from qrm_tui.screens.message import MessageScreen

        if trouble := refusal(self.live, OPERATIONS["install.run"], ()):
            self.push_screen(MessageScreen("Set up the server", (trouble,)))
            return
        from qrm_tui.screens.install_welcome import InstallWelcome

        self.push_screen(InstallWelcome())
        if job:
            from qrm_tui.screens.install_run import InstallJob

            self.push_screen(InstallJob(job))

    def action_set_up(self) -> None:
        self.open_installer()

    async def leave_installer(self) -> None:
        """To the farm, from wherever in it."""
        while len(self.screen_stack) > 1:
            await self.pop_screen()

    def open_welcome(self) -> None:
        from qrm_tui.screens.welcome import Welcome

        self.push_screen(Welcome())


#: What a word typed at `:` does.
_WORDS: Mapping[str, Callable[[QrmApp], object]] = {
    "quit": lambda app: app.exit(), "lock": LettingIn.lock, "logout": LettingIn.log_out,
    "login": lambda app: app.open_log_in(may_leave=True), "password": lambda app: app.open_password(),
    "setup": lambda app: app.open_installer(),
}
