"""One argument in a form: its name, what is typed, and below it the hint, or the reason why that is not possible."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Checkbox, Input, Label

from qrm_tui.core.operations.arguments import TYPES, Argument, parse_value
from qrm_tui.core.units import write_size
from qrm_tui.widgets.chooser import Chooser
from qrm_tui.widgets.lineinput import LineInput
from qrm_tui.widgets.page import EMPTY, Page, PageLine, wrap

#: Checks that an argument's type cannot make: against the farm. The answer is the reason why not, or empty.
Check = Callable[[str], str]
#: Cells for the labels.
LABELS = 16


class Flag(Checkbox, inherit_bindings=False):
    """Yes or no, by space: enter goes on, as everywhere in a form."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "toggle_button", "choose", id="flag.choose")]


class Field(Vertical):
    """An argument's editor, by its type."""

    DEFAULT_CSS = """
    Field { height: auto; margin: 0 1 0 0; }
    Field > Horizontal { height: 1; }
    Field Label { width: 18; }
    Field .pointer { width: 2; visibility: hidden; text-style: bold; }
    /* without a rule of its own the field is not restyled when the focus comes and goes (Textual 8.2.8) */
    Field:focus-within { height: auto; }
    Field:focus-within .pointer { visibility: visible; }
    Field Input { width: 1fr; max-width: 64; }
    Field Chooser { max-width: 64; }
    /* the button, and a label's blanks that Textual (8.2.8) does not count where it is empty */
    Field Checkbox { width: 7; }
    Field > Page { height: auto; margin-left: 21; }
    """

    @dataclass
    class Changed(Message):
        """What is typed has changed."""

        field: Field

    def __init__(self, argument: Argument, value: Any, *, names: Sequence[str] = (), check: Check | None = None,
                 placeholder: str = "") -> None:
        super().__init__(id=f"field-{argument.name}")
        self.argument = argument
        self.names = names
        self._check = check
        self._start = as_text(argument, value)
        self._placeholder = placeholder or as_text(argument, argument.default)
        self._refused = ""
        #: the word that stands for leaving it out, where one must choose a word
        self._nothing = "" if argument.required or argument.default else argument.otherwise or "-"
        self.insisted = False
        #: what has the focus when one types here, and what is said below it: they are asked before they are mounted
        self.editor = self._make_editor()
        self._says = Page(id=f"hint-{argument.name}")

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(">", classes="pointer", markup=False)
            yield Label(self.argument.name.replace("_", " ") + (" *" if self.argument.required else ""), markup=False)
            yield self.editor
        yield self._says

    def _make_editor(self) -> Input | Chooser | Checkbox:
        argument = self.argument
        if argument.choices:
            words = [self._nothing] if self._nothing else []
            return Chooser([*words, *argument.choices], self._start or argument.default)
        if argument.type == "flag":
            return Flag(value=self._start == "yes", compact=True)
        suggester = SuggestFromList(self.names, case_sensitive=True) if self.names and not argument.many else None
        return LineInput(self._start, placeholder=self._placeholder, password=argument.secret, suggester=suggester)

    def on_mount(self) -> None:
        self.say()

    def on_resize(self) -> None:
        self.say()

    # its value

    @property
    def text(self) -> str:
        """What stands there."""
        editor = self.editor
        if isinstance(editor, Checkbox):
            return "yes" if editor.value else ""
        return "" if isinstance(editor, Chooser) and editor.value == self._nothing else str(editor.value)

    @property
    def _meant(self) -> str:
        """What stands there, without blanks around it, which only a secret may have."""
        return self.text if self.argument.secret else self.text.strip()

    @property
    def touched(self) -> bool:
        """Whether somebody changed it."""
        return self.text != (self._start or (str(self.argument.default or "") if self.argument.choices else ""))

    @property
    def value(self) -> Any:
        """The argument as it is sent; None where it was left out, or is as by default."""
        text = self._meant
        by_default = self.argument.choices and text == self.argument.default and not self.argument.required
        if not text or by_default:
            return None
        if self.argument.type == "flag":
            return True
        if self.argument.type == "setting":
            return dict(part.partition("=")[::2] for part in _parts(text))
        return _parts(text) if self.argument.many else text

    @property
    def reason(self) -> str:
        """Why this is not possible; empty if it is."""
        text = self._meant
        if not text:
            return "is needed" if self.argument.required else ""
        if self.argument.type == "flag":
            return ""
        try:
            parts = _parts(text) if self.argument.many else [text]
            for part in parts:
                parse_value(self.argument, part)
                if self._check and (trouble := self._check(part)):
                    return trouble
        except ValueError as error:
            return str(error)
        return self._refused

    def refuse(self, reason: str) -> None:
        """The server says no to what stands there; forgotten with the next key."""
        self._refused, self.insisted = reason, True
        self.say()

    # what it says

    def say(self) -> None:
        """The hint, or the reason."""
        reason = self.reason
        wrong = bool(reason) and (self.insisted or self.touched or bool(self.text.strip()))
        self.set_class(wrong, "-wrong")
        width = max(8, (self.size.width or 78) - LABELS - 6)
        lines: list[PageLine] = wrap(self.argument.help, width, "muted")
        if wrong:  # never fewer lines than the hint, so that nothing jumps
            reasons = wrap(reason, width, "bad", "! ")
            lines = reasons + [EMPTY] * (len(lines) - len(reasons))
        self._says.set_lines(lines)

    @property
    def hint(self) -> str:
        """What may be typed here: the type in words, or names that fit so far."""
        argument, kind = self.argument, TYPES[self.argument.type]
        if argument.choices:
            return "left and right choose"
        text = kind.hint[:1].upper() + kind.hint[1:] + ("; several with blanks between them" if argument.many else "")
        if self.names:
            begun = self.text.strip().split(" ")[-1]
            fitting = [name for name in self.names if name.startswith(begun)]
            more = f"  and {len(fitting) - 12} more" if len(fitting) > 12 else ""
            text += (": " + "  ".join(fitting[:12]) + more + " (right takes the one shown)") if fitting else ""
        return text

    @on(Input.Changed)
    @on(Chooser.Changed)
    @on(Checkbox.Changed)
    def _changed(self, event: Message) -> None:
        event.stop()
        self._refused = ""
        self.say()
        self.post_message(self.Changed(self))


def _parts(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise ValueError("a quote is not closed") from None


def as_text(argument: Argument, value: Any) -> str:
    """An argument's value as one would type it."""
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, dict):
        return shlex.join(f"{key}={part}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return shlex.join(map(str, value))
    if argument.type == "share" and isinstance(value, float):
        return f"{value:.0%}"
    if argument.type == "size" and isinstance(value, int):
        return write_size(value)
    return str(value)
