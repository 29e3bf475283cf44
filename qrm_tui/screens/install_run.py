"""The installer's plan, its job while it runs, and what comes after."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from qrm_tui.client.where import INSTALLED
from qrm_tui.core.answers import FILE, read
from qrm_tui.core.component_table import table
from qrm_tui.core.errors import BadInput, QrmError
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.core.setup import Setup
from qrm_tui.core.time_left import Calm, seconds_left
from qrm_tui.screens.base import Sections
from qrm_tui.screens.install_base import Found, InstallScreen, Told, Way
from qrm_tui.screens.job import JobScreen
from qrm_tui.screens.operate import Request
from qrm_tui.screens.plan import PlanScreen, _Planned
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap
from qrm_tui.widgets.steps import Steps

_NOT_YET = "how long it takes can be told when packages are being fetched"


def _with_way(parts: ComposeResult, place: str) -> ComposeResult:
    """A screen's parts, with the way under the line on top."""
    for number, part in enumerate(parts):
        yield part
        if number == 0:
            yield Way(place)


class InstallPlan(PlanScreen):
    """The plan of the whole installation; enter on the line below runs it, as r does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "to the end", key_display="tab", id="plan.next",
                tooltip="To the line for the journal's reason, where enter runs the plan"),
    ]

    def __init__(self, found: Found) -> None:
        super().__init__(Request(OPERATIONS["install.run"]))
        self.found = found

    def compose(self) -> ComposeResult:
        yield from _with_way(super().compose(), "Plan")

    @work(group="plan", exclusive=True, exit_on_error=False)
    async def ask(self) -> None:
        setup = self.found.setup
        try:
            self.post_message(_Planned(await self.qrm.client.plan(
                "install.run", {"answers": setup.text(), "fix": sorted(setup.fixes), "disable": setup.off})))
        except QrmError as error:
            self.post_message(_Planned(None, error))

    @on(Input.Submitted, "#reason")
    def _go(self, event: Input.Submitted) -> None:
        self.action_run()


class InstallJob(JobScreen):
    """The installation while it runs; leaving does not stop it. `found`: None where it was begun elsewhere."""

    def __init__(self, job: str, found: Found | None = None) -> None:
        super().__init__(job)
        self.found = found
        self._told = False
        self._calm = Calm()

    def compose(self) -> ComposeResult:
        yield from _with_way(super().compose(), "Install")

    def _title(self, width: int) -> list[PageLine]:
        lines = super()._title(width)
        row, now = self._row, self.live.clock()
        if row.get("state") == "running":
            words = self._calm.words(seconds_left(row, self.query_one(Steps).steps, now), now)
            lines.append(line((f" {words or _NOT_YET}", "muted")))
        elif row.get("state") in ("undone", "failed") and self.found is not None:
            lines += wrap("esc goes back to the settings, where enter plans it again: what is there already is not "
                          "done twice", width - 1, "strong", " ")
        return lines

    def _show_row(self, row: Mapping[str, Any]) -> None:
        super()._show_row(row)
        if row["state"] == "done" and not self._told:
            self._told = True
            with contextlib.suppress(BadInput):  # answers that only add to what is there have no way of their own
                found = self.found or Found(Setup({}, read(row["arguments"]["answers"])))
                self.app.push_screen(InstallDone(found))


class _Done(Told):
    """What is there now."""

    found: Found
    #: whether the user that every new server has did not log in yet
    first_user = False

    def build(self, width: int) -> list[PageLine]:
        setup, room = self.found.setup, width - 2
        address = setup.value("dhcpd", "address") if "dhcpd" in setup.chosen else ""
        texts = [("components", f"{', '.join(setup.names)}: set up{_seen(setup.names)}")]
        if setup.off:
            texts.append(("", f"{', '.join(setup.off)}: switched off; files and packages stay"))
        if address:
            wire = setup.value("dhcpd", "interface")
            texts += [("machines", f"one that boots from the network (PXE) on {wire} is listed in view 2 within "
                                   "seconds, in maintenance"),
                      ("addresses", f"{address}: DHCP, TFTP, HTTP on port {setup.value('apache', 'port')}, machines' "
                                    f"words on port {setup.value('node', 'port')}")]
        texts += [(name, f"{table()[name].page.format(address=address or 'SERVER')} in a browser, with an account of "
                         "this server") for name in setup.names if table()[name].page]
        texts += [("log in", "qrm-tui, as root or as a member of qrm-admin, qrm-operator or qrm-viewer; from "
                             "elsewhere: qrm-tui --connect ssh://root@" + (address or "SERVER"))]
        if self.first_user:
            texts.append(("", "other accounts of this server: user qrm, password qrm, once; the first log-in changes "
                              "it. Do that now (qrm login qrm), before somebody else does"))
        group = setup.value("lvm-mgmt", "group") if "lvm-mgmt" in setup.chosen else ""
        texts += [("images", f"qrm storage add lvm-nfs --address {address} has them in {group} on this server"
                   if group and address else
                   "qrm storage add lvm-nfs names the server that filesystem-images lie on; then qrm image add"),
                  ("boot-image", "qrm boot-image create idle --package linux-image-amd64 makes what machines boot "
                                 "first"),
                  ("kept", f"{FILE} sets up the next server the same way: qrm install run --answers FILE"),
                  ("later", "view 7 changes a component; a there opens these screens again")]
        lines: list[PageLine] = [line((" The server is set up.", "good")), EMPTY]
        for word, text in texts:
            lines += wrap(text, room, "", first=f" {word:<12}")
        return lines


def _seen(names: Sequence[str]) -> str:
    """How far these were seen to work; what runs the installation is the proof of itself."""
    silent = [name for name in names if not table()[name].checks and not table()[name].itself]
    if not silent:
        return ", and each was seen to answer"
    return f", and each was seen to answer, but for {', '.join(silent)}, which cannot be asked"


class InstallDone(InstallScreen):
    """The end of the way."""

    DEFAULT_CSS = """
    InstallDone > _Done { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", "to the farm", key_display="enter", id="install.go_on"),
    ]
    place = "Done"

    def parts(self) -> list[Page]:
        text = _Done(can_focus=True)
        text.found, text.first_user = self.found, bool(self.live.hello.get("first_user"))
        return [text]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(_Done).focus()

    async def action_go_on(self) -> None:
        """To the farm; the installer's own qrmd hands over to the service."""
        from qrm_tui.client import installer

        try:
            if not self.live.hello.get("practice") and self.live.where == INSTALLED:
                await asyncio.to_thread(installer.hand_over)
        except QrmError as error:
            self.tell(error)
        await self.qrm.leave_installer()

    def help_sections(self) -> Sections:
        return [("Done", [("", "esc goes back to the job and its log, as long as you like.")])]
