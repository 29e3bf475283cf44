"""The views by their keys, which one is shown, and at the right what is filtered and marked in it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from qrm_tui.widgets.page import Page, PageLine, Span, line, width_of


class ViewLine(Page, inherit_bindings=False):
    """One line: `1 Farm  5 Images 12  ...`."""

    DEFAULT_CSS = """
    ViewLine { height: 1; background: $surface; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._items: Sequence[tuple[str, str, str]] = ()
        self._shown = ""
        self._note = ""

    def show(self, items: Sequence[tuple[str, str, str]], shown: str, note: str) -> None:
        """`items` are key, title and count; `shown` is the title of the present one."""
        self._items, self._shown, self._note = items, shown, note
        self.rebuild()

    def build(self, width: int) -> list[PageLine]:
        spans: list[Span] = []
        for key, title, count in self._items:
            chosen = title == self._shown
            word = f"[{title}]" if chosen else f" {title} "
            spans += [(f" {key}", "key"), (word, "title" if chosen else ""),
                      ((" " if chosen else "") + f"{count} " if count else "", "muted")]
        left = line(*spans)
        room = width - width_of(left) - 1
        note = self._note if cell_len(self._note) <= room else self._note[: max(0, room - 1)] + "~"
        if room < 4:
            return [left]
        return [(*left, (" " * (room - cell_len(note)), ""), *line((note, "strong")))]
