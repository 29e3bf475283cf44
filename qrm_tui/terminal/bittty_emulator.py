"""The Emulator on bittty: the board, what leaves its screen, its bell, its title, its answers."""

from __future__ import annotations

import codecs
from typing import Any

from bittty.present import Bell, RowsScrolledOff, TitleChanged

from qrm_tui.terminal.board import ConsoleBoard
from qrm_tui.terminal.cells import Row, runs_of, width
from qrm_tui.terminal.emulator import LEAST_COLUMNS, LEAST_ROWS, MOST_COLUMNS, MOST_ROWS
from qrm_tui.terminal.flood import Flood, keep
from qrm_tui.terminal.interpreter import Interpreter
from qrm_tui.terminal.looks import Runs, plain_runs, text_of
from qrm_tui.terminal.scrollback import Kept, Scrollback

#: Characters of a title, and bytes of answers that wait to be taken.
LONGEST_TITLE, MOST_REPLIES = 80, 512
#: Characters that are fed where the short way is not open, before it is asked for again: the first time, and at last.
_ASKED, _PIECE = 64, 4096
#: Characters that the interpreter looks at, at least and at most: those behind what it leaves are looked at again.
_LEAST_AHEAD, _MOST_AHEAD = 256, 1 << 14


class BitttyEmulator:
    """See `Emulator`. `short` off: every byte goes through bittty, which a test compares with the short ways."""

    keeps_scrollback = True  # bittty asks for it

    def __init__(self, columns: int = 80, rows: int = 24, *, scrollback: Scrollback | None = None,
                 short: bool = True) -> None:
        columns, rows = _bounded(columns, rows)
        self.scrollback = Scrollback() if scrollback is None else scrollback
        self.title = ""
        self.bells = 0
        self._replies = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._board = ConsoleBoard(columns, rows)
        self._board.attach_display(self)
        self._board.host.attach(_Replies(self._replies))
        self._flood = Flood(self._board, self.scrollback)
        self._interpreter = Interpreter(self._board)
        self._short = short
        self._ahead, self._left = _MOST_AHEAD, 0
        self._seen = 0
        self._page: Any = None

    # what it shows

    @property
    def faults(self) -> int:
        return self._board.faults

    @property
    def columns(self) -> int:
        return int(self._board.width)

    @property
    def rows(self) -> int:
        return int(self._board.height)

    @property
    def cursor(self) -> tuple[int, int] | None:
        board = self._board
        return (board.cursor.display_x, board.cursor.y) if board.modes.cursor_visible else None

    @property
    def alternate(self) -> bool:
        return bool(self._board.blitter.in_alt_screen)

    @property
    def reversed(self) -> bool:
        return bool(self._board.modes.reverse_screen)

    @property
    def application_cursor(self) -> bool:
        return bool(self._board.modes.cursor_application_mode)

    @property
    def bracketed_paste(self) -> bool:
        return bool(self._board.modes.bracketed_paste)

    def line(self, row: int) -> Runs:
        return runs_of(self._board.blitter.current_page.grid[row], self._board.styles)

    def written(self, row: int) -> float:
        line = self._board.blitter.current_page.grid[row]
        return line.at if isinstance(line, Row) and text_of(self.line(row)).strip() else 0.0

    def changed(self) -> list[int]:
        page = self._board.blitter.current_page
        rows: list[int] = list(range(self.rows)) if page is not self._page else page.dirty_rows(self._seen)
        self._page, self._seen = page, page.observe()
        return rows

    # what comes in

    def feed(self, data: bytes, at: float) -> None:
        self._board.now = at
        text = self._decoder.decode(data)
        if not self._short:
            self._board.feed(text)
            return
        place, size, step = 0, len(text), 0
        while place < size:
            before, place = place, self._flood.take(text, place, at)
            if place >= size:
                break
            # lines may be taken whole after a line's end; where they are not, that is asked for ever more seldom
            step = 0 if place > before else min(_PIECE, 2 * step + _ASKED)
            stop = text.find("\r\n", place + step) + 2
            if stop < 2:
                stop = size
            self._read(text, place, stop)
            place = stop

    def _read(self, text: str, place: int, stop: int) -> None:
        """Write what stands between these places."""
        board = self._board
        while place < stop:
            before, ahead = place, min(stop, place + self._ahead)
            if board.parser.idle:
                place = self._interpreter.take(text, place, ahead)
            if place == ahead:
                self._ahead, self._left = min(_MOST_AHEAD, 2 * self._ahead), 0
                continue
            self._ahead = max(_LEAST_AHEAD, self._ahead // 2)
            self._left = min(_PIECE, 2 * self._left + _ASKED) if place - before < _ASKED else 0
            end = text.find("\x1b", place + 1 + self._left, stop)
            board.feed(text[place:end if end >= 0 else stop])
            place = end if end >= 0 else stop

    def take_replies(self) -> bytes:
        replies = bytes(self._replies)
        self._replies.clear()
        return replies

    def resize(self, columns: int, rows: int) -> None:
        columns, rows = _bounded(columns, rows)
        if (columns, rows) == (self.columns, self.rows):
            return
        board = self._board
        self._scroll_away(board.cursor.y - (rows - 1))  # bittty cuts below, where the cursor is
        board.resize(columns, rows)

    def mark(self, text: str, at: float) -> None:
        if not self.alternate:
            self._scroll_away(self._board.cursor.y)
        self.scrollback.append(Kept(plain_runs("".join(part for part in text if width(part) > 0)), at, mark=True))

    def _scroll_away(self, rows: int) -> None:
        """Rows at the top leave the screen, and the cursor's line goes up with the others."""
        board = self._board
        if rows > 0:
            board.blitter.set_scroll_region(0, self.rows - 1)
            column, row = board.cursor.display_x, board.cursor.y
            board.blitter.scroll(rows)
            board.cursor.set_position(column, row - rows)

    def present(self, event: Any) -> None:
        """What bittty tells."""
        if type(event) is RowsScrolledOff:
            for row, wrapped in event.lines:
                keep(self.scrollback, row, wrapped, self._board.styles, self._board.now)
        elif type(event) is Bell:
            self.bells += 1
        elif type(event) is TitleChanged:
            self.title = "".join(character for character in event.title[:LONGEST_TITLE] if width(character) > 0)


class _Replies:
    """What the board would send, as a cable of bittty's; more than anybody takes is dropped."""

    closed = False

    def __init__(self, kept: bytearray) -> None:
        self._kept = kept

    def write(self, data: str) -> int:
        if len(self._kept) + len(data) <= MOST_REPLIES:
            self._kept += data.encode()
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def resize(self, rows: int, columns: int) -> None:
        """The other side of a serial line cannot be told."""


def _bounded(columns: int, rows: int) -> tuple[int, int]:
    return max(LEAST_COLUMNS, min(columns, MOST_COLUMNS)), max(LEAST_ROWS, min(rows, MOST_ROWS))
