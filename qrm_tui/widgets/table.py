"""A table for long, live lists: only the visible lines are ever formatted, and only cells that changed are repainted.

The table asks its source for the rows of one screen, makes a `Line` of each, and remembers what it painted. Whatever
happened (a delta, a tick of the clock, a key), `_refresh_differences` compares and refreshes only cells that differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from qrm_tui.widgets.columns import Column, Slot, layout
from qrm_tui.widgets.lines import BLANK, Line, difference, header_line, line_strip, placeholder_line, row_line
from qrm_tui.widgets.painted import Painted
from qrm_tui.widgets.rows import Change, ListSource, Row, RowKey, RowSource, Sortable, Watchable

__all__ = ["Column", "ListSource", "RowSource", "VirtualTable"]

_PAUSE = 0.05  # seconds between two answers to changes of the source: bursts are painted once
_STRIPS = 1024  # painted lines kept


class VirtualTable(ScrollView, can_focus=True):
    """Shows a RowSource under a header. The cursor and the marks belong to row keys, not to positions."""

    DEFAULT_CSS = """
    VirtualTable { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    VirtualTable > .table--header { text-style: bold; color: $foreground; background: $panel; }
    VirtualTable > .table--cursor { color: $foreground; background: $boost; }
    VirtualTable:focus > .table--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
    VirtualTable:nocolor:focus > .table--cursor { text-style: reverse; }
    VirtualTable > .table--placeholder, VirtualTable > .table--muted { color: $text-muted; }
    VirtualTable > .table--good { color: $text-success; }
    VirtualTable > .table--warning { color: $text-warning; }
    VirtualTable > .table--bad { color: $text-error; }
    VirtualTable > .table--strong { text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"table--{name}" for name in ("header", "cursor", "placeholder", "good", "warning", "bad", "muted", "strong")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="table.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="table.page_down"),
        Binding("home,g", "first", "First row", show=False, id="table.first"),
        Binding("end,G", "last", "Last row", show=False, id="table.last"),
        Binding("enter", "select", "Open", show=False, id="table.select", tooltip="Go into the row under the cursor"),
        Binding("space", "mark", "Mark", show=False, id="table.mark", tooltip="Mark or unmark the row"),
        Binding("asterisk", "mark_all", "Mark all", show=False, key_display="*", id="table.mark_all",
                tooltip="Mark all rows that are shown; where all are, unmark them"),
        Binding("o", "sort_next", "Sort", show=False, id="table.sort", tooltip="Sort by the next column"),
        Binding("O", "sort_reverse", "Reverse", show=False, id="table.reverse", tooltip="Turn the order round"),
    ]

    class _TableMessage(Message):
        def __init__(self, table: VirtualTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> VirtualTable:
            return self.table

    class CursorMoved(_TableMessage):
        """The cursor is on another row; `key` is None when there are no rows."""

        def __init__(self, table: VirtualTable, key: RowKey | None) -> None:
            super().__init__(table)
            self.key = key

    class Selected(_TableMessage):
        """Enter, or a double click, on the row `key`."""

        def __init__(self, table: VirtualTable, key: RowKey) -> None:
            super().__init__(table)
            self.key = key

    class MarkedChanged(_TableMessage):
        """`keys` are all marked rows, also those that a filter hides."""

        def __init__(self, table: VirtualTable, keys: frozenset[RowKey]) -> None:
            super().__init__(table)
            self.keys = keys

    class Sorted(_TableMessage):
        """The user chose an order: `column` is a column's key."""

        def __init__(self, table: VirtualTable, column: str, reverse: bool) -> None:
            super().__init__(table)
            self.column = column
            self.reverse = reverse

    def __init__(
        self,
        columns: Sequence[Column],
        source: RowSource,
        *,
        placeholder: str = "nothing here yet",
        clock: Callable[[], float] = time.time,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """`placeholder` is shown while there are no rows; `clock` gives the `now` of Column.format (seconds)."""
        super().__init__(name=name, id=id, classes=classes)
        self._columns = tuple(columns)
        self._placeholder = placeholder
        self._clock = clock
        self._slots: list[Slot] = []
        self._slots_width = -1
        self._window: tuple[int, Sequence[Row]] = (0, ())
        self._painted: Painted[Line] = Painted()
        self._strips: dict[Line, Strip] = {}
        self._styles: dict[str, Style] = {}
        self._cursor = 0
        self._cursor_key: RowKey | None = None
        self._marked: set[RowKey] = set()
        self._settled_at = 0.0
        self._timer: Timer | None = None
        self._following = False  # from mount to unmount
        self._unwatch: Callable[[], None] | None = None
        self._source = source
        self._sortable = source if isinstance(source, Sortable) else None

    # State

    @property
    def source(self) -> RowSource:
        """Where the rows come from. Assigning another source starts afresh: cursor on the first row, no marks."""
        return self._source

    @source.setter
    def source(self, source: RowSource) -> None:
        self._leave()
        self._set_marked(set())
        self._source = source
        self._sortable = source if isinstance(source, Sortable) else None
        self._cursor, self._cursor_key = 0, None
        if self._following:
            self._enter()

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, also those that don't fit now."""
        return self._columns

    @columns.setter
    def columns(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._slots_width = -1
        self._settle()

    @property
    def placeholder(self) -> str:
        """What an empty table says."""
        return self._placeholder

    @placeholder.setter
    def placeholder(self, text: str) -> None:
        self._placeholder = text
        self._settle()

    @property
    def cursor(self) -> int:
        """Position of the cursor, 0 for the first row (also when there is none)."""
        return self._cursor

    @property
    def cursor_key(self) -> RowKey | None:
        """Key of the row under the cursor, None when there are no rows."""
        return self._cursor_key

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor, None when there are no rows."""
        rows = self._source.rows(self._cursor, self._cursor + 1)
        return rows[0] if rows else None

    @property
    def marked(self) -> frozenset[RowKey]:
        """Keys of the marked rows. A mark lasts while its row exists, shown or filtered out."""
        return frozenset(self._marked)

    @property
    def targets(self) -> list[RowKey]:
        """What an action works on: the marked rows, or else the row under the cursor."""
        if self._marked:
            return list(self._marked)
        return [] if self._cursor_key is None else [self._cursor_key]

    def show_cursor_on(self, key: RowKey) -> bool:
        """Put the cursor on a row; False where it is not shown."""
        position = self._source.index(key)
        if position is not None:
            self._go(position)
        return position is not None

    def mark(self, keys: Collection[RowKey]) -> None:
        """Mark these rows and no others; unknown keys are ignored."""
        self._set_marked({key for key in keys if key in self._source})

    def sort_by(self, column: str, reverse: bool = False) -> None:
        """Order the source by a column, where it can be ordered, and say so in the header."""
        if self._sortable is not None:
            self._sortable.sort(column, reverse)
            self._settle()
            self.post_message(self.Sorted(self, column, reverse))

    def reload(self) -> None:
        """Rows came, went or changed order in a source that does not say so itself."""
        self._answer(Change(None, True))

    def row_changed(self, key: RowKey) -> None:
        """One row has new content, in a source that does not say so itself."""
        self._answer(Change(frozenset((key,)), False))

    def tick(self) -> None:
        """Time has passed: repaint the visible cells whose text has changed, and nothing else."""
        if any(slot.column.format for slot in self._slots):
            self._settle()

    # Following the source

    def on_mount(self) -> None:
        self._following = True
        self._enter()

    def on_unmount(self) -> None:
        self._following = False
        self._leave()

    def _enter(self) -> None:
        if isinstance(self._source, Watchable):
            self._unwatch = self._source.watch(self._answer)
        self._settle()

    def _leave(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _answer(self, change: Change) -> None:
        """The source changed: settle now, or a little later when it changes all the time."""
        if not change.moved and change.keys is not None:
            rows = self._window[1]
            key = self._source.key
            if change.keys.isdisjoint([row[key] for row in rows]):
                return
        self._window = (0, ())
        if self._timer is None:
            wait = self._settled_at + _PAUSE - time.monotonic()
            if wait <= 0:
                self._settle()
            else:
                self._timer = self.set_timer(wait, self._settle)

    def _settle(self) -> None:
        """Make cursor, marks, size and screen agree with the source; refresh only what differs."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self._following:
            return
        self._window = (0, ())
        lines = len(self._source) + 1
        if self.virtual_size.height != lines:
            self.virtual_size = Size(0, lines)
        self._find_cursor()
        if gone := {key for key in self._marked if key not in self._source}:
            self._set_marked(self._marked - gone)
        self._refresh_differences(range(self.size.height))
        self._settled_at = time.monotonic()

    def _find_cursor(self) -> None:
        """Keep the cursor on its row, at the same height of the screen; where the row is gone, on its neighbour."""
        was_visible = 0 <= self._cursor - self._top < self._height
        position = None if self._cursor_key is None else self._source.index(self._cursor_key)
        moved = 0 if position is None else position - self._cursor
        self._cursor = max(0, min(self._cursor + moved, len(self._source) - 1))
        if moved and was_visible:
            self.scroll_to(y=self._top + moved, animate=False, force=True)
        if position is None:
            self._follow_cursor()

    def _follow_cursor(self) -> None:
        """Take the key of the row under the cursor, scroll it into view, tell."""
        row = self.cursor_row
        key: RowKey | None = None if row is None else row[self._source.key]
        if self._cursor < self._top:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= self._top + self._height:
            self.scroll_to(y=self._cursor - self._height + 1, animate=False, force=True)
        if key != self._cursor_key:
            self._cursor_key = key
            self.post_message(self.CursorMoved(self, key))

    # Painting

    @property
    def _top(self) -> int:
        """Position of the first visible row."""
        return round(self.scroll_y)

    @property
    def _height(self) -> int:
        """Number of rows that fit under the header, at least one."""
        return max(1, self.size.height - 1)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._forget_paint()

    def _forget_paint(self) -> None:
        self._styles.clear()
        self._strips.clear()
        self._painted.forget()

    def _arrange(self) -> list[Slot]:
        """The columns that fit now, beside the scrollbar."""
        width = self.scrollable_content_region.width
        if width != self._slots_width:
            self._slots, self._slots_width = layout(self._columns, width), width
            self._forget_paint()
        return self._slots

    def _refresh_differences(self, screen_lines: Collection[int]) -> None:
        """Refresh what changed in these lines of the screen, from the first differing cell to the last."""
        slots, width = self._arrange(), self._slots_width
        now = self._clock()
        for y in screen_lines:
            line = self._line(y, now)
            start, stop = difference(self._painted.get(y), line, slots, width)
            if start < stop:
                self.refresh(Region(start, y, stop - start, 1))
                self._painted.asked(y, line)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines without Textual's decorations and its cache by line number.

        Our strips are cached by what they say, and a strip keeps its filtered and encoded forms, so that scrolling
        costs the lines that are new on screen. With a border or opacity the ordinary, slower way is taken.
        """
        if any(self.gutter) or self.opacity != 1.0 or self.styles.text_opacity != 1.0 or self.styles.tint.a:
            return super().render_lines(crop)
        strips = [self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        return [strip.crop(*crop.column_span) for strip in strips]

    def render_line(self, y: int) -> Strip:
        self._arrange()
        line = self._line(y, self._clock())
        self._painted.rendered(y, line)
        painted = self._strips.get(line)
        if painted is None:
            if len(self._strips) >= _STRIPS:
                self._strips.clear()
            painted = self._strips[line] = line_strip(line, self.size.width, self._style)
        return painted

    def _line(self, y: int, now: float) -> Line:
        """What line `y` of the screen should say."""
        if y == 0:
            return header_line(self._slots, *self._order)
        size = len(self._source)
        if not size:
            return placeholder_line(self._placeholder, self._slots_width) if y == 2 else BLANK
        position = self._top + y - 1
        if position >= size:
            return BLANK
        row = self._row(position)
        key = row[self._source.key]
        return row_line(self._slots, row, now, marked=key in self._marked, under_cursor=key == self._cursor_key)

    def _row(self, position: int) -> Row:
        """A row out of the window of visible rows, which is fetched at once."""
        start, rows = self._window
        if not start <= position < start + len(rows):
            start = min(position, self._top)
            rows = self._source.rows(start, max(position + 1, self._top + self._height))
            self._window = (start, rows)
        return rows[position - start]

    @property
    def _order(self) -> tuple[str | None, bool]:
        """The column that the source is sorted by, and whether downwards."""
        return (None, False) if self._sortable is None else (self._sortable.column, self._sortable.reverse)

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self._styles[name] = self.get_component_rich_style(f"table--{name}") if name else self.rich_style
        return style

    # Keys and mouse

    def _go(self, position: int) -> None:
        """Move the cursor; two lines are compared, or the screen scrolls."""
        position = max(0, min(position, len(self._source) - 1))
        before, self._cursor = self._cursor, position
        self._follow_cursor()
        lines = {place - self._top + 1 for place in (before, position)}
        self._refresh_differences([y for y in lines if 0 < y < self.size.height])

    def action_move(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Go a screen up or down; one row stays in view."""
        self._go(self._cursor + by * max(1, self._height - 1))

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(len(self._source) - 1)

    def action_select(self) -> None:
        if self._cursor_key is not None:
            self.post_message(self.Selected(self, self._cursor_key))

    def action_mark(self) -> None:
        if self._cursor_key is not None:
            self._set_marked(self._marked ^ {self._cursor_key})

    def action_mark_all(self) -> None:
        """All rows that the filter lets pass are marked besides; where they all are, they no longer are."""
        keys = {row[self._source.key] for row in self._source.rows(0, len(self._source))}
        self._set_marked(self._marked - keys if keys <= self._marked else self._marked | keys)

    def _set_marked(self, keys: set[RowKey]) -> None:
        if keys != self._marked:
            self._marked = keys
            self.post_message(self.MarkedChanged(self, frozenset(keys)))
            if self._following:
                self._refresh_differences(range(1, self.size.height))

    def action_sort_next(self) -> None:
        """Sort by the column after the present one, among those on screen; after the last comes the first."""
        keys = [slot.column.key for slot in self._slots]
        column, _ = self._order
        self.sort_by(keys[(keys.index(column) + 1) % len(keys) if column in keys else 0])

    def action_sort_reverse(self) -> None:
        """Turn the present order round; with none, start with the first column."""
        column, reverse = self._order
        self.sort_by(column or self._slots[0].column.key, column is not None and not reverse)

    def on_resize(self) -> None:
        self._follow_cursor()

    def on_click(self, event: events.Click) -> None:
        """A row: the cursor goes there, twice opens it. The header: sort by that column, again turns it round."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            column, reverse = self._order
            for slot in self._slots:
                if slot.x <= offset.x < slot.x + slot.width:
                    self.sort_by(slot.column.key, slot.column.key == column and not reverse)
        elif self._top + offset.y - 1 < len(self._source):
            self._go(self._top + offset.y - 1)
            if event.chain == 2:
                self.action_select()
