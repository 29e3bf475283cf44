"""What the lab proves, a line a row: row of the acceptance table, ok or what failed, seconds, what proved it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Failed(Exception):
    """A row that others rest on failed; it is reported already."""


class Row:
    """A row while it runs: `proof` collects what shows that it holds."""

    def __init__(self) -> None:
        self.proofs: list[str] = []

    def proof(self, text: str) -> None:
        self.proofs.append(text)


class Rows:
    """Prints the rows as they end."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    @contextmanager
    def row(self, number: str, what: str, *, began: float | None = None, alone: bool = False) -> Iterator[Row]:
        """One row. `began`: time.monotonic() when what it is about began, if that was before.

        Where it fails nothing after it runs (Failed), unless it stands `alone`.
        """
        row, started = Row(), began or time.monotonic()
        try:
            yield row
        except Exception as error:
            self.failed += 1
            self._print(number, "FAILED", started, f"{what}: {error}")
            for note in getattr(error, "__notes__", []):
                print(note, file=sys.stderr, flush=True)
            if not alone:
                raise Failed(what) from error
        else:
            self.passed += 1
            self._print(number, "ok", started, "; ".join([what, *row.proofs]))

    @staticmethod
    def _print(number: str, outcome: str, started: float, text: str) -> None:
        print(f"{number:<8} {outcome:<6} {time.monotonic() - started:5.1f} s  {text}", flush=True)

    def summary(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"
