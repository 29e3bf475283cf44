"""One of a few words, on one line: the arrows go through them. No pop-up, no glyph that a console lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from qrm_tui.widgets.page import Page, PageLine, line, width_of


class Chooser(Page, inherit_bindings=False):
    """Left and right (or space, or a first letter, again for the next one) choose."""

    DEFAULT_CSS = """
    Chooser { height: 1; width: 1fr; background: $surface; }
    Chooser:focus { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose(-1)", show=False),
        Binding("right,space", "choose(1)", "choose", key_display="left/right", id="chooser.next"),
    ]

    @dataclass
    class Changed(Message):
        """Another word was chosen."""

        chooser: Chooser
        value: str

        @property
        def control(self) -> Chooser:
            return self.chooser

    def __init__(self, choices: Sequence[str], value: str | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=True)
        self.choices = tuple(choices)
        self.value = value if value in self.choices else self.choices[0]

    def build(self, width: int) -> list[PageLine]:
        words = [line((f"({'*' if choice == self.value else ' '}) ", "key" if choice == self.value else ""),
                      (choice, "strong" if choice == self.value else ""), "  ") for choice in self.choices]
        chosen = self.choices.index(self.value)
        first, last = 0, len(words)
        while first < chosen and sum(map(width_of, words[first:chosen + 1])) > width - 3:
            first += 1  # the chosen one is seen, however narrow it is
        while last > chosen + 1 and sum(map(width_of, words[first:last])) > width:
            last -= 1
        # a blank before the first, as in an input
        spans: PageLine = (("<" if first else " ", "muted"),)
        for word in words[first:last]:
            spans += word
        return [(*spans, (">", "muted")) if last < len(words) else spans]

    def choose(self, value: str) -> None:
        """Choose this word."""
        if value != self.value:
            self.value = value
            self.rebuild()
            self.post_message(self.Changed(self, value))

    def action_choose(self, by: int) -> None:
        self.choose(self.choices[(self.choices.index(self.value) + by) % len(self.choices)])

    def on_key(self, event: events.Key) -> None:
        if event.character and event.is_printable:
            after = self.choices.index(self.value) + 1
            for choice in (*self.choices[after:], *self.choices[:after]):
                if choice.startswith(event.character):
                    self.choose(choice)
                    event.stop()
                    return

    def on_click(self, event: events.Click) -> None:
        self.action_choose(1)
