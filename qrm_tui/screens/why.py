"""Why an object is in its state: the reason, since when, what next, and which jobs touched it lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from qrm_tui.core.errors import QrmError
from qrm_tui.core.units import format_age
from qrm_tui.screens.base import Answer, FarmWindow
from qrm_tui.screens.columns import STATE_STYLES, View
from qrm_tui.screens.details import title_line
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap

#: Jobs told.
_LATELY = 6


class Why(FarmWindow[None]):
    """A window over the list."""

    DEFAULT_CSS = """
    Why { align: center middle; }
    Why > Vertical { width: 76 !important; }
    Why #why { max-height: 18; background: $surface; margin: 0 1; }
    """
    AUTO_FOCUS = "*"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,w,enter,q", "leave", "close", key_display="esc", id="why.leave"),
    ]

    class Came(Answer):
        """The server's answer, or why there is none."""

        def __init__(self, row: Mapping[str, Any] | None, reasons: tuple[str, ...] = ()) -> None:
            super().__init__()
            self.row, self.reasons = row, reasons

    def __init__(self, view: View, name: str) -> None:
        super().__init__()
        self._view, self._object = view, name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Page([line((" asking ...", "muted"))], id="why", can_focus=True)
            yield Keys()

    def on_mount(self) -> None:
        row = self.live.sources[self._view.kind].row(self._object)
        if self._view.kind == "alert" and row is not None:  # an alert is told whole
            self.post_message(self.Came({**row, "name": row["name"]}))
        else:
            self.ask()

    @work(exit_on_error=False)
    async def ask(self) -> None:
        try:
            self.post_message(self.Came(await self.qrm.client.show(self._view.kind, self._object)))
        except QrmError as error:
            self.post_message(self.Came(None, error.reasons))

    @on(Came)
    def _came(self, event: Came) -> None:
        page = self.query_one("#why", Page)
        width = max(20, page.size.width or 70)
        if event.row is None:
            page.set_lines([part for reason in event.reasons for part in wrap(reason, width, "bad")])
            return
        page.set_lines(self._lines(event.row, width))

    def _lines(self, row: Mapping[str, Any], width: int) -> list[PageLine]:
        now = self.live.clock()
        lines = [title_line(row, now), EMPTY]
        style = STATE_STYLES.get(str(row.get("state")), "")
        lines += wrap(str(row.get("why") or "nothing more is known"), width, style, " why   ")
        if row.get("next"):
            lines += wrap(str(row["next"]), width, "strong", " next  ")
        kind = str(row.get("kind", self._view.kind))
        jobs = [job for job in self.live.rows["job"].values() if job.get("object") == f"{kind}/{row['name']}"]
        if jobs:
            lines += [EMPTY, line((" jobs on it lately", "title"))]
        for job in sorted(jobs, key=lambda job: -job["id"])[:_LATELY]:
            at = job.get("ended") or job.get("started") or job.get("asked") or now
            lines += wrap(f"{job['operation']}  {format_age(now - at)} ago, by {job.get('who', '?')}"
                          + (f": {job['error']}" if job.get("error") else ""), width,
                          "", f" {job['id']:>5}  {job['state']:<8} ")
        return lines

    def action_leave(self) -> None:
        self.dismiss(None)
