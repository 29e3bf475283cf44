"""A terminal: bytes go in at any speed, frames are skipped and bytes never, and one can look back, search and copy.

`take` writes as much as a slice's time allows, so that keys are answered between two. The view is of numbered lines
(`Lines`): live it is the screen, else it stays where it is however much comes.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import ClassVar, TypeGuard

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from qrm_tui.terminal.emulator import Emulator
from qrm_tui.terminal.keys import key_bytes, pasted, wants_asking
from qrm_tui.terminal.view import Lines, clock_text
from qrm_tui.widgets.painted import Painted
from qrm_tui.widgets.terminal_paint import Shown, difference, strip_of

#: Seconds between two frames while bytes come, and that one slice takes.
FRAME, SLICE = 0.04, 0.008
#: Bytes that are written before the clock is looked at.
_LEAST_PIECE, _MOST_PIECE = 1 << 11, 1 << 14
_LONGEST_PAUSE = 0.5
_STRIPS = 512
#: What a serial line's programs take the screen for, until they are told.
ASSUMED = Size(80, 24)


class Terminal(Widget, can_focus=True):
    """Shows an Emulator. While `typing` is on, keys are the other side's; they are told by messages."""

    DEFAULT_CSS = """
    Terminal { height: 1fr; background: $background; color: $foreground; }
    Terminal > .terminal--muted { color: $text-muted; }
    Terminal > .terminal--chosen { background: $block-cursor-background; color: $block-cursor-foreground; }
    Terminal > .terminal--found { background: $block-cursor-background; color: $block-cursor-foreground; }
    Terminal:nocolor > .terminal--chosen, Terminal:nocolor > .terminal--found { text-style: reverse; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"terminal--muted", "terminal--chosen", "terminal--found"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "page(1)", "Page down", show=False, id="terminal.page_down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="terminal.up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="terminal.down"),
        Binding("home,g", "first", "First line", show=False, id="terminal.first"),
        Binding("end,G", "live", "live", show=False, id="terminal.live", tooltip="To the end, and stay there"),
        Binding("n", "find_next(-1)", "Further back", show=False, id="terminal.find_back"),
        Binding("N", "find_next(1)", "Further on", show=False, id="terminal.find_on"),
        Binding("c", "times", "times", show=False, id="terminal.times", tooltip="When each line was written"),
        Binding("space", "choose", "choose", show=False, id="terminal.choose",
                tooltip="From this line on is copied; the last one shown ends it"),
    ]

    class Typed(Message):
        """Bytes for the other side."""

        def __init__(self, data: bytes) -> None:
            super().__init__()
            self.data = data

    class Pasted(Message):
        """Text of several lines was pasted: whoever hears it asks first."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Rang(Message):
        """The bell."""

    class Titled(Message):
        """The other side calls itself so."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    class Moved(Message):
        """The view is another: live, or `back` lines before it."""

        def __init__(self, back: int) -> None:
            super().__init__()
            self.back = back

    def __init__(self, emulator: Emulator, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.emulator = emulator
        self.lines = Lines(emulator)
        #: whether keys are the other side's
        self.typing = False
        self._piece = _LEAST_PIECE
        #: whether the other side knows the size that it is shown in
        self.told = False
        self.times = False
        self.words = ""
        #: number of the line on top while one looks back
        self._top: int | None = None
        #: number of the line that was found last
        self._found_at: int | None = None
        self._chosen: int | None = None
        self._painted: Painted[Shown] = Painted()
        self._strips: dict[Shown, Strip] = {}
        self._styles: dict[str, Style] = {}
        self._timer: Timer | None = None
        self._settled_at, self._pause = 0.0, FRAME
        self._painting = self._due = False
        self._bells, self._title = emulator.bells, emulator.title
        self.frames = 0

    # what comes

    def take(self, data: bytes, at: float, place: int = 0) -> int:
        """Write bytes of the other side that came at this time, from `place` on; the place behind what was written."""
        before = begun = time.perf_counter()
        while place < len(data):
            piece = data[place:place + self._piece]
            self.emulator.feed(piece, at)
            place += len(piece)
            now = time.perf_counter()
            if now - before > SLICE / 2:
                self._piece = max(_LEAST_PIECE, self._piece // 2)
            elif now - before < SLICE / 8:
                self._piece = min(_MOST_PIECE, self._piece * 2)
            if now - begun >= SLICE:
                break
            before = now
        if self.emulator.bells != self._bells:
            self._bells = self.emulator.bells
            self.post_message(self.Rang())
        if self.emulator.title != self._title:
            self._title = self.emulator.title
            self.post_message(self.Titled(self._title))
        self._later()
        return place

    def mark(self, text: str, at: float) -> None:
        """A word of ours in the scroll-back."""
        self.emulator.mark(text, at)
        self._later()

    def _later(self) -> None:
        """Paint now, or a little later while much comes."""
        if self._timer is None and not self._painting and self.is_mounted:
            wait = self._settled_at + self._pause - time.monotonic()
            if wait <= 0:
                self._settle()
            else:
                self._timer = self.set_timer(wait, self._settle)
        self._due = self._painting

    # size

    def on_resize(self) -> None:
        self.fit()

    def fit(self, told: bool | None = None) -> None:
        """Give the emulator its size: ours, and no less than what the other side takes it for until it is told."""
        if told is not None:
            self.told = told
        columns, rows = self.size
        if not columns or not rows:
            return
        if not self.told:
            columns, rows = max(columns, ASSUMED.width), max(rows, ASSUMED.height)
        self.emulator.resize(columns, rows)
        self._forget_paint()
        self.refresh()

    # painting

    @property
    def top(self) -> int:
        """The number of the line on top."""
        lines, height = self.lines, max(1, self.size.height)
        if self._top is not None:
            return max(self._top, lines.first)
        over = self.emulator.rows - height
        if over <= 0:
            return lines.screen
        cursor = self.emulator.cursor
        row = cursor[1] if cursor else self.emulator.rows - 1
        return lines.screen + max(0, min(over, row - height + 1))

    @property
    def back(self) -> int:
        """How many lines before the end is looked at; 0 is live."""
        return 0 if self._top is None else max(0, self.lines.screen - self.top)

    def _shown(self, y: int, top: int) -> Shown:
        number = top + y
        lines, emulator = self.lines, self.emulator
        if not lines.first <= number < lines.end:
            return Shown()
        line = lines[number]
        gutter = f"{clock_text(line.at)} " if self.times else ""
        chosen = self._chosen is not None and self._chosen <= number <= self._last(top)
        cursor = emulator.cursor
        place = None
        if cursor and number == lines.screen + cursor[1] and self._top is None:
            place = cursor[0] if cursor[0] + len(gutter) < self.size.width else None
        return Shown(line.runs, gutter, line.mark, chosen, place, self.words,
                     number >= lines.screen and emulator.reversed)

    def _last(self, top: int) -> int:
        return min(top + self.size.height, self.lines.end) - 1

    def _settle(self) -> None:
        """Refresh what differs from what is painted."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self.is_mounted:
            return
        started = time.monotonic()
        self._painting, self._due = True, False
        self.show_changes()
        self.call_after_refresh(self._settled, started)

    def show_changes(self) -> None:
        """A frame: what differs from what is painted is painted anew."""
        self.frames += 1
        top, width = self.top, self.size.width
        for y in range(self.size.height):
            shown = self._shown(y, top)
            start, stop = difference(self._painted.get(y), shown, width)
            if start < stop:
                self.refresh(Region(start, y, stop - start, 1))
                self._painted.asked(y, shown)

    def _settled(self, started: float) -> None:
        """The frame is out: the next one is timed from here, and the dearer a frame is the fewer there are."""
        self._painting = False
        self._settled_at = time.monotonic()
        self._pause = min(_LONGEST_PAUSE, max(FRAME, 3 * (self._settled_at - started)))
        if self._due:
            self._later()

    def render_line(self, y: int) -> Strip:
        return self._strip(y, self.top, self.size.width)

    def _strip(self, y: int, top: int, width: int) -> Strip:
        shown = self._shown(y, top)
        self._painted.rendered(y, shown)
        strip = self._strips.get(shown)
        if strip is None:
            if len(self._strips) >= _STRIPS:
                self._strips.clear()
            strip = self._strips[shown] = strip_of(shown, width, self._style)
        return strip

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines without Textual's cache by line number; see VirtualTable."""
        top, width = self.top, self.size.width  # what they follow from is dear, and the same for all lines
        strips = [self._strip(y, top, width) for y in crop.line_range]
        behind = self.background_colors[1]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, behind) for strip in strips]
        return [strip.crop(*crop.column_span) for strip in strips]

    def _exchange_repaint_regions(self) -> Collection[Region]:
        regions, top = super()._exchange_repaint_regions(), self.top
        self._painted.sent(regions, self.size.width, lambda y: self._shown(y, top))
        return regions

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._forget_paint()

    def _forget_paint(self) -> None:
        self._strips.clear()
        self._painted.forget()

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.get_component_rich_style(f"terminal--{name}") if name else self.rich_style
            self._styles[name] = style
        return style

    # typing

    def on_key(self, event: events.Key) -> None:
        """While one types, every key is the other side's, but those that leave the typing."""
        if not self.typing or self._is_ours(event.key):
            return
        event.stop()
        event.prevent_default()
        data = key_bytes(event.key, event.character, self.emulator.application_cursor)
        if data:
            self._go(None)
            self.post_message(self.Typed(data))

    def _is_ours(self, key: str) -> bool:
        """Whether the screen has this key for its own while one types, as it is bound now."""
        bound = self.screen.active_bindings.get(key)
        return bound is not None and (bound.binding.id or "").startswith("console.always")

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        if not self.typing or not event.text:
            return
        if wants_asking(event.text):
            self.post_message(self.Pasted(event.text))
        else:
            self.paste(event.text)

    def paste(self, text: str) -> None:
        """Send a text as pasted."""
        self._go(None)
        self.post_message(self.Typed(pasted(text, self.emulator.bracketed_paste)))

    # looking back

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.typing or action not in (
            "page", "scroll", "first", "live", "find_next", "times", "choose")

    def _go(self, top: int | None) -> None:
        """Look at the lines from `top` on; at the end, or None: live."""
        lines = self.lines
        if top is not None:
            top = max(lines.first, top)
            if top >= max(lines.screen, lines.end - self.size.height):
                top = None
        same = top == self._top and (top is not None or self._chosen is None)
        if top is None:
            self._chosen = None
        if top != self._top:
            self._top = top
            self.post_message(self.Moved(self.back))
        if not same:  # a key that is typed while all is live costs no frame
            self._settle()

    def action_page(self, by: int) -> None:
        self._go(self.top + by * max(1, self.size.height - 1))

    def action_scroll(self, by: int) -> None:
        self._go(self.top + by)

    def action_first(self) -> None:
        self._go(self.lines.first)

    def action_live(self) -> None:
        self.words = ""
        self._go(None)

    def action_times(self) -> None:
        self.times = not self.times
        self._settle()

    def action_choose(self) -> None:
        """Copy from this line on, or no longer."""
        self._chosen = self.top if self._chosen is None else None
        self._settle()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._go(self.top - 3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._go(self.top + 3)

    def find(self, words: str) -> bool:
        """Look for words, from the last line back; False where there are none."""
        self.words = words
        if words and not self._found(self.lines.end - 1, -1):
            self.words = ""
            return False
        return True

    def action_find_next(self, step: int) -> None:
        start = self._found_at if self._shows(self._found_at) else self.top
        if self.words and not self._found(start + step, step):
            self.notify(f"{self.words!r} is nowhere further {'back' if step < 0 else 'on'}", markup=False)

    def _found(self, start: int, step: int) -> bool:
        """Show the next line with the words: where it is if that is live, else on top."""
        number = self.lines.find(self.words, start, step)
        if number is not None:
            self._forget_paint()
            self._found_at, self._top = number, None
            if not self._shows(number):
                self._top = number
            self.post_message(self.Moved(self.back))
            self._settle()
            self.refresh()
        return number is not None

    def _shows(self, number: int | None) -> TypeGuard[int]:
        return number is not None and self.top <= number < self.top + self.size.height

    def copied(self) -> str:
        """What is to be copied: from the chosen line to the last one shown, else what is shown."""
        top = self.top
        return self.lines.copied(top if self._chosen is None else self._chosen, self._last(top))

    def whole(self) -> str:
        """All that is kept, with the times of its lines."""
        lines = self.lines
        return "".join(f"{_date_text(lines[number].at)} {lines.text(number)}\n"
                       for number in range(lines.first, lines.end)).rstrip() + "\n"


def _date_text(at: float) -> str:
    """A line's time in a file; blank where it is not known."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else " " * 19
