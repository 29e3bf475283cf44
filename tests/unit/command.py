"""A command called in the test's own process: its exit code, stdout and stderr."""
from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from qrm_tui.cli.main import guarded

#: `qrm` as a program, as its entry point starts it.
PROGRAM = [sys.executable, "-c", "from qrm_tui.cli.main import main; main()"]


class Result(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


#: Words of a command line to what it came to.
Command = Callable[..., Result]


def in_process(program: str, run: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str],
               monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command as a function; its stdin is empty and no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    def call(*words: str) -> Result:
        code = guarded(program, run, words)
        return Result(code, *capsys.readouterr())

    return call


def read_until(terminal: int, word: bytes) -> bytes:
    """What a program writes to its terminal, up to a word or the end."""
    got = b""
    while word not in got:
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, got
        try:
            piece = os.read(terminal, 65536)
        except OSError:   # the other end is closed
            break
        got += piece
    return got
