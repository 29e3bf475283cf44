"""A job's log: any number of lines, only the visible ones are ever drawn, the end is followed until one scrolls up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip

from qrm_tui.widgets.columns import safe
from qrm_tui.widgets.page import Page, Span, broken

_STREAMS = {"err": "warning", "note": "muted"}
#: Characters of one line that are shown; a program that prints no line ends must not make a page of it.
LONGEST = 4000
_STRIPS = 2000


class LogView(Page):
    """Lines come at the end and stay as they are, so that a painted one is kept. Long ones are broken, not cut."""

    DEFAULT_CSS = """
    LogView { height: 1fr; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end,G,f", "follow", "follow", id="log.follow", show=False, tooltip="Go to the end and stay there"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=True)
        #: lines as they came, and as they are broken at the present width
        self._texts: list[Span] = []
        self._shown: list[Span] = []
        self._shown_width = 0
        self._strips: dict[int, Strip] = {}
        self.following = True

    @property
    def text(self) -> str:
        return "\n".join(text for text, _ in self._texts)

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """New lines of the log."""
        came = [(safe(str(entry["text"])[:LONGEST].expandtabs()), _STREAMS.get(entry["stream"], ""))
                for entry in lines]
        self._texts += came
        if self._shown_width:
            self._break(came)
            self._fit()

    def _break(self, texts: Sequence[Span]) -> None:
        room = max(8, self._shown_width - 2)
        for span in texts:
            if len(span[0]) <= room and span[0].isascii():
                self._shown.append(span)
            else:
                parts = list(broken(span[0], room - 2))
                self._shown += [(part if place == 0 else "  " + part, span[1]) for place, part in enumerate(parts)]

    def _fit(self) -> None:
        following = self.following  # a change of the size scrolls, too
        self.virtual_size = Size(0, len(self._shown))
        if following:
            self.action_follow()
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._shown)

    def resized(self) -> None:
        if self.size.width != self._shown_width:
            self._shown_width = self.size.width
            self._shown.clear()
            self._strips.clear()
            self._break(self._texts)
        self._fit()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.following = new_value >= self.max_scroll_y

    def action_follow(self) -> None:
        """To the end, and stay there."""
        self.following = True
        self.scroll_end(animate=False, force=True, immediate=True)

    def rebuild(self) -> None:
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        index, width = round(self.scroll_y) + y, self.size.width
        if index >= len(self._shown):
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get(index)
        if strip is None:
            if len(self._strips) > _STRIPS:
                self._strips.clear()
            text, style = self._shown[index]
            strip = Strip([Segment(" " + text, self._style(style))]).adjust_cell_length(width, self.rich_style)
            self._strips[index] = strip
        return strip
