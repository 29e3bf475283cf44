"""The short way for programs that write here and there: text, colours and moves are read by one pattern.

bittty makes a call of each sequence, and several of each text. Here what such programs send most (text, SGR, lines that
are drawn, moves of the cursor, EL, ECH, regions, ends of lines) is done in one loop on bittty's own rows. Another
sequence that is complete is given to bittty's handler, and the rest to its parser. What is taken ends where bittty
would, which a test holds it to.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from qrm_tui.terminal.board import ConsoleBoard
from qrm_tui.terminal.cells import ONE_CELL, Row
from qrm_tui.terminal.ink import CHANGE, RUN, Pen

_TEXT = f"[{ONE_CELL}]"
#: Changes of the pen, text, more changes, and one of: a sequence that is done here; a control;
#: another sequence that is complete; all that is left.
_PIECES = re.compile(
    rf"({RUN})({_TEXT}*)({RUN})(?:\x1b\[([0-9;]{{0,12}})([ABCDEFGHKXadefr`])|(\r\n|[\r\n\b]|\x1b(?:[DM]|\[\?25[hl]))"
    rf"|(\x1b\[[0-9;:?<=>]*[ -/]*[@-~]|\x1b[78EH=>]|[\t\x07])|((?!{_TEXT}|{CHANGE})(?s:.+)))?")
#: Numbers as sequences give them; none and 0 are 1. What is not here is bittty's.
_NUMBERS = {"": 1, **{str(number): max(1, number) for number in range(1000)}}
#: Where the cursor goes from x, y by a number, on a screen of so many columns and rows.
_MOVES: dict[str, Callable[[int, int, int, int, int], tuple[int, int]]] = {
    "A": lambda x, y, number, columns, rows: (x, max(y - number, 0)),
    "B": lambda x, y, number, columns, rows: (x, min(y + number, rows - 1)),
    "C": lambda x, y, number, columns, rows: (min(x + number, columns - 1), y),
    "D": lambda x, y, number, columns, rows: (max(x - number, 0), y),
    "E": lambda x, y, number, columns, rows: (0, min(y + number, rows - 1)),
    "F": lambda x, y, number, columns, rows: (0, max(y - number, 0)),
    "G": lambda x, y, number, columns, rows: (min(number, columns) - 1, y),
    "d": lambda x, y, number, columns, rows: (x, min(number, rows) - 1),
}
_MOVES |= {"a": _MOVES["C"], "e": _MOVES["B"], "`": _MOVES["G"]}
#: Places that are remembered by what CUP calls them.
_MOST_PLACES = 1 << 13


class _Places(dict[str, tuple[int, int] | None]):
    """x and y of the numbers of CUP; None where that is bittty's."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.size = columns, rows

    def __missing__(self, numeral: str) -> tuple[int, int] | None:
        row, _, column = numeral.partition(";")
        y, x = _NUMBERS.get(row), _NUMBERS.get(column)
        place = None if x is None or y is None else (min(x, self.size[0]) - 1, min(y, self.size[1]) - 1)
        if len(self) >= _MOST_PLACES:
            self.clear()
        self[numeral] = place
        return place


class Interpreter:
    """Writes on a board."""

    def __init__(self, board: ConsoleBoard) -> None:
        self._board = board
        self._places = _Places(board.width, board.height)
        #: what the board writes with
        self._pen = board.ink.pen(board.style.current, board.sets)

    def take(self, text: str, place: int, stop: int) -> int:
        """Write what stands between these places; the place from which on bittty must read."""
        board = self._board
        blitter, cursor = board.blitter, board.cursor
        columns, now = board.width, board.now
        if self._places.size != (columns, board.height):
            self._places = _Places(columns, board.height)
        places = self._places
        pieces = iter(_PIECES.findall(text, place, stop))
        while True:  # again whenever something else may have changed what is read here
            page = blitter.current_page
            grid, changed, epoch = page.grid, page.row_gen, page.generation
            pen = self._pen = board.ink.pen(board.style.current, board.sets)
            simple, origin = board.simple, board.modes.origin_mode
            x, y, said = cursor.x, cursor.y, blitter.last_printed_char
            row = grid[y]
            for before, words, behind, numeral, final, control, other, rest in pieces:
                if before:
                    pen, said = pen.next[before], None
                if words:
                    end, cell = x + len(words), pen.cell
                    if (end <= columns and simple and cell is not None and row[x][1]
                            and (end == columns or row[end][1])):
                        row[x:end] = map(cell, words)
                        if type(row) is Row:
                            row.at = now
                        changed[y] = epoch
                        x, said = end, words
                    else:
                        x, y, said = self._printed(words, x, y, pen)
                        row, simple = grid[y], board.simple
                if behind:
                    pen, said = pen.next[behind], None
                if final:
                    to = None if origin else places[numeral] if final == "H" else self._done(final, numeral, x, y, pen)
                    if to is None:
                        self._put(x, y, pen, None)
                        board.perform(f"\x1b[{numeral}{final}")
                        to = cursor.x, cursor.y
                    x, y = to
                    row, said = grid[y], None
                elif control:
                    x, y = self._controlled(control, x, y, pen)
                    row, said = grid[y], None
                elif other:
                    self._put(x, y, pen, said)
                    if other[1:2] != "[":
                        board.feed(other)
                    elif not board.perform(other):
                        said = None
                        continue
                    break
                elif rest:
                    self._put(x, y, pen, said)
                    return stop - len(rest)
            else:
                self._put(x, y, pen, said)
                return stop

    def _put(self, x: int, y: int, pen: Pen, said: str | None) -> None:
        """Tell the board where the cursor is, what it writes with, and what was printed last."""
        board, cursor = self._board, self._board.cursor
        cursor.x, cursor.y = x, y
        if x == board.width:
            cursor.mark_pending_wrap((0, x))
        else:
            cursor._wrap_pending = False
        if pen is not self._pen:
            board.style.current = pen.style
            if pen.sets != self._pen.sets:
                board.sets = pen.sets
            self._pen = pen
        board.blitter.last_printed_char = pen.cell(said[-1])[1] if said and pen.cell is not None else said

    def _printed(self, words: str, x: int, y: int, pen: Pen) -> tuple[int, int, str]:
        """Print text, over the right edge or in whatever way; where the cursor is then, and what was printed."""
        board, page, columns = self._board, self._board.blitter.current_page, self._board.width
        left = words
        while left and pen.cell is not None and board.simple and board.modes.auto_wrap:
            if x == columns:
                page.wrapped_lines[y] = True
                x, y = self._controlled("\n", 0, y, pen)
            part = left[:columns - x]
            row, end = page.grid[y], x + len(part)
            if not row[x][1] or (end < columns and not row[end][1]):
                break
            row[x:end] = map(pen.cell, part)
            if type(row) is Row:
                row.at = board.now
            page.row_gen[y] = page.generation
            x, left = end, left[len(part):]
        if not left:
            return x, y, words
        self._put(x, y, pen, None)
        board.print_text(left)
        return board.cursor.x, board.cursor.y, board.blitter.last_printed_char

    def _done(self, final: str, numeral: str, x: int, y: int, pen: Pen) -> tuple[int, int] | None:
        """Do a sequence; where the cursor is then, or None where bittty must."""
        blitter = self._board.blitter
        columns, rows = blitter.width, blitter.height
        if final == "r":
            return self._bounded(numeral, x, y)
        number = _NUMBERS.get(numeral)
        if number is None:
            return None
        x = min(x, columns - 1)
        move = _MOVES.get(final)
        if move is not None:
            return move(x, y, number, columns, rows)
        if final == "X":
            end = min(x + number, columns)
        elif final == "K" and numeral in ("", "0"):
            end = columns
        else:
            return None
        page = blitter.current_page
        row = page.grid[y]
        if end - x == columns and not pen.filled:
            page.grid[y] = page._create_empty_row()
        elif row[x][1] and (end == columns or row[end][1]):
            row[x:end] = [pen.fill] * (end - x)
        else:
            return None
        page.row_gen[y] = page.generation
        return x, y

    def _bounded(self, numeral: str, x: int, y: int) -> tuple[int, int] | None:
        """Set the region that scrolls."""
        blitter = self._board.blitter
        first, _, last = numeral.partition(";")
        top, bottom = _NUMBERS.get(first), _NUMBERS.get(last) if last.strip("0") else blitter.height
        if top is None or bottom is None:
            return None
        bottom = min(bottom, blitter.height)
        if top >= bottom:
            return x, y
        blitter.scroll_top, blitter.scroll_bottom = top - 1, bottom - 1
        return 0, 0

    def _controlled(self, control: str, x: int, y: int, pen: Pen) -> tuple[int, int]:
        """Do a control; where the cursor is then."""
        board, blitter = self._board, self._board.blitter
        if control[-1] in "hl":
            board.modes.cursor_visible = control[-1] == "h"
            return x, y
        x = min(x, blitter.width - 1)
        if control == "\r":
            return 0, y
        if control == "\b":
            return max(0, x - 1), y
        up = control == "\x1bM"
        if control == "\r\n" or (board.modes.linefeed_newline_mode and not up):
            x = 0
        if y != (blitter.scroll_top if up else blitter.scroll_bottom):
            return x, max(y - 1, 0) if up else min(y + 1, blitter.height - 1)
        if up or blitter.in_alt_screen or blitter.scroll_top:
            self._scroll(pen, up)
        else:
            self._put(x, y, pen, None)
            board.cursor.line_feed()
        return x, y

    def _scroll(self, pen: Pen, up: bool) -> None:
        """Scroll the region by a line that nobody keeps; `up` is the cursor's way, the text goes the other one."""
        board, blitter = self._board, self._board.blitter
        page, gone, new = blitter.current_page, blitter.scroll_top, blitter.scroll_bottom
        if up:
            gone, new = new, gone
        del page.grid[gone], page.wrapped_lines[gone]
        page.grid.insert(new, Row([pen.fill] * board.width, board.now) if pen.filled else page._create_empty_row())
        page.wrapped_lines.insert(new, False)
        page._touch_scrolled(blitter.scroll_top, blitter.scroll_bottom)
