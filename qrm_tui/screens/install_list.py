"""The installer's screens that are a list: what there is, marks that space sets, and what is to be known of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from qrm_tui.screens.install_base import InstallScreen, paragraphs
from qrm_tui.widgets.cursor import CursorPage
from qrm_tui.widgets.page import Page, PageLine

#: Rows besides the two parts; of the lower one, as a rule and on a terminal of fewer rows than `_SMALL`.
_AROUND, _ABOUT, _LEAST_ABOUT, _SMALL, _ROOMY = 3, 7, 3, 20, 24
#: A word, what it says, and its style.
About = tuple[str, str, str]


class Choices(CursorPage):
    """Lines with a cursor, each perhaps with a mark that space sets."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "choose", key_display="space", id="choices.mark"),
    ]

    class Marked(Message):
        """Space was pressed on the line under the cursor."""

    @property
    def items(self) -> int:
        return len(self._given)

    def action_mark(self) -> None:
        self.post_message(self.Marked())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "mark" or not isinstance(self.screen, InstallList) or self.screen.chooses


class InstallList(InstallScreen):
    """A list above, what is under the cursor below; tab goes there, where it is longer than its room."""

    DEFAULT_CSS = """
    InstallList > Choices { height: auto; }
    InstallList > .about { height: 1fr; background: $surface; }
    """

    def parts(self) -> Sequence[Widget]:
        return [Choices(), Page(classes="about", can_focus=True)]

    def on_mount(self) -> None:
        super().on_mount()
        self.choices.focus()
        self.show()

    def on_resize(self) -> None:
        if self.gone:
            return
        height = self.app.size.height
        self.choices.styles.max_height = max(3, height - _AROUND - (_LEAST_ABOUT if height < _SMALL else _ABOUT))
        # a line between the two where there is one to spare
        self.query_one(".about", Page).styles.margin = (int(height > _ROOMY), 0, 0, 0)
        self.show()
        self.call_after_refresh(self._keep_in_view)

    def _keep_in_view(self) -> None:
        if not self.gone:
            self.choices.show_line(self.choices.cursor)

    @property
    def choices(self) -> Choices:
        """The list."""
        return self.query_one(Choices)

    def rows(self, width: int) -> Sequence[PageLine]:
        """The list's lines."""
        raise NotImplementedError

    @property
    def chooses(self) -> bool:
        """Whether space does something on the line under the cursor."""
        return True

    def about(self) -> Sequence[About]:
        """What is to be known of the one under the cursor."""
        raise NotImplementedError

    def show(self) -> None:
        """The list, and the one under the cursor."""
        width = self.app.size.width
        self.choices.set_lines(self.rows(width))
        self.query_one(".about", Page).set_lines(paragraphs(width, *self.about()))
        self.refresh_bindings()

    @on(Choices.Moved)
    def _moved(self) -> None:
        self.query_one(".about", Page).scroll_home(animate=False)
        self.show()
