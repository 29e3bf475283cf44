"""A page of text lines, each a few spans with a style's name: what everything but tables, forms and logs is drawn with.

No markup is ever read, so that foreign text stays text; only lines that changed are repainted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from qrm_tui.widgets import palette
from qrm_tui.widgets.columns import safe

#: Text and the name of its style (see `palette`), or empty.
Span = tuple[str, str]
PageLine = tuple[Span, ...]

EMPTY: PageLine = ()


def line(*spans: str | Span) -> PageLine:
    """A line of safe text; a bare text has no style."""
    return tuple((safe(span), "") if isinstance(span, str) else (safe(span[0]), span[1]) for span in spans)


def width_of(spans: PageLine) -> int:
    """Cells that a line takes."""
    return sum(cell_len(text) for text, _ in spans)


def wrap(text: str, width: int, style: str = "", first: str = "", rest: str | None = None) -> list[PageLine]:
    """A text as lines of at most `width` cells, broken at blanks; `first` and `rest` stand before it."""
    rest = " " * cell_len(first) if rest is None else rest
    room = max(8, width - max(cell_len(first), cell_len(rest)))
    return [line((first if place == 0 else rest, ""), (part, style))
            for place, part in enumerate(broken(safe(text), room))]


def broken(text: str, width: int) -> Iterable[str]:
    """A text in parts of at most `width` cells, broken at blanks where there are any."""
    if text.isascii() and len(text) <= width:
        yield text
        return
    while cell_len(text) > width:
        cut = width
        while cell_len(text[:cut]) > width:
            cut -= 1
        blank = text.rfind(" ", 1, cut + 1)
        if blank > 0:
            yield text[:blank].rstrip()
            text = text[blank + 1 :].lstrip()
        else:
            yield text[:cut]
            text = text[cut:]
    yield text


def difference(old: PageLine, new: PageLine, width: int) -> tuple[int, int]:
    """The cells start <= x < stop that must be painted anew when `old` is on the screen."""
    if old == new:
        return 0, 0
    before, after = _cells(old), _cells(new)
    if before is None or after is None:
        return 0, width
    size = max(len(before), len(after))
    before += [(" ", "")] * (size - len(before))
    after += [(" ", "")] * (size - len(after))
    places = [x for x in range(size) if before[x] != after[x]]
    return (places[0], min(width, places[-1] + 1)) if places else (0, 0)


def _cells(spans: PageLine) -> list[tuple[str, str]] | None:
    """Each cell's character and style; None where a character may take more than a cell."""
    if not all(text.isascii() for text, _ in spans):
        return None
    return [(character, style) for text, style in spans for character in text]


class Page(ScrollView):
    """Lines that a subclass builds for a width, or that are set from outside. Scrolls with the arrows when focused."""

    DEFAULT_CSS = """
    Page { height: auto; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", show=False),
        Binding("down,j", "scroll_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown,space", "page_down", show=False),
        Binding("home,g", "scroll_home", show=False),
        Binding("end,G", "scroll_end", show=False),
    ]

    def __init__(
        self,
        lines: Sequence[PageLine] = (),
        *,
        id: str | None = None,
        classes: str | None = None,
        can_focus: bool = False,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.can_focus = can_focus
        self._given: Sequence[PageLine] = lines
        self._lines: Sequence[PageLine] = ()
        self._styles: dict[str, Style] = {}

    def build(self, width: int) -> Sequence[PageLine]:
        """The lines at this width; the default are those that were set."""
        return self._given

    def set_lines(self, lines: Sequence[PageLine]) -> None:
        """Show these lines."""
        self._given = lines
        self.rebuild()

    @property
    def lines(self) -> Sequence[PageLine]:
        """The lines shown."""
        return self._lines

    @property
    def text(self) -> str:
        """What it says, without styles."""
        return "\n".join("".join(text for text, _ in spans) for spans in self._lines)

    def rebuild(self) -> None:
        """Something that the lines tell of has changed: repaint those that differ."""
        width = self.size.width
        if not width:
            # not laid out yet: an automatic height may have to grow from nothing; what is hidden is built when shown
            if all(node.display for node in self.ancestors_with_self):
                self.refresh(layout=True)
            return
        before, self._lines = self._lines, self.build(width)
        if len(before) != len(self._lines):
            self.virtual_size = Size(width, len(self._lines))
            self.refresh(layout=self.styles.is_auto_height)
            return
        top = round(self.scroll_y)
        for y in range(min(self.size.height, len(before) - top)):
            start, stop = difference(before[top + y], self._lines[top + y], width)
            if start < stop:
                self.refresh(Region(start, y, stop - start, 1))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.build(width))

    def on_resize(self) -> None:
        self.resized()  # Textual calls the handlers of all classes, the overridden ones too

    def resized(self) -> None:
        """It has another size."""
        self._lines = self.build(self.size.width)
        self.virtual_size = Size(self.size.width, len(self._lines))
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style if not name else palette.style(self, name)
            self._styles[name] = style
        return style

    def watch_has_focus(self, value: bool) -> None:
        super().watch_has_focus(value)
        self._styles.pop("cursor", None)

    def style_of(self, index: int) -> str:
        """The style of the whole line `index`, over its spans'; empty for none."""
        return ""

    def render_line(self, y: int) -> Strip:
        width, index = self.size.width, round(self.scroll_y) + y
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        whole = self.style_of(index)
        base = self._style(whole)
        strip = Strip([Segment(text, base if whole else self._style(name)) for text, name in self._lines[index]])
        return strip.adjust_cell_length(width, base)

    def show_line(self, index: int) -> None:
        """Scroll so that this line is on the screen."""
        top, height = round(self.scroll_y), max(1, self.size.height)
        if index < top:
            self.scroll_to(y=index, animate=False, force=True)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False, force=True)
