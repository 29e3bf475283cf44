"""Glyphs that every console font has, put in the place of Textual's own (of 8.2.8) for a whole process.

Safe on the Linux console (kernel font, Lat15-Terminus16, Uni2-Terminus: LAB-NOTES): ASCII, single-line boxes, full
block, two shades, four arrows, bullet. Textual draws with quarter blocks, heavy lines, round corners and pictures,
without a setting, so its tables are replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

SAFE = frozenset(map(chr, range(0x20, 0x7F))) | frozenset("─│┌┐└┘├┤┬┴┼█░▒←→↑↓•")

CUT = "~"  # ends a text that did not fit

_BOX = (("┌", "─", "┐"), ("│", " ", "│"), ("└", "─", "┘"))
_BRACKETS = ((" ", " ", " "), ("[", " ", "]"), (" ", " ", " "))  # `vkey`: what has the focus, seen without colour
_BLOCK = (("█", "─", "█"), ("█", " ", "█"), ("█", "─", "█"))  # `thick`: the same, for fields with a frame
_LINE = (("─", "─", "─"), (" ", " ", " "), ("─", "─", "─"))
_EDGES = {
    **dict.fromkeys(("round", "double", "dashed", "heavy", "inner", "outer", "block"), _BOX),
    **dict.fromkeys(("tall", "panel", "tab", "wide"), _BOX),
    "vkey": _BRACKETS,
    "thick": _BLOCK,
    "hkey": _LINE,
}
_OWN_BACKGROUND = ((0, 0, 0), (0, 0, 0), (0, 0, 0))  # colours as for `solid`: nothing reversed


Attribute = tuple[Any, str, Any]


def _states() -> Iterator[Attribute]:
    """Whether something is chosen is said by a letter, in every look: Textual says it by the colour of the same X.

    Yields owner, name and new value of class attributes, as does `_shapes`.
    """
    from textual.content import Content
    from textual.widgets import RadioButton, SelectionList, Switch
    from textual.widgets._toggle_button import ToggleButton

    yield ToggleButton, "_button", property(lambda button: Content("[x]" if button.value else "[ ]"))
    yield RadioButton, "_button", property(lambda button: Content("(*)" if button.value else "( )"))
    yield SelectionList, "render_line", _selection_line(SelectionList.render_line)
    yield Switch, "render", lambda switch: Content("[on ]" if switch.value else "[off]")
    yield Switch, "get_content_width", lambda switch, container, viewport: 5


def _shapes() -> Iterator[Attribute]:
    """What is drawn with glyphs that fonts of the console lack."""
    from textual.content import Content
    from textual.renderables.bar import Bar
    from textual.renderables.sparkline import Sparkline
    from textual.scrollbar import ScrollBar, ScrollBarRender
    from textual.widgets import Tree
    from textual.widgets._select import SelectCurrent

    class PlainScrollBar(ScrollBarRender):
        VERTICAL_BARS = (" ",)  # type: ignore[assignment]
        HORIZONTAL_BARS = (" ",)  # type: ignore[assignment]

    yield ScrollBar, "renderer", PlainScrollBar
    yield Bar, "BAR", "█"
    yield Bar, "HALF_BAR_LEFT", "█"
    yield Bar, "HALF_BAR_RIGHT", "█"
    yield Sparkline, "BARS", " ░▒█"
    yield Tree, "ICON_NODE", "+ "
    yield Tree, "ICON_NODE_EXPANDED", "- "
    yield Tree, "LINES", dict.fromkeys(Tree.LINES, Tree.LINES["default"])
    yield SelectCurrent, "compose", _select_parts(SelectCurrent.compose)
    yield Content, "truncate", _cut(Content.truncate)
    # too dear to import for their glyphs (0.1 s): whoever uses these imports them first
    if "textual.widgets._markdown" in sys.modules:
        from textual.widgets import Markdown

        yield Markdown, "BULLETS", ["• ", "- ", "* ", "• ", "- "]
    if "textual.widgets._directory_tree" in sys.modules:
        from textual.widgets import DirectoryTree

        yield DirectoryTree, "ICON_NODE", "+ "
        yield DirectoryTree, "ICON_NODE_EXPANDED", "- "
        yield DirectoryTree, "ICON_FILE", "  "


def _defaults() -> Iterator[tuple[Callable[..., Any], dict[str, Any]]]:
    """Default values of keyword-only arguments."""
    from textual.command import CommandPalette
    from textual.widgets import Collapsible

    yield CommandPalette.__init__, {"placeholder": "Search for commands"}
    yield Collapsible.__init__, {"collapsed_symbol": "+", "expanded_symbol": "-"}


def _tables() -> Iterator[tuple[dict[Any, Any], dict[Any, Any]]]:
    """Entries of dictionaries that Textual holds on to."""
    from textual import _border, keys
    from textual.widgets import _rule

    yield _border.BORDER_CHARS, _EDGES
    yield _border.BORDER_LOCATIONS, dict.fromkeys(_EDGES, _OWN_BACKGROUND)
    yield keys.KEY_DISPLAY_ALIASES, {"backspace": "bksp", "enter": "enter"}
    yield _rule._HORIZONTAL_LINE_CHARS, dict.fromkeys(("dashed", "double", "heavy"), "─")
    yield _rule._VERTICAL_LINE_CHARS, dict.fromkeys(("dashed", "double", "heavy"), "│")


def _selection_line(original: Callable[..., Any]) -> Callable[..., Any]:
    """A selection's box says by a letter, not by a colour, whether it is chosen."""
    from rich.segment import Segment
    from textual.strip import Strip

    def render_line(selections: Any, y: int) -> Strip:
        line: Strip = original(selections, y)
        index = selections.scroll_offset.y + y
        if not 0 <= index < selections.option_count:
            return line
        chosen = selections.get_option_at_index(index).value in selections._selected
        _left, button, _right, *text = line
        return Strip([Segment("[x]" if chosen else "[ ]", button.style), *text])

    return render_line


def _select_parts(original: Callable[..., Any]) -> Callable[..., Any]:
    """The arrows of a Select as letters."""

    def compose(current: Any) -> Iterator[Any]:
        for part in original(current):
            if part.has_class("arrow"):
                part.update("v" if part.has_class("down-arrow") else "^")
            yield part

    return compose


def _cut(original: Callable[..., Any]) -> Callable[..., Any]:
    """Text that did not fit ends in ~."""
    from textual.content import Content

    def truncate(content: Content, *args: Any, **options: Any) -> Content:
        result: Content = original(content, *args, **options)
        if not result.plain.endswith("…"):
            return result
        return Content(result.plain[:-1] + CUT, list(result.spans))

    return truncate


def replace_glyphs(safe: bool) -> Callable[[], None]:
    """Replace Textual's glyphs, before the App is built; returns the function that puts them back.

    `safe`: all that some console font lacks; otherwise only those that tell a state by colour alone.
    """
    from textual import _border, keys

    undo: list[Callable[[], None]] = []
    for owner, name, value in [*_states(), *(_shapes() if safe else ())]:
        own = vars(owner)
        undo.append(partial(setattr, owner, name, own[name]) if name in own else partial(delattr, owner, name))
        setattr(owner, name, value)
    for function, defaults in _defaults() if safe else ():
        undo.append(partial(setattr, function, "__kwdefaults__", function.__kwdefaults__))
        function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), **defaults}
    for table, entries in _tables() if safe else ():
        undo.append(partial(table.update, {key: table[key] for key in entries}))
        table.update(entries)

    def forget() -> None:
        """Textual remembers what it made of its tables."""
        _border.get_box.cache_clear()
        keys.format_key.cache_clear()

    def put_back() -> None:
        for step in reversed(undo):
            step()
        undo.clear()
        forget()

    forget()
    return put_back
