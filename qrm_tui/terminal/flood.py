"""The short way for whole lines of text and colours: they are written at once, and kept as they came.

A machine that boots, a program that prints for minutes, or one that paints its screen again and again, sends lines that
nobody sees longer than a frame. Writing each of them cell by cell into a grid costs ten times what their text costs;
here a row becomes a Draft, and those above the last screenful go into the scroll-back as they are. Taken is what bittty
would end up with in the same way, which a test holds it to; everything else is the interpreter's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from qrm_tui.terminal.board import ConsoleBoard
from qrm_tui.terminal.cells import CONTINUATION, ONE_CELL, Row, Style, Styles, runs_of
from qrm_tui.terminal.draft import Draft
from qrm_tui.terminal.ink import filled
from qrm_tui.terminal.looks import PLAIN
from qrm_tui.terminal.scrollback import Kept, Scrollback
from qrm_tui.terminal.sgr import SEQUENCE, runs_of_pieces

#: What changes nothing where it is taken (ASCII as G0), and EL.
_ASCII, _ERASE = "\x1b(B", "\x1b[K"
#: Text of one cell a character, tabs, SGR, these two, ends of lines and returns to their beginning. Nothing stands
#: behind the star, so nothing is tried twice: a line of 16 KB without an end would take for ever. (*+ would do, and is
#: broken in Python 3.11 up to 3.11.4.)
_TEXT = re.compile(rf"(?:[{ONE_CELL}\t]+|\r\n|\r|{SEQUENCE}|\x1b\[K|\x1b\(B)*")
_UNSHOWN = re.compile(rf"{SEQUENCE}|\x1b\[K|\x1b\(B")
#: Numbers that may set a background; a foreground that has such ones in it; what may make these read otherwise.
_BACKGROUND = re.compile(r"[\[;]0*(?:4[0-8]|10[0-7]|58)[;m]")
_FOREGROUND = re.compile(r"(?<=[\[;])38;(?:5;[0-9]+|2;[0-9]+;[0-9]+;[0-9]+)(?=[;m])")
_EMPTY = re.compile(r"[\[;];")
#: Characters that are looked at to find lines, at least and at most: those behind a line that is not taken are looked
#: at again.
_LEAST, _MOST = 1 << 11, 1 << 16

#: A line of the screen's width or less, the style that it begins in, and whether it goes on.
Line = tuple[str, Style, bool]


class Flood:
    """Writes whole lines on a board and its scroll-back."""

    def __init__(self, board: ConsoleBoard, scrollback: Scrollback) -> None:
        self._board, self._scrollback = board, scrollback
        self._window = _MOST

    def _open(self) -> bool:
        """Whether a line would be written at the left of a screen that scrolls as a whole."""
        board = self._board
        blitter, cursor = board.blitter, board.cursor
        return (cursor.x == 0 and not cursor.wrap_pending and blitter.scroll_top == 0
                and blitter.scroll_bottom == blitter.height - 1 and board.modes.auto_wrap and board.plain
                and board.charset.current_charset == 0 and board.parser.idle and not board.filled)

    def take(self, text: str, place: int, at: float) -> int:
        """Write the whole lines that stand at this place; the place behind them."""
        if not self._open():
            return place
        found = _TEXT.match(text, place, place + self._window)
        end = -1 if found is None else text.rfind("\r\n", place, found.end())
        if end < 0:
            self._window = min(_MOST, 2 * self._window)
            return place
        block = text[place:end]
        lines = block.split("\r\n")
        shown = _UNSHOWN.sub("", block).split("\r\n") if "\x1b" in block else lines
        taken = self._write(lines, shown, at)
        if taken == len(lines):
            self._window = min(_MOST, 2 * self._window)
            place = end + 2
        else:
            self._window = max(_LEAST, self._window // 2)
            place += sum(len(line) + 2 for line in lines[:taken])
        if taken:
            self._board.blitter.last_printed_char = None
        return place

    def _write(self, lines: list[str], shown: list[str], at: float) -> int:
        """Write the lines, of which so much is shown; how many were taken."""
        board = self._board
        columns, cursor = board.width, board.cursor
        style, last, y = board.style.current, board.height - 1, cursor.y
        scrolled: list[Line] = []
        taken = 0
        for raw, text in zip(lines, shown, strict=True):
            whole = gaps = False
            if "\r" in raw or "\t" in raw:
                settled = self._settled(raw, style)
                if settled is None:
                    break
                raw, whole, gaps = settled
                text = _UNSHOWN.sub("", raw) if "\x1b" in raw else raw
            size, after = len(text), style
            if size != len(raw):
                if _ERASE in raw:
                    whole = True
                    if _erases_text(raw, size, columns):
                        break
                if (whole or size > columns) and _may_fill(raw):
                    break
                raw = raw.replace(_ASCII, "").replace(_ERASE, "")
                after = board.ink.after(raw, style)
                if filled(after):
                    break  # the next line would be filled with the background: bittty does so
            rows = [(raw, style, False)] if size <= columns else list(_wrapped(raw, style, columns, board))
            if y < last:
                below = y + len(rows)
                if below > last or not self._place(rows, y, size, whole, gaps, at):
                    break
                y = below
            elif scrolled or self._scrolls(whole or (size >= columns and not gaps)):
                scrolled += rows
            else:
                break
            style = after
            taken += 1
        if scrolled:
            self._scroll(scrolled, at)
        board.style.current = style
        cursor.y = y
        return taken

    def _settled(self, raw: str, style: Style) -> tuple[str, bool, bool] | None:
        """What is left of a line that was begun anew, or that has tabs: a line without these, whether it erases what is
        there, and whether what is there shows through gaps. None: bittty must."""
        board = self._board
        columns = board.width
        *earlier, last = raw.split("\r")
        left, whole, gaps = "", False, "\t" in raw
        if gaps and (style is not board.ink.default or board.cursor.tab_stops != _stops(columns)):
            return None
        for said in (*earlier, last) if "\x1b" not in last else earlier:
            text = said.replace(_ERASE, "").replace(_ASCII, "") if "\x1b" in said else said
            erases = text != said and _ERASE in said
            if "\x1b" in text or (erases and "\t" in text):
                return None
            if len(left) >= columns:
                return None
            over = _over(text, "" if erases else left, columns)
            if over is None:
                return None
            left, whole = over, whole or erases
        if "\x1b" not in last:
            return left, whole, gaps and not whole
        text = _UNSHOWN.sub("", last)
        if "\t" in last or len(left) >= columns:
            return None
        if len(text) >= columns:
            return last, whole, gaps and not whole
        raw = last.replace(_ASCII, "").replace(_ERASE, "")
        if _ERASE in last:
            return (raw, True, False) if not _may_fill(raw) else None
        rest = left[len(text):]
        if rest and board.ink.after(raw, style) is not style:
            return None
        return raw + rest, whole, gaps and not whole

    def _place(self, rows: list[Line], y: int, size: int, whole: bool, gaps: bool, at: float) -> bool:
        """Write a line on rows from y on, where nothing scrolls; False: bittty must."""
        board = self._board
        page, columns, ink = board.blitter.current_page, board.width, board.ink
        under = page.grid[y]
        if gaps and not (type(under) is Draft and under.blank):
            return False
        rest = size - (len(rows) - 1) * columns
        under = page.grid[y + len(rows) - 1]
        if not whole and rest < columns and not (type(under) is Draft and under.blank):
            if under[rest][1] == CONTINUATION:
                return False
            raw, begins, _ = rows.pop()
            x = 0
            for text, style, _ in ink.pieces(raw, begins):
                under[x:x + len(text)] = map(board.styles.cells(style).__getitem__, text)
                x += len(text)
            if type(under) is Row and rest:
                under.at = at
            page.row_gen[y + len(rows)] = page.generation
        for number, (raw, style, wrapped) in enumerate(rows, y):
            page.grid[number] = Draft(ink, columns, at, raw, style)
            page.row_gen[number] = page.generation
            if wrapped:
                page.wrapped_lines[number] = True
        return True

    def _scrolls(self, whole: bool) -> bool:
        """Whether a line at the bottom is written on nothing (`whole`: whatever is there), and scrolls into history."""
        blitter = self._board.blitter
        page = blitter.current_page
        row = page.grid[-1]
        if blitter.in_alt_screen or page.wrapped_lines[-1]:
            return False
        return whole or (row.blank if type(row) is Draft else all(cell is page._empty_cell for cell in row))

    def _scroll(self, lines: list[Line], at: float) -> None:
        """As many of the screen's rows go, then those of the lines that are never seen; the others are written."""
        board = self._board
        blitter, ink, styles, columns = board.blitter, board.ink, board.styles, board.width
        page, height = blitter.current_page, blitter.height
        scrollback = self._scrollback
        count = len(lines)
        gone = min(count, height - 1)
        for row, wrapped in zip(page.grid[:gone], page.wrapped_lines[:gone], strict=True):
            keep(scrollback, row, wrapped, styles, at)
        first = count - gone
        for raw, style, wrapped in lines[:first]:
            if styles.look(style) is PLAIN:
                scrollback.append_raw(raw, at, wrapped)
            else:
                scrollback.append(Kept(runs_of_pieces(ink.pieces(raw, style)), at, wrapped))
        page.grid = [*page.grid[gone:-1], *(Draft(ink, columns, at, raw, style) for raw, style, _ in lines[first:]),
                     page._create_empty_row()]
        page.wrapped_lines = [*page.wrapped_lines[gone:-1], *(wrapped for *_, wrapped in lines[first:]), False]
        page.line_attributes = page.line_attributes[-1:] * height
        page._touch_page()


def keep(scrollback: Scrollback, row: Any, wrapped: bool, styles: Styles, now: float) -> None:
    """Put a row of the screen into the scroll-back; `now` where it does not know when it was written."""
    if type(row) is Draft and styles.look(row.style) is PLAIN:
        scrollback.append_raw(row.raw, row.at, wrapped)
    else:
        scrollback.append(Kept(runs_of(row, styles), row.at if isinstance(row, Row) else now, wrapped))


@lru_cache(8)
def _stops(columns: int) -> set[int]:
    """Where tabs go, unless somebody has set them."""
    return set(range(8, columns, 8))


def _over(text: str, left: str, columns: int) -> str | None:
    """A text with tabs, written over what is left of its line; None where there is no stop for one."""
    written, column = [], 0
    for number, part in enumerate(text.split("\t")):
        if number:
            stop = column - column % 8 + 8
            if stop >= columns:
                return None
            written.append(left[column:stop].ljust(stop - column))
            column = stop
        written.append(part)
        column += len(part)
    return "".join(written) + left[column:]


def _may_fill(raw: str) -> bool:
    """Whether there may be a background in a line."""
    return (_BACKGROUND.search(raw) is not None
            and (_EMPTY.search(raw) is not None or _BACKGROUND.search(_FOREGROUND.sub("39", raw)) is not None))


def _erases_text(raw: str, size: int, columns: int) -> bool:
    """Whether EL in a line may take a character, where it waits to be wrapped, or not stand on its last row."""
    if size <= columns:
        return size == columns
    return size % columns == 0 or raw.find(_ERASE) != len(raw) - len(_ERASE)


def _wrapped(raw: str, style: Style, columns: int, board: ConsoleBoard) -> Iterator[Line]:
    """A line of more than the screen's width, broken there."""
    pieces = _chunks(columns).findall(raw)
    if not pieces[-1]:
        pieces.pop()
    for number, piece in enumerate(pieces, 1):
        yield piece, style, number < len(pieces)
        style = board.ink.after(piece, style)


@lru_cache(8)
def _chunks(columns: int) -> re.Pattern[str]:
    """As many characters as a row has, with what colours them."""
    return re.compile(rf"((?:(?:{SEQUENCE})*[{ONE_CELL}]){{1,{columns}}})|\x1b.*")
