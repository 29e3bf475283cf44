"""bittty's machine, held to what a console needs: fewer operations, bounded sequences, and short ways for plain text.

bittty 0.3 emulates whole terminals with printers, macros, downloaded keys, pages and windows that the other side may
resize. What a machine of the rack sends is hostile, so everything that is not listed here does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bittty import XTERM, Board, Parser
from bittty import mode_profiles as modes
from bittty.options import DEC_CHARACTER_EDITING, DEC_LINE_EDITING
from bittty.parser.csi import parse_csi_operation

from qrm_tui.terminal.cells import CONTINUATION, Row, Style, Styles, width
from qrm_tui.terminal.draft import Draft
from qrm_tui.terminal.ink import Ink, Sets, filled
from qrm_tui.terminal.sgr import operation_of, shortened

#: Characters of one control sequence, and of one string (a title, a clipboard ...).
LONGEST_SEQUENCE, LONGEST_STRING = 128, 4096
#: Characters that stand on one cell: a letter and its marks.
_STACKED = 6
#: The strings that are performed: OSC 0 and 2.
_TITLE = re.compile("(?:\x1b]|\x9d)[02];")

_OPERATIONS = frozenset((
    # characters, cursor, tabs
    "PRINT", "C0_BEL", "C0_BS", "C0_CR", "C0_CRLF", "C0_DEL", "C0_FF", "C0_HT", "C0_LF", "C0_SI", "C0_SO", "C0_VT",
    "HTS", "IND", "NEL", "RI", "ST", "SAVE", "RESTORE", "CBT", "CHA", "CHT", "CNL", "CPL", "CTC", "CUB", "CUD",
    "CUF", "CUP", "CUU", "DECST8C", "HPA", "HPB", "HPR", "HVP", "TBC", "VPA", "VPB", "VPR", "REP",
    # sets of characters
    "SCS_G0", "SCS_G1", "SCS_G2", "SCS_G3", "SS2", "SS3", "LS2", "LS3",
    # editing and scrolling
    "DCH", "DL", "ECH", "ED", "EL", "ICH", "IL", "DECSTBM", "SD", "SU", "DECALN", "DECSED", "DECSEL", "DECSTR",
    "RIS",
    # modes, looks, titles, and the questions that programs on consoles do ask
    "SM", "RM", "DECSET", "DECRST", "DECKPAM", "DECKPNM", "SGR", "SET_ICON_AND_WINDOW_TITLE", "SET_WINDOW_TITLE",
    "CPR", "DA1", "DSR",
))
#: No other side resizes the screen, speaks VT52, or wraps backwards (which takes as long as its parameter says).
_MODES = frozenset((
    modes.ANSI_INSERT, modes.ANSI_NEWLINE, modes.DEC_CURSOR_APPLICATION, modes.DEC_REVERSE_SCREEN, modes.DEC_ORIGIN,
    modes.DEC_AUTOWRAP, modes.DEC_CURSOR_VISIBLE, modes.DEC_NUMERIC_KEYPAD, modes.XTERM_ALT_SCREEN_47,
    modes.XTERM_ALT_SCREEN_1047, modes.XTERM_SAVE_CURSOR_1048, modes.XTERM_ALT_SCREEN_1049,
    modes.XTERM_BRACKETED_PASTE,
))


def _model() -> Any:
    from dataclasses import replace

    return replace(XTERM, name="console", mode_capabilities=_MODES, options=frozenset(), da1_response="\x1b[?1;2c",
                   control_capabilities=frozenset((DEC_LINE_EDITING, DEC_CHARACTER_EDITING)),
                   power_on_modes=frozenset(), fixed_modes=frozenset(), macro_space=None)


_MODEL = _model()


#: What bittty might raise.
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Memo(dict[str, Any]):
    """What bittty's parser remembers of control sequences: made here, so that long ones are never parsed."""

    def __init__(self, registry: dict[str, Callable[[Any], None]]) -> None:
        super().__init__()
        self._registry = registry

    def get(self, sequence: str, default: Any = None) -> Any:
        known = super().get(sequence)
        if known is None:
            known = self._entry(sequence)
            if len(self) >= 4096:
                self.clear()
            if len(sequence) <= 2 * LONGEST_SEQUENCE:
                self[sequence] = known
        return known

    def _entry(self, sequence: str) -> tuple[Callable[[Any], None], Any]:
        operation = operation_of(sequence)  # nothing else varies so much
        if operation is not None:
            return self._registry["SGR"], operation
        if len(sequence) <= LONGEST_SEQUENCE and sequence[1:].isascii():  # bittty takes ² for a digit, int() does not
            operation = parse_csi_operation(shortened(sequence))
        handler = None if operation is None else self._registry.get(operation.name)
        return (_nothing, operation) if handler is None else (handler, operation)


def _nothing(operation: Any) -> None:
    """An operation that is not for consoles."""


class _Parser(Parser):  # type: ignore[misc]
    """bittty's parser with bounds, and without the Linux console's strings that have no end."""

    mode: str | None
    buffer: str
    pos: int

    def __init__(self, sink: Any, **options: Any) -> None:
        super().__init__(sink, **options)
        self._csi_memo = _Memo(sink.registry)

    @property
    def idle(self) -> bool:
        """Whether no sequence is under way."""
        return self.mode is None and not self.buffer

    def _set_seq_bounds(self, start: int) -> None:
        super()._set_seq_bounds(start)
        if self.mode == "osc":
            self.mode = "string"  # bittty reads ESC ] P as the Linux console does: we are an xterm to the other side

    def dispatch(self, kind: str, data: str) -> None:
        if kind == "string" and _TITLE.match(data) and len(data) <= LONGEST_STRING + 4:
            super().dispatch("osc", data)
        elif kind in ("string", "dcs", "apc", "pm", "sos"):
            self._printed.last_printed_char = None
        elif kind == "csi":
            handler, operation = self._csi_memo.get(data)
            handler(operation)
            self._printed.last_printed_char = None
        else:
            super().dispatch(kind, data)

    def bound(self) -> None:
        """Give up a sequence that does not end: what follows is shown again, which is what somebody watches for."""
        longest = LONGEST_SEQUENCE if self.mode == "csi" else LONGEST_STRING
        if len(self.buffer) > longest + 4:
            self.buffer, self.pos, self.mode = "", 0, None


class ConsoleBoard(Board):  # type: ignore[misc]
    """bittty's board with our operations. `now` is the time that is written with (seconds since the epoch)."""

    def __init__(self, columns: int, rows: int) -> None:
        self.styles = Styles()
        self.now = 0.0
        #: sequences that bittty could not stomach; there are none known
        self.faults = 0
        super().__init__(width=columns, height=rows, model=_MODEL)
        self._default = Style()
        self._cells = self.styles.cells(self._default)
        self.style.current = self.style.default = self._default
        registry = self.registry
        for name in [name for name in registry if name not in _OPERATIONS]:
            del registry[name]
        registry["SGR"] = self._sgr
        registry["ICH"], registry["ECH"] = self._insert_blanks, self._erase_characters
        registry["ED"], registry["EL"] = self._erase_screen, self._erase_line
        registry["DECSED"], registry["DECSEL"] = registry["ED"], registry["EL"]  # nothing is protected here
        self.modes.reconcile = lambda *effects, force=False: None  # tells displays of modes, and takes half of the time
        self.parser = _Parser(self, feed_lock=self._output_lock)
        self.ink = Ink(self.styles, lambda sequence: self.parser._csi_memo.get(sequence)[1], self._default)
        for page in self.blitter.videos:
            page._create_empty_row = lambda columns=None, page=page: Draft(
                self.ink, page.width if columns is None else columns, self.now)
            page._empty_style, page._empty_cell = self._default, self.styles.cells(self._default)[" "]
            page.grid = [page._create_empty_row() for _ in range(rows)]
            # a row that leaves the grid is nobody's any more, and need not be copied
            page.line = lambda y, page=page: (page.grid[y], page.wrapped_lines[y])

    def _sgr(self, operation: Any) -> None:
        device = self.style
        device.current = self.styles.after(device.current, operation, self._default)

    @property
    def filled(self) -> bool:
        """Whether what is erased, or scrolled in, gets a background of its own."""
        return filled(self.style.current)

    def _erase_line(self, operation: Any) -> None:
        """EL; a whole row at once where nothing but blanks is left."""
        cursor, blitter = self.cursor, self.blitter
        if operation.args[0] != 0 or self.filled:
            blitter.clear_line(operation.args[0])
            return
        cursor.cancel_pending_wrap()
        self._erase_from(cursor.x, cursor.y)

    def _erase_screen(self, operation: Any) -> None:
        """ED, likewise."""
        cursor, blitter = self.cursor, self.blitter
        mode = operation.args[0]
        if mode not in (0, 2) or self.filled:
            blitter.clear_screen(mode)
            return
        cursor.cancel_pending_wrap()
        first = 0
        if mode == 0:
            self._erase_from(cursor.x, cursor.y)
            first = cursor.y + 1
        page = blitter.current_page
        for y in range(first, self.height):
            page.grid[y], page.wrapped_lines[y] = page._create_empty_row(), False
            page.row_gen[y] = page.generation

    def _erase_from(self, x: int, y: int) -> None:
        page = self.blitter.current_page
        if x:
            page._erase_range(page.grid[y], x, page.width, self._default)
        else:
            page.grid[y] = page._create_empty_row()
        page.row_gen[y] = page.generation

    def _insert_blanks(self, operation: Any) -> None:
        """ICH; bittty fills with underlines and the like, terminals with the background alone."""
        self.blitter.insert_characters(operation.args[0], self.style.background_ansi())

    def _erase_characters(self, operation: Any) -> None:
        cursor = self.cursor
        cursor.cancel_pending_wrap()
        last = min(cursor.x + operation.args[0], self.width) - 1
        self.blitter.current_page.clear_region(cursor.x, cursor.y, last, cursor.y, self.style.background_ansi())

    def feed(self, text: str) -> None:
        """Have the parser read what came."""
        parser = self.parser
        try:
            parser.feed(text)
        except _FAULTS:
            self.faults += 1
            parser.reset()
        parser.bound()

    def perform(self, sequence: str) -> bool:
        """Perform a control sequence that is complete, as the parser does; False where it is not for consoles."""
        handler, operation = self.parser._csi_memo.get(sequence)
        try:
            handler(operation)
        except _FAULTS:
            self.faults += 1
        self.blitter.last_printed_char = None
        return handler is not _nothing

    @property
    def sets(self) -> Sets:
        """The sets of characters in use."""
        charset = self.charset
        return charset.current_charset, tuple(charset.charset_array)

    @sets.setter
    def sets(self, sets: Sets) -> None:
        charset = self.charset
        charset.restore((sets[0], charset.gr, sets[1]))

    @property
    def simple(self) -> bool:
        """Whether text takes the place of what is there, each character in the set that its pen has."""
        charset = self.charset
        return (not self.modes.insert_mode and charset.single_shift is None
                # bittty reads U+00A0 to U+00FF by the set on the right side, which no pen knows
                and charset.gr >= 2 and charset.charset_array[charset.gr] == "B")

    @property
    def plain(self) -> bool:
        """Whether text is written as it comes."""
        charset = self.charset
        return self.simple and charset.charset_array[charset.current_charset] == "B"

    def print_text(self, text: str) -> None:
        """Write printable text."""
        if not text.isascii():
            self._print_wide(text)
            return
        cursor, blitter = self.cursor, self.blitter
        x, page = cursor.x, blitter.current_page
        stop = x + len(text)
        row = page.grid[cursor.y]
        style = self.style.current
        if (stop < self.width and not cursor._wrap_pending and self.plain
                and row[x][1] != CONTINUATION and row[stop][1] != CONTINUATION):
            cells = self._cells
            if cells.style is not style:
                cells = self._cells = self.styles.cells(style)
            row[x:stop] = map(cells.__getitem__, text)
            page.row_gen[cursor.y] = page.generation
            cursor.x = stop
            blitter.last_printed_char = text[-1]
        else:
            self._write(text)
            row = page.grid[cursor.y]
        if type(row) is Row:
            row.at = self.now

    def _write(self, text: str) -> None:
        self.blitter.write_text(text, self.style.current)

    def _print_wide(self, text: str) -> None:
        """Text with characters of other widths: marks stand on the letter before them, some are not shown."""
        start = 0
        for place, character in enumerate(text):
            cells = width(character)
            if cells > 0:
                continue
            if start < place:
                self._write(text[start:place])
            if cells == 0:
                self._stack(character)
            start = place + 1
        if start < len(text):
            self._write(text[start:])
        row = self.blitter.current_page.grid[self.cursor.y]
        if type(row) is Row:
            row.at = self.now

    def _stack(self, mark: str) -> None:
        """Put a mark on the character before the cursor, where there is one."""
        cursor, page = self.cursor, self.blitter.current_page
        x = cursor.display_x if cursor.wrap_pending else cursor.x - 1
        if x < 0:
            return
        x = page.owner_x(x, cursor.y)
        style, text = page.grid[cursor.y][x]
        if len(text) < _STACKED:
            page.grid[cursor.y][x] = (style, type(text)(text + mark))
            page._touch_row(cursor.y)
