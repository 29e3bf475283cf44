"""The installer's first screen: what it will do, and the machine that it found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import on, work
from textual.widget import Widget

from qrm_tui.client import installing
from qrm_tui.core.errors import QrmError
from qrm_tui.core.setup import Setup
from qrm_tui.core.units import format_age
from qrm_tui.screens.base import Answer, Sections
from qrm_tui.screens.install_base import Found, InstallScreen, Told
from qrm_tui.widgets.page import EMPTY, PageLine, line, wrap


class _Met(Answer):
    """What the server found, or why it could not look."""

    def __init__(self, found: Found | None, reasons: Sequence[str] = ()) -> None:
        super().__init__()
        self.found, self.reasons = found, reasons


class _Text(Told):
    """What is said."""

    found: Found | None = None
    clock: Callable[[], float]
    reasons: Sequence[str] = ()

    def build(self, width: int) -> list[PageLine]:
        room = width - 2
        lines: list[PageLine] = [EMPTY, line((" An openQRM server on this machine", "title")), EMPTY]
        lines += wrap("Machines that boot from the network get their addresses, boot files and root file systems from "
                      "here. Six steps: what is in the way is looked at, you choose components and settings, see the "
                      "plan with every file and command, and only then is anything changed.", room, "", " ")
        lines += [EMPTY]
        if self.reasons:
            for reason in self.reasons:
                lines += wrap(reason, room, "bad", " ! ")
            lines += [EMPTY, line(" r looks again; esc leaves.")]
        elif self.found is None:
            lines += [line((" looking at this machine, some seconds ...", "strong"))]
        else:
            lines += self._machine(self.found, room)
        return lines

    def _machine(self, found: Found, room: int) -> list[PageLine]:
        rows = {row["name"]: row for row in found.checks}
        lines: list[PageLine] = [line((" Found", "title"))]
        for name in ("distribution", "address", "group", "memory"):
            lines += wrap(rows[name]["found"], room, "", f"   {rows[name]['title']:<14}")[:2]
        former = rows["former"]
        if former["state"] == "ok" and former["advice"]:
            lines += wrap(f"{former['found']}: {former['advice']}", room, "strong", f"   {'this server':<14}")[:3]
        wrong, fixed = len(found.troubles), len(found.setup.fixes)
        look = sum(row["state"] in ("warning", "unknown") and row["name"] not in found.setup.fixes
                   for row in found.checks)
        taken = rows["ports"]["found"] if rows["ports"]["state"] == "error" else ""
        lines += [EMPTY]
        if wrong:
            lines += wrap(f"{wrong} of {len(rows)} checks stand{'s' if wrong == 1 else ''} in the way: the next "
                          "screen says what to do.", room, "bad", " ! ")
        if taken:
            lines += wrap(f"{taken}: stop that, or leave the component out.", room, "bad", " ! ")
        if fixed and not wrong:
            lines += wrap(f"{fixed} of {len(rows)} checks found something that the plan will put right.", room,
                          "warning", " ! ")
        if not wrong and not fixed and not taken:
            lines += [line((" Nothing stands in the way.", "good"),
                           f" {look} of {len(rows)} checks found something to look at." if look else "")]
        if found.taken_up:
            age = format_age(max(0, self.clock() - found.taken_up))
            lines += [EMPTY, *wrap(f"What was chosen and typed {age} ago is here again; n begins anew.", room, "strong",
                                   " * ")]
            return [*lines, EMPTY, line(" enter", ("  goes on with that", "muted"))]
        goes_on = "goes on with what is suggested everywhere" if not wrong else "shows what to do"
        return [*lines, EMPTY, line(" enter", (f"  {goes_on}", "muted"))]


class InstallWelcome(InstallScreen):
    """Looks at the machine meanwhile."""

    DEFAULT_CSS = """
    InstallWelcome > _Text { height: 1fr; }
    """
    BINDINGS: ClassVar = [("r", "look", "look again"), ("n", "anew", "begin anew")]
    place = "Welcome"

    def __init__(self) -> None:
        super().__init__(Found(Setup({})))

    def parts(self) -> Sequence[Widget]:
        text = _Text(can_focus=True)
        text.clock = self.live.clock
        return [text]

    def on_mount(self) -> None:
        self.query_one(_Text).focus()
        self.look()

    @work(group="look", exclusive=True, exit_on_error=False)
    async def look(self) -> None:
        """Ask for checks and defaults, and for what was chosen before."""
        client = self.qrm.client
        try:
            kept = await installing.kept_draft(client)
            wanted = kept[0].typed.get("dhcpd", {}).get("interface", "") if kept else ""
            checks: dict[str, Any] = await client.install_checks(wanted)
            if wanted and wanted not in [one["name"] for one in checks["interfaces"] if one["addresses"]]:
                checks = await client.install_checks()  # another card than before
            answer = await client.install_answers(checks["interface"])
            found = Found(Setup(answer["computed"], answer["present"], answer["off"]))
            found.take(checks)
            if kept:
                found.setup.take_up(kept[0])
                found.taken_up = kept[1]
            found.kept = found.setup.draft(found.offered)
            self.post_message(_Met(found))
        except QrmError as error:
            self.post_message(_Met(None, error.reasons))

    @on(_Met)
    def _met(self, event: _Met) -> None:
        text = self.query_one(_Text)
        text.found, text.reasons = event.found, event.reasons
        text.rebuild()
        self.refresh_bindings()

    def action_look(self) -> None:
        text = self.query_one(_Text)
        text.found, text.reasons = None, ()
        text.rebuild()
        self.look()

    async def action_anew(self) -> None:
        """What was chosen before is forgotten."""
        try:
            await installing.forget_draft(self.qrm.client)
        except QrmError as error:
            self.tell(error)
            return
        self.action_look()

    def action_go_on(self) -> None:
        found = self.query_one(_Text).found
        if found is not None:
            from qrm_tui.screens.install_checks import InstallChecks

            self.app.push_screen(InstallChecks(found))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        texts = self.query(_Text)
        found = texts.first().found if texts else None
        return action not in ("go_on", "anew") or bool(found and (action == "go_on" or found.taken_up))

    def help_sections(self) -> Sections:
        return [("Setting up", [("", "Nothing is changed before you say so on the plan's screen. esc goes back a "
                                     "screen, enter goes on, and both keep what you chose."),
                                ("", "The same without a screen: qrm install answers, then qrm install run.")])]
