"""The command line in this process, and a canned server for it."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrm_tui.cli.main import run
from tests.unit.command import Command, in_process
from tests.unit.fake_qrmd import FakeQrmd


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeQrmd]:
    """A server that `qrm` finds."""
    with FakeQrmd(tmp_path / "s") as server:
        monkeypatch.setenv("QRM_CONNECT", server.path)
        yield server


@pytest.fixture
def qrm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process; without a `fake`, there is no server."""
    if "QRM_CONNECT" not in os.environ:
        monkeypatch.setenv("QRM_CONNECT", "/nowhere/qrmd.sock")
    return in_process("qrm", run, capsys, monkeypatch)
