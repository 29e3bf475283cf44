"""A window that says something: reasons why not, or a question with No as the answer that costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap

_CSS = """
{name} {{ align: center middle; }}
{name} Page {{ max-height: 16; margin: 1 1; background: $surface; }}
{name} Keys {{ margin: 0; }}
"""


class _Text(Page):
    """Title and texts, wrapped to the window."""

    def __init__(self, title: str, texts: Sequence[str], style: str) -> None:
        super().__init__(can_focus=True)
        self._title, self._texts, self._text_style = title, texts, style

    def build(self, width: int) -> list[PageLine]:
        lines: list[PageLine] = [line((self._title, "title")), EMPTY]
        for text in self._texts:
            lines += wrap(text, width, self._text_style, first="- " if len(self._texts) > 1 else "")
        return lines


class MessageScreen(ModalScreen[None]):
    """Reasons, each on a line of its own."""

    DEFAULT_CSS = _CSS.format(name="MessageScreen")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "close", key_display="esc", id="message.leave"),
    ]

    def __init__(self, title: str, texts: Sequence[str], style: str = "") -> None:
        super().__init__()
        self.title_text, self.texts, self._style_name = title, tuple(texts), style

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield _Text(self.title_text, self.texts, self._style_name)
            yield Keys()

    def action_leave(self) -> None:
        self.dismiss(None)


class Question(ModalScreen[bool]):
    """Yes by `y`; everything else is No."""

    DEFAULT_CSS = _CSS.format(name="Question")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="question.yes"),
        Binding("n,escape,enter", "answer(False)", "no", key_display="n", id="question.no"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._question = (title, text)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield _Text(self._question[0], (self._question[1],), "")
            yield Keys()

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
