"""Recorded machines, for tests: tests/fixtures/machines."""
from __future__ import annotations

from pathlib import Path

from qrm_tui.core.facts import MachineFacts
from qrm_tui.install.recording import decode
from qrm_tui.install.server import Server

FOLDER = Path(__file__).parent.parent / "fixtures/machines"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded(name: str) -> MachineFacts:
    return decode((FOLDER / f"{name}.json").read_text())


def server(name: str, interface: str = "") -> Server:
    return Server(recorded(name), interface)
