"""The progress of a job on stderr: a line a step, the running one written over on a terminal."""
from __future__ import annotations

import sys
from typing import Any

from qrm_tui.cli.table import cut
from qrm_tui.cli.terminal import can_move, harmless, talk, width
from qrm_tui.core.time_left import amount_words

_ERASE = "\r\x1b[K"
_AT_WORK = frozenset(("waiting", "running", "undoing"))


class Progress:
    """Give it the job's row whenever it changed, and `end` it."""

    def __init__(self) -> None:
        self._moves = can_move(sys.stderr)
        self._shown: tuple[Any, ...] = ()
        self._open = False

    def show(self, row: dict[str, Any]) -> None:
        """Tell what is new."""
        what = row.get("waits_for") or row.get("doing") or ""
        place = (row.get("state"), row.get("step"), what)
        new = place != self._shown
        if not what or row.get("state") not in _AT_WORK or not (new or self._moves):
            return
        if new and self._open:
            talk("")
            self._open = False
        self._shown = place
        line = self._line(row, str(what))
        if self._moves:
            talk(_ERASE + cut(line, (width(sys.stderr) or 80) - 1), end="")
            self._open = True
        else:
            talk(line)

    def end(self) -> None:
        """Leave the running line as it is."""
        if self._open:
            talk("")
            self._open = False

    def _line(self, row: dict[str, Any], what: str) -> str:
        steps, step, share = row.get("steps") or 0, row.get("step") or 0, row.get("progress")
        number = f"[{min(step + 1, steps)}/{steps}] " if steps else ""
        state = "undoing: " if row.get("state") == "undoing" else ""   # a job that waits says so itself
        amount = amount_words(row)
        percent = f"  {amount}" if amount else f"  {share:.0%}" if isinstance(share, (int, float)) else ""
        return harmless(f"{number}{state}{what}{percent}")
