"""A last sieve for consoles: whatever a widget asks for, only their colours, attributes and characters are sent.

Style sheets and theme already keep to them; this catches what Textual has in its code (a dim prompt) and what others
draw (a guest's console in 256 colours). Strips keep the filtered form: a line is sieved once and not at each paint.
"""

from __future__ import annotations

from functools import lru_cache
from unicodedata import name, normalize

from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.color import ColorSystem, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_DEFAULT = Style.from_color(RichColor.default(), RichColor.default())
_REVERSED, _UNDERLINED = Style(reverse=True), Style(underline=True)
_PLAIN = Style(dim=False, bold=False, italic=False, blink=False, strike=False)
_BLACK, _BLUE, _WHITE, _BRIGHT_BLACK = 0, 4, 7, 8
_ALIKE_COLOURS = ({1, 4}, {5, 4})  # red on blue and magenta on blue, not bright: with a font of 512 glyphs
_PALE = frozenset((2, 3, 6, 7))  # backgrounds on which black is read better than white
_ALIKE = {"▓": "#", "▒": ":", "░": ".", "←": "<", "→": ">", "↑": "^", "↓": "v", "•": "*", "·": ".", "…": "~",
          "\xa0": " ", "\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',
          "\u201e": '"'}  # dashes and quotation marks


class ConsoleColours(LineFilter):
    """8 backgrounds, 16 foregrounds, no bright black, no red on blue, no attribute that is shown as another colour."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, style if style is None else console_style(style), control)
            for text, style, control in segments
        ]


class NoColours(LineFilter):
    """What the Linux look says by a background, said by an attribute; for NO_COLOR, and terminals without colours.

    Textual's own filter drops the backgrounds, and its widgets forget `reverse` in parts of them (get_visual_style).
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, style if style is None else colourless_style(style), control)
            for text, style, control in segments
        ]


class OnlyAscii(LineFilter):
    """ASCII in as many cells as what it stands for, whoever drew that: a machine on its console, or a name."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [segment if segment.text.isascii() else Segment(ascii_text(segment.text), *segment[1:])
                for segment in segments]


@lru_cache(4096)
def ascii_text(text: str) -> str:
    """Boxes, shades and arrows by what looks like them, letters without their accents, and `?` for all else."""
    return "".join(_ascii(character) for character in text)


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    if alike := _ALIKE.get(character):
        return alike
    called = name(character, "")
    if called.startswith("BOX DRAWINGS"):
        return "+" if " AND " in called else "|" if "VERTICAL" in called else "-"
    if called.endswith("BLOCK"):
        return "#"
    plain = normalize("NFD", character)[:1]
    cells = cell_len(character)
    return plain if plain.isascii() and cells == 1 else "?" * cells


@lru_cache(4096)
def colourless_style(style: Style) -> Style:
    """Blue bars are underlined, every other background but black is reversed."""
    behind = _number(style.bgcolor)
    if behind is not None and behind % 8 == _BLUE:
        style += _UNDERLINED
    elif behind is not None and behind % 8 != _BLACK:
        style += _REVERSED
    return style + _PLAIN + _DEFAULT


@lru_cache(4096)
def console_style(style: Style) -> Style:
    """The nearest style that the console can show; text is never of its background's colour, bright or not."""
    text, behind = _number(style.color), _number(style.bgcolor)
    if behind is not None:
        behind %= 8  # 100-107 are shown as 40-47
    if text == _BRIGHT_BLACK:
        text = _WHITE  # invisible with a font of 512 glyphs
    if text is not None and behind is not None and (text % 8 == behind or {text % 8, behind} in _ALIKE_COLOURS):
        text = _BLACK if behind in _PALE else _WHITE
    return style + _PLAIN + Style.from_color(_ansi(text, style.color), _ansi(behind, style.bgcolor))


def _number(colour: RichColor | None) -> int | None:
    """The number of the nearest of 16 colours, None for the terminal's own."""
    if colour is None or colour.type is ColorType.DEFAULT:
        return None
    return colour.downgrade(ColorSystem.STANDARD).number


def _ansi(number: int | None, colour: RichColor | None) -> RichColor | None:
    return colour if number is None else RichColor.from_ansi(number)
