"""An input of one line without a frame."""

from __future__ import annotations

from textual.binding import Binding
from textual.geometry import Region
from textual.suggester import Suggester
from textual.widgets import Input


class LineInput(Input):
    """`enter` says in the line of keys what that key does."""

    def __init__(self, value: str = "", *, enter: str = "go on", placeholder: str = "", password: bool = False,
                 suggester: Suggester | None = None, id: str | None = None) -> None:
        # in brackets, because not every terminal can show it paler
        shown = f"({placeholder})" if placeholder else ""
        super().__init__(value, placeholder=shown, password=password, suggester=suggester, compact=True,
                         select_on_focus=False, max_length=4000, id=id)
        self.cursor_blink = False  # twice a second over the line, and it tells nothing
        for key in ("up", "down", "pageup", "pagedown"):  # one line never scrolls up or down: its form has these keys
            self._bindings.key_to_bindings.pop(key, None)
        self._bindings.key_to_bindings["enter"] = [
            Binding("enter", "submit", enter, key_display="enter", id="input.enter")]

    def on_resize(self) -> None:
        """Where one types stays in view."""
        self.scroll_to_region(Region(self.cursor_position, 0, 1, 1), force=True, animate=False)
