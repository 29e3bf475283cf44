"""The line at the bottom where a filter or a command is typed, with what it means or why not above it."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label

from qrm_tui.widgets.lineinput import LineInput
from qrm_tui.widgets.page import Page, PageLine

Purpose = Literal["/", ":"]


class Prompt(Vertical):
    """Asks for one line. Whoever opened it hears of every change, of enter and of escape."""

    DEFAULT_CSS = """
    Prompt { height: auto; display: none; }
    Prompt.-open { display: block; }
    Prompt Horizontal { height: 1; background: $panel; }
    Prompt Label { width: 2; text-style: bold; }
    Prompt Input { width: 1fr; }
    Prompt Page { max-height: 7; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave", key_display="esc"),
        Binding("tab", "complete", "complete", show=False, priority=True),
        Binding("up", "history(-1)", show=False),
        Binding("down", "history(1)", show=False),
    ]

    class Typed(Message):
        """The text has changed."""

        def __init__(self, prompt: Prompt, purpose: Purpose, text: str) -> None:
            super().__init__()
            self.prompt, self.purpose, self.text = prompt, purpose, text

    class Accepted(Message):
        """Enter."""

        def __init__(self, prompt: Prompt, purpose: Purpose, text: str) -> None:
            super().__init__()
            self.prompt, self.purpose, self.text = prompt, purpose, text

    class Left(Message):
        """Escape."""

        def __init__(self, prompt: Prompt, purpose: Purpose) -> None:
            super().__init__()
            self.prompt, self.purpose = prompt, purpose

    class Completion(Message):
        """Tab: the text up to here is to be completed."""

        def __init__(self, prompt: Prompt, text: str) -> None:
            super().__init__()
            self.prompt, self.text = prompt, text

    def __init__(self) -> None:
        super().__init__()
        self.purpose: Purpose = "/"
        self._history: dict[Purpose, list[str]] = {"/": [], ":": []}
        self._place = 0

    def compose(self) -> ComposeResult:
        yield Page(id="prompt-hint")
        with Horizontal():
            yield Label("/", markup=False)
            yield LineInput(enter="do it")

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen."""
        return self.has_class("-open")

    def open(self, purpose: Purpose, text: str = "") -> None:
        """Ask for a filter (`/`) or a command (`:`)."""
        self.purpose = purpose
        self._place = len(self._history[purpose])
        self.query_one(Label).update(f" {purpose}")
        self.query_one("#prompt-hint", Page).set_lines(())
        field = self.query_one(Input)
        with field.prevent(Input.Changed):
            field.value = text
        field.cursor_position = len(text)
        self.add_class("-open")
        self.screen.set_focus(field)  # now, before the next key is handed on: focus() waits its turn behind it
        self.post_message(self.Typed(self, purpose, text))

    def close(self) -> None:
        """It is done."""
        self.remove_class("-open")

    def say(self, lines: list[PageLine]) -> None:
        """What the text means, may go on with, or why it is wrong."""
        self.query_one("#prompt-hint", Page).set_lines(lines)

    def put(self, text: str) -> None:
        """Replace the text."""
        field = self.query_one(Input)
        field.value = text
        field.cursor_position = len(text)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Typed(self, self.purpose, event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        history = self._history[self.purpose]
        if text and text not in history[-1:]:
            history.append(text)
        self.post_message(self.Accepted(self, self.purpose, text))

    def action_leave(self) -> None:
        self.post_message(self.Left(self, self.purpose))

    def action_complete(self) -> None:
        self.post_message(self.Completion(self, self.query_one(Input).value))

    def action_history(self, by: int) -> None:
        history = self._history[self.purpose]
        self._place = max(0, min(len(history), self._place + by))
        self.put(history[self._place] if self._place < len(history) else "")
