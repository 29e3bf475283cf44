"""The short way for logs: whole lines of text and colours at the bottom of the screen are written at once.

A machine that boots, or a program that prints for minutes, sends lines that nobody sees longer than a frame. Writing
each of them cell by cell into a grid costs ten times what their text costs; only the last screenful needs cells, and
those above it go into the scroll-back as they are. Taken is what bittty would end up with in the same way, which a test
holds it to; everything else is left to bittty.
"""

from __future__ import annotations

import re
from typing import Any

from qrm_tui.terminal.board import ConsoleBoard
from qrm_tui.terminal.cells import Row, Style, runs_of
from qrm_tui.terminal.looks import PLAIN, Look, Run, Runs
from qrm_tui.terminal.scrollback import Kept, Scrollback

#: ASCII text, short SGR sequences and ends of lines. Nothing stands behind the star, so nothing is tried twice: a line
#: of 16 KB without an end would take for ever. (*+ would do, and is broken in Python 3.11 up to 3.11.4.)
_TEXT = re.compile(r"(?:[ -~]+|\x1b\[[0-9;]{0,32}m|\r\n)*")
_SGR = re.compile(r"(\x1b\[[0-9;]*m)")
#: Characters that are looked at to find lines: those behind a line that is not taken are looked at again.
_WINDOW = 1 << 15

#: Changes of a style that are remembered.
_STEPS = 4096

Piece = tuple[str, Style, Look]
#: A style, the one that a sequence makes of it, and how that looks.
Step = tuple[Style, Style, Look]


class Flood:
    """Writes whole lines on a board and its scroll-back."""

    def __init__(self, board: ConsoleBoard, scrollback: Scrollback) -> None:
        self._board, self._scrollback = board, scrollback
        self._steps: dict[tuple[int, str], Step] = {}

    def _open(self) -> bool:
        """Whether a line would be written at the bottom of a screen that scrolls as a whole."""
        board = self._board
        blitter, cursor, modes = board.blitter, board.cursor, board.modes
        return (cursor.x == 0 and cursor.y == blitter.height - 1 and not cursor.wrap_pending
                and blitter.scroll_top == 0 and blitter.scroll_bottom == blitter.height - 1
                and not blitter.in_alt_screen and modes.auto_wrap and board.plain and board.parser.idle
                and not _filled(board.style.current)
                and all(cell is blitter.current_page._empty_cell for cell in blitter.current_page.grid[-1]))

    def take(self, text: str, place: int, at: float) -> int:
        """Write the whole lines that stand at this place; the place behind them."""
        if not self._open():
            return place
        found = _TEXT.match(text, place, place + _WINDOW)
        end = -1 if found is None else text.rfind("\r\n", place, found.end())
        if end < 0:
            return place
        lines = text[place:end].split("\r\n")
        rows: list[tuple[list[Piece], bool]] = []
        taken = self._pieces(lines, rows)
        if rows:
            self._put(rows, at)
        return place + sum(len(line) + 2 for line in lines[:taken])

    def _pieces(self, lines: list[str], rows: list[tuple[list[Piece], bool]]) -> int:
        """Make rows of the lines: each a list of pieces, and whether it goes on. The number of lines taken."""
        board, steps = self._board, self._steps
        styles, columns = board.styles, board.width
        before = style = board.style.current
        look = styles.look(style)
        count = 0
        for line in lines:
            if "\x1b" not in line:
                if len(line) <= columns:
                    rows.append(([(line, style, look)], False))
                else:
                    self._wrap([(line, style, look)], rows)
                count += 1
                continue
            pieces: list[Piece] = []
            size = 0
            for number, part in enumerate(_SGR.split(line)):
                if not part:
                    continue
                if number % 2:
                    step = steps.get((id(style), part))
                    if step is None:
                        step = self._step(style, part)
                    _, style, look = step
                else:
                    size += len(part)
                    pieces.append((part, style, look))
            if _filled(style):  # the next line would be filled with the background: bittty does so
                style = before
                break
            if size <= columns:
                rows.append((pieces, False))
            else:
                self._wrap(pieces, rows)
            before = style
            count += 1
        board.style.current = before
        return count

    def _step(self, style: Style, sequence: str) -> Step:
        """The style after a sequence of colours and attributes, remembered: few of them come again and again."""
        board = self._board
        new = board.styles.after(style, board.parser._csi_memo.get(sequence)[1], board._default)
        if len(self._steps) >= _STEPS:
            self._steps.clear()
        step = self._steps[(id(style), sequence)] = (style, new, board.styles.look(new))  # holds it: its id is its own
        return step

    def _wrap(self, pieces: list[Piece], rows: list[tuple[list[Piece], bool]]) -> None:
        """Break a line at the screen's width."""
        columns = self._board.width
        row: list[Piece] = []
        room = columns
        for part, style, look in pieces:
            text = part
            while text:
                if not room:
                    rows.append((row, True))
                    row, room = [], columns
                row.append((text[:room], style, look))
                text, room = text[room:], room - len(text[:room])
        rows.append((row, False))

    def _put(self, rows: list[tuple[list[Piece], bool]], at: float) -> None:
        """As many of the screen's lines go, then those of the rows that are never seen; the others are written."""
        board = self._board
        blitter = board.blitter
        page, height, styles = blitter.current_page, blitter.height, board.styles
        append = self._scrollback.append
        count = len(rows)
        gone = min(count, height - 1)
        for row, wrapped in zip(page.grid[:gone], page.wrapped_lines[:gone], strict=True):
            append(Kept(runs_of(row, styles), row.at if type(row) is Row else at, wrapped))
        first = count - gone
        for pieces, wrapped in rows[:first]:
            append(Kept(_runs(pieces), at, wrapped))
        grid: list[Any] = page.grid[gone:-1]
        for pieces, _ in rows[first:]:
            row = page._create_empty_row()
            x = 0
            for text, style, _ in pieces:
                row[x:x + len(text)] = map(styles.cells(style).__getitem__, text)
                x += len(text)
            row.says(_runs(pieces))
            grid.append(row)
        page.grid = [*grid, page._create_empty_row()]
        page.wrapped_lines = [*page.wrapped_lines[gone:-1], *(wrapped for _, wrapped in rows[first:]), False]
        page.line_attributes = page.line_attributes[-1:] * height
        page._touch_page()
        blitter.last_printed_char = None


def _filled(style: Style) -> bool:
    """Whether a new line would get a background of its own."""
    return style.bg is not None and style.bg.mode != "default"


def _runs(pieces: list[Piece]) -> Runs:
    """What `runs_of` makes of the same row."""
    runs: list[Run] = []
    for text, _, look in pieces:
        if runs and runs[-1].look == look:
            former = runs.pop()
            text = former.text + text
        if text:
            runs.append(Run(text, look, len(text)))
    if runs and runs[-1].look == PLAIN:
        text = runs.pop().text.rstrip(" ")
        if text:
            runs.append(Run(text, PLAIN, len(text)))
    return tuple(runs)
