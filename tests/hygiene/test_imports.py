"""Imports run one way, and each program starts without what it must not know."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
_SERVER = ("sqlmodel", "sqlalchemy", "alembic", "asyncssh", "argon2", "jinja2", "libvirt", "starlette", "uvicorn",
           "qrm_tui.daemon", "qrm_tui.backends", "qrm_tui.db", "qrm_tui.runners", "qrm_tui.practice")

#: What a program imports at its start, and what must not come along.
STARTS = {
    "qrm": ("from qrm_tui.cli import main", ("textual", "rich", "asyncio", "msgspec", "h11", *_SERVER)),
    "qrm-tui": ("import qrm_tui.app", _SERVER),
    # runs with the server's Python, and needs nothing besides it
    "boot-image": ("import qrm_tui.bootimage.__main__", ("textual", "rich", "asyncio", "msgspec", "h11", *_SERVER)),
    "qrmd": ("import qrm_tui.daemon.main", ("textual", "rich", "alembic", "argon2", "libvirt", "qrm_tui.practice",
                                            "qrm_tui.screens", "qrm_tui.cli")),
    "qrmd-node": ("import qrm_tui.node.main", ("textual", "rich", *(name for name in _SERVER if name != "uvicorn"))),
}


def test_the_contracts_hold() -> None:
    done = subprocess.run([Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("program", STARTS)
def test_a_program_starts_without_what_it_must_not_know(program: str) -> None:
    statement, forbidden = STARTS[program]
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & set(forbidden)
