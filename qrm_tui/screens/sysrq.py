"""A letter for the kernel's SysRq: the common ones are listed, those that lose something ask again."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key

from qrm_tui.core.sysrq import LETTERS
from qrm_tui.screens.base import FarmWindow
from qrm_tui.screens.message import Question
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import EMPTY, Page, line


class SysRq(FarmWindow[str]):
    """Answers the letter, or None."""

    DEFAULT_CSS = """
    SysRq { align: center middle; }
    SysRq > Vertical { width: 52 !important; }
    SysRq Page { height: auto; max-height: 18; background: $surface; margin: 0 1; }
    SysRq Keys { margin: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "leave", key_display="esc", id="sysrq.leave"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._machine = name

    def compose(self) -> ComposeResult:
        rows = [line((f"  {letter} ", "key"), (f" {words}", "warning" if loses else ""))
                for letter, (words, loses) in LETTERS.items()]
        with Vertical(classes="dialog"):
            yield Page([line((f"SysRq to {self._machine}: a letter", "title")), EMPTY, *rows],
                       id="sysrq", can_focus=True)
            yield Keys()

    @on(Key)
    def _letter(self, event: Key) -> None:
        letter = event.character or ""
        if letter not in LETTERS:
            return
        event.stop()
        words, loses = LETTERS[letter]
        if not loses:
            self.dismiss(letter)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.dismiss(letter)

        self.app.push_screen(
            Question(f"SysRq {letter}: {words}?", f"{self._machine} does so at once, and asks nobody."), answered)

    def action_leave(self) -> None:
        self.dismiss(None)
