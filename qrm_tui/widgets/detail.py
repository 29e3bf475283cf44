"""The detail pane: what is known of the row under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qrm_tui.widgets.page import Page, PageLine

Maker = Callable[[Mapping[str, Any], int], Sequence[PageLine]]


class Detail(Page):
    """A row's details, made anew for each width, change and tick."""

    DEFAULT_CSS = """
    Detail { background: $surface; height: 9; }
    """

    def __init__(self, make: Maker, *, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=False)
        self._make = make
        self._row: Mapping[str, Any] | None = None

    @property
    def row(self) -> Mapping[str, Any] | None:
        """The row shown."""
        return self._row

    def show(self, row: Mapping[str, Any] | None) -> None:
        """Show this row, from its top if it is another one."""
        other = (row or {}).get("name") != (self._row or {}).get("name")
        self._row = row
        if other:
            self.scroll_home(animate=False, force=True)
        self.rebuild()

    def build(self, width: int) -> Sequence[PageLine]:
        return self._make(self._row, width) if self._row is not None else ()
