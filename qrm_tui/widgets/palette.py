"""The styles of words in a page, from the theme's variables.

Not component classes: each of those is a node of its own for every widget, and styling them took most of the start.
"""

from __future__ import annotations

from typing import NamedTuple

from rich.style import Style
from textual.color import Color
from textual.widget import Widget


class _Word(NamedTuple):
    """Variables of the theme, and what a terminal without colours shows instead."""

    colour: str = ""
    background: str = ""
    bold: bool = False
    without_colours: Style = Style()


_BOLD, _REVERSE, _UNDERLINED = Style(bold=True), Style(reverse=True), Style(underline=True)

_WORDS = {
    "good": _Word("text-success"),
    "warning": _Word("text-warning"),
    "bad": _Word("text-error", without_colours=_BOLD),
    "muted": _Word("text-muted"),
    "strong": _Word(bold=True, without_colours=_BOLD),
    "title": _Word("text-accent", bold=True, without_colours=_UNDERLINED),
    "key": _Word("text-accent", bold=True, without_colours=_UNDERLINED),
    "added": _Word("text-success"),
    "removed": _Word("text-error"),
    "reverse": _Word(without_colours=_BOLD),
    "cursor": _Word("block-cursor-foreground", "block-cursor-background", without_colours=_REVERSE),
    "cursor-blurred": _Word("foreground", "panel"),
}


def style(widget: Widget, name: str) -> Style:
    """How a word of this style looks on this widget's background."""
    if name == "cursor" and not widget.has_focus:
        name = "cursor-blurred"
    app, base, word = widget.app, widget.rich_style, _WORDS[name]
    if app.no_color:
        return base + word.without_colours
    if name == "reverse":
        return base + _REVERSE
    variables = app.theme_variables
    ground = widget.background_colors[1]
    if word.background:
        ground = _colour(variables[word.background], ground)
        base += Style(bgcolor=ground.rich_color)
    if word.colour:
        base += Style(color=_colour(variables[word.colour], ground).rich_color)
    if not word.bold:
        return base
    if not app.native_ansi_color:
        return base + _BOLD
    # bold changes colours on a console of sixteen
    return base if word.colour else base + Style(color="bright_white")


def _colour(text: str, ground: Color) -> Color:
    """A theme's colour; `auto 60%` is a text's on this ground."""
    if not text.startswith("auto"):
        return Color.parse(text)
    share = float(text.removeprefix("auto").strip().rstrip("%") or 100) / 100
    return ground + ground.get_contrast_text(share)
